"""The left half: what happens in an inbox -> settled -> read and copied -> paired -> jobs in the ledger.

One thread calls `tick`. No single bad file stops it: a file that breaks it is set aside until it changes.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from nst_daemon.admission import GONE, UNFINISHED, Admission, Reader, seen_as, stamp_seen
from nst_daemon.arrivals import Arrival, Growing, Styles, Waiting, problems_of
from nst_daemon.config import Config
from nst_daemon.copies import private_copy, sweep_copies
from nst_daemon.crash import CrashPoint, crash_at
from nst_daemon.disk import Stamp, stamp_of
from nst_daemon.errors import ConditionError, PhotoError
from nst_daemon.inbox.inbox import Inbox
from nst_daemon.inbox.walk import Found, Kind, kind_of
from nst_daemon.inbox.watching import Root
from nst_daemon.inspector import Readable, Unreadable
from nst_daemon.jobs import Problem
from nst_daemon.ledger import Ledger, Verdict
from nst_daemon.mending import Mender
from nst_daemon.settling import Settler
from nst_daemon.sidecars import fingerprint, sidecars_beside

logger = logging.getLogger(__name__)

GRACE_SECONDS: Final = 30.0  # a copy that stands still in its middle for longer was broken off
BLOCK_SECONDS: Final = 10.0  # between looks at a full disk
SWEEP_SECONDS: Final = 6 * 3600.0  # between two sweeps of the private copies
HISTORY_SECONDS: Final = 90 * 86_400.0  # then a job that is done is forgotten; its result stays
REPLACED: Final = "the photo was replaced by another of the same name"


class Intake:
    """Takes photos from the inboxes to the ledger. Lives on one thread, but for `is_idle`."""

    def __init__(
        self,
        *,
        config: Config,
        inbox: Inbox,
        inspector: Reader,
        ledger: Ledger,
        library: Styles,
        clock: Callable[[], float] = time.monotonic,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self.config = config
        self._inbox = inbox
        self._inspector = inspector
        self._ledger = ledger
        self._library = library
        self._clock = clock
        watch = config.watch
        self._grace = max(grace_seconds, 3 * watch.settle_seconds)
        self._settler = Settler(watch.settle_seconds, clock, max_wait=watch.max_wait_seconds)
        self._admission = Admission(ledger=ledger, library=library, reader=inspector)
        self._mender = Mender(
            config=config,
            ledger=ledger,
            library=library,
            reader=inspector,
            admission=self._admission,
            settler=self._settler,
            on_gone=self._gone,
            clock=clock,
        )
        self._ready: dict[Path, None] = {}  # settled; a queue without doubles
        self._growing: dict[Path, Growing] = {}
        self._waiting: dict[Path, Waiting] = {}
        self._forbidden: dict[Path, None] = {}  # may not be read
        self._broke_us: dict[Path, Stamp | None] = {}
        self._condition: ConditionError | None = None
        self._blocked_until = float("-inf")
        self._sweep_due = float("-inf")
        self._mounts: dict[Path, Path | None] = {}
        self._is_idle = False
        inbox.claim_for(ledger.identity)
        for root in inbox.roots:
            known = ledger.recall(f"mount {root.path}")
            root.expected_mount = self._mounts[root.path] = None if known is None else Path(known)
        self._look_back()

    def _look_back(self) -> None:
        """Mend what waits in the ledger, before a worker takes it from there.

        Photos and sidecars may have changed while no daemon ran.
        """
        with self._conditions():
            for root in self._inbox.roots:
                if root.is_present() and (found := root.read()) is not None:
                    self._mender.look_after(root, found)

    def is_idle(self) -> bool:
        """Return whether all that lies in the inboxes was dealt with, at the end of the last tick."""
        return self._is_idle

    def tick(self) -> bool:
        """Do what is due; return whether there is more to do at once."""
        with self._conditions():
            self._inbox.tend()
            self._remember_mounts()
            ours = [root for root in self._inbox.roots if self._inbox.is_ours(root)]
            self._ledger.set_foreign([root.path for root in self._inbox.roots if root not in ours])
            for root in ours:
                for hint in root.hints():
                    self._follow(root, hint.path, was_written=hint.was_written)
                if root.is_due():
                    self._rescan(root)
            self._collect_settled()
            self._watch_growing()
        if self._clock() >= self._blocked_until:
            with self._conditions():
                self._take_next()
                self._admit_waiting()
                self._mender.look_after_held(self._inbox.roots)
                self._sweep()
                self._condition = None
        with self._conditions():
            self._ledger.set_problems("intake", self.problems())
        self._inspector.rest()
        self._is_idle = self._has_nothing_to_do()
        return bool(self._ready) and self._clock() >= self._blocked_until

    def due_in(self) -> float:
        """Return in how many seconds the next photo will have settled, or waited for its sidecar."""
        now = self._clock()
        dues = [self._settler.next_due(), *(waiting.due for waiting in self._waiting.values())]
        return max(min(dues), self._blocked_until) - now

    def problems(self) -> list[Problem]:
        """Return what a user could mend."""
        found = self._inbox.problems()
        if self._condition is not None:
            error = self._condition
            found.append(Problem(code=error.code, message=error.message, remedy=error.remedy))
        found += problems_of(
            restless=self._settler.restless(), forbidden=self._forbidden, broken=self._broke_us
        )
        return found

    def _has_nothing_to_do(self) -> bool:
        in_hand = len(self._ready) + len(self._growing) + len(self._waiting)
        is_quiet = len(self._settler) <= len(self._settler.restless())
        return not in_hand and is_quiet and all(root.has_been_read for root in self._inbox.roots)

    @contextmanager
    def _conditions(self) -> Iterator[None]:
        """Wait where the machine is at fault: nothing is lost, the photos are still in the inbox."""
        try:
            yield
        except ConditionError as error:
            if self._condition is None or self._condition.code != error.code:
                logger.warning("The intake waits: %s", error)
            self._condition = error
            self._blocked_until = self._clock() + BLOCK_SECONDS

    def _remember_mounts(self) -> None:
        for root in self._inbox.roots:
            if root.expected_mount != self._mounts[root.path]:
                self._mounts[root.path] = root.expected_mount
                self._ledger.remember(f"mount {root.path}", str(root.expected_mount))

    # What happened.

    def _follow(self, root: Root, path: Path, *, was_written: bool) -> None:
        """Look at one path at which something happened."""
        if kind_of(path.relative_to(root.path)) is Kind.SIDECAR:
            self._settler.notice(path, was_touched=was_written)
            return self._mender.expect(path)
        stamp = stamp_of(path)
        if stamp is None:
            self._gone(root, path)
        elif path.is_file() and not path.is_symlink() and not self._is_dealt_with(path, stamp):
            self._notice(path, was_written=was_written)
        return None

    def _is_dealt_with(self, path: Path, stamp: Stamp) -> bool:
        seen = self._ledger.seen(path)
        return seen is not None and stamp_seen(seen) == stamp

    def _notice(self, path: Path, *, was_written: bool = False) -> None:
        if not self._is_in_hand(path):
            self._growing.pop(path, None)
            self._broke_us.pop(path, None)
            self._settler.notice(path, was_touched=was_written)
            self._inspector.prepare()

    def _is_in_hand(self, path: Path) -> bool:
        if path in self._ready or path in self._waiting:
            return True
        growing = self._growing.get(path)
        if growing is not None:
            return stamp_of(path) == growing.stamp
        return path in self._broke_us and stamp_of(path) == self._broke_us[path]

    def _rescan(self, root: Root) -> None:
        """Hold everything that lies in an inbox against what the ledger has seen."""
        is_first = not root.has_been_read
        result = root.rescan()
        if result is None:
            return
        seen = self._ledger.seen_under(root.path)
        fresh: list[Found] = []
        for found in result.found:
            known = seen.pop(found.path, None)
            if found.kind is Kind.SIDECAR:
                continue
            if known is None or stamp_seen(known) != found.stamp:
                fresh.append(found)
            elif known.verdict is Verdict.UNREADABLE:
                self._admission.put_aside(found.path, root.folder)
        if not is_first:
            unknown = [
                each for each in fresh if each.path not in self._settler and not self._is_in_hand(each.path)
            ]
            root.note_unreported(unknown, now=time.time())
        for each in fresh:
            self._notice(each.path)
        if result.is_complete:
            for path in seen:
                self._gone(root, path)
        self._mender.look_after(root, result)

    def _gone(self, root: Root, path: Path) -> None:
        """Forget a photo that has left its inbox, and cancel what was to become of it."""
        if os.path.lexists(path) or not root.is_present():
            return
        for in_hand in (self._ready, self._growing, self._waiting, self._forbidden, self._broke_us):
            in_hand.pop(path, None)
        self._settler.forget(path)
        self._ledger.forget_seen(path)
        for job in self._ledger.jobs_of_photo(path):
            if job.state in UNFINISHED and not job.cancel_requested:
                logger.info("job %d was cancelled: %s is gone", job.id, job.photo)
                self._ledger.cancel(job.id, reason=GONE)

    def _collect_settled(self) -> None:
        for path in self._settler.settled():
            root = self._inbox.root_of(path)
            if root is None:
                continue
            if kind_of(path.relative_to(root.path)) is Kind.PHOTO:
                self._ready[path] = None
                crash_at(CrashPoint.SETTLED)
            else:
                self._mender.follow_sidecar(root, path)

    def _watch_growing(self) -> None:
        for path, growing in list(self._growing.items()):
            root = self._inbox.root_of(path)
            if stamp_of(path) != growing.stamp:
                del self._growing[path]
                self._settler.notice(path)
            elif root is not None and self._clock() - growing.since >= self._grace:
                del self._growing[path]
                self._fail(root, path, growing.stamp, growing.answer)

    def _fail(self, root: Root, path: Path, stamp: Stamp, answer: Unreadable) -> None:
        reason = f"{answer.reason} {answer.remedy}".strip()
        try:
            has_failed = self._admission.fail(path, root.folder, stamp, reason)
        except FileNotFoundError:
            return self._gone(root, path)
        return None if has_failed else self._settler.notice(path)

    # One settled photo.

    def _take_next(self) -> None:
        if not self._ready:
            return
        path = next(iter(self._ready))
        root = self._inbox.root_of(path)
        try:
            if root is not None and root.is_present():
                self._take_in(root, path)
        except ConditionError:
            raise  # it stays where it is in the queue
        except Exception:  # a bug: this photo is set aside, the others go on
            logger.exception("%s could not be taken in", path)
            self._broke_us[path] = stamp_of(path)
        self._ready.pop(path, None)

    def _take_in(self, root: Root, path: Path) -> None:
        stamp = stamp_of(path)
        if stamp is None:
            return self._gone(root, path)
        if self._mender.set_mask_aside(root, path, stamp):
            return None
        if not os.access(path, os.R_OK):
            self._forbidden[path] = None
            return None
        self._forbidden.pop(path, None)
        answer = self._inspector.inspect(path)
        if stamp_of(path) != stamp:  # it was written while it was read
            return self._settler.notice(path)
        crash_at(CrashPoint.INSPECTED)
        if isinstance(answer, Readable):
            return self._accept(root, path, stamp, answer)
        if answer.may_grow:
            self._growing[path] = Growing(stamp, self._clock(), answer)
            return None
        return self._fail(root, path, stamp, answer)

    def _accept(self, root: Root, path: Path, stamp: Stamp, answer: Readable) -> None:
        if answer.provenance is not None:
            logger.info("%s is a painting of ours, and was left alone", path.name)
            return self._ledger.mark_seen(seen_as(Verdict.PAINTING, path, root.path, stamp))
        try:
            copy, sha256 = private_copy(path, self.config.state_dir / "photos")
        except FileNotFoundError:
            return self._gone(root, path)
        except PhotoError as error:
            logger.warning("%s", error)
            self._forbidden[path] = None
            return None
        if stamp_of(path) != stamp:
            return self._settler.notice(path)
        arrival = Arrival(
            path=path,
            relative=path.relative_to(root.path),
            folder=root.folder,
            stamp=stamp,
            sha256=sha256,
            copy=copy,
            keywords=answer.keywords,
        )
        self._waiting[path] = Waiting(arrival, fingerprint(path), self._sidecar_due(path))
        return None

    def _sidecar_due(self, path: Path) -> float:
        """Return until when a photo waits for a sidecar: not at all if one is there and stands still."""
        watch, now = self.config.watch, self._clock()
        ages = [time.time() - sidecar.stat().st_mtime for sidecar in sidecars_beside(path)]
        if not ages:
            return now + watch.sidecar_seconds
        return now if min(ages) >= watch.settle_seconds else now + watch.settle_seconds

    def _admit_waiting(self) -> None:
        now = self._clock()
        for path, waiting in list(self._waiting.items()):
            if now < waiting.due:
                continue
            sidecars = fingerprint(path)
            if sidecars != waiting.sidecars:  # one has come: it has to stand still, too
                waiting.sidecars, waiting.due = sidecars, now + self.config.watch.settle_seconds
                continue
            try:
                self._admit(path, waiting)
            except ConditionError:
                raise
            except Exception:  # a bug: this photo is set aside, the others go on
                logger.exception("%s could not be paired", path)
                self._broke_us[path] = waiting.arrival.stamp
            self._waiting.pop(path, None)

    def _admit(self, path: Path, waiting: Waiting) -> None:
        arrival = waiting.arrival
        root = self._inbox.root_of(path)
        if root is None or stamp_of(path) != arrival.stamp:
            return self._settler.notice(path)
        if self._mender.set_mask_aside(root, path, arrival.stamp):  # its sidecar has come meanwhile
            return None
        for job in self._ledger.jobs_of_photo(path):
            if job.state in UNFINISHED and job.photo_sha256 != arrival.sha256:
                self._ledger.cancel(job.id, reason=REPLACED)
        verdict = self._admission.admit(arrival)
        crash_at(CrashPoint.ADDED)
        if verdict is None:
            return self._settler.notice(path)
        seen = seen_as(verdict, path, root.path, arrival.stamp)
        return self._ledger.mark_seen(
            replace(seen, photo_sha256=arrival.sha256, keywords=arrival.keywords, sidecar=waiting.sidecars)
        )

    def _sweep(self) -> None:
        if self._clock() >= self._sweep_due:
            self._sweep_due = self._clock() + SWEEP_SECONDS
            sweep_copies(self.config.state_dir / "photos", self._ledger.copies())
            if count := self._ledger.prune(time.time() - HISTORY_SECONDS):
                logger.info("%d jobs that ended long ago were forgotten", count)
