# ruff: noqa: F811  fixtures are imported by name
"""A sheet through the real daemon: behind what waits, into the state folder, and nowhere else."""

from pathlib import Path

from PIL import Image
from support.real import KeptEngine, config_of, home, kept, picture, run_once  # noqa: F401

from nst_daemon.errors import ExitCode
from nst_daemon.intake import sheet_jobs
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState


def test_a_sheet_is_painted_behind_the_photos_and_comes_into_no_outbox(home: Path, kept: KeptEngine) -> None:
    photo = picture(home / "elsewhere" / "sea.png", seed=1)
    picture(home / "styles" / "dots.png", seed=7)
    config = config_of(home)
    with Ledger(home / "state" / "ledger.db") as ledger, PhotoReader() as reader:
        sheet = sheet_jobs.order(
            photo, config=config, ledger=ledger, reader=reader, names=("stripes,dots",), side=64
        )
    picture(home / "inbox" / "cat.png", seed=2)
    assert run_once(home, kept) == ExitCode.FINE
    with Ledger(home / "state" / "ledger.db") as ledger:
        sketches = ledger.sheets.get(sheet)
        (cat,) = [job for job in ledger.jobs.all() if job.sheet is None]
    assert [job.state for job in (*sketches, cat)] == [JobState.DONE] * 3
    assert [path.name for path in (home / "outbox").iterdir() if path.is_file()] == ["cat.stripes.png"]
    for job in sketches:
        assert job.result is not None
        assert job.result.parent == home / "state" / "sheets"
        with Image.open(job.result) as shown:
            assert max(shown.size) == 64
    assert photo.is_file()
    assert (home / "archive" / "cat.png").is_file()


def test_a_sheet_that_is_cancelled_leaves_the_photos_alone(home: Path, kept: KeptEngine) -> None:
    photo = picture(home / "elsewhere" / "sea.png", seed=1)
    with Ledger(home / "state" / "ledger.db") as ledger, PhotoReader() as reader:
        sheet = sheet_jobs.order(photo, config=config_of(home), ledger=ledger, reader=reader)
        waiting = len(ledger.sheets.get(sheet))
        assert waiting > 10  # the built-in styles and the user's
        assert ledger.sheets.cancel(sheet) == waiting
    picture(home / "inbox" / "cat.png", seed=2)
    assert run_once(home, kept) == ExitCode.FINE
    with Ledger(home / "state" / "ledger.db") as ledger:
        assert {job.state for job in ledger.sheets.get(sheet)} == {JobState.CANCELLED}
        assert [job.photo for job in ledger.jobs.all(state=JobState.DONE)] == ["cat.png"]
