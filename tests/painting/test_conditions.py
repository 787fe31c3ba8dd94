"""What the machine does to a running daemon: it shows, costs no attempt, and ends by itself.

The disks are small and real (tmpfs, by root on Linux); elsewhere these tests are skipped.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.clock import FakeClock
from support.daemons import Home, ended
from support.desk import Desk
from support.waiting import WAIT_SECONDS

from nst_daemon.errors import ConditionError, ExitCode, MissingError
from nst_daemon.folders.places import Places
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.file import RESERVE_BYTES
from nst_daemon.ledger.jobs import Job, JobState

WaitFor = Callable[..., None]
Mount = Callable[..., None]
MEGABYTE = 1 << 20


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Return a function that puts a small disk at a folder; all are taken away again."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small disk")
    mounted: list[Path] = []

    def put(folder: Path, size: int = MEGABYTE, options: str = "") -> None:
        folder.mkdir(exist_ok=True)
        words = ["mount", "-t", "tmpfs", "-o", f"size={size}{options}", "nst-test", str(folder)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
        mounted.append(folder)

    yield put
    for folder in reversed(mounted):
        while os.path.ismount(folder):
            unmount(folder)


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


@contextmanager
def running(home: Home, **how: Any) -> Iterator[None]:
    process = home.start(**how)
    try:
        yield
    finally:
        if process.is_alive():
            os.kill(process.pid or 0, signal.SIGTERM)
        code = ended(process)
    assert code == ExitCode.FINE


def fill(folder: Path) -> Path:
    """Leave no free byte on a small disk."""
    filler = folder / "filler.bin"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    return filler


def codes(home: Home) -> list[str]:
    """Return what `status` shows; nothing where it cannot be read yet."""
    if not (home.path / "state" / "ledger.db").exists():
        return []
    try:
        return home.codes()
    except (MissingError, ConditionError):
        return []


def only_job(home: Home) -> Job:
    (job,) = home.jobs()
    return job


def assert_done_in_one_attempt(home: Home, wait_for: WaitFor) -> None:
    wait_for(lambda: set(home.states().values()) == {JobState.DONE}, seconds=WAIT_SECONDS, what="done")
    wait_for(lambda: codes(home) == [], seconds=WAIT_SECONDS, what="the end of the problem")
    job = only_job(home)
    assert job.attempts == 1
    assert home.files("outbox") == ["a.stripes.jpg"]
    wait_for(lambda: home.files("archive") == ["a.jpg"], what="the original in the archive")


def test_a_full_outbox_is_waited_for(home: Home, mount: Mount, wait_for: WaitFor) -> None:
    mount(home.path / "outbox")
    filler = fill(home.path / "outbox")
    with running(home):
        home.drop("a.jpg")
        wait_for(lambda: codes(home) == ["disk_full"], seconds=WAIT_SECONDS, what="disk_full")
        assert (only_job(home).attempts, home.files("outbox")) == (0, ["filler.bin"])
        filler.unlink()
        assert_done_in_one_attempt(home, wait_for)


def test_a_full_state_folder_stops_the_intake_shows_and_is_waited_for(
    home: Home, mount: Mount, wait_for: WaitFor
) -> None:
    state = home.path / "state"
    mount(state, 4 * MEGABYTE)
    state.chmod(0o700)  # a new tmpfs is everybody's, and that shows
    with running(home):
        reserve = state / "ledger.reserve"  # without it there is no room to say so
        wait_for(lambda: reserve.exists() and reserve.stat().st_size == RESERVE_BYTES, what="the daemon")
        filler = fill(state)
        home.drop("a.jpg", bytes(2 * RESERVE_BYTES))
        wait_for(lambda: set(codes(home)) == {"disk_full"}, seconds=WAIT_SECONDS, what="disk_full")
        assert home.files("inbox") == ["a.jpg"]
        assert home.files("outbox") == []
        filler.unlink()
        assert_done_in_one_attempt(home, wait_for)


def test_an_archive_that_is_full_keeps_the_original_in_the_inbox(
    home: Home, mount: Mount, wait_for: WaitFor
) -> None:
    mount(home.path / "archive")
    filler = fill(home.path / "archive")
    with running(home):
        home.drop("a.jpg")
        wait_for(lambda: codes(home) == ["disk_full"], seconds=WAIT_SECONDS, what="disk_full")
        assert only_job(home).state is JobState.DONE
        assert home.files("inbox") == ["a.jpg"]
        filler.unlink()
        assert_done_in_one_attempt(home, wait_for)


def test_an_outbox_that_is_unmounted_is_not_written_to_and_waited_for(
    home: Home, mount: Mount, wait_for: WaitFor
) -> None:
    outbox = home.path / "outbox"
    mount(outbox)
    home.drop("first.jpg", b"first")
    assert home.run_once() == ExitCode.FINE
    unmount(outbox)
    shutil.rmtree(home.path / "archive")
    with running(home):
        home.drop("a.jpg")
        wait_for(lambda: codes(home) == ["outbox_missing"], seconds=WAIT_SECONDS, what="outbox_missing")
        assert home.files("outbox") == []  # what were put there now would vanish below the disk
        mount(outbox)
        wait_for((outbox / "a.stripes.jpg").exists, seconds=WAIT_SECONDS)
        wait_for(lambda: codes(home) == [])
    assert [job.attempts for job in home.jobs()] == [1, 1]


def test_an_archive_that_is_unmounted_is_not_written_to_and_waited_for(
    home: Home, mount: Mount, wait_for: WaitFor
) -> None:
    archive = home.path / "archive"
    mount(archive)
    home.drop("first.jpg", b"first")
    assert home.run_once() == ExitCode.FINE
    unmount(archive)
    with running(home):
        home.drop("a.jpg")
        wait_for(lambda: codes(home) == ["archive_missing"], seconds=WAIT_SECONDS, what="archive_missing")
        assert (home.files("inbox"), home.files("archive")) == (["a.jpg"], [])
        mount(archive)
        wait_for((archive / "a.jpg").exists, seconds=WAIT_SECONDS)
        wait_for(lambda: codes(home) == [])


def test_an_inbox_that_is_unmounted_shows_and_loses_and_doubles_nothing(
    home: Home, mount: Mount, wait_for: WaitFor
) -> None:
    inbox, disk = home.path / "inbox", home.path / "disk"
    mount(disk)
    home.source.write_text(home.source.read_text() + "originals: keep\n")
    subprocess.run(["mount", "--bind", str(disk), str(inbox)], check=True)
    with running(home):
        home.drop("a.jpg")
        wait_for((home.path / "outbox" / "a.stripes.jpg").exists, seconds=WAIT_SECONDS)
        wait_for(lambda: set(home.states().values()) == {JobState.DONE})
        unmount(inbox)
        wait_for(lambda: codes(home) == ["inbox_missing"], seconds=WAIT_SECONDS, what="inbox_missing")
        subprocess.run(["mount", "--bind", str(disk), str(inbox)], check=True)
        home.drop("b.jpg", b"b")
        wait_for((home.path / "outbox" / "b.stripes.jpg").exists, seconds=WAIT_SECONDS)
        wait_for(lambda: codes(home) == [])
    unmount(inbox)
    assert [(job.state, job.attempts) for job in home.jobs()] == [(JobState.DONE, 1), (JobState.DONE, 1)]


@pytest.mark.parametrize("folder", ["outbox", "archive"])
def test_a_disk_that_turns_read_only_is_waited_for(
    home: Home, mount: Mount, wait_for: WaitFor, folder: str
) -> None:
    mount(home.path / folder, MEGABYTE, ",ro")
    with running(home):
        home.drop("a.jpg")
        wait_for(lambda: codes(home) == ["read_only"], seconds=WAIT_SECONDS, what="read_only")
        assert home.files("inbox") == ["a.jpg"]
        remount(home.path / folder, "rw")
        assert_done_in_one_attempt(home, wait_for)


def test_a_permission_that_is_lost_is_waited_for(wait_for: WaitFor) -> None:
    if sys.platform == "win32" or os.geteuid() != 0:
        pytest.skip("only root may run the daemon as another user")
    for place in (sys.prefix, sys.base_prefix, __file__):
        if not all(parent.stat().st_mode & 0o001 for parent in Path(place).parents):
            pytest.skip(f"another user may not read {place}")
    base = Path(tempfile.mkdtemp())
    try:
        home = Home(base)
        (base / "state").mkdir()
        (base / "state" / "user").write_text("65534")  # nobody: root may write anywhere
        for path in (base, *base.rglob("*")):
            os.chown(path, 65534, 65534)
        (base / "outbox").chmod(0o500)
        with running(home):
            home.drop("a.jpg").chmod(0o644)
            wait_for(lambda: codes(home) == ["read_only"], seconds=WAIT_SECONDS, what="read_only")
            (base / "outbox").chmod(0o700)
            wait_for((base / "outbox" / "a.stripes.jpg").exists, seconds=WAIT_SECONDS)
            wait_for(lambda: codes(home) == [])
        assert only_job(home).attempts == 1
    finally:
        shutil.rmtree(base)


# ── the clock ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def desk(tmp_path: Path, clock: FakeClock) -> Iterator[Desk]:
    with Ledger(tmp_path / "state" / "ledger.db", clock=clock) as ledger:
        yield Desk(tmp_path, ledger, clock)


@pytest.mark.parametrize("jump", [-365 * 86_400.0, -3600.0, 3600.0, 365 * 86_400.0])
def test_a_clock_that_jumps_holds_no_job_up(desk: Desk, clock: FakeClock, jump: float) -> None:
    job = desk.drop()
    desk.engine.answers = [ConditionError("full", code="disk_full")]
    desk.worker.tick()
    clock.advance(jump)
    desk.worker.tick()
    assert desk.job(job).state is JobState.DONE


def test_a_clock_that_was_set_back_does_not_keep_an_idle_engine(desk: Desk, clock: FakeClock) -> None:
    desk.drop()
    desk.worker.tick()
    clock.advance(-86_400)
    desk.worker.tick()
    clock.advance(60)
    desk.worker.tick()
    assert desk.engine.ended == 1


# ── the ledger's own disk ───────────────────────────────────────────────────────────────────────────────


def test_a_ledger_that_fails_in_the_middle_of_a_job_costs_no_attempt_and_no_second_result(
    desk: Desk, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = desk.drop()
    real = desk.ledger.move

    def fail(*args: object, **kwargs: object) -> bool:
        raise ConditionError("full", code="disk_full")

    monkeypatch.setattr(desk.ledger, "move", fail)
    desk.worker.tick()
    assert desk.worker.blocked is not None
    monkeypatch.setattr(desk.ledger, "move", real)
    clock.advance(15)
    desk.worker.tick()
    assert (desk.job(job).state, desk.job(job).attempts) == (JobState.DONE, 1)
    assert [path.name for path in desk.folder.outbox.iterdir()] == ["cat.dots.jpg"]
    assert desk.ledger.snapshot(running=True).problems == ()


def test_a_condition_ends_with_the_job_that_met_it(desk: Desk, clock: FakeClock) -> None:
    job = desk.drop()
    desk.engine.answers = [ConditionError("full", code="disk_full")]
    desk.worker.tick()
    desk.ledger.cancel(job)
    desk.worker.tick()
    assert desk.ledger.snapshot(running=True).problems == ()


def test_an_original_that_cannot_be_moved_is_a_problem_until_it_is(desk: Desk, clock: FakeClock) -> None:
    job = desk.drop()
    desk.folder.archive.touch()  # a file where the folder should be
    desk.worker.tick()
    assert desk.job(job).state is JobState.DONE
    assert len(desk.ledger.snapshot(running=True).problems) == 1
    desk.folder.archive.unlink()
    clock.advance(15)
    desk.worker.tick()
    assert (desk.folder.archive / "cat.jpg").exists()
    assert desk.ledger.snapshot(running=True).problems == ()


def test_a_folder_that_has_lost_its_disk_is_refused_also_after_a_restart(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    (disk / "outbox").mkdir(parents=True)
    with Ledger(tmp_path / "ledger.db") as ledger:
        Places(ledger.facts, mount_point_of=lambda _: disk).check(disk / "outbox", name="outbox")
    with Ledger(tmp_path / "ledger.db") as ledger:
        bare = Places(ledger.facts, mount_point_of=lambda _: tmp_path)
        with pytest.raises(ConditionError, match="empty mount point") as raised:
            bare.check(disk / "outbox", name="outbox")
        assert raised.value.code == "outbox_missing"
        Places(ledger.facts, mount_point_of=lambda _: disk).check(disk / "outbox", name="outbox")
