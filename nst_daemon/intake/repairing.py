"""Jobs that have not started, held against what has become of their photos, sidecars and styles."""

import logging
import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from nst_daemon import disk
from nst_daemon.config import Config, Folder
from nst_daemon.disk import Stamp, stamp_of
from nst_daemon.errors import FileConditionError, PhotoError, with_section
from nst_daemon.folders.companions import Claims, photos_of
from nst_daemon.folders.copies import private_copy
from nst_daemon.folders.gate import Left
from nst_daemon.folders.inbox import Inbox
from nst_daemon.folders.masks import namers_of
from nst_daemon.folders.sidecars import editors_part, fingerprint, masks_named_in, sidecars_beside
from nst_daemon.folders.walk import Kind, Scan, has_speaker
from nst_daemon.images.endings import Role, role_of
from nst_daemon.intake.admission import (
    GONE,
    IS_MASK,
    IS_SPOKEN_FOR,
    Admission,
)
from nst_daemon.intake.arrivals import Arrival
from nst_daemon.intake.departures import Departures
from nst_daemon.intake.inspection import Readable
from nst_daemon.intake.reader import Reader
from nst_daemon.intake.settling import Settler
from nst_daemon.intake.shelf import Shelf
from nst_daemon.ledger import UNREAD, Ledger, Seen, Verdict
from nst_daemon.ledger.jobs import PENDING, Job, JobState

logger = logging.getLogger(__name__)

# For the tick that pairs a photo anew, once its sidecar has settled: on a busy machine, or behind a slow
# disk, it may come late. Then the hold ends at once.
HOLD_BACK_SECONDS: Final = 15.0
HELD_SECONDS: Final = 2.0  # between looks at the style library for those that wait for a style


class Repairs:
    """Pairs anew, and cancels what has lost its photo. Lives on the intake's thread."""

    def __init__(
        self,
        *,
        config: Config,
        ledger: Ledger,
        library: Shelf,
        reader: Reader,
        admission: Admission,
        settler: Settler,
        departures: Departures,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._library = library
        self._reader = reader
        self._admission = admission
        self._settler = settler
        self._departures = departures
        self._clock = clock
        self._due = float("-inf")
        self._news: object = None  # of the style library, at the last look
        self._given_back: set[int] = set()  # jobs that were paired anew since there was news
        self._sidecars: dict[Path, dict[Path, Stamp]] = {}  # of each inbox, at the last reading

    def look_after(self, inbox: Inbox, scan: Scan) -> None:
        """Pair the pending jobs of an inbox anew whose sidecars have changed since the last reading.

        At the first one, cancel those whose photo went while nobody looked.
        """
        self._leave_raws(scan)
        sidecars = {found.path: found.stamp for found in scan.found if found.kind is Kind.SIDECAR}
        before = self._sidecars.get(inbox.path)
        if sidecars == before:
            return
        changed = {path for path, _ in sidecars.items() ^ (before or {}).items()}
        photos = self._owners_of(changed) if before is not None else self._doubtful(inbox.path, scan)
        unknown = [path for path in changed if not self._is_known(path, self._claim_masks, inbox, path)]
        unknown += [photo for photo in photos if not self._is_known(photo, self._look_at, inbox, photo)]
        if scan.is_complete and not unknown:  # else all of it is looked at again
            self._sidecars[inbox.path] = sidecars

    def _owners_of(self, sidecars: Collection[Path]) -> list[Path]:
        """Return the photos of pending jobs that sidecars may belong to."""
        claims = Claims(sidecars)
        below = [photo for folder in claims.folders for photo in self._ledger.jobs.pending_below(folder)]
        return [photo for photo in dict.fromkeys(below) if claims.are_on(os.fspath(photo))]

    def _doubtful(self, inbox: Path, scan: Scan) -> list[Path]:
        """Return the photos of unfinished jobs that may not be as they were when a daemon last looked.

        Not those that were just found with nothing beside them, and had nothing there before: nearly all.
        """
        found = {os.fspath(each.path) for each in scan.found}
        beside = [each.path for each in scan.found if each.kind is Kind.SIDECAR]
        claims, paired = Claims([*beside, *scan.passed_by]), self._ledger.seen.with_sidecar(inbox)
        running = [
            job.original for job in self._ledger.jobs.all(state=JobState.RUNNING) if job.inbox == inbox
        ]
        doubtful = [
            Path(photo)
            for photo in self._ledger.jobs.pending_originals(inbox)
            if photo not in found or photo in paired or claims.are_on(photo)
        ]
        return [photo for photo in dict.fromkeys([*doubtful, *running]) if photo.is_relative_to(inbox)]

    def _is_known(self, path: Path, look: Callable[..., None], *args: Any) -> bool:
        """Return whether a look at a file succeeded; false: its disk does not answer now."""
        try:
            look(*args)
        except FileConditionError as error:
            logger.debug("%s is looked at again later: %s", path, error)
            return False
        return True

    def _look_at(self, inbox: Inbox, photo: Path) -> None:
        if not disk.is_there(photo):
            self._departures.gone(inbox, photo)
        else:
            self._look_at_sidecars(inbox, photo)

    def _look_at_sidecars(self, inbox: Inbox, photo: Path) -> None:
        seen = self._ledger.seen.get(photo)
        if seen is None or seen.sidecar == fingerprint(photo):
            return
        sidecars = sidecars_beside(photo)
        if all(_age(sidecar) >= self._config.watch.settle_seconds for sidecar in sidecars):
            self.repair(inbox, photo)
            return
        for sidecar in sidecars:
            self._settler.notice(sidecar)
        self.hold_back(photo)

    def expect(self, sidecar: Path) -> None:
        """Keep the worker from the photos of a sidecar that is being written."""
        for photo in set(photos_of(sidecar)):
            self.hold_back(photo)

    def hold_back(self, photo: Path) -> None:
        """Keep the worker from a photo whose sidecar has just been written, until that stands still."""
        seconds = self._config.watch.settle_seconds + HOLD_BACK_SECONDS
        if any(job.state is JobState.QUEUED for job in self._ledger.jobs.of_photo(photo)):
            self._ledger.queue.postpone(photo, seconds)

    def look_after_held(self, inboxes: Sequence[Inbox]) -> None:
        """Pair the held photos anew when the style library has changed."""
        now = self._clock()
        if now < self._due:
            return
        self._due = now + HELD_SECONDS
        held = self._ledger.jobs.all(state=JobState.HELD)
        if not held:
            return
        news = self._library.news()
        have_changed, self._news = news != self._news, news
        if have_changed:
            self._given_back.clear()
        for job in held:
            # A worker that met an input which was not whole gives its job back: that is looked at once, too.
            is_given_back = job.recipe is not None and job.id not in self._given_back
            inbox = next((inbox for inbox in inboxes if inbox.path == job.inbox), None)
            if not (have_changed or is_given_back or job.error == UNREAD):
                continue
            if job.recipe is not None:
                self._given_back.add(job.id)
            if inbox is not None:
                self._is_known(job.original, self._pair_again, inbox, job)
            elif job.inbox is None:
                self._is_known(job.original, self._admission.restock, job)

    def _pair_again(self, inbox: Inbox, job: Job) -> None:
        if job.error == UNREAD or self._ledger.seen.get(job.original) is None:
            self._read_again(inbox, job)
        else:
            self.repair(inbox, job.original)

    def follow_sidecar(self, inbox: Inbox, sidecar: Path) -> None:
        """Pair the photos of a sidecar or a mask anew; a photo that it names as a mask is none any more."""
        self._claim_masks(inbox, sidecar)
        for photo in set(photos_of(sidecar)):
            self.repair(inbox, photo)

    def _claim_masks(self, inbox: Inbox, sidecar: Path) -> None:
        for mask in masks_named_in(sidecar) if role_of(sidecar.name) is Role.ASKING else ():
            stamp = stamp_of(mask)
            if stamp is not None and self._ledger.jobs.of_photo(mask):
                self.set_mask_aside(inbox, mask, stamp)

    def set_mask_aside(self, inbox: Inbox, picture: Path, stamp: Stamp) -> bool:
        """Return whether a picture is none to paint: the raw file of one beside it, or a mask.

        It is a mask by the word of a sidecar; the photos of that are paired anew then.
        """
        if has_speaker(picture, root=inbox.path, ignore=self._config.watch.ignore):
            self._departures.cancel(picture, IS_SPOKEN_FOR)
            return True
        namers = namers_of(picture)
        if not namers:
            return False
        logger.info("%s is a mask of %s, and was left alone", picture.name, namers[0].name)
        self._ledger.seen.mark(Seen(path=picture, root=inbox.path, stamp=stamp, verdict=Verdict.MASK))
        self._departures.cancel(picture, IS_MASK)
        for photo in {photo for namer in namers for photo in photos_of(namer)}:
            self.repair(inbox, photo)
        return True

    def _leave_raws(self, scan: Scan) -> None:
        """Cancel what was to become of raw files beside which a picture of the same shot has come since."""
        for path, left in scan.left.items():
            if left is Left.RAW:
                self._departures.cancel(path, IS_SPOKEN_FOR)

    def repair(self, inbox: Inbox, photo: Path) -> None:
        """Pair a photo anew, if a job of it has not started and it is still the one that was read."""
        jobs = self._ledger.jobs.of_photo(photo)
        seen, stamp = self._ledger.seen.get(photo), stamp_of(photo)
        pending = next((job for job in jobs if job.state in PENDING), None)
        if seen is None or stamp is None or stamp != seen.stamp or pending is None:
            return
        sidecars, keywords = fingerprint(photo), seen.keywords
        if editors_part(sidecars) != editors_part(seen.sidecar):
            answer = self._reader.inspect(photo)
            keywords = answer.keywords if isinstance(answer, Readable) else keywords
        arrival = Arrival(
            path=photo,
            relative=photo.relative_to(inbox.path),
            folder=inbox.folder,
            stamp=stamp,
            sha256=seen.photo_sha256,
            copy=pending.copy,
            keywords=keywords,
        )
        self._admission.repair(arrival, [job for job in jobs if job.photo_sha256 == seen.photo_sha256])
        self._ledger.seen.mark(replace(seen, sidecar=sidecars, keywords=keywords))
        self._ledger.queue.release(photo)

    def _read_again(self, inbox: Inbox, job: Job) -> None:
        """Read a photo for a job that was retried before it ever had a style; it may be in `failed`."""
        stamp = stamp_of(job.original)
        if stamp is None and not _is_gone(inbox.folder, job.original):
            return  # its disk is not there
        arrival = GONE if stamp is None else self._arrival_of(inbox, job, stamp)
        if isinstance(arrival, Arrival):
            self._admission.repair(arrival, [job])
        else:
            self._ledger.move(
                job.id, JobState.HELD, JobState.FAILED, error=with_section(arrival, PhotoError.code)
            )

    def _arrival_of(self, inbox: Inbox, job: Job, stamp: Stamp) -> Arrival | str:
        """Return a photo that arrives once more, or why it does not.

        Raises:
            ConditionError: it cannot be read now.
        """
        try:
            answer = self._reader.inspect(job.original)
            if not isinstance(answer, Readable):
                return f"{answer.reason} {answer.remedy}".strip()
            copy, sha256 = private_copy(job.original, self._config.state_dir / "photos")
        except FileNotFoundError:
            return GONE
        return Arrival(
            path=job.original,
            relative=job.path,
            folder=inbox.folder,
            stamp=stamp,
            sha256=sha256,
            copy=copy,
            keywords=answer.keywords,
        )


def _is_gone(folder: Folder, photo: Path) -> bool:
    """Return whether it is proven that a photo is in none of the places of an inbox.

    Raises:
        ConditionError: nobody knows.
    """
    places = (folder.inbox, folder.failed, folder.archive)
    inbox = next((place for place in places if photo.is_relative_to(place)), photo.parent)
    return disk.is_gone(photo, root=inbox)


def _age(path: Path) -> float:
    """Return for how many seconds a file has not been written. Raises: ConditionError."""
    facts = disk.facts_of(path)
    return 0.0 if facts is None else time.time() - facts.st_mtime
