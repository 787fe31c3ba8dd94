import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from support.clock import FakeClock
from support.readers import ReaderHere

from nst_daemon.config import Config, load
from nst_daemon.errors import ConfigError, PhotoError
from nst_daemon.intake import sheet_jobs
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Job, JobState, Origin


@pytest.fixture
def config(tmp_path: Path) -> Config:
    for name in ("inbox", "outbox", "styles"):
        (tmp_path / name).mkdir()
    for name, color in (("ink", "black"), ("chalk", "white"), ("brick", "brown")):
        Image.new("RGB", (32, 32), color).save(tmp_path / "styles" / f"{name}.png")
    (tmp_path / "config.yaml").write_text(
        "inbox: inbox\noutbox: outbox\nstate_dir: state\nset: {size: 512, preserve_color: luminance}\n"
    )
    return load(tmp_path / "config.yaml")


@pytest.fixture
def ledger(config: Config, clock: FakeClock) -> Iterator[Ledger]:
    config.state_dir.mkdir()
    with Ledger(config.state_dir / "ledger.db", clock=clock) as ledger:
        yield ledger


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "somewhere" / "snow.jpg"
    path.parent.mkdir()
    Image.new("RGB", (60, 40), (240, 240, 240)).save(path)
    return path


def ordered(photo: Path, config: Config, ledger: Ledger, *names: str) -> list[Job]:
    with ReaderHere() as reader:
        sheet = sheet_jobs.order(photo, config=config, ledger=ledger, reader=reader, names=names)
    return ledger.sheets.get(sheet)


def test_a_sheet_is_a_small_job_for_each_style_the_best_first(
    photo: Path, config: Config, ledger: Ledger
) -> None:
    jobs = ordered(photo, config, ledger, "ink,chalk,brick")
    assert [job.style for job in jobs] == ["chalk", "brick", "ink"]
    assert jobs[0].suits is not None
    assert jobs[0].suits > (jobs[1].suits or 0) > (jobs[2].suits or 0) > 0
    for job in jobs:
        assert (job.state, job.origin, job.photo) == (JobState.QUEUED, Origin.SHEET, "snow.jpg")
        assert job.recipe is not None
        assert (job.recipe.preset, job.recipe.size, job.recipe.preserve_color) == ("draft", 256, "luminance")
        assert job.outbox == config.state_dir / "sheets"
        assert job.outbox.is_dir()
        assert job.copy.is_file()


def test_each_sheet_is_its_own_whatever_was_painted_before(
    photo: Path, config: Config, ledger: Ledger
) -> None:
    first, second = (ordered(photo, config, ledger, "ink") for _ in range(2))
    assert first[0].id != second[0].id
    assert first[0].sheet != second[0].sheet


def test_a_style_that_cannot_be_had_has_a_job_that_says_why(
    photo: Path, config: Config, ledger: Ledger
) -> None:
    (config.styles / "ink.png").write_bytes(b"no picture")
    well, ill = ordered(photo, config, ledger, "ink,chalk")
    assert (well.style, well.state) == ("chalk", JobState.QUEUED)
    assert (ill.style, ill.state, ill.suits) == ("ink", JobState.FAILED, None)
    assert "ink.png breaks off" in (ill.error or "")


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_what_is_no_photo_makes_no_sheet(photo: Path, config: Config, ledger: Ledger, content: bytes) -> None:
    photo.write_bytes(content)
    with pytest.raises(PhotoError, match=r"snow\.jpg"):
        ordered(photo, config, ledger)
    with pytest.raises(ConfigError, match="no style"):
        Image.new("RGB", (60, 40)).save(photo)
        ordered(photo, config, ledger, "nobody")
    assert ledger.jobs.all() == []


def test_choosing_a_sketch_paints_its_photo_large(photo: Path, config: Config, ledger: Ledger) -> None:
    sketch, _ = ordered(photo, config, ledger, "ink,chalk")
    photo.unlink()  # the sheet has a copy
    chosen = ledger.jobs.get(sheet_jobs.choose(sketch, config=config, ledger=ledger))
    assert chosen is not None
    assert (chosen.style, chosen.photo, chosen.sheet) == (sketch.style, "snow.jpg", None)
    assert chosen.recipe is not None
    assert (chosen.recipe.size, chosen.recipe.preset) == (512, "balanced")
    assert chosen.outbox == config.folders[0].outbox
    assert ledger.queue.before(chosen.id) == 0
    assert sheet_jobs.choose(sketch, config=config, ledger=ledger) == chosen.id
    with pytest.raises(ConfigError, match="no sketch"):
        sheet_jobs.choose(chosen, config=config, ledger=ledger)


def test_a_sheet_is_swept_a_week_after_its_end(
    photo: Path, config: Config, ledger: Ledger, clock: FakeClock
) -> None:
    jobs = ordered(photo, config, ledger, "ink,chalk")
    kept = config.folders[0].outbox / "kept.png"
    shutil.copy(config.styles / "ink.png", kept)
    result = config.state_dir / "sheets" / "snow.chalk.png"
    shutil.copy(kept, result)
    for job, where in zip(jobs, (result, kept), strict=True):
        assert ledger.queue.claim() is not None
        assert ledger.move(job.id, JobState.RUNNING, JobState.DONE, result=where)
    sheet_jobs.sweep(ledger, config.state_dir, now=clock() + sheet_jobs.KEEP_SECONDS - 1)
    assert (len(ledger.jobs.all()), result.exists()) == (2, True)
    sheet_jobs.sweep(ledger, config.state_dir, now=clock() + sheet_jobs.KEEP_SECONDS + 1)
    assert (ledger.jobs.all(), result.exists(), kept.exists()) == ([], False, True)
