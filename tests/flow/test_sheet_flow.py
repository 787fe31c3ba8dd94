# ruff: noqa: F811  fixtures are imported by name
"""A sheet through the real daemon: its sketches come into the state folder, and nothing else is touched."""

from functools import partial
from pathlib import Path, PurePath
from types import SimpleNamespace

import pytest
from PIL import Image
from support.real import KeptEngine, config_of, home, kept, picture, run_once  # noqa: F401

from nst_daemon.errors import ExitCode
from nst_daemon.folders.library import Library
from nst_daemon.intake import sheets as makers
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState, Origin
from nst_daemon.page import sheets


def test_a_sketch_is_painted_into_the_state_folder_and_the_photos_go_their_way(
    home: Path, kept: KeptEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(makers, "sketch_recipe", partial(makers.sketch_recipe, side=64))
    photo = picture(home / "elsewhere" / "sea.png", seed=1)
    config = config_of(home)
    with Ledger(home / "state" / "ledger.db") as ledger, PhotoReader() as reader:
        site = SimpleNamespace(config=lambda: config, ledger=ledger, library=Library(config.styles))
        order = sheets._ordered
        name = order(site, reader, photo=photo, path=PurePath("sea.png"), wanted=config.folders[0])  # type: ignore[arg-type]
        sheet = ledger.sheets.get(name)
        assert sheet is not None
        jobs = {each.style: each.job for each in sheet.sketches}
        for job in jobs.values():  # one is enough here
            if job is not None and job != jobs["stripes"]:
                ledger.cancel(job)
    picture(home / "inbox" / "cat.png", seed=2)

    assert run_once(home, kept) is ExitCode.FINE

    with Ledger(home / "state" / "ledger.db") as ledger:
        done = {job.origin: job for job in ledger.jobs.all(state=JobState.DONE)}
    sketch, cat = done[Origin.SHEET], done[Origin.INBOX]
    assert (sketch.id, sketch.photo, cat.photo) == (jobs["stripes"], "sea.png", "cat.png")
    assert sketch.result is not None
    assert sketch.result.parent == sheets.folder_of(config, name)
    with Image.open(sketch.result) as shown:
        assert max(shown.size) == 64
    assert [path.name for path in (home / "outbox").iterdir() if path.is_file()] == ["cat.stripes.png"]
    assert photo.is_file()
    assert (home / "archive" / "cat.png").is_file()
