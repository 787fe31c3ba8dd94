"""Originals whose jobs have ended: to the archive, to `failed`, away, or left where they are.

One place for all workers, behind a lock: two that end the last jobs of one photo at the same moment must not
both move it.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from nst_daemon import outbox
from nst_daemon.conditions import lies_ahead
from nst_daemon.config import Folder, Originals
from nst_daemon.crash import CrashPoint, crash_at
from nst_daemon.errors import ConditionError
from nst_daemon.jobs import Job, JobState, Origin, Problem
from nst_daemon.ledger import Ledger
from nst_daemon.places import Places

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 2.0  # between looks for originals that were left where they were
CONDITION_SECONDS: Final = 15.0  # between looks while one of them cannot be moved
UNFINISHED: Final = (JobState.HELD, JobState.QUEUED, JobState.RUNNING)


class Disposal:
    """Puts each original where the config says, once no job needs it any more. Safe on any thread."""

    def __init__(
        self, ledger: Ledger, folders: tuple[Folder, ...], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._ledger = ledger
        self._places = Places(ledger)
        self._clock = clock
        self._lock = threading.Lock()
        self.follow(folders)

    def follow(self, folders: tuple[Folder, ...]) -> None:
        """Take on the folders of another config."""
        self._folders: Mapping[Path, Folder] = {folder.inbox: folder for folder in folders}
        self._due = float("-inf")

    def sweep(self) -> None:
        """Finish what a crash or a full disk left: originals of ended jobs that are still in the inbox."""
        if lies_ahead(self._due, self._clock(), at_most=CONDITION_SECONDS):
            return
        if not self._lock.acquire(blocking=False):
            return  # another worker is at it
        try:
            self._due = self._clock() + SWEEP_SECONDS
            if all(self._dispose(job.id) for job in self._ledger.undisposed()):
                self._ledger.set_problems("originals", [])
            else:
                self._due = self._clock() + CONDITION_SECONDS
        finally:
            self._lock.release()

    def dispose(self, job: int) -> None:
        """Care for the original of a job that has ended; what cannot be done now, a sweep does."""
        with self._lock:
            self._dispose(job)

    def _dispose(self, number: int) -> bool:
        """Return whether nothing is left to do; false: it cannot be done now."""
        job = self._ledger.job(number)
        folder = self._folders.get(job.inbox) if job and job.inbox else None
        if job is None or job.is_disposed or folder is None or job.origin is not Origin.INBOX:
            return True
        siblings = [
            each for each in self._ledger.jobs_of_photo(job.original) if each.photo_sha256 == job.photo_sha256
        ]
        if any(each.state in UNFINISHED for each in siblings):
            return True
        try:
            moved = self._moved(job, siblings, folder)
        except ConditionError as error:
            logger.warning("job %d: the original stays where it is: %s", job.id, error)
            problem = Problem(code=error.code, message=error.message, remedy=error.remedy)
            self._ledger.set_problems("originals", [problem])
            return False
        self._ledger.mark_disposed(job.id, moved)
        crash_at(CrashPoint.DISPOSED)
        return True

    def _moved(self, job: Job, siblings: list[Job], folder: Folder) -> Path | None:
        """Move an original or not; return where it is now, None if it is no more."""
        failed = next((each for each in siblings if each.state is JobState.FAILED), None)
        if failed is not None:
            self._places.check(folder.failed, name="failed")
            return outbox.fail_original(failed, folder, failed.error or "unknown")
        if not any(job.original.is_relative_to(place) for place in (folder.inbox, folder.failed)):
            return job.original  # a job that was done again: its photo is in the archive since the first time
        if folder.originals is Originals.MOVE:
            self._places.check(folder.archive, name="archive")
        return outbox.dispose_original(job, folder)
