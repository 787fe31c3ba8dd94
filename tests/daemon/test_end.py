"""The daemon's frame: threads that cannot begin, threads that do not end, and nothing after the end."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.daemons import Home, PlayedEngine, PlayedReader, read_and_hold
from support.starts import fail_threads
from support.waiting import hang

from nst_daemon.daemon import daemon as daemon_module
from nst_daemon.daemon.daemon import Daemon
from nst_daemon.disk import locks
from nst_daemon.disk.files import TEMPORARY
from nst_daemon.errors import ConditionError
from nst_daemon.folders import outbox
from nst_daemon.intake import left, taking
from nst_daemon.intake.inspection import Inspection
from nst_daemon.intake.intake import Intake
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.intake.readers import Readers
from nst_daemon.ledger.attempts import Attempts
from nst_daemon.ledger.jobs import JobState

WaitFor = Callable[..., None]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(daemon_module, "BEAT_SECONDS", 0.05)
    return Home(tmp_path)


def daemon_of(home: Home, **parts: object) -> Daemon:
    made: dict[str, object] = {
        "make_engine": lambda settings, _: PlayedEngine(0.0, settings.device, home.path / "engine.diary"),
        "make_reader": lambda config: PlayedReader(),
    }
    return Daemon(home.config, **(made | parts))  # type: ignore[arg-type]


def read_for_ever(path: Path, max_megapixels: float) -> Inspection:
    (path.parent.parent / "reading").touch()
    hang()


def readers() -> list[int]:
    return [child.pid for child in psutil.Process().children() if is_spawned(child)]


def is_spawned(child: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(child.cmdline())
    except (psutil.ZombieProcess, psutil.NoSuchProcess):  # it has ended meanwhile
        return False


def test_a_stop_in_the_middle_of_a_photo_is_quick_and_starts_and_records_nothing(
    home: Home, wait_for: WaitFor
) -> None:
    photo = home.drop("a.jpg")
    daemon = daemon_of(home, make_reader=lambda config: Readers(PhotoReader(read=read_for_ever)))
    thread = threading.Thread(target=daemon.run)
    thread.start()
    wait_for((home.path / "reading").exists)
    began = time.monotonic()
    daemon.stop()
    thread.join(20.0)
    assert time.monotonic() - began < 10.0
    assert not thread.is_alive()
    assert readers() == []
    assert locks.holder(home.path / "state") is None
    assert (home.states(), photo.exists()) == ({}, True)


def test_a_stop_while_several_photos_are_read_leaves_no_process_and_no_draft(
    home: Home, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "SHORT_SECONDS", 0.0)
    monkeypatch.setattr(taking, "ENOUGH_BYTES", 1)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        home.drop(name, name.encode())
    daemon = daemon_of(home, make_reader=lambda config: Readers(PhotoReader(read=read_and_hold)))
    thread = threading.Thread(target=daemon.run)
    thread.start()
    photos = home.path / "state" / "photos"
    wait_for(lambda: len(list(photos.glob(f"{TEMPORARY}*"))) >= 2, seconds=60.0)
    assert len(readers()) >= 2
    daemon.stop()
    thread.join(20.0)
    assert not thread.is_alive()
    assert readers() == []
    assert list(photos.iterdir()) == []
    assert home.states() == {}


def test_a_thread_that_does_not_end_keeps_the_lock_and_uses_no_ledger(
    home: Home, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_module, "GRACE_SECONDS", 0.1)
    reads, go_on, met = threading.Event(), threading.Event(), list[BaseException]()
    used: list[Attempts] = []

    class Stuck(PlayedReader):
        def inspect(self, path: Path) -> Inspection:
            reads.set()
            go_on.wait(20.0)  # a disk that is dead; no signal reaches who waits for it
            try:
                used[0].excuse(1)
            except ConditionError as error:
                met.append(error)
            return super().inspect(path)

    real = Attempts.recover
    monkeypatch.setattr(Attempts, "recover", lambda attempts: used.append(attempts) or real(attempts))  # type: ignore[func-returns-value]
    home.drop("a.jpg")
    daemon = daemon_of(home, make_reader=lambda config: Stuck())
    thread = threading.Thread(target=daemon.run)
    thread.start()
    assert reads.wait(20.0)
    daemon.stop()
    thread.join(20.0)
    assert not thread.is_alive()
    assert locks.holder(home.path / "state") is not None
    go_on.set()
    wait_for(lambda: met)
    assert "is closed" in str(met[0])
    lock = locks._KEPT.pop()
    lock.release()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["nst-intake", "nst-worker", "nst-sweeper"])
def test_a_thread_that_the_system_does_not_give_is_begun_later(
    home: Home, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    fail_threads(monkeypatch, 40, name)
    daemon = daemon_of(home)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        wait_for(lambda: (home.path / "state" / "ledger.db").exists() and "system_busy" in home.codes())
        home.drop("a.jpg")
        wait_for(lambda: home.states() == {"a.jpg": JobState.DONE})
        wait_for(lambda: home.codes() == [])
    finally:
        daemon.stop()
        thread.join(20.0)


def test_photos_are_painted_while_a_large_outbox_is_still_swept(
    home: Home, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def sweep(folder: Path) -> int:
        go_on.wait(20.0)
        return 0

    monkeypatch.setattr(outbox, "sweep", sweep)
    daemon = daemon_of(home)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        home.drop("a.jpg")
        wait_for(lambda: (home.path / "state" / "ledger.db").exists())
        wait_for(lambda: home.states() == {"a.jpg": JobState.DONE})
    finally:
        go_on.set()
        daemon.stop()
        thread.join(20.0)


def test_an_older_state_folder_is_closed_and_its_place_is_looked_at(
    home: Home, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst_daemon.daemon.state_dir.is_silent", lambda folder: True)
    photos = home.path / "state" / "photos"
    photos.mkdir(parents=True)
    (photos / "a.jpg").touch()
    (photos / "a.jpg").chmod(0o644)
    daemon = daemon_of(home)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        wait_for(
            lambda: (home.path / "state" / "ledger.db").exists() and home.codes() == ["state_dir_remote"]
        )
    finally:
        daemon.stop()
        thread.join(20.0)
    rights = {path: path.stat().st_mode & 0o077 for path in (home.path / "state").rglob("*")}
    assert set(rights.values()) == {0}


def test_an_inbox_that_holds_its_reader_for_ever_keeps_nobody_from_stopping_the_daemon(
    home: Home, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_module, "GRACE_SECONDS", 0.1)
    looks, go_on = threading.Event(), threading.Event()

    def look(_: Intake) -> None:
        looks.set()
        go_on.wait(20.0)  # a disk that is dead

    monkeypatch.setattr(Intake, "_look_back", look)
    daemon = daemon_of(home)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    assert looks.wait(20.0)
    wait_for(lambda: home.snapshot().pid is not None)  # the main thread beats
    daemon.stop()
    thread.join(10.0)
    assert not thread.is_alive()
    go_on.set()
    wait_for(lambda: not any(each.name == "nst-intake" for each in threading.enumerate()))
    lock = locks._KEPT.pop()
    lock.release()  # type: ignore[attr-defined]


def test_a_ledger_that_cannot_be_read_at_first_is_waited_for(
    home: Home, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = Intake._look_back, list[int]()

    def refuse(intake: Intake) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise ConditionError("The ledger cannot be read.", code="disk_error")
        real(intake)

    monkeypatch.setattr(left, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(Intake, "_look_back", refuse)
    home.drop("a.jpg")
    daemon = daemon_of(home)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        wait_for((home.path / "state" / "ledger.db").exists)
        wait_for(lambda: home.states() == {"a.jpg": JobState.DONE})
    finally:
        daemon.stop()
        thread.join(20.0)
