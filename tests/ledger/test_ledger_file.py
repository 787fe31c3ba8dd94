"""The ledger's file: whose it is, on which disk, and what happens when it cannot be opened."""

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.faults import Faults

from nst_daemon.disk import locks
from nst_daemon.errors import ConditionError, MissingError
from nst_daemon.ledger import Ledger, file


@pytest.mark.skipif(os.name == "nt", reason="no rights as on POSIX")
@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_the_ledger_is_its_owners_alone_and_an_older_one_becomes_so(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with Ledger(tmp_path / "state" / "ledger.db") as ledger:
            ledger.presence.beat()
            rights = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
        for path in (tmp_path / "state", tmp_path / "state" / "ledger.db"):
            path.chmod(path.stat().st_mode | 0o044)
        with Ledger(tmp_path / "state" / "ledger.db"):
            pass
    finally:
        os.umask(before)
    assert set(rights.values()) == {0o600}
    assert {"ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.reserve"} <= set(rights)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "ledger.db").stat().st_mode & 0o777 == 0o600


def test_a_ledger_that_was_closed_refuses_whoever_comes_later(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.close()
    uses: list[Callable[[], object]] = [
        ledger.presence.beat,
        ledger.jobs.all,
        ledger.queue.claim,
        lambda: ledger.jobs.get(1),
    ]
    for use in uses:
        with pytest.raises(ConditionError, match="is closed"):
            use()
    ledger.close()


def test_it_is_known_whether_the_disk_takes_the_write_ahead_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert ledger.file.journal_mode == "wal"
    monkeypatch.setattr(file, "_switch_to_wal", lambda db: "delete")
    with Ledger(tmp_path / "other.db") as ledger:
        assert ledger.file.journal_mode == "delete"


@pytest.mark.parametrize(
    ("call", "number", "code"),
    [
        ("mkdir", errno.EROFS, "read_only"),
        ("mkdir", errno.EACCES, "read_only"),
        ("stat", errno.EIO, "state_dir_unreachable"),
        ("stat", errno.EACCES, "state_dir_unreadable"),
    ],
)
def test_a_folder_that_cannot_be_used_is_told_in_words(
    tmp_path: Path, faults: Faults, call: str, number: int, code: str
) -> None:
    faults.fail_for_ever(call, number=number, at=tmp_path / "state")
    with pytest.raises(MissingError, match="state folder cannot be used") as caught:
        Ledger(tmp_path / "state" / "ledger.db")
    assert caught.value.code == code
    assert "state_dir" in caught.value.remedy


@pytest.mark.parametrize(
    ("number", "code", "kind"),
    [
        (sqlite3.SQLITE_FULL, "disk_full", ConditionError),
        (sqlite3.SQLITE_BUSY, "ledger_busy", ConditionError),
        (sqlite3.SQLITE_PROTOCOL, "state_dir_remote", MissingError),
        (sqlite3.SQLITE_READONLY, "read_only", MissingError),
    ],
)
def test_what_ends_by_itself_is_told_from_what_a_person_has_to_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str, kind: type[Exception]
) -> None:
    def refuse(_: sqlite3.Connection) -> str:
        error = sqlite3.OperationalError("no")
        error.sqlite_errorcode = number
        raise error

    monkeypatch.setattr(file, "_switch_to_wal", refuse)
    with pytest.raises(kind) as caught:
        Ledger(tmp_path / "ledger.db")
    assert isinstance(caught.value, ConditionError | MissingError)
    assert caught.value.code == code


def test_a_damaged_ledger_is_never_put_aside_from_under_a_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    monkeypatch.setattr(locks, "holder", lambda state_dir: os.getppid())
    with pytest.raises(MissingError) as caught:
        Ledger(path)
    assert caught.value.code == "ledger_damaged"
    assert [each.name for each in tmp_path.glob("*.db")] == ["ledger.db"]
    monkeypatch.setattr(locks, "holder", lambda state_dir: os.getpid())
    with Ledger(path) as ledger:
        assert ledger.file.put_aside is not None


def call_corrupt(ledger: Ledger) -> None:
    """Let SQLite say of the ledger what it says of a damaged one."""
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    with ledger.file.read():
        raise error


def test_a_ledger_that_seems_damaged_in_use_is_opened_anew_and_goes_on(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.facts.remember("a", "b")
        with pytest.raises(ConditionError) as caught:
            call_corrupt(ledger)
        assert caught.value.code == "disk_error"
        assert ledger.facts.recall("a") == "b"
        ledger.facts.remember("a", "c")
        assert ledger.facts.recall("a") == "c"
        with pytest.raises(MissingError, match="nst-daemon restart"):  # again, and at once
            call_corrupt(ledger)


def test_a_ledger_that_is_damaged_in_use_is_told_in_words(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        with pytest.raises(ConditionError):
            call_corrupt(ledger)
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # nothing of it is left beside the file
        path.write_bytes(b"no database at all, but long enough to be taken for one" * 100)
        with pytest.raises(MissingError, match="nst-daemon restart"):
            ledger.facts.recall("a")


def test_a_disk_that_is_still_away_when_the_ledger_is_opened_anew_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: sqlite3.Connection) -> str:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.facts.remember("a", "b")
        with pytest.raises(ConditionError):
            call_corrupt(ledger)
        with monkeypatch.context() as away:
            away.setattr(file, "_switch_to_wal", fail)
            for _ in range(2):
                with pytest.raises(ConditionError) as caught:
                    ledger.facts.recall("a")
                assert caught.value.code == "disk_error"
        assert ledger.facts.recall("a") == "b"
