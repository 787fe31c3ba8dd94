"""The left half: what happens in an inbox -> settled -> read and copied -> paired -> jobs in the ledger.

One thread calls `tick`. No single bad file stops it: a file that breaks it is set aside until it changes.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.config import Config
from nst_daemon.disk import Stamp, stamp_of
from nst_daemon.errors import ConditionError
from nst_daemon.folders.companions import photos_of
from nst_daemon.folders.copies import private_copy, sweep_copies
from nst_daemon.folders.drafts import kept
from nst_daemon.folders.inbox import Inbox
from nst_daemon.folders.inboxes import Inboxes
from nst_daemon.folders.sidecars import is_whole
from nst_daemon.folders.walk import Kind, Scan, kind_of
from nst_daemon.intake.admission import Admission
from nst_daemon.intake.awaiting import Awaiting
from nst_daemon.intake.comparison import compared
from nst_daemon.intake.departures import Departures
from nst_daemon.intake.first_look import FirstLooks
from nst_daemon.intake.growing import Fate, Growing
from nst_daemon.intake.in_hand import InHand
from nst_daemon.intake.inspection import Readable, Unreadable
from nst_daemon.intake.reader import IntakeReader
from nst_daemon.intake.repairing import Repairs
from nst_daemon.intake.second_looks import SecondLooks
from nst_daemon.intake.shelf import Shelf
from nst_daemon.intake.taking import Reading, Taking
from nst_daemon.ledger import Ledger, Seen, Verdict
from nst_daemon.ledger.jobs import Problem, problem_of
from nst_daemon.system.crash import CrashPoint, crash_at

logger = logging.getLogger(__name__)

ATTEND_SECONDS: Final = 0.2  # that a tick waits for photos that are being read
LEAST_SECONDS: Final = 0.01  # … where something is due before
BLOCK_SECONDS: Final = 10.0  # between looks at a full disk
SWEEP_SECONDS: Final = 6 * 3600.0  # between two sweeps of the private copies
SWEEP_STEPS: Final = 2  # of one in a tick
HISTORY_SECONDS: Final = 90 * 86_400.0  # then a job that is done is forgotten; its result stays


class Intake:
    """Takes photos from the inboxes to the ledger. Lives on one thread, but for `is_idle`."""

    def __init__(
        self,
        *,
        config: Config,
        inboxes: Inboxes,
        reader: IntakeReader,
        ledger: Ledger,
        library: Shelf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self._inboxes = inboxes
        self._reader = reader
        self._ledger = ledger
        self._library = library
        self._clock = clock
        self._in_hand = InHand(config.watch, clock)
        self._delays = self._in_hand.delays
        self._departures = Departures(ledger, self._in_hand)
        self._admission = Admission(config=config, ledger=ledger, library=library, reader=reader)
        self._taking = Taking(reader=reader, ledger=ledger, folder=config.state_dir / "photos", clock=clock)
        self._first_looks = FirstLooks(ledger)
        self._second_looks = SecondLooks(ledger)
        self._repairs = Repairs(
            config=config,
            ledger=ledger,
            library=library,
            reader=reader,
            admission=self._admission,
            settler=self._in_hand.settler,
            departures=self._departures,
            clock=clock,
        )
        self._awaiting = Awaiting(
            config=config,
            inboxes=inboxes,
            ledger=ledger,
            in_hand=self._in_hand,
            admission=self._admission,
            repairs=self._repairs,
            clock=clock,
        )
        self._condition: ConditionError | None = None
        self._blocked_until = float("-inf")
        self._sweep_due = float("-inf")
        self._sweeping: Iterator[int] = iter(())
        self._is_idle = False
        inboxes.claim_for(ledger.facts.identity)
        inboxes.recall_mounts(ledger.facts.recall)
        self._look_back()

    def _look_back(self) -> None:
        """Pair anew what waits in the ledger, before a worker takes it from there.

        Photos and sidecars may have changed while no daemon ran.
        """
        with self._conditions():
            self._admission.follow_network()
            for inbox in self._inboxes.all:
                if inbox.is_present() and (found := inbox.read()) is not None:
                    self._look_after(inbox, found)

    def _look_after(self, inbox: Inbox, scan: Scan) -> None:
        self._first_looks.look(inbox, scan)
        self._repairs.look_after(inbox, scan)

    def is_idle(self) -> bool:
        """Return whether all that lies in the inboxes was dealt with, at the end of the last tick."""
        return self._is_idle

    def tick(self) -> bool:
        """Do what is due; return whether there is more to do at once."""
        with self._conditions():
            self._inboxes.tend()
            self._inboxes.remember_mounts(self._ledger.facts.remember)
            ours = [inbox for inbox in self._inboxes.all if self._inboxes.is_ours(inbox)]
            self._ledger.queue.set_foreign([inbox.path for inbox in self._inboxes.all if inbox not in ours])
            for inbox in ours:
                for hint in inbox.hints():
                    with self._delays.apart(hint.path):
                        self._follow(inbox, hint.path, was_written=hint.was_written)
                if inbox.is_due():
                    self._rescan(inbox)
            self._return_delayed()
            self._collect_settled()
            self._look_at_growing()
        if self._clock() >= self._blocked_until:
            with self._conditions():
                self._take_settled()
                self._awaiting.admit()
                self._repairs.look_after_held(self._inboxes.all)
                self._sweep()
                self._condition = None
        with self._conditions():
            self._ledger.problems.set("intake", self.problems())
        self._reader.rest()
        self._is_idle = self._has_nothing_to_do()
        return bool(self._in_hand.settled) and self._clock() >= self._blocked_until

    def close(self) -> None:
        """Leave what is being read, once the reader is closed."""
        self._taking.close()

    def due_in(self) -> float:
        """Return in how many seconds the next photo will have settled, or waited for its sidecar."""
        now = self._clock()
        return max(self._in_hand.next_due(), self._blocked_until) - now

    def problems(self) -> list[Problem]:
        """Return what a user could mend."""
        return self._problems(at_once=False)

    def unfinished(self) -> list[Problem]:
        """Return why something that lies in an inbox was not taken in, also where it is early to complain."""
        return self._problems(at_once=True)

    def _problems(self, *, at_once: bool) -> list[Problem]:
        found = self._inboxes.problems() + self._library.problems()
        if self._condition is not None:
            found.append(problem_of(self._condition))
        found += self._in_hand.problems(at_once=at_once)
        return list(dict.fromkeys(found))

    def _has_nothing_to_do(self) -> bool:
        """Return whether nothing more can be done without a person, or before a disk answers again."""
        return self._in_hand.is_quiet() and all(inbox.has_been_read for inbox in self._inboxes.all)

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

    def _return_delayed(self) -> None:
        for path in self._delays.due():
            inbox = self._inboxes.inbox_of(path)
            if inbox is None:
                self._delays.forget(path)
                continue
            with self._delays.apart(path):
                if inbox.is_present():
                    self._come_back(inbox, path)

    def _come_back(self, inbox: Inbox, path: Path) -> None:
        """Look again at a file that had to wait."""
        if kind_of(path.relative_to(inbox.path)) is Kind.SIDECAR:
            self._delays.forget(path)
            self._repairs.follow_sidecar(inbox, path)
        elif (stamp := stamp_of(path)) is None:
            self._departures.gone(inbox, path)
        elif self._is_dealt_with(path, stamp):
            self._delays.forget(path)
        else:
            self._in_hand.settler.notice(path)

    # What happened.

    def _follow(self, inbox: Inbox, path: Path, *, was_written: bool) -> None:
        """Look at one path at which something happened."""
        if kind_of(path.relative_to(inbox.path)) is Kind.SIDECAR:
            return self._follow_sidecar(inbox, path, was_written=was_written)
        stamp = stamp_of(path)
        if stamp is None:
            self._departures.gone(inbox, path)
        elif disk.is_file(path) and not self._is_dealt_with(path, stamp):
            self._notice(path, stamp, was_written=was_written)
        return None

    def _follow_sidecar(self, inbox: Inbox, path: Path, *, was_written: bool) -> None:
        """Let a sidecar settle; one that is whole says so of its photo as well, and nobody waits."""
        self._in_hand.settler.notice(path, was_touched=was_written)
        if not is_whole(path):
            return self._repairs.expect(path)
        for photo in photos_of(path):
            self._follow(inbox, photo, was_written=False)
            self._in_hand.settler.trust(photo)
        return self._in_hand.settler.trust(path)

    def _is_dealt_with(self, path: Path, stamp: Stamp) -> bool:
        seen = self._ledger.seen.get(path)
        return seen is not None and seen.stamp == stamp

    def _notice(self, path: Path, stamp: Stamp, *, was_written: bool = False) -> None:
        if self._in_hand.notice(path, stamp, was_written=was_written):
            self._reader.prepare()

    def _rescan(self, inbox: Inbox) -> None:
        """Hold everything that lies in an inbox against what the ledger has seen."""
        is_first = not inbox.has_been_read
        result = inbox.rescan()
        if result is None:
            return
        news = compared(result.found, self._ledger.seen.marks(inbox.path))
        if not is_first:
            unknown = [each for each in news.fresh if not self._in_hand.knows(each.path, each.stamp)]
            inbox.note_unreported(unknown, now=time.time())
        for each in news.fresh:
            with self._delays.apart(each.path):
                self._notice(each.path, each.stamp)
        if result.is_complete:
            for path in news.gone:
                with self._delays.apart(path):
                    self._departures.gone(inbox, path, was_read=True)
        self._look_after(inbox, result)
        self._second_looks.look(inbox.path)

    def _collect_settled(self) -> None:
        for path in self._in_hand.settler.settled():
            inbox = self._inboxes.inbox_of(path)
            if inbox is None:
                continue
            if kind_of(path.relative_to(inbox.path)) is Kind.PHOTO:
                self._in_hand.settled[path] = None
                crash_at(CrashPoint.SETTLED)
            else:
                with self._delays.apart(path):
                    self._repairs.follow_sidecar(inbox, path)

    def _look_at_growing(self) -> None:
        for path in self._in_hand.incomplete.paths():
            inbox = self._inboxes.inbox_of(path)
            with self._delays.apart(path):
                fate = self._in_hand.incomplete.fate_of(path)
                if fate is Fate.WAITS or inbox is None or not inbox.is_present():
                    continue
                growing = self._in_hand.incomplete.pop(path)
                if growing is not None:
                    self._let_go(inbox, path, growing, fate)

    def _let_go(self, inbox: Inbox, path: Path, growing: Growing, fate: Fate) -> None:
        """Do with a picture that was not whole what is to be done with it now."""
        answer = growing.answer
        if fate is Fate.SETTLES or answer is None:
            self._in_hand.settler.notice(path)
        elif isinstance(answer, Readable):
            self._accept(inbox, path, growing.stamp, answer)
        else:
            self._fail(inbox, path, growing.stamp, answer)

    def _fail(self, inbox: Inbox, path: Path, stamp: Stamp, answer: Unreadable) -> None:
        reason = f"{answer.reason} {answer.remedy}".strip()
        try:
            has_failed = self._admission.fail(path, inbox.folder, stamp, reason)
        except FileNotFoundError:
            return self._departures.gone(inbox, path)
        return self._delays.forget(path) if has_failed else self._in_hand.settler.notice(path)

    # Settled photos. Each stays in the queue until it is dealt with: it may be gone before it is read.

    def _take_settled(self) -> None:
        """Have settled photos read, and deal with those that were."""
        self._begin_settled()
        self._taking.attend(min(max(self.due_in(), LEAST_SECONDS), ATTEND_SECONDS))
        while self._take_returned():
            pass

    def _begin_settled(self) -> None:
        settled, taking = self._in_hand.settled, self._taking
        while (path := next((each for each in settled if not taking.holds(each)), None)) is not None:
            if not taking.has_room():
                return
            inbox = self._inboxes.inbox_of(path)
            with self._delays.apart(path):
                if inbox is not None and inbox.is_present():
                    self._begin(inbox, path)
            if not taking.holds(path):
                settled.pop(path, None)

    def _begin(self, inbox: Inbox, path: Path) -> None:
        stamp = stamp_of(path)
        if stamp is None:
            return self._departures.gone(inbox, path)
        if self._repairs.set_mask_aside(inbox, path, stamp):
            return None
        if self._in_hand.incomplete.is_being_written(path):
            return self._in_hand.incomplete.put(path, stamp, None)
        return self._taking.begin(path, stamp)

    def _take_returned(self) -> bool:
        """Deal with a photo that was read; False: there is none."""
        with self._taking.returned() as reading:
            if reading is None:
                return False
            self._begin_settled()  # its reader is free
            path = reading.path
            inbox = self._inboxes.inbox_of(path)
            with self._delays.apart(path):
                if inbox is not None and path in self._in_hand.settled:  # else it has gone meanwhile
                    self._take_in(inbox, reading)
            self._in_hand.settled.pop(path, None)
        return True

    def _take_in(self, inbox: Inbox, reading: Reading) -> None:
        path, stamp = reading.path, reading.stamp
        try:
            taken = reading.taken.result()
        except FileNotFoundError:
            return self._in_hand.settler.notice(path)
        if stamp_of(path) != stamp:  # it was written while it was read
            return self._in_hand.settler.notice(path)
        crash_at(CrashPoint.INSPECTED)
        answer = taken.inspection
        if answer.may_grow:
            return self._in_hand.incomplete.put(path, stamp, answer)
        if not isinstance(answer, Readable):
            return self._fail(inbox, path, stamp, answer)
        if taken.sha256 is None:
            return self._accept(inbox, path, stamp, answer)
        try:
            copy = kept(reading.draft, path, taken.sha256)
        except FileNotFoundError:  # somebody has cleared our folder
            return self._in_hand.settler.notice(path)
        return self._awaiting.put(inbox, path, stamp, answer, copy, taken.sha256)

    def _accept(self, inbox: Inbox, path: Path, stamp: Stamp, answer: Readable) -> None:
        """Take in what was not copied while it was read: a painting, or a picture that looked odd."""
        if answer.provenance is not None:
            logger.info("%s is a painting of ours, and was left alone", path.name)
            self._delays.forget(path)
            return self._ledger.seen.mark(
                Seen(path=path, root=inbox.path, stamp=stamp, verdict=Verdict.PAINTING)
            )
        try:
            copy, sha256 = private_copy(path, self.config.state_dir / "photos")
        except FileNotFoundError:
            return self._departures.gone(inbox, path)
        if stamp_of(path) != stamp:
            return self._in_hand.settler.notice(path)
        return self._awaiting.put(inbox, path, stamp, answer, copy, sha256)

    def _sweep(self) -> None:
        """Begin a sweep of the private copies, or go on with one: a few steps at each tick."""
        if self._clock() >= self._sweep_due:
            self._sweep_due = self._clock() + SWEEP_SECONDS
            self._sweeping = sweep_copies(self.config.state_dir / "photos", self._ledger.jobs.copies)
            if count := self._ledger.prune(time.time() - HISTORY_SECONDS):
                logger.info("%d jobs that ended long ago were forgotten", count)
        for _ in islice(self._sweeping, SWEEP_STEPS):
            pass
