import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.faults import Faults
from support.place import Place

from nst_daemon.config import state_home
from nst_daemon.folders.inboxes import Inboxes
from nst_daemon.folders.lease import CONFIRM_SECONDS, EXPIRE_SECONDS, LEASES, NAME, RENEW_SECONDS, Lease
from nst_daemon.intake.intake import Intake
from nst_daemon.ledger import Ledger

ELSEWHERE = ("other-ledger", "other-host", 1)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir(mode=0o755)
    return tmp_path / "inbox"


def leases() -> list[Path]:
    folder = state_home() / LEASES
    return list(folder.iterdir()) if folder.exists() else []


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


def local(inbox: Path, owner: str, clock: FakeClock) -> Lease:
    return Lease(inbox, owner, clock=clock, is_shared=lambda path: False)


def test_into_an_inbox_of_our_own_on_a_local_disk_nothing_is_written(inbox: Path, clock: FakeClock) -> None:
    lease = local(inbox, "me", clock)
    assert lease.is_held()
    assert list(inbox.iterdir()) == []
    (path,) = leases()
    assert path.parent.stat().st_mode & 0o777 == 0o700
    lease.release()
    assert leases() == []


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o757])
def test_where_others_may_write_too_the_lease_is_where_they_see_it(
    inbox: Path, clock: FakeClock, mode: int
) -> None:
    inbox.chmod(mode)
    assert local(inbox, "me", clock).is_held()
    assert [path.name for path in inbox.iterdir()] == [NAME]
    assert leases() == []


def test_nobody_else_can_put_a_lease_where_ours_is(inbox: Path, clock: FakeClock) -> None:
    """A predictable name in the world-writable temporary folder could be held for ever by any user."""
    assert local(inbox, "me", clock).is_held()
    (path,) = leases()
    for folder in path.parents:
        if folder.is_relative_to(state_home()):
            assert not folder.stat().st_mode & 0o022
    assert not path.is_relative_to(inbox.parent / "tmp")


def test_two_daemons_of_one_user_see_each_other_on_a_local_disk(inbox: Path, clock: FakeClock) -> None:
    first, second = local(inbox, "one", clock), local(inbox, "two", clock)
    object.__setattr__(second._me, "pid", os.getppid())
    assert first.is_held()
    assert not second.is_held()
    assert second.holder == first._me
    first.release()
    clock.advance(CONFIRM_SECONDS)
    assert second.is_held()


def test_a_lease_in_our_inbox_by_another_user_who_may_write_it_counts(inbox: Path, clock: FakeClock) -> None:
    lease = local(inbox, "me", clock)
    assert lease.is_held()
    write(inbox, ELSEWHERE)  # root's daemon, which does not see ours
    clock.advance(RENEW_SECONDS)
    assert not lease.is_held()
    assert lease.holder is not None
    (inbox / NAME).unlink()
    clock.advance(RENEW_SECONDS)
    assert lease.is_held()


@pytest.mark.parametrize("kind", ["link", "broken link", "pipe", "folder"])
def test_what_is_no_file_is_no_lease_and_a_link_is_not_followed(
    inbox: Path, lease: Lease, clock: FakeClock, kind: str
) -> None:
    outside = inbox.parent / "outside"
    if kind == "link":
        outside.write_text(json.dumps(ELSEWHERE))
    if kind == "pipe":
        os.mkfifo(inbox / NAME)
    elif kind == "folder":
        (inbox / NAME).mkdir()
    else:
        (inbox / NAME).symlink_to(outside)
    before = outside.read_text() if outside.exists() else None
    for _ in range(3):
        held = lease.is_held()
        clock.advance(RENEW_SECONDS)
    assert held is (kind != "folder")
    assert (outside.read_text() if outside.exists() else None) == before


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.ETIMEDOUT])
@pytest.mark.parametrize("call", ["lstat", "open", "read", "utime"])
def test_a_lease_that_does_not_answer_stays_what_it_was(
    inbox: Path, lease: Lease, clock: FakeClock, faults: Faults, call: str, number: int
) -> None:
    assert lease.is_held()
    faults.fail_for_ever(call, number=number, at=inbox / NAME)
    for _ in range(20):
        clock.advance(RENEW_SECONDS)
        assert lease.is_held()
    faults.heal()
    write(inbox, ELSEWHERE)
    clock.advance(RENEW_SECONDS)
    assert not lease.is_held()
    faults.fail_for_ever(call, number=number, at=inbox / NAME)
    clock.advance(RENEW_SECONDS)
    assert not lease.is_held()


def test_a_lease_that_may_not_be_read_is_another_users(inbox: Path, lease: Lease, faults: Faults) -> None:
    write(inbox, ELSEWHERE)
    faults.fail_for_ever("open", number=errno.EACCES, at=inbox / NAME)
    assert not lease.is_held()
    assert lease.holder is not None
    assert "may not be read" in lease.holder.host


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_where_nobody_can_write_a_lease_none_is_needed(
    inbox: Path, lease: Lease, faults: Faults, number: int
) -> None:
    faults.fail_for_ever("open", number=number, at=lambda path: path.parent == inbox)
    assert lease.is_held()


def test_without_a_state_folder_of_our_own_the_lease_is_in_the_inbox(
    inbox: Path, clock: FakeClock, faults: Faults
) -> None:
    faults.fail_for_ever(
        "mkdir", number=errno.EROFS, at=lambda path: path.is_relative_to(state_home().parent)
    )
    assert local(inbox, "me", clock).is_held()
    assert [path.name for path in inbox.iterdir()] == [NAME]


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
    inboxes = Inboxes(first.config.folders, first.watch, clock=clock)
    second = Intake(
        config=first.config,
        inboxes=inboxes,
        reader=first.reader,
        ledger=ledger,
        library=first.shelf(),
        clock=clock,
    )
    for lease in inboxes._leases.values():  # another process, as the first one sees it
        object.__setattr__(lease._me, "pid", os.getppid())
    for number in range(5):
        first.drop(f"{number}.jpg", b"%d" % number)
        for _ in range(40):
            first.tick()
            second.tick()
            clock.advance(0.5)
    assert len(first.jobs()) == 5
    assert ledger.jobs.all() == []
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
    assert [job.photo for job in ledger.jobs.all()] == ["late.jpg"]
    assert ledger.snapshot(running=True).problems == ()
    inboxes.close()
    ledger.close()
