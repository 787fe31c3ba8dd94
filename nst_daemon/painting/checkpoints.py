"""Where the places lie from which interrupted paintings go on, and which of them nobody needs any more."""

import hashlib
import re
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.disk.files import is_left_over
from nst_daemon.errors import ConditionError, FileConditionError
from nst_daemon.ledger.jobs import Job
from nst_daemon.ledger.table import JobTable
from nst_daemon.painting.moments import lies_ahead

SUFFIX: Final = ".checkpoint"
SWEEP_SECONDS: Final = 2.0  # between looks
KEEP_SECONDS: Final = 30 * 24 * 3600.0  # where the engine failed: the job may be retried
PLAIN_KEY: Final = re.compile(r"[0-9a-f]{64}")


def file_name_of(key: str) -> str:
    """Return a file's name for a job's key: those of duplicates have a path in them."""
    return key if PLAIN_KEY.fullmatch(key) else hashlib.sha256(key.encode(errors="replace")).hexdigest()


def names_of(keys: Collection[str]) -> set[str]:
    """Return the file names of jobs."""
    return {file_name_of(key) for key in keys}


class Checkpoints:
    """The files in one folder. Lives on a worker's thread; others may have the same folder."""

    def __init__(self, jobs: JobTable, folder: Path, *, clock: Callable[[], float]) -> None:
        self.folder = folder
        self._jobs = jobs
        self._clock = clock
        self._due = float("-inf")

    def path_of(self, job: Job) -> Path:
        """Return where the checkpoint of a job is, or would be."""
        return self.folder / f"{file_name_of(job.key)}{SUFFIX}"

    def sweep(self, *, at_once: bool = False) -> None:
        """Remove those of jobs that have ended, and what a killed engine left half written.

        Often called: it looks every few seconds, or `at_once`.

        Raises:
            ConditionError: the ledger cannot be read.
        """
        now = self._clock()
        if not at_once and lies_ahead(self._due, now, at_most=SWEEP_SECONDS):
            return
        self._due = now + SWEEP_SECONDS
        try:
            entries = disk.entries_of(self.folder)
        except (FileNotFoundError, FileConditionError):
            return
        if entries:
            stems = {entry.path.stem for entry in entries}
            unfinished = names_of(self._jobs.unfinished_keys(stems))
            struck = names_of(self._jobs.struck_keys(stems))
            for path in (entry.path for entry in entries):
                is_needed = path.stem in unfinished or (path.stem in struck and not _is_older(path))
                if is_left_over(path) if path.suffix != SUFFIX else not is_needed:
                    with suppress(FileConditionError):  # the next look finds it again
                        disk.remove(path)


def stamp_of(path: Path | None) -> disk.Stamp | None:
    """Return the stamp of a checkpoint; None: there is none, or nobody knows."""
    try:
        return None if path is None else disk.stamp_of(path)
    except ConditionError:
        return None


def _is_older(path: Path) -> bool:
    with suppress(FileConditionError):
        facts = disk.facts_of(path)
        return facts is not None and time.time() - facts.st_mtime > KEEP_SECONDS
    return False
