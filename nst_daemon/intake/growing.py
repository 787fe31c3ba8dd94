"""Pictures in an inbox that are not whole yet, and for how long their writer is waited for.

A guess about time never ends in a deed that cannot be undone: a file that is empty, open for writing, or has
a download's other half beside it is waited for without an end.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nst_daemon import disk
from nst_daemon.disk import Stamp
from nst_daemon.folders.gate import PARTNER_ENDS
from nst_daemon.intake.inspection import Readable, Unreadable
from nst_daemon.ledger.jobs import Problem, shown


class Fate(StrEnum):
    """What is to become of a picture that was not whole when it was looked at."""

    WAITS = "waits"
    SETTLES = "settles"  # it has changed, or its writer has closed it: it is looked at anew
    ACCEPTED = "accepted"  # it looked odd, and stays as it is
    FAILED = "failed"  # it breaks off, and nobody writes it


@dataclass(frozen=True, slots=True)
class Growing:
    """A picture that is not whole, or may not be; `answer` is None while somebody has it open for writing."""

    stamp: Stamp
    since: float
    answer: Readable | Unreadable | None


class Incomplete:
    """Remembers the pictures that are not whole. Lives on one thread."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        max_wait: float,
        is_written: Callable[[Path], bool] = disk.is_being_written,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._max_wait = max_wait  # seconds
        self._is_written = is_written
        self._wall = wall  # as files' own times count
        self._growing: dict[Path, Growing] = {}

    def __len__(self) -> int:
        return len(self._growing)

    def paths(self) -> list[Path]:
        """Return the pictures."""
        return list(self._growing)

    def holds(self, path: Path, stamp: Stamp | None) -> bool:
        """Return whether a picture waits here as it is now."""
        return path in self._growing and self._growing[path].stamp == stamp

    def put(self, path: Path, stamp: Stamp, answer: Readable | Unreadable | None) -> None:
        """Let a picture wait; one that is put again has waited since the first time, if it did not change."""
        known = self._growing.get(path)
        since = known.since if known is not None and known.stamp == stamp else self._clock()
        self._growing[path] = Growing(stamp, since, answer)

    def pop(self, path: Path) -> Growing | None:
        """Forget a picture; return what was known of it."""
        return self._growing.pop(path, None)

    def is_being_written(self, path: Path) -> bool:
        """Return whether some program has a file open for writing. Raises: ConditionError."""
        return self._is_written(path)

    def fate_of(self, path: Path) -> Fate:
        """Return what is to become of a picture now.

        Raises:
            ConditionError: its disk does not answer.
        """
        growing = self._growing[path]
        if disk.stamp_of(path) != growing.stamp:
            return Fate.SETTLES
        if growing.answer is None:
            return Fate.WAITS if self._is_written(path) else Fate.SETTLES
        if not self._has_waited(growing) or growing.stamp.size == 0:
            return Fate.WAITS
        if self._is_written(path) or has_partner(path):
            return Fate.WAITS
        return Fate.ACCEPTED if isinstance(growing.answer, Readable) else Fate.FAILED

    def _has_waited(self, growing: Growing) -> bool:
        if self._clock() - growing.since >= self._max_wait:
            return True
        # It can be read, and nobody has written to it for as long: an old scan with a black border, say.
        age = self._wall() - growing.stamp.mtime_ns / 1e9
        return isinstance(growing.answer, Readable) and age >= self._max_wait

    def problems(self, *, at_once: bool = False) -> list[Problem]:
        """Return what is not whole for longer than anybody should wait; `at_once`: whatever is not whole."""
        found = [path for path, each in self._growing.items() if at_once or self._has_waited(each)]
        if not found:
            return []
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return [
            Problem(
                code="photo_incomplete",
                message=f"{shown(found[0])}{more}: not whole yet; somebody may still be writing it.",
                remedy="It is painted once it is whole. If nobody writes it any more, copy it again.",
            )
        ]


def has_partner(photo: Path) -> bool:
    """Return whether a download, or a copy under a temporary name, of a photo lies beside it.

    Raises:
        ConditionError: the folder cannot be read.
    """
    name, stem = photo.name.casefold(), photo.stem.casefold()
    try:
        beside = [entry.name.casefold() for entry in disk.entries_of(photo.parent)]
    except FileNotFoundError:
        return False
    return any(
        (other.startswith(stem) and other.endswith(PARTNER_ENDS)) or other.startswith(f".{name}.")
        for other in beside
    )
