"""A whole photo -> its jobs in the ledger, none of which does the same work twice in silence."""

import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from nst_daemon import __version__, disk
from nst_daemon.config import Config, Folder
from nst_daemon.config.recipe import blend_name
from nst_daemon.disk import Stamp, stamp_of
from nst_daemon.disk.files import file_sha256
from nst_daemon.errors import FileConditionError, StyleError
from nst_daemon.folders import outbox
from nst_daemon.folders.masks import take_masks
from nst_daemon.folders.networks import network_of
from nst_daemon.folders.sidecars import find_sidecar
from nst_daemon.intake.arrivals import Arrival, as_new, jobs_for, unreadable_job, with_styles_anew
from nst_daemon.intake.inspection import Readable
from nst_daemon.intake.reader import Reader
from nst_daemon.intake.shelf import Shelf
from nst_daemon.ledger import Added, Duplicate, Ledger, Seen, Verdict
from nst_daemon.ledger.jobs import PENDING, Job, JobState, NewJob

logger = logging.getLogger(__name__)

GONE = "the photo is gone"
IS_MASK = "it is a mask, by the word of a sidecar"
IS_SPOKEN_FOR = "the picture of the same name beside the raw file is painted for both"
SUPERSEDED = "its sidecar asks for something else now"


class Admission:
    """Adds jobs, and pairs anew. Lives on the intake's thread."""

    def __init__(self, *, config: Config, ledger: Ledger, library: Shelf, reader: Reader) -> None:
        self._ledger = ledger
        self._library = library
        self._reader = reader
        self._network = network_of(config.engine.weights)

    def admit(self, arrival: Arrival) -> Verdict | None:
        """Make a photo's jobs; return what became of it. None: ask again in a moment."""
        wanted = self._jobs_for(arrival)
        verdicts = [self._admit(new, arrival) for new in wanted]
        if None in verdicts:
            return None
        return Verdict.JOB if Verdict.JOB in verdicts else Verdict.DUPLICATE

    def repair(self, arrival: Arrival, jobs: list[Job]) -> None:
        """Pair a photo anew: its jobs that have not started become what it asks for now."""
        wanted = {new.key: new for new in self._jobs_for(arrival)}
        pending = [job for job in jobs if job.state in PENDING]
        for job in jobs:
            new = wanted.pop(job.key, None)
            if new is not None and job in pending:
                pending.remove(job)
                if job.state is JobState.HELD and (job.error != new.error or job.original != new.original):
                    self._ledger.repair(job.id, new)
        for new in wanted.values():
            if pending and self._ledger.repair((job := pending.pop(0)).id, new):
                logger.info("job %d was paired anew: %s", job.id, blend_name(new.styles) or new.error)
            else:
                self._admit(new, arrival)
        for job in pending:
            self._ledger.cancel(job.id, reason=SUPERSEDED)

    def follow_network(self) -> None:
        """Give the queued jobs the key of the network that will paint them: it may be another by now."""
        right_for = f"{__version__}:{self._network}"
        for jobs in self._ledger.jobs.keyed_otherwise(right_for):
            keys = []
            for job in jobs:
                if job.recipe is not None:
                    new = as_new(job, self._network)
                    keys.append((job.id, new.key))
                    if new.key != job.key:
                        self._ledger.repair(job.id, new)
            self._ledger.mark_keyed(keys, right_for)

    def restock(self, job: Job) -> None:
        """Let a held job that came by command go on, if its styles can be had."""
        with suppress(StyleError):  # it says so already
            self._ledger.repair(job.id, with_styles_anew(job, self._library, self._network))

    def _jobs_for(self, arrival: Arrival) -> list[NewJob]:
        sidecar = find_sidecar(arrival.path)
        masks = take_masks(arrival.path, sidecar, arrival.copy.parent)
        return jobs_for(arrival, sidecar, self._library, masks, network=self._network)

    def fail(self, path: Path, folder: Folder, stamp: Stamp, reason: str) -> bool:
        """Record a file that is no whole picture as a failed job; it is moved as every failed photo is.

        False if it was changed meanwhile, and is to settle again.

        Raises:
            FileNotFoundError: it has gone.
            ConditionError: it cannot be read now.
        """
        sha256 = file_sha256(path)
        if stamp_of(path) != stamp:
            return False
        new = unreadable_job(path, folder, stamp=stamp, sha256=sha256, reason=reason)
        outcome = self._ledger.add(new)
        known = self._ledger.jobs.get(outcome.job)
        if isinstance(outcome, Duplicate) and known is not None and known.original != path:
            # It was put back from `failed` as it was.
            outcome = self._ledger.add(replace(new, key=f"{new.key}:{outcome.job}"))
        logger.warning("job %d failed: %s: %s", outcome.job, new.photo, reason)
        verdict = Verdict.UNREADABLE
        self._ledger.seen.mark(
            Seen(path=path, root=folder.inbox, stamp=stamp, verdict=verdict, photo_sha256=sha256)
        )
        return True

    def _admit(self, new: NewJob, arrival: Arrival) -> Verdict | None:
        known = self._ledger.jobs.of_key(new.key)
        result = self._painted_before(new) if known is None and new.styles else None
        if result is not None:
            outcome = self._ledger.add(replace(new, state=JobState.DONE), result=result)
            logger.info("job %d was done before: %s is its result", outcome.job, result)
            return Verdict.JOB
        if known is None and self._replaces_a_failure(new):
            return Verdict.JOB
        outcome = self._ledger.add(new)
        if isinstance(outcome, Added):
            style = blend_name(new.styles) or f"held: {new.error}"
            logger.info("job %d: %s, %s", outcome.job, new.photo, style)
            return Verdict.JOB
        known = self._ledger.jobs.get(outcome.job)
        return None if known is None else self._once_more(new, known, arrival)

    def _replaces_a_failure(self, new: NewJob) -> bool:
        """Return whether a photo takes the place of a file of its name that was not whole when it failed."""
        for job in self._ledger.jobs.broken_in(new.inbox) if new.inbox is not None else ():
            if job.photo == new.photo and self._ledger.revive(job.id, new):
                logger.info("job %d was taken up again: %s has come whole", job.id, new.photo)
                return True
        return False

    def _once_more(self, new: NewJob, known: Job, arrival: Arrival) -> Verdict | None:
        """Deal with work that the ledger knows already."""
        if known.original == new.original and known.state is not JobState.CANCELLED:
            return Verdict.JOB  # the file was touched, or we crashed before we remembered it
        if known.state in (JobState.FAILED, JobState.CANCELLED):
            is_revived = self._ledger.revive(known.id, new)
            logger.info("job %d was taken up again: %s has come once more", known.id, new.photo)
            return Verdict.JOB if is_revived else None
        has_moved = known.inbox is not None and disk.is_gone(known.original, root=known.inbox)
        if has_moved and known.state in PENDING:
            return Verdict.JOB if self._ledger.repair(known.id, new) else None
        if has_moved and known.state is JobState.RUNNING:
            self._ledger.cancel(known.id, reason=GONE)
            return None  # once it has stopped, it begins anew under its new name
        return self._duplicate(new, known, arrival)

    def _duplicate(self, new: NewJob, known: Job, arrival: Arrival) -> Verdict | None:
        mark = f"@{new.outbox}"
        if known.outbox != new.outbox and not new.key.endswith(mark):
            return self._admit(replace(new, key=f"{new.key}{mark}"), arrival)
        key = f"{new.key}:{new.original}:{arrival.stamp}"
        job = self._ledger.add_duplicate(replace(new, key=key), of=known.id)
        logger.info("job %d: %s is a duplicate of job %d and was not painted", job, new.photo, known.id)
        return Verdict.DUPLICATE

    def _painted_before(self, new: NewJob) -> Path | None:
        """Return a result of this very work that lies in the outbox: the ledger was lost, or is another's.

        Raises:
            ConditionError: nobody knows; to paint it once more would be to paint it twice.
        """
        try:
            return self._found_in_outbox(new)
        except FileConditionError as error:
            raise error if error.is_named else error.named("outbox") from error

    def _found_in_outbox(self, new: NewJob) -> Path | None:
        for result in outbox.existing_results(new):
            if self._ledger.jobs.owner_of(result) is not None:
                continue
            inspection = self._reader.inspect(result)
            if isinstance(inspection, Readable) and (inspection.provenance or {}).get("job_key") == new.key:
                return result
        return None
