"""What plug-ins order, answered: real files, a real ledger, and readings that are played."""

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.daemons import progress_at
from support.faults import Faults
from support.place import SCREAM, STARRY, Place

from nst_daemon.editors.answering import (
    ALIVE_SECONDS,
    UNFETCHED_SECONDS,
    UNSENT_SECONDS,
    Answering,
)
from nst_daemon.errors import ConditionError
from nst_daemon.folders.exchange import Exchange
from nst_daemon.ledger.jobs import Job, JobState, Problem

DAY = 86_400.0


class Desk:
    """A plug-in's side of the exchange folder, and the daemon's, ticked by hand."""

    def __init__(self, place: Place, clock: FakeClock) -> None:
        self.place = place
        self.clock = clock
        self.exchange = Exchange(place.base / "editors")
        self.exchange.make()
        self.ahead = 0.0  # of the files' time
        self.answering = self.begun()

    def begun(self) -> Answering:
        return Answering(
            config=self.place.config,
            exchange=self.exchange,
            ledger=self.place.ledger,
            library=self.place.shelf(),
            reader=self.place.reader,
            clock=self.clock,
            now=lambda: time.time() + self.ahead,
        )

    def path(self, name: str) -> Path:
        return self.exchange.root / "in" / "gimp" / name

    def order(self, name: str = "a.tif", content: bytes = b"photo", text: str = f"style: {SCREAM}") -> Path:
        photo = self.path(name)
        photo.write_bytes(content)
        self.path(f"{name}.yaml").write_text(f"{text}\nwhole: true\n")
        return photo

    def tick(self, seconds: float = 1.5) -> None:
        self.answering.tick()
        self.clock.advance(seconds)
        self.answering.tick()

    def status(self, name: str = "a.tif") -> dict[str, str]:
        text = self.path(f"{name}.status").read_text(encoding="utf-8")
        return dict(line.split("=", 1) for line in text.splitlines())

    def files(self) -> list[str]:
        return sorted(os.listdir(self.exchange.root / "in" / "gimp"))  # noqa: PTH208

    def paint(self) -> Path:
        """Do what a worker does with the next job."""
        job = self.place.ledger.queue.claim()
        assert job is not None
        result = job.outbox / f"{job.original.stem}.{job.style}{job.original.suffix}"
        result.write_bytes(b"painting of " + job.copy.read_bytes())
        self.place.ledger.move(job.id, JobState.RUNNING, JobState.DONE, result=result)
        return result

    def only_job(self) -> Job:
        return self.place.only_job()


@pytest.fixture
def desk(tmp_path: Path, clock: FakeClock) -> Iterator[Desk]:
    place = Place(tmp_path, clock)
    yield Desk(place, clock)
    place.close()


def test_a_commission_is_a_job_in_the_tick_in_which_its_sidecar_is_whole(desk: Desk) -> None:
    desk.path("a.tif").write_bytes(b"photo")
    sidecar = desk.path("a.tif.yaml")
    sidecar.write_text(f"style: {SCREAM}\nwhole: tr")
    desk.answering.tick()
    assert desk.place.jobs() == []
    sidecar.write_text(f'style: {SCREAM}\nset: {{size: 64}}\ntitle: "sun\'s ü.xcf"\nwhole: true\n')
    desk.answering.tick()
    job = desk.only_job()
    assert (job.state, job.style, job.photo) == (JobState.QUEUED, SCREAM, "sun's ü.xcf")
    assert job.recipe is not None
    assert job.recipe.size == 64
    assert desk.status() == {"nst": "1", "state": "queued", "job": "1", "ahead": "0"}


def test_what_was_ordered_first_is_painted_first_whatever_its_name(desk: Desk) -> None:
    """Of all editors together, and where nobody looked between two orders of one second."""
    names = ["x.tif", "a.tif", "q.tif", "b.tif"]
    for number, name in enumerate(names):
        os.utime(desk.order(name).with_name(f"{name}.yaml"), ns=(0, 10**18 + number * 1_000_000))
    other = desk.exchange.root / "in" / "darktable"
    for path in desk.path("q.tif").parent.glob("q.tif*"):
        path.rename(other / path.name)
    desk.tick()
    assert [job.photo for job in desk.place.jobs()] == names


def test_the_reader_is_ready_when_the_sidecar_comes(desk: Desk) -> None:
    desk.path("a.tif").write_bytes(b"photo")
    desk.answering.tick()
    assert desk.place.reader.prepared == 1


def test_a_painting_is_answered_with_its_place(desk: Desk) -> None:
    desk.order()
    desk.tick()
    result = desk.paint()
    desk.tick()
    status = desk.status()
    assert (status["state"], status["percent"]) == ("done", "100")
    assert status["result"] == f"out/gimp/a.{SCREAM}.tif"
    assert desk.exchange.root / status["result"] == result
    assert desk.place.ledger.queue.claim() is None  # nothing is left to do


def test_how_far_a_painting_is_shows_at_most_once_a_second(desk: Desk) -> None:
    desk.order()
    desk.tick()
    job = desk.place.ledger.queue.claim()
    assert job is not None
    desk.tick()
    assert desk.status()["percent"] == "0"  # before its first step
    shown = []
    for step in range(1, 41):
        desk.place.ledger.attempts.report_progress(job.id, progress_at(step))
        desk.clock.advance(0.1)
        desk.answering.tick()
        shown.append(desk.status().get("percent"))
    assert desk.status()["eta"] == "1"
    assert 4 <= len(set(shown)) <= 6


def test_the_preview_is_named_while_there_is_one(desk: Desk) -> None:
    desk.order()
    desk.tick()
    job = desk.place.ledger.queue.claim()
    assert job is not None
    job.preview.parent.mkdir()
    job.preview.write_bytes(b"so far")
    desk.tick()
    assert desk.status()["preview"] == "out/gimp/.preview/1.jpg"


def test_the_same_picture_is_painted_again_where_its_painting_was_fetched(desk: Desk) -> None:
    desk.order("a.tif")
    desk.tick()
    desk.paint().unlink()  # fetched
    desk.order("b.tif")
    desk.tick()
    assert desk.status("b.tif")["state"] == "queued"
    desk.paint()
    desk.tick()
    assert desk.status("b.tif")["result"] == f"out/gimp/b.{SCREAM}.tif"


def test_the_same_picture_gets_the_painting_that_is_still_there(desk: Desk) -> None:
    desk.order("a.tif")
    desk.tick()
    painted = desk.paint().read_bytes()
    desk.order("b.tif")
    desk.tick()
    status = desk.status("b.tif")
    assert status["state"] == "done"
    assert (desk.exchange.root / status["result"]).read_bytes() == painted
    assert status["result"] == f"out/gimp/b.{SCREAM}.tif"
    assert desk.place.ledger.queue.claim() is None


def test_the_same_picture_ordered_twice_at_once_is_answered_twice(desk: Desk) -> None:
    desk.order("a.tif")
    desk.order("b.tif")
    desk.tick()
    desk.path("a.tif.cancel").touch()
    desk.tick()
    assert desk.status("b.tif")["state"] == "queued"
    desk.paint()
    desk.tick()
    assert (desk.status("a.tif")["state"], desk.status("b.tif")["state"]) == ("cancelled", "done")


def test_a_painting_of_ours_is_painted_in_another_style(desk: Desk) -> None:
    desk.order(content=b"painting:key")
    desk.tick()
    assert desk.only_job().state is JobState.QUEUED


def test_what_is_no_picture_is_answered_with_what_to_do(desk: Desk) -> None:
    desk.order(content=b"text")
    desk.tick()
    assert desk.status() == {
        "nst": "1",
        "state": "failed",
        "error": "a.tif is no picture.",
        "remedy": "Export it as JPEG.",
    }
    assert desk.place.ledger.queue.claim() is None  # nothing is left to do


def test_a_sidecar_that_cannot_be_used_is_answered(desk: Desk) -> None:
    desk.order(text="stile: mosaic")
    desk.tick()
    assert desk.status()["state"] == "failed"
    assert "style" in desk.status()["error"]


def test_a_commission_that_names_no_style_keeps_its_title(desk: Desk) -> None:
    desk.order(text='title: "beach.xcf"')
    desk.tick()
    assert (desk.only_job().photo, desk.only_job().style) == ("beach.xcf", STARRY)


def test_an_unknown_style_is_held_until_it_comes(desk: Desk) -> None:
    desk.order(text="style: lost")
    desk.tick()
    status = desk.status()
    assert status["state"] == "held"
    assert "lost" in status["error"]
    assert "docs/" not in status["error"]
    assert desk.place.jobs() == []  # it waits for a person
    desk.place.put_style("lost.jpg", b"lost")
    desk.tick()
    desk.tick()
    assert desk.status()["state"] == "queued"


def test_what_stands_in_the_way_is_said(desk: Desk, faults: Faults) -> None:
    photo = desk.order()
    faults.fail_for_ever("open", number=errno.EIO, at=photo)
    desk.tick()
    status = desk.status()
    assert status["state"] == "taken"
    assert "a.tif" in status["error"]
    assert status["remedy"]
    faults.heal()
    desk.tick(3.0)
    assert desk.status()["state"] == "queued"


def test_a_pause_is_said(desk: Desk) -> None:
    desk.place.ledger.requests.pause()
    desk.order()
    desk.tick()
    assert "resume" in desk.status()["remedy"]


def test_a_disk_that_stops_all_painting_is_said(desk: Desk) -> None:
    problem = Problem(code="disk_full", message="The disk is full.", remedy="Make room.")
    desk.place.ledger.problems.set("worker", [problem])
    inbox = Problem(code="inbox_missing", message="The inbox is not there.", remedy="Mount it.")
    desk.place.ledger.problems.set("intake", [inbox])
    desk.order()
    desk.tick()
    assert desk.status()["error"] == "The disk is full."


def test_how_many_are_before_it_is_said(desk: Desk) -> None:
    for name in ("a.tif", "b.tif", "c.tif"):
        desk.order(name, content=name.encode())
    desk.place.ledger.requests.pause()
    desk.tick()
    assert desk.status("c.tif")["ahead"] == "2"


@pytest.mark.parametrize("how", ["cancel", "photo"])
def test_what_is_cancelled_stops(desk: Desk, how: str) -> None:
    desk.order()
    desk.tick()
    job = desk.place.ledger.queue.claim()
    assert job is not None
    if how == "cancel":
        desk.path("a.tif.cancel").touch()
    else:
        desk.path("a.tif").unlink()
    desk.tick()
    assert desk.place.ledger.jobs.is_cancelled(job.id)
    assert desk.status()["state"] == "cancelled"
    assert desk.files() == ["a.tif.status"]


def test_a_plug_in_that_tidies_up_itself_finds_nothing_made_anew(desk: Desk) -> None:
    desk.order()
    desk.tick()
    for name in desk.files():
        desk.path(name).unlink()
    desk.tick()
    assert desk.only_job().state is JobState.CANCELLED
    assert desk.files() == []


def test_nothing_is_left_of_an_attended_commission_whose_editor_died(desk: Desk) -> None:
    alive = desk.path("a.tif.alive")
    alive.write_text("1")
    desk.order(text=f"style: {SCREAM}\nattended: true")
    for sign in range(5):
        desk.tick(ALIVE_SECONDS * 0.8)
        alive.write_text(str(sign) * (sign + 2))
        desk.answering.tick()
    assert desk.only_job().state is JobState.QUEUED
    desk.tick(ALIVE_SECONDS)
    desk.answering.tick()
    assert desk.only_job().state is JobState.CANCELLED
    assert desk.files() == []


def test_an_unattended_commission_is_finished_without_its_editor(desk: Desk) -> None:
    desk.order()
    desk.tick(10 * ALIVE_SECONDS)
    result = desk.paint()
    desk.tick()
    assert desk.status()["state"] == "done"
    assert result.exists()


def test_a_restart_takes_up_what_was_ordered_and_paints_it_once(desk: Desk) -> None:
    desk.order()
    desk.tick()
    desk.answering = desk.begun()
    desk.tick()
    desk.paint()
    desk.answering = desk.begun()
    desk.tick()
    assert desk.status()["state"] == "done"
    assert len(desk.place.jobs()) == 1


def test_a_mask_is_taken_and_must_be_no_link(desk: Desk, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    desk.path("a.tif.mask.png").write_bytes(b"mask")
    desk.order("a.tif")
    desk.path("b.tif.mask.png").symlink_to(secret)
    desk.order("b.tif", content=b"other")
    desk.tick()
    first, second = desk.place.jobs()
    assert first.areas.mask is not None
    assert first.areas.mask.path.read_bytes() == b"mask"
    assert second.areas.mask is None


def test_what_was_fetched_is_forgotten(desk: Desk) -> None:
    desk.order()
    desk.tick()
    desk.paint().unlink()
    desk.tick()
    for name in desk.files():
        desk.path(name).unlink()
    desk.tick()
    assert desk.files() == []
    assert not desk.answering.is_busy
    assert desk.only_job().state is JobState.DONE


def test_what_nobody_sends_or_fetches_is_swept_and_nothing_before(desk: Desk) -> None:
    desk.path("unsent.tif").write_bytes(b"photo")
    desk.order()
    desk.tick()
    result = desk.paint()
    desk.tick()
    desk.ahead = UNSENT_SECONDS - 60
    desk.tick(3601.0)
    assert {"unsent.tif", "a.tif", "a.tif.yaml", "a.tif.status"} <= set(desk.files())
    desk.ahead = UNSENT_SECONDS + 60
    desk.tick(3601.0)
    assert "unsent.tif" not in desk.files()
    assert "a.tif" in desk.files()
    desk.ahead = UNFETCHED_SECONDS + 60
    desk.tick(3601.0)
    assert desk.files() == []
    assert not result.exists()


def test_files_of_other_names_are_left_alone_for_ever(desk: Desk) -> None:
    desk.path("my notes.txt").write_text("mine")
    desk.ahead = 100 * DAY
    desk.tick(3601.0)
    assert desk.files() == ["my notes.txt"]


def test_the_users_own_defaults_hold(desk: Desk) -> None:
    desk.order(text="set: {size: 32}")
    desk.tick()
    assert desk.only_job().style == STARRY


def test_a_fault_of_the_folder_stops_nothing_else_and_passes(desk: Desk, faults: Faults) -> None:
    desk.order()
    faults.fail_for_ever("scandir", number=errno.ESTALE, at=desk.exchange.root / "in")
    with pytest.raises(ConditionError):
        desk.answering.tick()
    assert desk.place.jobs() == []
    faults.heal()
    desk.tick()
    assert desk.only_job().state is JobState.QUEUED


def test_a_fault_of_one_commission_hinders_no_other(desk: Desk, faults: Faults) -> None:
    desk.order("a.tif")
    desk.order("b.tif", content=b"other")
    faults.fail_for_ever("open", "lstat", number=errno.EIO, at=desk.path("a.tif.yaml"))
    desk.tick()
    assert desk.status("b.tif")["state"] == "queued"
    assert "a.tif.status" not in desk.files()
    faults.heal()
    desk.tick()
    assert desk.status("a.tif")["state"] == "queued"


def test_a_bug_that_one_commission_meets_is_answered_and_hinders_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.order("a.tif")
    desk.order("b.tif", content=b"other")
    inspect = desk.place.reader.inspect

    def broken(path: Path) -> object:
        if path.name == "a.tif":
            raise ZeroDivisionError("a decoder of ours")
        return inspect(path)

    monkeypatch.setattr(desk.place.reader, "inspect", broken)
    desk.tick()
    assert desk.status("a.tif")["state"] == "failed"
    assert "a decoder of ours" in desk.status("a.tif")["error"]
    assert desk.status("b.tif")["state"] == "queued"


def test_a_commission_whose_sidecar_cannot_be_read_is_not_swept_as_one_that_was_never_sent(
    desk: Desk, faults: Faults
) -> None:
    desk.order()
    faults.fail_for_ever("open", "lstat", number=errno.EIO, at=desk.path("a.tif.yaml"))
    desk.ahead = UNSENT_SECONDS + 60
    desk.tick(3601.0)
    faults.heal()
    assert {"a.tif", "a.tif.yaml"} <= set(desk.files())
    desk.tick()
    assert desk.only_job().state is JobState.QUEUED


def test_a_preview_that_cannot_be_looked_at_hinders_no_other_answer(desk: Desk, faults: Faults) -> None:
    desk.order("a.tif")
    desk.order("b.tif", content=b"other")
    desk.tick()
    job = desk.place.ledger.queue.claim()
    assert job is not None
    faults.fail_for_ever("lstat", number=errno.EIO, at=job.preview)
    desk.place.ledger.requests.pause()
    desk.tick()
    assert "resume" in desk.status("b.tif")["remedy"]
