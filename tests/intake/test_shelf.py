"""Style pictures get the care that photos get: settled, whole, copied, and never a photo's fault."""

import errno
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.faults import Faults, under
from support.place import SCREAM, STARRY, Place

from nst_daemon.config.recipe import Areas
from nst_daemon.errors import ConditionError
from nst_daemon.intake.arrivals import with_styles_anew
from nst_daemon.intake.inspection import Readable, Unreadable
from nst_daemon.ledger.jobs import Job, JobState, Origin


@pytest.fixture
def place(tmp_path: Path, clock: FakeClock) -> Iterator[Place]:
    place = Place(tmp_path, clock)
    yield place
    place.close()


def ask_for(place: Place, style: str, photo: str = "a.jpg") -> Job:
    """Drop a photo that asks for a style, and let its job be made."""
    (place.inbox / f"{photo}.yaml").write_text(f"style: {style}\n")
    place.drop(photo, photo.encode())
    place.run(20)
    return next(job for job in place.jobs() if job.original.name == photo)


def hand_back(place: Place, job: Job) -> None:
    """Do what the worker does with a job whose style the engine refused."""
    claimed = place.ledger.queue.claim()
    assert claimed is not None
    assert claimed.id == job.id
    place.ledger.move(job.id, JobState.RUNNING, JobState.HELD, error="its style is gone", refund_attempt=True)


def test_a_job_has_its_style_as_a_private_copy_whatever_becomes_of_the_file(place: Place) -> None:
    job = ask_for(place, STARRY)
    (style,) = job.styles
    (place.styles / f"{STARRY}.jpg").write_bytes(b"another picture")
    place.restart()
    place.run(300)
    assert place.only_job() == job
    assert sha256(style.path.read_bytes()).hexdigest() == style.sha256
    assert style.path.is_relative_to(place.config.state_dir)
    later = ask_for(place, STARRY, "b.jpg")
    assert later.styles[0].sha256 == sha256(b"another picture").hexdigest()


def test_a_style_is_copied_once_for_many_jobs_and_its_copy_is_needed_by_them(place: Place) -> None:
    jobs = [ask_for(place, STARRY, f"{number}.jpg") for number in range(3)]
    assert len({job.styles[0].path for job in jobs}) == 1
    assert place.style_reader.read == [f"{STARRY}.jpg"]
    assert jobs[0].styles[0].path in set().union(*place.ledger.jobs.copies())


def test_the_styles_of_regions_are_copied_and_their_copies_needed_too(place: Place) -> None:
    (place.inbox / "sky.png").write_bytes(b"mask")
    (place.inbox / "a.jpg.yaml").write_text(
        f"style: {STARRY}\nregions: [{{mask: sky.png, style: {SCREAM}}}]\n"
    )
    place.drop("a.jpg")
    place.run(20)
    (region,) = next(job for job in place.jobs() if job.original.name == "a.jpg").areas.regions
    assert region.styles[0].path.is_relative_to(place.config.state_dir)
    assert {region.styles[0].path, region.mask.path} <= set().union(*place.ledger.jobs.copies())


def test_a_built_in_style_needs_no_copy(place: Place, tmp_path: Path) -> None:
    shelf = place.shelf()
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "tiles.jpg").write_bytes(b"tiles")
    assert shelf.get("tiles").path == tmp_path / "none" / "tiles.jpg"


@pytest.mark.parametrize("content", [b"half a picture", b"text: <html>404</html>", b""])
def test_a_style_that_is_not_whole_holds_its_photo_until_it_is(place: Place, content: bytes) -> None:
    path = place.put_style("mine.jpg", content)
    job = ask_for(place, "mine")
    assert (job.state, job.original.exists()) == (JobState.HELD, True)
    assert "mine.jpg" in (job.error or "")
    assert "inbox" not in (job.error or "").lower()
    path.write_bytes(b"a whole picture")
    place.run(10)
    job = place.only_job()
    assert job.state is JobState.QUEUED
    assert job.styles[0].path.read_bytes() == b"a whole picture"


def test_a_style_that_is_being_copied_is_waited_for(place: Place) -> None:
    path = place.styles / "mine.jpg"
    with path.open("wb") as writer:
        writer.write(b"as good as ")
        writer.flush()
        os.utime(path, (time.time() - 3600,) * 2)
        job = ask_for(place, "mine")
        assert job.state is JobState.HELD
        assert "still being written" in (job.error or "")
        writer.write(b"whole")
    place.run(10)
    job = place.only_job()
    assert job.state is JobState.QUEUED
    assert job.styles[0].path.read_bytes() == b"as good as whole"


def test_a_style_has_settled_once_it_was_not_written_for_a_while(place: Place, clock: FakeClock) -> None:
    place.put_style("mine.jpg", b"picture", age=-86_400)  # a clock that goes wrong: written tomorrow
    shelf = place.shelf()
    news = shelf.news()
    with pytest.raises(Exception, match="still being written"):
        shelf.get("mine")
    clock.advance(place.watch.settle_seconds)
    assert shelf.news() != news
    assert shelf.get("mine").sha256 == sha256(b"picture").hexdigest()
    assert shelf.news() == shelf.news()


def test_a_picture_that_looks_unfinished_is_taken_after_a_while(
    place: Place, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Readable(width=8, height=8, format="bmp", may_grow=True)
    monkeypatch.setattr(place.style_reader, "inspect", lambda path: odd)
    shelf = place.shelf()
    with pytest.raises(Exception, match="still being written"):
        shelf.get(STARRY)
    news = shelf.news()
    clock.advance(place.watch.max_wait_seconds)
    assert shelf.news() != news
    assert shelf.get(STARRY).name == STARRY


def test_a_style_that_cannot_be_read_is_read_once_for_many_photos_and_again_after_a_while(
    place: Place, clock: FakeClock
) -> None:
    place.put_style("mine.jpg", b"text")
    for number in range(3):
        assert ask_for(place, "mine", f"{number}.jpg").state is JobState.HELD
    assert place.style_reader.read == ["mine.jpg"]
    place.style_reader.inspect = lambda path: Readable(width=8, height=8, format="jpeg")  # type: ignore[method-assign]
    place.run(620, step=5)
    assert set(place.states()) == {JobState.QUEUED}


def test_of_two_pictures_with_one_name_a_broken_one_does_not_count_and_a_growing_one_is_waited_for(
    place: Place,
) -> None:
    place.put_style("mine.jpg", b"whole")
    broken = place.put_style("mine.png", b"text")
    assert ask_for(place, "mine").styles[0].sha256 == sha256(b"whole").hexdigest()
    broken.write_bytes(b"half")
    assert ask_for(place, "mine", "b.jpg").state is JobState.HELD
    broken.write_bytes(b"the other")
    place.run(10)
    assert place.jobs()[1].styles[0].sha256 == sha256(b"the other").hexdigest()


@pytest.mark.parametrize("call", ["open", "read", "stat"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_style_whose_disk_does_not_answer_holds_its_photo_and_stops_no_other(
    place: Place, faults: Faults, call: str, number: int
) -> None:
    path = place.put_style("mine.jpg", b"picture")
    faults.fail_for_ever(call, number=number, at=path)
    job = ask_for(place, "mine")
    assert (job.state, job.attempts) == (JobState.HELD, 0)
    assert ask_for(place, STARRY, "b.jpg").state is JobState.QUEUED
    faults.heal()
    place.run(20)
    assert set(place.states()) == {JobState.QUEUED}


def test_a_styles_folder_that_does_not_answer_shows_and_costs_nothing(place: Place, faults: Faults) -> None:
    queued = ask_for(place, SCREAM, "a.jpg")
    faults.fail_for_ever("scandir", "stat", "lstat", "open", number=errno.ESTALE, at=under(place.styles))
    job = ask_for(place, STARRY, "b.jpg")
    assert job.state is JobState.HELD
    assert "No style named" not in (job.error or "")
    assert "styles_unreachable" in place.codes()
    assert place.jobs()[0] == queued
    faults.heal()
    place.run(20)
    assert set(place.states()) == {JobState.QUEUED}
    assert place.codes() == []


def test_a_styles_folder_that_is_gone_at_the_start_shows_and_its_names_stay(place: Place) -> None:
    queued = ask_for(place, STARRY)
    away = place.styles.rename(place.base / "away")
    place.restart()
    place.run(20)
    assert place.only_job() == queued
    assert place.codes() == ["styles_missing"]
    assert "does not" not in (ask_for(place, SCREAM, "b.jpg").error or "")
    away.rename(place.styles)
    place.run(20)
    assert set(place.states()) == {JobState.QUEUED}
    assert place.codes() == []


def test_a_reader_that_lacks_memory_for_a_style_stops_no_other_photo(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put_style("mine.jpg", b"picture")
    inspect = place.style_reader.inspect

    def short(path: Path) -> Readable | Unreadable:
        if path.name == "mine.jpg":
            raise ConditionError("The machine is short of memory.", code="system_busy")
        return inspect(path)

    monkeypatch.setattr(place.style_reader, "inspect", short)
    assert ask_for(place, "mine").state is JobState.HELD
    assert ask_for(place, STARRY, "b.jpg").state is JobState.QUEUED
    monkeypatch.undo()
    place.run(20)
    assert set(place.states()) == {JobState.QUEUED}


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_job_whose_copy_of_a_style_is_gone_or_damaged_gets_another_and_goes_on(
    place: Place, is_gone: bool
) -> None:
    job = ask_for(place, STARRY)
    job.styles[0].path.unlink() if is_gone else job.styles[0].path.write_bytes(b"damaged")
    hand_back(place, job)
    place.run(10)
    again = place.only_job()
    assert (again.state, again.attempts, again.key) == (JobState.QUEUED, 0, job.key)
    assert again.styles[0].path.read_bytes() == STARRY.encode()


def test_a_job_that_is_given_back_again_and_again_is_not_paired_anew_without_end(place: Place) -> None:
    job = ask_for(place, STARRY)
    for _ in range(2):
        hand_back(place, job)
        place.run(10)
    assert place.only_job().state is JobState.HELD
    place.put_style(f"{STARRY}.jpg", b"new stars")
    place.run(10)
    assert place.only_job().state is JobState.QUEUED


def test_a_submitted_job_that_is_given_back_goes_on_when_its_style_is_there(place: Place) -> None:
    job = ask_for(place, STARRY)
    new = replace(with_styles_anew(job, place.shelf(), ""), origin=Origin.SUBMIT, inbox=None)
    new = replace(new, photo_sha256="1" * 64, key="0" * 64)
    place.ledger.cancel(job.id)
    submitted = place.ledger.jobs.get(place.ledger.add(new).job)
    assert submitted is not None
    shutil.rmtree(place.config.state_dir / "photos")
    hand_back(place, submitted)
    place.run(10)
    again = place.ledger.jobs.get(submitted.id)
    assert again is not None
    assert again.state is JobState.QUEUED
    assert again.styles[0].path.read_bytes() == STARRY.encode()
    assert again.areas == Areas()
