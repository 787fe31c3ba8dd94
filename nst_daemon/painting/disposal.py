"""Originals whose jobs have ended: to the archive, to `failed`, away, or left where they are.

One place for all workers, behind a lock: two that end the last jobs of one photo at the same moment must not
both move it. An original that cannot be moved now waits with a pause of its own; the others go on.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.config import Folder, Originals
from nst_daemon.disk.files import Digests
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


class Disposal:
    """Puts each original where the config says, once no job needs it any more. Safe on any thread."""

    def __init__(
        self, ledger: Ledger, folders: tuple[Folder, ...], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._ledger = ledger
        self._places = Places(ledger.facts)
        self._clock = clock
        self._lock = threading.Lock()
        self._digests = Digests()
        self._stays: dict[int, _Stay] = {}  # by job
        self.follow(folders)

    def follow(self, folders: tuple[Folder, ...]) -> None:
        """Take on the folders of another config."""
        self._folders: Mapping[Path, Folder] = {folder.inbox: folder for folder in folders}
        self._due = float("-inf")
        for stay in list(self._stays.values()):
            stay.due = float("-inf")

    def sweep(self) -> None:
        """Finish what a crash or a full disk left: originals of ended jobs that are still in the inbox.

        Raises:
            ConditionError: the ledger cannot be read or written.
        """
        if lies_ahead(self._due, self._clock(), at_most=SWEEP_SECONDS):
            return
        if not self._lock.acquire(blocking=False):
            return  # another worker is at it
        try:
            self._due = self._clock() + SWEEP_SECONDS
            jobs = self._ledger.jobs.undisposed()
            for job in jobs:
                if self._is_due(job):
                    self._dispose(job)
            self._stays = {job: stay for job, stay in self._stays.items() if job in jobs}
            self._show()
        finally:
            self._lock.release()

    def dispose(self, job: int) -> None:
        """Care for the original of a job that has ended; what cannot be done now, a sweep does.

        Raises:
            ConditionError: the ledger cannot be read or written.
        """
        with self._lock:
            self._dispose(job)
            self._show()

    def _is_due(self, job: int) -> bool:
        stay = self._stays.get(job)
        return stay is None or not lies_ahead(stay.due, self._clock(), at_most=stay.pause)

    def _dispose(self, number: int) -> None:
        """Do what is left to do for an original; where it cannot be done now, it stays."""
        job = self._ledger.jobs.get(number)
        folder = self._folders.get(job.inbox) if job and job.inbox else None
        if job is None or job.is_disposed or folder is None or job.origin is not Origin.INBOX:
            self._stays.pop(number, None)
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
            if job.id not in self._stays:
                logger.exception("the original of job %d could not be dealt with", job.id)
            what = f"{shown(job.original)} stays where it is: {type(error).__name__}: {error}."
            bug = PhotoError(what, remedy="Please report it, with the log: nst-daemon logs", code="bug")
            self._stay(job, bug, BUG_SECONDS)
        else:
            self._stays.pop(job.id, None)
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
            return originals.fail_original(
                failed, folder, failed.error or "unknown", sha256_of=self._digests.of
            )
        if folder.originals is Originals.MOVE:
            self._places.check(folder.archive, name="archive")
        if folder.originals is not Originals.KEEP:
            self._refuse_writer(job.original)
        return originals.dispose_original(job, folder, sha256_of=self._digests.of)

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
        now, known = self._clock(), self._stays.get(job.id)
        others = {each.error.code for each in self._stays.values() if not each.is_quiet}
        if not is_quiet and error.code not in others:
            logger.warning("job %d: the original stays where it is: %s", job.id, error)
        since = known.since if known is not None and known.error.code == error.code else now
        self._stays[job.id] = _Stay(error, since, now + pause, pause, is_quiet)

    def _show(self) -> None:
        """Show what keeps originals from their place, a line for each kind of trouble."""
        now = self._clock()
        by_kind: dict[tuple[str, str], list[NstError]] = {}
        for stay in self._stays.values():
            if not (stay.is_quiet and now - stay.since < PATIENCE_SECONDS):
                by_kind.setdefault((stay.error.code, stay.error.remedy), []).append(stay.error)
        problems = []
        for errors in by_kind.values():
            distinct = {error.message for error in errors}  # a full disk is said once
            problems.append(problem_of(errors[0], more=len(distinct) - 1))
        self._ledger.problems.set("originals", problems)
