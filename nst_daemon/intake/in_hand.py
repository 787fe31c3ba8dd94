"""Photos on their way from an inbox to the ledger: settling, not whole, delayed, or short of a sidecar.

What is in hand is only remembered: after a restart the inbox is read, and tells of all of it again.
"""

from collections.abc import Callable
from pathlib import Path

from nst_daemon.config import Watch
from nst_daemon.disk import Stamp
from nst_daemon.intake.arrivals import AwaitingSidecar, restless_problem
from nst_daemon.intake.delays import Delays, of_photo
from nst_daemon.intake.growing import Incomplete
from nst_daemon.intake.settling import Settler
from nst_daemon.ledger.jobs import Problem, problem_of


class InHand:
    """Each of the states before a photo is a job. Lives on the intake's thread."""

    def __init__(self, watch: Watch, clock: Callable[[], float]) -> None:
        self.settler = Settler(watch.settle_seconds, clock, max_wait=watch.max_wait_seconds)
        self.settled: dict[Path, None] = {}  # a queue without doubles
        self.incomplete = Incomplete(clock, max_wait=watch.max_wait_seconds)
        self.awaiting: dict[Path, AwaitingSidecar] = {}
        self.delays = Delays(clock)

    def holds(self, path: Path, stamp: Stamp) -> bool:
        """Return whether a photo is past its settling, as it is now."""
        if path in self.settled or path in self.awaiting:
            return True
        return self.incomplete.holds(path, stamp) or self.delays.holds(path, stamp)

    def knows(self, path: Path, stamp: Stamp) -> bool:
        """Return whether a photo is in any of the states."""
        return path in self.settler or self.holds(path, stamp)

    def notice(self, path: Path, stamp: Stamp, *, was_written: bool = False) -> bool:
        """Let a photo settle, unless it has; return whether it is to."""
        if self.holds(path, stamp):
            return False
        self.incomplete.pop(path)
        self.settler.notice(path, was_touched=was_written)
        return True

    def forget(self, path: Path) -> None:
        """Forget a photo that has gone."""
        self.settled.pop(path, None)
        self.awaiting.pop(path, None)
        self.incomplete.pop(path)
        self.delays.forget(path)
        self.settler.forget(path)

    def next_due(self) -> float:
        """Return when the next photo will have settled, or waited for its sidecar; infinity: none."""
        return min(self.settler.next_due(), *(photo.due for photo in self.awaiting.values()), float("inf"))

    def is_quiet(self) -> bool:
        """Return whether nothing more can be done without a person, or before a disk answers again."""
        if self.settled or self.awaiting or not self.delays.lasts():
            return False
        return len(self.settler) <= len(self.settler.restless())

    def problems(self, *, at_once: bool) -> list[Problem]:
        """Return what keeps photos from being taken in; `at_once`: also where it is early to complain."""
        unknown = [of_photo(error) for error in self.settler.unknown()]
        found = [problem_of(unknown[0], more=len(unknown) - 1)] if unknown else []
        found += restless_problem(self.settler.restless())
        found += self.incomplete.problems(at_once=at_once)
        return found + self.delays.problems()
