"""One inbox: watched for events and read anew at intervals.

The reading is the truth and the events are hints: under load, systems lose events and do not say so, and
network shares send none. An event's handler only puts a path into a set: an exception in it would end the
watching for good (watchdog#427, #793).
"""

import contextlib
import logging
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from nst_daemon import disk
from nst_daemon.config import Folder, Watch
from nst_daemon.disk.files import TEMPORARY, is_left_over
from nst_daemon.errors import ConditionError, FileConditionError, Trouble
from nst_daemon.folders import mounts
from nst_daemon.folders.gate import left_by_name
from nst_daemon.folders.hints import Hint
from nst_daemon.folders.leftovers import Leftovers
from nst_daemon.folders.walk import Found, Kind, Scan, kind_of, scan
from nst_daemon.folders.watching import PROBE, Watcher, Watching
from nst_daemon.ledger.jobs import Problem, problem_of

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 2.0  # between two readings of an inbox that sends no events
POLL_SHARE: Final = 0.05  # of the time at most goes into reading
HEALTH_SECONDS: Final = 1.0  # between two looks at the watching
LATE_SECONDS: Final = 10.0  # a file that lay there for so long without an event: the event was lost
SHOWN_SECONDS: Final = 600.0  # lost events are shown for so long
READ_AGAIN_SECONDS: Final = 5.0  # an inbox is read anew so soon where something in it could not be looked at
UNREAD: Final = "unread"  # the key of the problem of an inbox that cannot be read
SECOND_LOOK_SECONDS: Final = 2.0  # a folder is read again so long after it appeared: see `hints`


def sweep(inbox: Path) -> None:
    """Remove the probes, and other files of ours, that a crash left in an inbox.

    Raises:
        ConditionError: the inbox cannot be read, or one of them not be removed.
    """
    with contextlib.suppress(FileNotFoundError):
        for entry in disk.entries_of(inbox):
            name = entry.name
            if name.startswith(PROBE) or (name.startswith(TEMPORARY) and is_left_over(entry.path)):
                disk.remove(entry.path)


class Inbox:
    """One inbox, and what is in it. Lives on the intake's thread."""

    def __init__(
        self,
        folder: Folder,
        watch: Watch,
        *,
        clock: Callable[[], float] = time.monotonic,
        mount_point_of: Callable[[Path], Path] = mounts.mount_point_of,
        mounts_below: Callable[[Path], frozenset[Path]] = mounts.mounts_below,
        **watching: Any,  # what else the watcher takes
    ) -> None:
        self.folder = folder
        self.path = folder.inbox
        self.watcher = Watcher(self.path, watch, clock=clock, **watching)
        self.expected_mount: Path | None = None  # the disk that the inbox was on before
        self.mounts: frozenset[Path] = frozenset()  # disks that were seen mounted in sub-folders
        self._watch = watch
        self._clock = clock
        self._mount_point_of = mount_point_of
        self._mounts_below = mounts_below
        self._next_look = 0.0
        self._next_scan = 0.0
        self._scan_seconds = 0.0
        self._lost = (0, float("-inf"))  # how many events were lost, and when that was seen
        self._trouble: dict[str, Problem] = {}  # by code, or by what could not be read
        self._second_looks: dict[Path, float] = {}  # new folders, and when they are read again
        self._leftovers = Leftovers(self.path, watch.ignore)
        self.has_been_read = False

    # Is it there?

    def is_present(self) -> bool:
        """Return whether the inbox is there, on the disk where it belongs, and answers."""
        try:
            mount = self._mount_point_of(self.path)
            absence = mounts.absence_of(self.path, mount=mount, expected=self.expected_mount)
        except FileConditionError as error:
            self._show_condition(error)
            return False
        if absence is None:
            self.expected_mount = mount
            self._trouble.pop("inbox_missing", None)
            return True
        what, remedy = absence
        if "inbox_missing" not in self._trouble:
            logger.warning("The inbox %s %s", self.path, what)
        self._trouble["inbox_missing"] = Problem(
            code="inbox_missing", message=f"The inbox {self.path} {what}.", remedy=remedy
        )
        return False

    def has_lost(self, path: Path) -> bool:
        """Return whether a path lay on a disk in a sub-folder that is not mounted any more."""
        lost = self.mounts - self._mounts_below(self.path)
        return any(path.is_relative_to(folder) for folder in lost)

    def _show_condition(self, error: FileConditionError) -> None:
        """Show why the inbox itself cannot be looked at, until a reading succeeds."""
        condition = error.named("inbox")
        if UNREAD not in self._trouble:
            logger.warning("The inbox %s cannot be read: %s", self.path, condition)
        self._trouble[UNREAD] = problem_of(condition)

    # Is it watched?

    def tend(self) -> None:
        """Keep the watching alive. Cheap; call it every tick."""
        self.watcher.judge_probe()
        now = self._clock()
        if now < self._next_look:
            return
        self._next_look = now + HEALTH_SECONDS
        if not self.is_present():
            self.watcher.stop()
            self.has_been_read = True  # there is nothing to read
        elif self.watcher.tend():
            self._next_scan = now  # whatever came while nobody watched

    # What is in it.

    def hints(self) -> list[Hint]:
        """Return the paths at which something happened since the last call, those in new folders as well.

        What is put into a new folder before its watch is set up raises no event: it is read a second time.
        """
        collector = self.watcher.collector
        if collector.has_overflown:
            collector.has_overflown = False
            self._next_scan = self._clock()
        found: dict[Path, Hint] = {}
        for text in collector.drain():
            path = Path(text)
            if path == self.path or not path.is_relative_to(self.path):
                continue
            if self._is_folder(path):
                found |= self._hints_below(path)
                self._second_looks[path] = self._clock() + SECOND_LOOK_SECONDS
            elif kind_of(path.relative_to(self.path), self._watch.ignore) is not Kind.OTHER:
                found[path] = Hint(path, was_written=True)
            else:
                self._leftovers.notice(path)
        for folder, due in list(self._second_looks.items()):
            if self._clock() >= due:
                del self._second_looks[folder]
                found = self._hints_below(folder) | found
        return list(found.values())

    def _hints_below(self, folder: Path) -> dict[Path, Hint]:
        return {each.path: Hint(each.path, was_written=False) for each in self._scan_below(folder)}

    def _is_folder(self, path: Path) -> bool:
        try:
            facts = disk.facts_of(path)
        except ConditionError:
            self.read_again()  # it tells, and finds what is there
            return False
        return facts is not None and stat.S_ISDIR(facts.st_mode)

    def _scan_below(self, folder: Path) -> list[Found]:
        if not self._watch.recursive or left_by_name(folder.relative_to(self.path), is_folder=True):
            return []
        result = scan(self.path, ignore=self._watch.ignore, below=folder)
        if not result.is_complete:
            self.read_again()
        return result.found

    def read_again(self) -> None:
        """Read the inbox anew soon: of something in it nobody knows at the moment."""
        self._next_scan = min(self._next_scan, self._clock() + READ_AGAIN_SECONDS)

    def is_watched(self) -> bool:
        """Return whether the inbox is there and looked at."""
        return self.watcher.state is not Watching.OFF

    def leave_to_another(self, *, is_certain: bool) -> None:
        """Put the reading off; it is due as soon as this inbox is ours, which it may be in a moment."""
        self.has_been_read = is_certain
        self._next_scan = self._clock()

    def is_due(self) -> bool:
        """Return whether the inbox is to be read anew."""
        return self.is_watched() and self._clock() >= self._next_scan

    def read(self) -> Scan | None:
        """Return what is in the inbox; None if it is not there, or cannot be read, which shows."""
        try:
            result = scan(self.path, recursive=self._watch.recursive, ignore=self._watch.ignore)
        except FileNotFoundError:
            return None
        except FileConditionError as error:
            self._show_condition(error)
            return None
        self._trouble.pop(UNREAD, None)
        present = self._mounts_below(self.path)
        lost = mounts.lost_in(self.path, before=self.mounts, now=present)
        self.mounts = present | {error.path for error in lost}
        result.unknown += lost
        self._show_unknown(result.unknown)
        self._leftovers.replace(result.left)
        return result

    def rescan(self) -> Scan | None:
        """Return what is in the inbox, and let some time pass until the next reading."""
        begun = time.perf_counter()
        result = self.read()
        if result is None:
            self._next_look = 0.0
            self._next_scan = self._clock() + HEALTH_SECONDS
            self.has_been_read = self.has_been_read or UNREAD in self._trouble  # as far as it can be
            return None
        self._scan_seconds = time.perf_counter() - begun
        self._next_scan = self._clock() + (self._interval() if result.is_complete else READ_AGAIN_SECONDS)
        self.has_been_read = True
        return result

    def _interval(self) -> float:
        most = self._watch.rescan_seconds
        if self.watcher.state is not Watching.POLLING:
            return most
        return min(most, max(POLL_SECONDS, self._scan_seconds / POLL_SHARE))

    def _show_unknown(self, errors: Sequence[FileConditionError]) -> None:
        """Show the first of what cannot be looked at below the inbox, for each kind of trouble."""
        for trouble in Trouble:
            key = f"{UNREAD} below: {trouble}"
            of_kind = [error for error in errors if error.trouble is trouble]
            known = self._trouble.pop(key, None)
            if not of_kind:
                continue
            place = "folder" if trouble is Trouble.UNREADABLE else "inbox"
            self._trouble[key] = problem = problem_of(of_kind[0].named(place), more=len(of_kind) - 1)
            if known is None:
                logger.warning("%s %s", problem.message, problem.remedy)

    def note_unreported(self, found: Sequence[Found], *, now: float) -> None:
        """Hear of files that a reading found and no event had named; `now` in seconds since 1970.

        Where they lay there for long, events were lost: the kernel's queue has overflown.
        """
        is_native = self.watcher.state is Watching.NATIVE
        late = [each for each in found if now - each.changed > LATE_SECONDS]
        if is_native and late and self._clock() - self.watcher.since > self._watch.rescan_seconds / 2:
            self._lost = (len(late), self._clock())
            logger.warning("%d files came to %s without an event; none is lost", len(late), self.path)

    def problems(self) -> list[Problem]:
        """Return what a user could mend."""
        count, moment = self._lost
        lost = Problem(
            code="events_lost",
            message=f"The system did not report {count} files in {self.path}; they were found all the same.",
            remedy="sudo sysctl fs.inotify.max_queued_events=131072, or a smaller rescan_seconds.",
        )
        is_lost = self._clock() - moment < SHOWN_SECONDS
        limit = self.watcher.problem
        found = [*self._trouble.values(), *([limit] if limit else []), *([lost] if is_lost else [])]
        return found + self._leftovers.problems()

    def close(self) -> None:
        """Stop watching."""
        self.watcher.stop()
