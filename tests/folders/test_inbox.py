"""The watching: with the real watchdog and real files; its failures with an observer that fails on demand."""

import errno
import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.clock import FakeClock
from support.faults import Faults, under
from support.place import Place
from watchdog import events

from nst_daemon.config import Folder, Watch, WatchMode
from nst_daemon.folders import hints
from nst_daemon.folders.inbox import POLL_SECONDS, Inbox
from nst_daemon.folders.inboxes import Inboxes
from nst_daemon.folders.watching import BACK_OFF, PROBE, Watching
from nst_daemon.ledger.jobs import JobState

WaitFor = Callable[..., None]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="inotify")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "inbox").mkdir()
    return Folder(
        inbox=tmp_path / "inbox",
        outbox=tmp_path / "outbox",
        archive=tmp_path / "archive",
        failed=tmp_path / "failed",
        style="starry_night",
    )


class Watched:
    """A root with the real watchdog, and a clock that stands still: nothing is found by reading anew."""

    def __init__(self, folder: Folder, wait_for: WaitFor) -> None:
        self.clock = FakeClock()
        self.root = Inbox(folder, Watch(), clock=self.clock, is_silent=lambda path: False)
        self.wait_for = wait_for
        self.names: set[str] = set()
        wait_for(self._is_native, what="native watching")
        self.root.rescan()

    def _is_native(self) -> bool:
        self.root.tend()
        return self.root.watcher.state is Watching.NATIVE

    def expect(self, *names: str) -> None:
        """Wait until hints for all these names have come."""

        def has_come() -> bool:
            self.clock.advance(0.01)
            self.names |= {hint.path.relative_to(self.root.path).as_posix() for hint in self.root.hints()}
            return set(names) <= self.names

        self.wait_for(has_come, what=f"hints for {names}")


@pytest.fixture
def watched(folder: Folder, wait_for: WaitFor) -> Iterator[Watched]:
    made = Watched(folder, wait_for)
    yield made
    made.root.close()


# The real watchdog.


def test_a_file_written_into_the_inbox_is_hinted_at(watched: Watched, folder: Folder) -> None:
    (folder.inbox / "a.jpg").write_bytes(b"photo")
    watched.expect("a.jpg")


def test_a_file_moved_in_and_one_renamed_are_hinted_at_by_their_last_names(
    watched: Watched, folder: Folder, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    (tmp_path / "a.jpg").rename(folder.inbox / "a.jpg")
    (folder.inbox / ".b.jpg.part").write_bytes(b"photo")
    (folder.inbox / ".b.jpg.part").rename(folder.inbox / "b.jpg")
    watched.expect("a.jpg", "b.jpg")
    assert watched.names == {"a.jpg", "b.jpg"}


def test_a_deleted_file_is_hinted_at(watched: Watched, folder: Folder) -> None:
    photo = folder.inbox / "a.jpg"
    photo.write_bytes(b"photo")
    (folder.inbox / "later.jpg").write_bytes(b"x")  # when its hint is here, all of the first have passed
    watched.expect("a.jpg", "later.jpg")
    watched.names.clear()
    photo.unlink()
    watched.expect("a.jpg")


def test_a_folder_moved_or_copied_in_is_found_whole_and_what_comes_later_too(
    watched: Watched, folder: Folder, tmp_path: Path
) -> None:
    tree = tmp_path / "trip"
    (tree / "deep").mkdir(parents=True)
    (tree / "a.jpg").write_bytes(b"1")
    (tree / "deep" / "b.jpg").write_bytes(b"2")
    shutil.copytree(tree, folder.inbox / "copied")
    tree.rename(folder.inbox / "moved")
    watched.expect("copied/a.jpg", "copied/deep/b.jpg", "moved/a.jpg", "moved/deep/b.jpg")
    (folder.inbox / "moved" / "deep" / "c.jpg").write_bytes(b"3")
    (folder.inbox / "copied" / "deep" / "d.jpg").write_bytes(b"4")
    watched.expect("moved/deep/c.jpg", "copied/deep/d.jpg")


def test_our_own_reading_and_hidden_files_raise_no_hints(watched: Watched, folder: Folder) -> None:
    photo = folder.inbox / "a.jpg"
    photo.write_bytes(b"photo")
    (folder.inbox / "later.jpg").write_bytes(b"x")  # when its hint is here, all of the first have passed
    watched.expect("a.jpg", "later.jpg")
    watched.names.clear()
    photo.read_bytes()
    (folder.inbox / ".hidden.jpg").write_bytes(b"x")
    (folder.inbox / "notes.txt").write_bytes(b"x")
    (folder.inbox / "last.jpg").write_bytes(b"x")  # when its hint is here, the others have passed
    watched.expect("last.jpg")
    assert watched.names <= {"last.jpg", "later.jpg"}


def test_the_probe_leaves_nothing_behind(watched: Watched, folder: Folder) -> None:
    assert list(folder.inbox.glob(f"{PROBE}*")) == []


def test_an_inbox_that_is_replaced_is_watched_anew(watched: Watched, folder: Folder) -> None:
    away = folder.inbox.rename(folder.inbox.with_name("away"))
    watched.clock.advance(2)
    watched.root.tend()
    assert [problem.code for problem in watched.root.problems()] == ["inbox_missing"]
    folder.inbox.mkdir()

    def is_watched() -> bool:
        watched.clock.advance(1)
        watched.root.tend()
        return watched.root.watcher.state is Watching.NATIVE

    watched.wait_for(is_watched, what="native watching")
    assert watched.root.is_due()
    (folder.inbox / "a.jpg").write_bytes(b"photo")
    watched.expect("a.jpg")
    assert watched.root.problems() == []
    shutil.rmtree(away)


@linux_only
def test_a_folder_put_in_the_inboxs_place_within_a_second_is_noticed(
    watched: Watched, folder: Folder
) -> None:
    folder.inbox.rename(folder.inbox.with_name("away"))
    folder.inbox.mkdir()
    watched.clock.advance(2)
    watched.root.tend()
    assert watched.root.watcher.state is Watching.OFF
    watched.clock.advance(2)
    watched.root.tend()
    assert watched.root.watcher.state is not Watching.OFF


# From the drop to the ledger, with the real watchdog and the real clock.


@pytest.fixture
def live(tmp_path: Path, wait_for: WaitFor) -> Iterator[Place]:
    """Return a place whose inbox is read anew so seldom that only events can find anything."""
    watch = Watch(settle_seconds=0.5, sidecar_seconds=0.1, rescan_seconds=3600)
    place = Place(tmp_path, time.monotonic, watch, {"is_silent": lambda path: False})

    def is_watched() -> bool:
        place.intake.tick()
        return place.inboxes.all[0].watcher.state is Watching.NATIVE

    wait_for(is_watched)
    yield place
    place.close()


def copies(place: Place) -> set[tuple[str, bytes]]:
    place.intake.tick()
    return {(job.photo, job.copy.read_bytes()) for job in place.jobs()}


def test_a_file_moved_in_is_taken(live: Place, wait_for: WaitFor, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    shutil.move(tmp_path / "a.jpg", live.inbox)
    wait_for(lambda: copies(live) == {("a.jpg", b"photo")})


def test_a_tree_moved_in_is_taken_whole(live: Place, wait_for: WaitFor, tmp_path: Path) -> None:
    tree = tmp_path / "trip"
    for number in range(5):
        (tree / str(number)).mkdir(parents=True)
        (tree / str(number) / "a.jpg").write_bytes(b"%d" % number)
    shutil.move(tree, live.inbox)
    wait_for(lambda: copies(live) == {(f"trip/{number}/a.jpg", b"%d" % number) for number in range(5)})


def test_a_slow_writer_gives_one_job_after_its_last_byte(live: Place, wait_for: WaitFor) -> None:
    def write() -> None:
        with (live.inbox / "a.jpg").open("wb", buffering=0) as file:
            for _ in range(10):
                file.write(b"x")
                pause.wait(0.2)

    pause = threading.Event()  # is never set: a writer that pauses
    writer = threading.Thread(target=write)
    writer.start()
    wait_for(lambda: copies(live) or not writer.is_alive())
    assert live.jobs() == []
    writer.join()
    wait_for(lambda: copies(live) == {("a.jpg", b"x" * 10)})


def test_darktables_two_writes_give_one_job_with_the_final_bytes(live: Place, wait_for: WaitFor) -> None:
    photo = live.inbox / "a.jpg"
    photo.write_bytes(b"a whole jpeg without its metadata")
    for _ in range(10):  # Exiv2 opens, truncates and rewrites it a moment later
        live.intake.tick()
    with photo.open("r+b") as file:
        file.truncate(0)
        file.flush()
        live.intake.tick()
        file.write(b"a whole jpeg with its metadata")
    wait_for(lambda: copies(live))
    assert copies(live) == {("a.jpg", b"a whole jpeg with its metadata")}


def test_a_temporary_name_is_never_taken_and_the_final_one_is(live: Place, wait_for: WaitFor) -> None:
    for temporary, final in (
        (".a.jpg.x7Gz", "a.jpg"),
        ("b.jpg.part", "b.jpg"),
        ("c.jpg_exiftool_tmp", "c.jpg"),
    ):
        (live.inbox / temporary).write_bytes(final.encode())
        for _ in range(5):
            live.intake.tick()
        (live.inbox / temporary).replace(live.inbox / final)
    expected = {(name, name.encode()) for name in ("a.jpg", "b.jpg", "c.jpg")}
    wait_for(lambda: copies(live) == expected)
    assert set(live.reader.read) == {"a.jpg", "b.jpg", "c.jpg"}


def test_a_photo_that_an_editor_saves_anew_before_its_turn_is_painted_as_it_is_now(
    live: Place, wait_for: WaitFor
) -> None:
    photo = live.drop("a.jpg", b"first")
    wait_for(lambda: copies(live) == {("a.jpg", b"first")})
    swap = live.drop(".a.jpg.tmp", b"second")  # as GIMP and others do: write beside, rename over
    swap.replace(photo)
    wait_for(lambda: ("a.jpg", b"second") in copies(live))
    assert live.states() == [JobState.CANCELLED, JobState.QUEUED]


def test_a_late_sidecar_is_found_by_its_event(live: Place, wait_for: WaitFor) -> None:
    live.drop("a.jpg")
    wait_for(lambda: copies(live))
    live.drop("a.jpg.yaml", b"style: the_scream")
    wait_for(lambda: copies(live) and live.only_job().style == "the_scream")


def test_a_deleted_photo_cancels_its_job_by_its_event(live: Place, wait_for: WaitFor) -> None:
    photo = live.drop("a.jpg")
    wait_for(lambda: copies(live))
    photo.unlink()
    wait_for(lambda: copies(live) and live.only_job().state is JobState.CANCELLED)


# Where watching does not work.


def state(root: Inbox) -> Watching:
    return root.watcher.state


class FailingObserver:
    """An observer that fails where it is told to."""

    def __init__(self, error: OSError | None = None) -> None:
        self.error = error
        self.is_dead = False
        self.emitters: set[Any] = set()
        self.has_begun = False

    def schedule(self, handler: Any, path: str, **options: Any) -> None:
        if self.error is not None:
            raise self.error

    def start(self) -> None:
        self.has_begun = True

    def is_alive(self) -> bool:
        return self.has_begun and not self.is_dead

    def stop(self) -> None:
        self.is_dead = True

    def join(self) -> None:
        pass

    def unschedule_all(self) -> None:
        pass


def root_with(
    folder: Folder,
    clock: FakeClock,
    *observers: FailingObserver,
    mode: WatchMode = WatchMode.AUTO,
    **parts: Any,
) -> Inbox:
    rest = iter(observers)
    parts.setdefault("is_silent", lambda path: False)
    return Inbox(folder, Watch(mode=mode), clock=clock, make_observer=lambda: next(rest), **parts)


def test_no_watches_left_means_polling_and_the_exact_sysctl(folder: Folder, clock: FakeClock) -> None:
    root = root_with(folder, clock, FailingObserver(OSError(errno.ENOSPC, "inotify watch limit reached")))
    root.tend()
    assert state(root) is Watching.POLLING
    (problem,) = root.problems()
    assert problem.code == "watch_limit"
    assert "sudo sysctl fs.inotify.max_user_watches=524288" in problem.remedy
    assert root.is_due()
    assert root.rescan() is not None
    clock.advance(POLL_SECONDS)
    assert root.is_due()


def test_a_probe_without_an_event_means_polling(folder: Folder, clock: FakeClock) -> None:
    observer = FailingObserver()  # it watches, and reports nothing
    root = root_with(folder, clock, observer)
    root.tend()
    assert state(root) is Watching.PROBING
    clock.advance(5)
    root.tend()
    assert state(root) is Watching.POLLING
    assert observer.is_dead
    assert list(folder.inbox.iterdir()) == []


def test_a_network_share_is_polled_and_native_means_native(folder: Folder, clock: FakeClock) -> None:
    polled = root_with(folder, clock, is_silent=lambda path: True)
    polled.tend()
    assert state(polled) is Watching.POLLING
    forced = root_with(folder, clock, FailingObserver(), mode=WatchMode.NATIVE, is_silent=lambda path: True)
    forced.tend()
    assert state(forced) is Watching.NATIVE
    asked = root_with(folder, clock, mode=WatchMode.POLLING)
    asked.tend()
    assert state(asked) is Watching.POLLING
    forced.close()


def test_an_inbox_that_cannot_be_written_is_polled(folder: Folder, clock: FakeClock, faults: Faults) -> None:
    faults.fail("open", errno.EACCES, at=under(folder.inbox))
    root = root_with(folder, clock, FailingObserver())
    root.tend()
    assert faults.struck == 1
    assert state(root) is Watching.POLLING


def test_the_death_of_the_observer_leads_to_a_new_one_with_back_off(folder: Folder, clock: FakeClock) -> None:
    observers = [FailingObserver() for _ in range(4)]
    root = root_with(folder, clock, *observers, mode=WatchMode.NATIVE)
    pauses = []
    for observer in observers[:3]:
        begun = clock()
        while root.watcher.state is not Watching.NATIVE:
            root.tend()
            clock.advance(0.5)
        pauses.append(clock() - begun)
        assert root.is_due()
        root.rescan()
        observer.is_dead = True
        clock.advance(1)
        root.tend()
        assert state(root) is Watching.OFF
    assert pauses[0] < pauses[1] < pauses[2]
    root.close()


def test_an_emitter_that_died_is_as_bad_as_an_observer(folder: Folder, clock: FakeClock) -> None:
    observer = FailingObserver()
    observer.emitters = {FailingObserver()}  # one that is not alive
    root = root_with(folder, clock, observer, FailingObserver(), mode=WatchMode.NATIVE)
    root.tend()
    clock.advance(1)
    root.tend()
    assert observer.is_dead
    assert state(root) is Watching.OFF


def test_the_back_off_has_a_cap(folder: Folder, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    errors = [FailingObserver(OSError(errno.EIO, "broken")) for _ in range(40)]
    root = root_with(folder, clock, *errors, mode=WatchMode.NATIVE)
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            root.tend()
            clock.advance(1)
    first, most = BACK_OFF
    assert f"in {first:g} s" in caplog.records[0].getMessage()
    assert f"in {most:g} s" in caplog.records[-1].getMessage()
    assert len(caplog.records) < 25


def test_an_exception_cannot_leave_the_handler_and_a_flood_is_read_anew(
    folder: Folder, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "MAX_HINTS", 3)
    collector = hints.Collector("probe")
    root = root_with(folder, clock)
    root.watcher.collector = collector
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        collector.dispatch(events.FileCreatedEvent(str(folder.inbox / name)))
    collector.dispatch(events.FileCreatedEvent(os.fsencode(folder.inbox / "caf\u00e9.jpg")))
    collector.dispatch(events.FileMovedEvent("", ""))
    root.watcher.state = Watching.NATIVE
    root._next_scan = clock() + 60
    assert {hint.path.name for hint in root.hints()} == {"a.jpg", "b.jpg", "c.jpg"}
    assert root.is_due()


def test_a_lost_event_is_found_by_the_next_reading_and_shows(folder: Folder, clock: FakeClock) -> None:
    root = root_with(folder, clock, FailingObserver(), mode=WatchMode.NATIVE)
    root.tend()
    root.rescan()
    (folder.inbox / "a.jpg").write_bytes(b"photo")
    clock.advance(60)
    assert root.is_due()
    result = root.rescan()
    assert result is not None
    root.note_unreported(result.found, now=time.time())
    assert root.problems() == []  # it has only just come
    root.note_unreported(result.found, now=time.time() + 60)
    assert [problem.code for problem in root.problems()] == ["events_lost"]
    clock.advance(3600)
    assert root.problems() == []
    root.close()


def test_what_was_dropped_while_the_daemon_was_down_is_no_lost_event(
    folder: Folder, clock: FakeClock
) -> None:
    root = root_with(folder, clock, FailingObserver(), mode=WatchMode.NATIVE)
    (folder.inbox / "a.jpg").write_bytes(b"photo")
    root.tend()
    result = root.rescan()
    assert result is not None
    root.note_unreported(result.found, now=time.time() + 60)
    assert root.problems() == []
    root.close()


def test_a_sub_folder_that_cannot_be_read_shows(
    folder: Folder, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = root_with(folder, clock, mode=WatchMode.POLLING)
    root.tend()
    (folder.inbox / "locked").mkdir()
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        root.rescan()
    assert [problem.code for problem in root.problems()] == ["folder_unreadable"]
    root.rescan()
    assert root.problems() == []


def test_a_large_inbox_is_polled_less_often(folder: Folder, clock: FakeClock) -> None:
    root = root_with(folder, clock, mode=WatchMode.POLLING)
    root.tend()
    root.rescan()
    root._scan_seconds = 1.0
    assert root._interval() == pytest.approx(20.0)
    root._scan_seconds = 100.0
    assert root._interval() == 60.0


def test_every_inbox_is_watched_and_knows_its_own(folder: Folder, tmp_path: Path, clock: FakeClock) -> None:
    other = replace(folder, inbox=tmp_path / "second")
    other.inbox.mkdir()
    with Inboxes((folder, other), Watch(mode=WatchMode.POLLING), clock=clock) as inbox:
        inbox.tend()
        assert [root.watcher.state for root in inbox.all] == [Watching.POLLING] * 2
        root = inbox.inbox_of(other.inbox / "trip" / "a.jpg")
        assert root is inbox.all[1]
        assert inbox.inbox_of(tmp_path / "elsewhere.jpg") is None
        other.inbox.rmdir()
        clock.advance(2)
        inbox.tend()
        assert [problem.code for problem in inbox.problems()] == ["inbox_missing"]


@linux_only
def test_events_lost_by_a_full_kernel_queue_lose_no_photo(
    tmp_path: Path, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood in another process's time is played by a collector that drops every second path."""
    dispatch = hints.Collector.dispatch
    count = iter(range(10**9))

    def forget_some(self: Any, event: Any) -> None:
        if next(count) % 2:
            dispatch(self, event)

    monkeypatch.setattr(hints.Collector, "dispatch", forget_some)
    watch = Watch(settle_seconds=0.1, sidecar_seconds=0.0, rescan_seconds=1.0)
    place = Place(tmp_path, time.monotonic, watch, {"is_silent": lambda path: False})
    for number in range(100):
        place.drop(f"{number}.jpg", b"%d" % number)
        place.intake.tick()
    wait_for(lambda: len(copies(place)) == 100, seconds=60)
    place.close()
