"""Several photos that are read at once: how many, in which order they become jobs, what if one does not."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.new_jobs import new_job
from support.place import Place
from support.readers import HeldReader

from nst_daemon.disk.files import TEMPORARY
from nst_daemon.disk.verdicts import condition_at
from nst_daemon.errors import ConditionError
from nst_daemon.intake import taking
from nst_daemon.intake.reader import ENOUGH_BYTES
from nst_daemon.intake.taking import LEAST_MOST, MOST, SHORT_SECONDS, SLOW_SECONDS, Taking
from nst_daemon.ledger.jobs import JobState

PHOTOS = {f"{name}.jpg": f"photo {name}".encode() for name in "abcdef"}


@pytest.fixture
def place(tmp_path: Path, clock: FakeClock) -> Iterator[Place]:
    made = Place(tmp_path, clock)
    made.reader = HeldReader()
    made.close()
    made.open()
    made.intake._taking._most = MOST
    made.intake._taking._memory_left = lambda pid: 1 << 40
    yield made
    made.close()


def reader_of(place: Place) -> HeldReader:
    assert isinstance(place.reader, HeldReader)
    return place.reader


def held(place: Place) -> list[str]:
    return list(reader_of(place).held)


def tick(place: Place, seconds: float = 0.0) -> None:
    """Let time pass, with one tick after each step: a photo in hand would keep `Place.tick` for ever."""
    for _ in range(max(1, round(seconds / 0.5))):
        place.advance(min(seconds, 0.5))
        place.intake.tick()
        place.disposal.sweep()


def drop(place: Place, *names: str) -> None:
    """Put photos into the inbox and let them settle, in this order."""
    for name in names:
        place.intake._in_hand.settler.notice(place.drop(name, PHOTOS[name]))
    while not place.intake._in_hand.settled:
        tick(place, 0.5)


def drop_for_several_readers(place: Place, *names: str) -> None:
    drop(place, *names)
    tick(place, SHORT_SECONDS)


def drafts(place: Place) -> list[str]:
    return [path.name for path in (place.base / "state" / "photos").glob(f"{TEMPORARY}*")]


def admitted(place: Place) -> list[str]:
    tick(place, place.watch.sidecar_seconds + 1.0)
    return [job.photo for job in place.jobs()]


# How many.


def test_one_photo_is_read_at_a_time_until_painters_have_been_short_of_them_for_a_while(place: Place) -> None:
    drop(place, *PHOTOS)
    assert held(place) == ["a.jpg"]
    tick(place, SHORT_SECONDS)
    assert held(place) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert len(held(place)) == MOST


def test_one_reader_suffices_while_more_photos_wait_than_are_painted(place: Place) -> None:
    for number in range(3):
        place.ledger.add(new_job(f"{number}.jpg"))
    place.ledger.queue.claim()
    drop(place, *PHOTOS)
    tick(place, SLOW_SECONDS - 0.5)
    assert held(place) == ["a.jpg"]
    reader_of(place).let("a.jpg")
    tick(place)
    assert held(place) == ["b.jpg"]


def test_a_second_photo_is_read_beside_one_that_does_not_end_and_a_third_beside_two(place: Place) -> None:
    place.ledger.requests.pause()  # nobody is short of photos
    drop(place, *PHOTOS)
    tick(place, SLOW_SECONDS)
    assert held(place) == ["a.jpg", "b.jpg"]
    reader_of(place).let("b.jpg")
    tick(place)
    assert held(place) == ["a.jpg", "c.jpg"]
    tick(place, SLOW_SECONDS)
    assert held(place) == ["a.jpg", "c.jpg", "d.jpg"]


def test_where_memory_is_short_one_photo_is_read_at_a_time(place: Place) -> None:
    memory = 3 * ENOUGH_BYTES
    place.intake._taking._memory_left = lambda pid: memory
    drop_for_several_readers(place, *PHOTOS)
    assert held(place) == ["a.jpg", "b.jpg", "c.jpg"]
    memory = ENOUGH_BYTES
    reader_of(place).let("a.jpg", "b.jpg", "c.jpg")
    tick(place)
    assert held(place) == ["d.jpg"]


def test_a_want_of_long_ago_starts_no_second_reader(place: Place) -> None:
    drop(place, "a.jpg", "b.jpg")  # painters are short of them from here on
    for name in ("a.jpg", "b.jpg"):
        reader_of(place).let(name)
        tick(place)
    for job in place.jobs():
        place.ledger.cancel(job.id, reason="so that they still are")
    tick(place, 60.0)
    drop(place, "c.jpg", "d.jpg")
    assert held(place) == ["c.jpg"]


@pytest.mark.parametrize(("processors", "most"), [(1, LEAST_MOST), (3, 3), (64, MOST)])
def test_there_are_as_many_readers_as_processors_but_not_too_many(
    place: Place, monkeypatch: pytest.MonkeyPatch, processors: int, most: int
) -> None:
    monkeypatch.setattr(taking, "processors", lambda: processors)
    made = Taking(reader=place.reader, ledger=place.ledger, folder=place.base)
    assert made._most == most


# In which order.


def test_photos_that_were_read_by_the_same_tick_are_admitted_in_the_order_of_their_settling(
    place: Place,
) -> None:
    drop_for_several_readers(place, "a.jpg", "b.jpg", "c.jpg")
    reader_of(place).let("c.jpg", "a.jpg", "b.jpg")
    assert admitted(place) == ["a.jpg", "b.jpg", "c.jpg"]


def test_a_photo_waits_for_none_that_settled_before_it_and_takes_longer(place: Place) -> None:
    drop_for_several_readers(place, "a.jpg", "b.jpg", "c.jpg")
    reader_of(place).let("c.jpg", "b.jpg")
    assert admitted(place) == ["b.jpg", "c.jpg"]
    reader_of(place).let("a.jpg")
    assert admitted(place) == ["b.jpg", "c.jpg", "a.jpg"]


# What becomes of each.


def test_a_photo_that_changes_while_another_is_read_beside_it_settles_again(place: Place) -> None:
    drop_for_several_readers(place, "a.jpg", "b.jpg")
    place.drop("a.jpg", b"another photo, and longer")
    reader_of(place).let("a.jpg", "b.jpg")
    assert admitted(place) == ["b.jpg"]
    tick(place, 4.0)
    reader_of(place).let("a.jpg")
    assert admitted(place) == ["b.jpg", "a.jpg"]
    assert place.jobs()[1].copy.read_bytes() == b"another photo, and longer"
    assert drafts(place) == []


def test_a_photo_that_leaves_while_it_is_read_becomes_no_job_and_leaves_no_draft(place: Place) -> None:
    drop_for_several_readers(place, "a.jpg", "b.jpg")
    reader_of(place).let("b.jpg")
    (place.inbox / "a.jpg").unlink()
    tick(place, 70.0)
    place.drop("a.jpg", PHOTOS["a.jpg"])  # for the reader that has it in hand
    reader_of(place).let("a.jpg")
    (place.inbox / "a.jpg").unlink()
    assert admitted(place) == ["b.jpg"]
    assert (drafts(place), place.codes()) == ([], [])
    assert place.intake.is_idle()


def test_a_photo_that_comes_back_as_another_while_the_first_is_read_is_read_again(place: Place) -> None:
    drop_for_several_readers(place, "a.jpg", "b.jpg")
    (place.inbox / "a.jpg").unlink()
    tick(place, 70.0)
    place.drop("a.jpg", b"the second of its name")
    tick(place, 70.0)
    assert held(place) == ["a.jpg", "b.jpg"]  # and no more than once at a time
    reader_of(place).let("a.jpg", "b.jpg")
    tick(place, 5.0)
    reader_of(place).let("a.jpg")
    assert admitted(place) == ["b.jpg", "a.jpg"]
    assert place.jobs()[1].copy.read_bytes() == b"the second of its name"


def test_one_photo_under_two_names_that_is_read_twice_at_once_is_painted_once(place: Place) -> None:
    place.drop("b.jpg", PHOTOS["a.jpg"])
    drop_for_several_readers(place, "a.jpg")
    tick(place, SHORT_SECONDS)
    assert held(place) == ["a.jpg", "b.jpg"]
    reader_of(place).let("b.jpg", "a.jpg")
    tick(place, 7.0)
    assert [(job.photo, job.state) for job in place.jobs()] == [
        ("a.jpg", JobState.QUEUED),
        ("b.jpg", JobState.CANCELLED),
    ]
    (copy,) = {job.copy for job in place.jobs()}
    assert copy.read_bytes() == PHOTOS["a.jpg"]
    assert drafts(place) == []


def test_a_share_that_is_dead_for_one_photo_holds_up_no_other(place: Place) -> None:
    drop_for_several_readers(place, "a.jpg", "b.jpg", "c.jpg")
    reader_of(place).let("b.jpg")
    tick(place)
    error = OSError(errno.ETIMEDOUT, "it does not answer", str(place.inbox / "a.jpg"))
    reader_of(place).let("a.jpg", error=condition_at(error, place.inbox / "a.jpg"))
    reader_of(place).let("c.jpg")
    assert admitted(place) == ["b.jpg", "c.jpg"]
    tick(place, 5.0)
    assert held(place) == ["a.jpg"]  # tried again after its own pause
    reader_of(place).let("a.jpg")
    assert admitted(place) == ["b.jpg", "c.jpg", "a.jpg"]
    assert place.codes() == []


def test_a_machine_that_is_short_of_something_costs_no_photo_that_is_under_way(place: Place) -> None:
    drop_for_several_readers(place, "a.jpg", "b.jpg")
    reader_of(place).let(
        "a.jpg", error=ConditionError("No memory.", remedy="Close some.", code="system_busy")
    )
    reader_of(place).let("b.jpg")
    tick(place)
    assert place.codes() == ["system_busy"]
    tick(place, 11.0)
    assert held(place) == ["a.jpg"]
    reader_of(place).let("a.jpg")
    assert sorted(admitted(place)) == ["a.jpg", "b.jpg"]
    assert (place.codes(), drafts(place)) == ([], [])


def test_a_photo_that_is_no_picture_fails_alone(place: Place) -> None:
    place.drop("a.jpg", b"text")
    drop_for_several_readers(place, "b.jpg", "c.jpg")
    assert sorted(held(place)) == ["a.jpg", "b.jpg", "c.jpg"]
    reader_of(place).let("c.jpg", "a.jpg", "b.jpg")
    tick(place, 7.0)
    assert {job.photo: job.state for job in place.jobs()} == {
        "a.jpg": JobState.FAILED,
        "b.jpg": JobState.QUEUED,
        "c.jpg": JobState.QUEUED,
    }


def test_drafts_that_somebody_clears_away_are_made_again(place: Place) -> None:
    drop_for_several_readers(place, "a.jpg", "b.jpg")
    reader_of(place).let("a.jpg", "b.jpg")
    for name in drafts(place):
        (place.base / "state" / "photos" / name).unlink()
    tick(place, 5.0)
    reader_of(place).let(*held(place))
    tick(place, 5.0)
    reader_of(place).let(*held(place))
    assert admitted(place) == ["a.jpg", "b.jpg"]


def test_an_intake_that_is_closed_leaves_no_draft_and_the_next_finds_its_photos(place: Place) -> None:
    drop_for_several_readers(place, "a.jpg", "b.jpg")
    reader_of(place).let("a.jpg", "b.jpg")
    assert len(drafts(place)) == 2
    place.reader.close()
    place.intake.close()
    assert drafts(place) == []
    place.reader = HeldReader()
    place.restart()
    tick(place, 10.0)
    assert sorted(held(place)) == ["a.jpg", "b.jpg"]
