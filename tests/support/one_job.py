"""One photo in an inbox, and its job."""

from datetime import UTC, datetime
from pathlib import Path, PurePath

import pytest

from nst_daemon import disk
from nst_daemon.config import Folder
from nst_daemon.config.recipe import Recipe, Style
from nst_daemon.disk.files import (
    file_sha256,
)
from nst_daemon.ledger.jobs import Job, JobState, Origin

STARRY = Style(name="starry_night", path=Path("/styles/starry_night.jpg"), sha256="5" * 64)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(
        inbox=tmp_path / "inbox",
        outbox=tmp_path / "outbox",
        archive=tmp_path / "archive",
        failed=tmp_path / "failed",
        style="starry_night",
    )
    made.inbox.mkdir()
    made.outbox.mkdir()
    return made


def put(folder: Folder, name: str = "trip/a.jpg", content: bytes = b"photo") -> Path:
    path = folder.inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def job_of(
    folder: Folder, name: str = "trip/a.jpg", *, number: int = 1, styles: tuple[Style, ...] = (STARRY,)
) -> Job:
    original = folder.inbox / name
    return Job(
        id=number,
        key=str(number),
        path=PurePath(name),
        original=original,
        copy=original,
        photo_sha256=file_sha256(original) if disk.is_file(original) else "",
        inbox=folder.inbox,
        outbox=folder.outbox,
        origin=Origin.INBOX,
        styles=styles,
        recipe=Recipe(),
        sidecar=None,
        state=JobState.RUNNING,
        attempts=1,
        created=datetime.now(UTC),
    )
