import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import FakeClock
from place import Place

from nst_daemon.inbox.inbox import Inbox
from nst_daemon.inbox.lease import CONFIRM_SECONDS, EXPIRE_SECONDS, NAME, RENEW_SECONDS, Lease
from nst_daemon.intake import Intake
from nst_daemon.ledger import Ledger

ELSEWHERE = ("other-ledger", "other-host", 1)


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(temporary))
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def lease(inbox: Path, clock: FakeClock) -> Iterator[Lease]:
    yield Lease(inbox, "me", clock=clock, is_shared=lambda path: True)


def write(inbox: Path, holder: tuple[str, str, int], at: int = 1) -> Path:
    path = inbox / NAME
    path.write_text(json.dumps(holder))
    os.utime(path, (at, at))
    return path


def test_the_first_daemon_holds_an_inbox_and_leaves_it_clean(inbox: Path, lease: Lease) -> None:
    assert lease.is_held()
    assert (inbox / NAME).exists()
    lease.release()
    assert list(inbox.iterdir()) == []


def test_on_a_local_disk_nothing_is_written_into_the_inbox(inbox: Path, clock: FakeClock) -> None:
    lease = Lease(inbox, "me", clock=clock, is_shared=lambda path: False)
    assert lease.is_held()
    assert list(inbox.iterdir()) == []
    assert len(list(Path(tempfile.gettempdir()).iterdir())) == 1
    lease.release()
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_a_second_daemon_stands_by_and_says_who_holds_it(inbox: Path, lease: Lease, clock: FakeClock) -> None:
    write(inbox, ELSEWHERE)
    for second in range(1000):
        write(inbox, ELSEWHERE, at=second)  # renewed all the time
        assert not lease.is_held()
        clock.advance(1)
    assert lease.holder is not None
    assert (lease.holder.host, lease.holder.pid) == ("other-host", 1)


def test_a_lease_that_is_not_renewed_is_taken_over_after_a_second_look(
    inbox: Path, lease: Lease, clock: FakeClock
) -> None:
    write(inbox, ELSEWHERE)
    assert not lease.is_held()
    clock.advance(EXPIRE_SECONDS - 1)
    assert not lease.is_held()
    clock.advance(CONFIRM_SECONDS)
    assert not lease.is_held()  # taken, and not yet believed
    clock.advance(CONFIRM_SECONDS)
    assert lease.is_held()
    assert lease.holder is None


def test_of_two_that_take_over_at_once_one_stands_down(inbox: Path, clock: FakeClock) -> None:
    write(inbox, ELSEWHERE)
    leases = [Lease(inbox, name, clock=clock, is_shared=lambda path: True) for name in ("one", "two")]
    for number, lease in enumerate(leases):
        object.__setattr__(lease._me, "pid", 10_000_000 + number)
        object.__setattr__(lease._me, "host", f"host{number}")
    for _ in range(400):
        held = [lease.is_held() for lease in leases]
        assert sum(held) <= 1
        clock.advance(1)
    assert sum(held) == 1


def test_a_daemon_that_was_killed_here_leaves_its_lease_to_the_next(inbox: Path, lease: Lease) -> None:
    process = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True)
    write(inbox, ("other-ledger", lease._me.host, int(process.stdout)))
    assert not lease.is_held()
    assert lease.holder is None  # taken over at once; believed after a second look


def test_ones_own_lease_from_before_a_crash_is_taken_at_once(inbox: Path, lease: Lease) -> None:
    write(inbox, ("me", "whatever", 1))
    assert lease.is_held()


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"[]", b"{}", b"[1, 2, 3, 4]", b'"text"'])
def test_a_damaged_lease_holds_nobody_back(inbox: Path, lease: Lease, damage: bytes) -> None:
    (inbox / NAME).write_bytes(damage)
    assert lease.is_held()


def test_a_held_lease_is_renewed(inbox: Path, lease: Lease, clock: FakeClock) -> None:
    assert lease.is_held()
    os.utime(inbox / NAME, (1, 1))
    clock.advance(RENEW_SECONDS)
    assert lease.is_held()
    assert (inbox / NAME).stat().st_mtime > 1


def test_a_lease_that_another_took_is_given_up(inbox: Path, lease: Lease, clock: FakeClock) -> None:
    assert lease.is_held()
    write(inbox, ELSEWHERE)
    clock.advance(RENEW_SECONDS)
    assert not lease.is_held()
    lease.release()
    assert (inbox / NAME).exists()  # it is not ours to remove


def test_an_inbox_that_nobody_can_write_needs_no_lease(lease: Lease, inbox: Path) -> None:
    inbox.rmdir()
    assert lease.is_held()


def test_two_daemons_on_one_inbox_make_each_photo_one_job(
    inbox: Path, tmp_path: Path, clock: FakeClock
) -> None:
    first = Place(tmp_path, clock)
    ledger = Ledger(tmp_path / "state2" / "ledger.db", clock=clock)
    roots = Inbox(first.config.folders, first.watch, clock=clock)
    second = Intake(
        config=first.config,
        inbox=roots,
        inspector=first.reader,
        ledger=ledger,
        library=first.shelf(),
        clock=clock,
    )
    for lease in roots._leases.values():  # another process, as the first one sees it
        object.__setattr__(lease._me, "pid", os.getppid())
    for number in range(5):
        first.drop(f"{number}.jpg", b"%d" % number)
        for _ in range(40):
            first.tick()
            second.tick()
            clock.advance(0.5)
    assert len(first.jobs()) == 5
    assert ledger.jobs() == []
    assert [problem.code for problem in ledger.snapshot(running=True).problems] == ["inbox_shared"]
    assert second.is_idle()
    for job in first.jobs():
        first.paint(job)
        first.archive(job)
    first.drop("late.jpg", b"late")
    first.close()
    for _ in range(100):
        second.tick()
        clock.advance(0.5)
    assert [job.photo for job in ledger.jobs()] == ["late.jpg"]
    assert ledger.snapshot(running=True).problems == ()
    roots.close()
    ledger.close()
