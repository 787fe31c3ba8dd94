"""The ledger's SQLite file: opened, checked, migrated, locked. Knows no job.

A file that SQLite calls corrupt is put aside and a new one begun, so that a bad disk costs history
and not the daemon. Folder and file are their owner's alone. Safe for several threads (a connection for all,
and one for long looks, each behind a lock) and several processes (WAL).
"""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.disk import locks
from nst_daemon.errors import ConditionError, MissingError, NameRefusedError
from nst_daemon.ledger.schema import MIGRATIONS

logger = logging.getLogger(__name__)

BUSY_SECONDS: Final = 15.0  # another process holds the file for milliseconds; a sleeping disk for seconds
RESERVE_BYTES: Final = 256 << 10  # a few hundred problems and moves
PRIMARY_CODE: Final = 0xFF  # SQLite's extended error codes keep the primary one in the low byte
CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
CONDITIONS: Final = {
    sqlite3.SQLITE_FULL: ("disk_full", "Free some space on this disk; it goes on by itself."),
    sqlite3.SQLITE_READONLY: ("read_only", "Make this folder writable; it goes on by itself."),
    sqlite3.SQLITE_IOERR: ("disk_error", "Check this disk; it goes on by itself."),
    sqlite3.SQLITE_CANTOPEN: ("state_missing", "Bring this folder back; it goes on by itself."),
    sqlite3.SQLITE_BUSY: ("ledger_busy", "Another program holds the file; it goes on by itself."),
    sqlite3.SQLITE_LOCKED: ("ledger_busy", "Another program holds the file; it goes on by itself."),
    sqlite3.SQLITE_PERM: ("read_only", "Make this folder writable; it goes on by itself."),
    sqlite3.SQLITE_NOMEM: ("system_busy", "Close other programs; it goes on by itself."),
    sqlite3.SQLITE_PROTOCOL: ("state_dir_remote", "Put state_dir on a local disk, in config.yaml."),
    sqlite3.SQLITE_NOLFS: ("state_dir_remote", "Put state_dir on a local disk, in config.yaml."),
}  # what the machine does to us, and what ends by itself
CHECKED_BYTES: Final = 64 << 20  # a tenth of a second; a thousand times as many, and every command would wait
TRUST_SECONDS: Final = 60.0  # a file that is called corrupt so soon after it was checked is so
ENDING: Final = frozenset({"disk_full", "ledger_busy", "system_busy"})  # worth to wait for


class LedgerFile:
    """The ledger's connections, shared by all threads of this process.

    `is_view`: for what must answer at once, a command or the tray. A large file is not checked then; that the
    daemon does.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float], is_view: bool = False) -> None:
        self.path = path
        self.clock = clock
        self.put_aside: Path | None = None  # where a corrupt ledger was moved to, at this opening
        self.journal_mode = ""  # as SQLite says; no "wal" on a disk that knows no shared memory
        self._is_closed = False
        self._is_suspect = False  # SQLite calls it corrupt: see `_reopen`
        self._reopened = float("-inf")  # when that was found wrong
        self._is_view = is_view
        self._lock = threading.RLock()
        self._long = threading.RLock()
        self._second: tuple[sqlite3.Connection, sqlite3.Connection] | None = None  # and the first of its time
        self._reserve = path.with_suffix(".reserve")
        try:
            disk.make_private(path.parent)
            disk.make_private_file(path)
            self._db = self._open()
        except (ConditionError, NameRefusedError) as error:
            raise disk.unusable(error, path) from error
        except (OSError, sqlite3.OperationalError) as error:
            raise self._not_opened(error) from error

    def _not_opened(self, error: OSError | sqlite3.OperationalError) -> MissingError | ConditionError:
        code, remedy = (
            ("", "") if isinstance(error, OSError) else CONDITIONS.get(_primary_code(error), ("", ""))
        )
        message = f"The ledger {self.path} cannot be opened: {error}."
        if code in ENDING:
            return ConditionError(message, remedy=remedy, code=code)
        remedy = (
            remedy
            if code == "state_dir_remote"
            else ("Make the folder writable, or set another state_dir in config.yaml.")
        )
        return MissingError(message, remedy=remedy, code=code or None)

    def keep_reserve(self) -> None:
        """Keep a little room on the disk, to be given up when it is full: saying so takes room, too.

        Raises:
            ConditionError: there is none, or the ledger cannot be written.
        """
        if disk.is_there(self._reserve) or disk.free_bytes(self.path.parent) < 8 * RESERVE_BYTES:
            return
        with disk.created(self._reserve) as file:
            file.write(os.urandom(RESERVE_BYTES))  # zeros take no room on some file systems
        with self.write(durable=False) as db:
            db.execute("DELETE FROM problems WHERE source = 'ledger'")

    def close(self) -> None:
        """Close the connection; SQLite folds the write-ahead log back in. Whoever comes later is refused."""
        with self._lock:
            self._is_closed = True
            self._db.close()
        with self._long:
            self._close_second()

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Hold the write lock for one transaction: all of it is committed, or nothing.

        What is not `durable` (progress, heartbeats) is seen by everyone at once, but may be lost by a
        power cut: it spares the disk an fsync.

        Raises:
            ConditionError: the disk is full, read-only, gone or busy; or the ledger was closed.
            MissingError: the file was damaged while it was in use; the next start puts it aside.
        """
        with self._lock, self._conditions():
            # FULL, not NORMAL: in WAL mode NORMAL loses the last commits at a power cut.
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Hold one consistent view of the ledger."""
        with self._lock, self._conditions():
            self._db.execute("BEGIN")
            try:
                yield self._db
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def long_read(self) -> Iterator[sqlite3.Connection]:
        """Hold one view of the ledger for long: on a connection of its own, so that nobody else waits.

        Raises: as `write`.
        """
        with self._long, self._conditions():
            db = self._second_connection()
            db.execute("BEGIN")
            try:
                yield db
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    def _second_connection(self) -> sqlite3.Connection:
        if self._second is None or self._second[1] is not self._db:  # the first was opened anew meanwhile
            self._close_second()
            self._second = self._connected(), self._db
            self._second[0].execute("PRAGMA query_only = ON")
        return self._second[0]

    def _close_second(self) -> None:
        if self._second is not None:
            self._second[0].close()
            self._second = None

    @contextmanager
    def _conditions(self) -> Iterator[None]:
        if self._is_closed:
            raise ConditionError(f"The ledger {self.path} is closed: the daemon ends.", code="cancelled")
        try:
            if self._is_suspect:
                with self._lock:
                    if self._is_suspect:  # else another was faster
                        self._reopen()
            yield
        except sqlite3.OperationalError as error:
            code, remedy = CONDITIONS.get(_primary_code(error), ("", ""))
            if not code:
                raise
            if code == "disk_full":
                self._give_up_reserve(remedy)
            raise ConditionError(
                f"The ledger {self.path} cannot be written: {error}.", remedy=remedy, code=code
            ) from error
        except sqlite3.DatabaseError as error:
            if _primary_code(error) in CORRUPT:
                raise self._doubted(error) from error
            raise

    def _doubted(self, error: sqlite3.DatabaseError) -> MissingError | ConditionError:
        """Return what it means that SQLite calls the file corrupt: the first time, that it is opened anew."""
        if self._is_suspect or time.monotonic() - self._reopened < TRUST_SECONDS:
            return self._damaged(error)
        self._is_suspect = True
        return ConditionError(
            f"The ledger {self.path} cannot be read: {error}.",
            remedy="Check this disk; it goes on by itself.",
            code="disk_error",
        )

    def _reopen(self) -> None:
        """Open the file anew, and check it: the damage may be in SQLite's shared memory alone.

        A disk that failed for a moment leaves holes in that; it is made anew from the write-ahead log. So a
        share that comes back costs no restart, and what is wrong in the file itself is still found.
        """
        self._db.close()
        self._is_view = False
        self._db = self._opened()
        self._is_suspect, self._reopened = False, time.monotonic()
        logger.warning("The ledger was opened anew, and is whole")

    def _damaged(self, reason: object) -> MissingError:
        return MissingError(
            f"The ledger {self.path} is damaged ({reason}), and in use.",
            remedy="`nst-daemon restart`: at its start the daemon puts it aside, and begins a new one.",
            code="ledger_damaged",
        )

    def _give_up_reserve(self, remedy: str) -> None:
        """Say that the disk is full, in the room that was kept for it, before somebody else takes that."""
        try:
            if not disk.remove(self._reserve):
                return
            message = f"The disk of {self.path.parent} is full."
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.execute(
                    "INSERT OR REPLACE INTO problems VALUES ('ledger', 0, 'disk_full', ?, ?)",
                    (message, remedy),
                )
        except (ConditionError, sqlite3.Error) as error:
            logger.debug("a full disk could not be shown: %s", error)

    def _open(self) -> sqlite3.Connection:
        try:
            return self._opened()
        except sqlite3.DatabaseError as error:
            if _primary_code(error) not in CORRUPT:
                raise
            self._move_aside(str(error))
            return self._opened()

    def _connected(self) -> sqlite3.Connection:
        # isolation_level=None: transactions begin and end where this module says so.
        db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        db.row_factory = sqlite3.Row
        return db

    def _opened(self) -> sqlite3.Connection:
        db = self._connected()
        try:
            db.execute("PRAGMA foreign_keys = ON")
            if not (self._is_view and _size(self.path) > CHECKED_BYTES):
                self._check(db)
            self.journal_mode = _switch_to_wal(db)
            self._migrate(db)
        except BaseException:
            db.close()
            raise
        return db

    def _check(self, db: sqlite3.Connection) -> None:
        verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise _corrupt(verdict)

    def _move_aside(self, reason: str) -> None:
        if locks.holder(self.path.parent) not in (None, os.getpid()):
            raise self._damaged(reason)  # not from under a daemon that works with it
        stamp = datetime.fromtimestamp(self.clock(), UTC).strftime("%Y%m%dT%H%M%S")
        aside = self.path.with_name(f"{self.path.stem}.corrupt-{stamp}{self.path.suffix}")
        count = 1
        while disk.is_there(aside):
            count += 1
            aside = self.path.with_name(f"{self.path.stem}.corrupt-{stamp}.{count}{self.path.suffix}")
        for suffix in ("-wal", "-shm", ""):
            companion = self.path.with_name(self.path.name + suffix)
            if disk.is_there(companion):
                disk.replace(companion, aside.with_name(aside.name + suffix))
        self.put_aside = aside
        logger.warning("The ledger was corrupt (%s): put aside as %s, a new one was begun", reason, aside)

    def _migrate(self, db: sqlite3.Connection) -> None:
        found = _version(db)
        if found > len(MIGRATIONS):
            raise MissingError(
                f"The ledger {self.path} was written by a newer nst-daemon (schema {found}, "
                f"this one knows {len(MIGRATIONS)}).",
                remedy="Install the newer version again, or set another state_dir.",
            )
        if 0 < found < len(MIGRATIONS):
            self._back_up(db, found)
        for number in range(found, len(MIGRATIONS)):
            db.execute("BEGIN IMMEDIATE")
            try:
                if _version(db) == number:  # another process may have been faster
                    for statement in MIGRATIONS[number]:
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version = {number + 1}")
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise

    def _back_up(self, db: sqlite3.Connection, version: int) -> None:
        target = self.path.with_name(f"{self.path.stem}.schema-{version}{self.path.suffix}")
        disk.make_private_file(target)
        copy = sqlite3.connect(target)
        try:
            db.backup(copy)
        finally:
            copy.close()
        logger.info("The ledger's schema %d was backed up as %s", version, target)


def _switch_to_wal(db: sqlite3.Connection) -> str:
    """Set the file to write-ahead logging, which is a property of the file; return the mode that it has now.

    The switch wants the file for itself and does not wait for it (https://sqlite.org/wal.html):
    two processes that make a new ledger at the same moment need a second try.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return str(db.execute("PRAGMA journal_mode = WAL").fetchone()[0]).lower()
        except sqlite3.OperationalError as error:
            if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _size(path: Path) -> int:
    facts = disk.facts_of(path)
    return 0 if facts is None else facts.st_size


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _primary_code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & PRIMARY_CODE


def _corrupt(verdict: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(verdict)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
