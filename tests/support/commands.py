"""What the tests of the command line share: a config in a folder, and a way to ask."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from nst_daemon import config
from nst_daemon.cli import common as cli_common
from nst_daemon.cli import paint as cli_paint
from nst_daemon.cli import setup as cli_setup
from nst_daemon.cli.app import app
from nst_daemon.config import Config
from nst_daemon.intake import reader
from nst_daemon.intake.inspection import Readable
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState

SAMPLE = cli_paint.sample_photo()
READABLE = Readable(width=64, height=48, format="jpeg")


class Answer:
    """What a command said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Ask = Callable[..., Answer]


class StillReader:
    """Takes every file for a picture."""

    def __init__(self, **_: object) -> None:
        pass

    def __enter__(self) -> "StillReader":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def inspect(self, path: Path) -> Readable:
        return READABLE


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a folder with a config, an inbox, an outbox and three styles, of which mosaic is the default."""
    home = tmp_path / "pictures"
    cli_setup.make(home / "config.yaml", home, {"style": "mosaic"})
    for style, color in (("mosaic", "red"), ("woodcut", "black"), ("etching", "white")):
        Image.new("RGB", (32, 32), color).save(home / "styles" / f"{style}.jpg")
    return home


@pytest.fixture
def loaded(home: Path) -> Config:
    return config.load(home / "config.yaml")


@pytest.fixture
def ask(home: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Return a function that runs a command over the config of `home`."""
    monkeypatch.setenv("NST_DAEMON_CONFIG", str(home / "config.yaml"))

    def run(*words: object) -> Answer:
        result = CliRunner().invoke(app, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def ledger(loaded: Config) -> Iterator[Ledger]:
    with Ledger(cli_common.ledger_path(loaded)) as ledger:
        yield ledger


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a photo outside the inbox, which is read without a process, as styles are."""
    monkeypatch.setattr(cli_paint, "readable_photo", lambda *_: READABLE)
    monkeypatch.setattr(reader, "PhotoReader", StillReader)
    photo = tmp_path / "cat.jpg"
    photo.write_bytes(b"a cat")
    return photo


def submitted(ask: Ask, photo: Path, *words: object) -> int:
    answer = ask("submit", photo, *words)
    assert answer.code == 0, answer.err
    return int(answer.out)


def finish(ledger: Ledger, job: int, state: JobState, **what: Any) -> None:
    claimed = ledger.queue.claim()
    assert claimed is not None
    assert claimed.id == job
    assert ledger.move(job, JobState.RUNNING, state, **what)
