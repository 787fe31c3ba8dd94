"""Originals whose jobs have ended: to the archive, to `failed`, away, or left where they are.

One place for all workers: two that end the last jobs of one photo at the same moment must not both move it,
nor two photos share out what belongs to both. Others do not wait for them: an archive on another disk takes
its time. An original that cannot be moved now waits with a pause of its own.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.config import Folder, Originals
from nst_daemon.config.globs import plain
from nst_daemon.disk.files import Digests
from nst_daemon.disk.spelling import with_letters_for_all
from nst_daemon.errors import ConditionError, FileConditionError, NstError, PhotoError
from nst_daemon.folders import originals
from nst_daemon.folders.places import Places
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import UNFINISHED, Job, JobState, Origin, problem_of, shown
from nst_daemon.painting.moments import lies_ahead
from nst_daemon.system.crash import CrashPoint, crash_at

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 2.0  # between looks for originals that were left where they were
CONDITION_SECONDS: Final = 15.0  # before an original is tried again
WRITER_SECONDS: Final = 5.0  # before one is looked at again that somebody has open for writing
PATIENCE_SECONDS: Final = 60.0  # a writer is not worth a word for so long
BUG_SECONDS: Final = 600.0


@dataclass(slots=True)
class _Stay:
    """An original that stays where it is for now."""

    error: NstError
    since: float
    due: float
    pause: float
    is_quiet: bool = False  # nothing is wrong so far


class _WrittenError(Exception):
    """Somebody has the original open for writing."""


class BusyError(Exception):
    """Another worker is at it."""


class Locks:
    """A lock for each key that somebody holds or waits for. Safe on any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}  # and for how many

    @contextmanager
    def held(self, key: str, *, waits: bool) -> Iterator[None]:
        """Hold the lock of a key, after whoever holds it now.

        Raises:
            BusyError: somebody does, and we are not to wait.
        """
        with self._guard:
            lock, users = self._locks.get(key, (threading.Lock(), 0))
            self._locks[key] = lock, users + 1
        is_held = lock.acquire(blocking=waits)
        try:
            if not is_held:
                raise BusyError
            yield
        finally:
            if is_held:
                lock.release()
            with self._guard:
                lock, users = self._locks.pop(key)
                if users > 1:
                    self._locks[key] = lock, users - 1


class Disposal:
    """Puts each original where the config says, once no job needs it any more. Safe on any thread."""

    def __init__(
        self, ledger: Ledger, folders: tuple[Folder, ...], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._ledger = ledger
        self._places = Places(ledger.facts)
        self._clock = clock
        self._lock = threading.Lock()  # of what this object remembers: never held while a disk is asked
        self._is_sweeping = threading.Lock()
        self._locks = Locks()
        self._digests = Digests()
        self._stays: dict[int, _Stay] = {}  # by job
        self.follow(folders)

    def follow(self, folders: tuple[Folder, ...]) -> None:
        """Take on the folders of another config."""
        self._folders: Mapping[Path, Folder] = {folder.inbox: folder for folder in folders}
        self._due = float("-inf")
        with self._lock:
            for stay in self._stays.values():
                stay.due = float("-inf")

    def sweep(self) -> None:
        """Finish what a crash or a full disk left: originals of ended jobs that are still in the inbox.

        Raises:
            ConditionError: the ledger cannot be read or written.
        """
        if lies_ahead(self._due, self._clock(), at_most=SWEEP_SECONDS):
            return
        if not self._is_sweeping.acquire(blocking=False):
            return  # another worker is at it
        try:
            self._due = self._clock() + SWEEP_SECONDS
            jobs = self._ledger.jobs.undisposed()
            for job in jobs:
                if self._is_due(job):
                    with suppress(BusyError):
                        self._dispose(job, waits=False)
            left = set(self._ledger.jobs.undisposed()) if self._stays else set()
            with self._lock:
                self._stays = {job: stay for job, stay in self._stays.items() if job in left}
            self._show()
        finally:
            self._is_sweeping.release()

    def dispose(self, job: int) -> None:
        """Care for the original of a job that has ended; what cannot be done now, a sweep does.

        Raises:
            ConditionError: the ledger cannot be read or written.
        """
        self._dispose(job, waits=True)
        self._show()

    def _is_due(self, job: int) -> bool:
        stay = self._stay_of(job)
        return stay is None or not lies_ahead(stay.due, self._clock(), at_most=stay.pause)

    def _dispose(self, number: int, *, waits: bool) -> None:
        """Do what is left to do for an original, while nobody is at one that has to do with it."""
        job = self._ledger.jobs.get(number)
        with ExitStack() as stack:
            for key in () if job is None else self._shared_by(job):
                stack.enter_context(self._locks.held(key, waits=waits))
            self._dispose_of(number)

    def _shared_by(self, job: Job) -> Iterator[str]:
        """Yield what no two originals may be dealt with for at once, always in the same order."""
        seen = self._ledger.seen.get(job.original)
        if job.sidecar is not None or (seen is not None and seen.sidecar):
            yield f"folder {job.original.parent}"  # its sidecar may name a mask that serves others there, too
        # But for ending, folder and number: they may share a sidecar, or want one name in the archive.
        yield f"name {plain(with_letters_for_all(job.original.name)).partition('.')[0]}"

    def _dispose_of(self, number: int) -> None:
        """Do what is left to do for an original; where it cannot be done now, it stays."""
        job = self._ledger.jobs.get(number)
        folder = self._folders.get(job.inbox) if job and job.inbox else None
        if job is None or job.is_disposed or folder is None or job.origin is not Origin.INBOX:
            self._leave(number)
            return
        siblings = [
            each for each in self._ledger.jobs.of_photo(job.original) if each.photo_sha256 == job.photo_sha256
        ]
        if any(each.state in UNFINISHED for each in siblings):
            return
        try:
            moved = self._moved(job, siblings, folder)
        except _WrittenError:
            self._wait_for_writer(job)
        except FileConditionError as error:
            self._stay(job, error, CONDITION_SECONDS)
        except ConditionError:
            raise
        except Exception as error:  # a bug: this original stays, the others and the worker go on
            if self._stay_of(job.id) is None:
                logger.exception("the original of job %d could not be dealt with", job.id)
            what = f"{shown(job.original)} stays where it is: {type(error).__name__}: {error}."
            bug = PhotoError(what, remedy="Please report it, with the log: nst-daemon logs", code="bug")
            self._stay(job, bug, BUG_SECONDS)
        else:
            self._leave(job.id)
            self._ledger.mark_disposed(job.id, moved)
            crash_at(CrashPoint.DISPOSED)

    def _moved(self, job: Job, siblings: list[Job], folder: Folder) -> Path | None:
        """Move an original or not; return where it is now, None if it is no more."""
        failed = next((each for each in siblings if each.state is JobState.FAILED), None)
        has_place = any(job.original.is_relative_to(place) for place in (folder.inbox, folder.failed))
        if failed is None and not has_place:
            return job.original  # a job that was done again: its photo is in the archive since the first time
        if job.original.is_relative_to(folder.inbox):
            self._places.check(folder.inbox, name="inbox")  # else all of it would look as if it were gone
        if failed is not None:
            self._places.check(folder.failed, name="failed")
            self._refuse_writer(job.original)
            self._spare_reading(job)
            return originals.fail_original(
                failed, folder, failed.error or "unknown", sha256_of=self._digests.of
            )
        if folder.originals is Originals.MOVE:
            self._places.check(folder.archive, name="archive")
            self._spare_reading(job)
        if folder.originals is not Originals.KEEP:
            self._refuse_writer(job.original)
        return originals.dispose_original(job, folder, sha256_of=self._digests.of)

    def _spare_reading(self, job: Job) -> None:
        """Have an original that is only moved not read again if it is as the intake read it, by its stamp.

        What is deleted is read whole first: a stamp may be set, and bytes that are gone are gone.
        """
        seen = self._ledger.seen.get(job.original)
        if seen is not None and seen.photo_sha256:
            self._digests.trust(job.original, seen.stamp, seen.photo_sha256)

    def _refuse_writer(self, original: Path) -> None:
        """Take no file from its writer."""
        if disk.is_being_written(original):
            raise _WrittenError

    def _wait_for_writer(self, job: Job) -> None:
        error = ConditionError(
            f"{shown(job.original)} is open for writing in another program; it is moved once it is closed.",
            remedy="Close it there; it goes on by itself.",
            code="system_busy",
        )
        self._stay(job, error, WRITER_SECONDS, is_quiet=True)

    def _stay(self, job: Job, error: NstError, pause: float, *, is_quiet: bool = False) -> None:
        now = self._clock()
        with self._lock:
            known = self._stays.get(job.id)
            others = {each.error.code for each in self._stays.values() if not each.is_quiet}
            since = known.since if known is not None and known.error.code == error.code else now
            self._stays[job.id] = _Stay(error, since, now + pause, pause, is_quiet)
        if not is_quiet and error.code not in others:
            logger.warning("job %d: the original stays where it is: %s", job.id, error)

    def _stay_of(self, job: int) -> _Stay | None:
        with self._lock:
            return self._stays.get(job)

    def _leave(self, job: int) -> None:
        with self._lock:
            self._stays.pop(job, None)

    def _show(self) -> None:
        """Show what keeps originals from their place, a line for each kind of trouble."""
        now = self._clock()
        by_kind: dict[tuple[str, str], list[NstError]] = {}
        with self._lock:
            stays = list(self._stays.values())
        for stay in stays:
            if not (stay.is_quiet and now - stay.since < PATIENCE_SECONDS):
                by_kind.setdefault((stay.error.code, stay.error.remedy), []).append(stay.error)
        problems = []
        for errors in by_kind.values():
            distinct = {error.message for error in errors}  # a full disk is said once
            problems.append(problem_of(errors[0], more=len(distinct) - 1))
        self._ledger.problems.set("originals", problems)
