"""Files in `failed` that were no whole pictures, looked at again: one that has grown since is read anew."""

import logging
from pathlib import Path

from nst_daemon import disk
from nst_daemon.disk import Stamp
from nst_daemon.disk.files import file_sha256
from nst_daemon.errors import ConditionError
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Job

logger = logging.getLogger(__name__)


class SecondLooks:
    """Remembers how each such file was at the last look. Lives on one thread.

    What still lies in its inbox needs no second look: it is a new arrival as soon as it changes.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._looks: dict[Path, Stamp] = {}  # at the last look
        self._read: dict[Path, Stamp] = {}  # when it was read last

    def look(self, inbox: Path) -> None:
        """Take up the jobs of an inbox again whose files have changed since they failed, and stand still."""
        jobs = [job for job in self._ledger.jobs.broken_in(inbox) if not job.original.is_relative_to(inbox)]
        for known in (self._looks, self._read):
            for path in known.keys() - {job.original for job in jobs}:
                del known[path]
        for job in jobs:
            try:
                self._look(job)
            except (ConditionError, FileNotFoundError) as error:
                logger.debug("%s could not be looked at again: %s", job.original, error)

    def _look(self, job: Job) -> None:
        path, stamp = job.original, disk.stamp_of(job.original)
        if stamp is None:
            return
        stands_still = self._looks.get(path) == stamp
        self._looks[path] = stamp
        if not stands_still or self._read.get(path) == stamp or disk.is_being_written(path):
            return
        self._read[path] = stamp
        if file_sha256(path) != job.photo_sha256:
            logger.info("job %d is taken up again: %s has changed since it failed", job.id, job.photo)
            self._ledger.retry(job.id)
