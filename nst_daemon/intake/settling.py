"""When is a file finished? When it stood still for the quiet window. Pure: clock and stat are handed in.

"Closed" is no answer: darktable closes a whole JPEG, opens it again, truncates it and writes it anew.
No threads, no sleeping, no watchdog.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nst_daemon.disk import Stamp, stamp_of
from nst_daemon.errors import FileConditionError


@dataclass(slots=True)
class _Pending:
    stamp: Stamp | None  # None: nobody knows; the file's disk does not answer
    still_since: float
    noticed: float
    condition: FileConditionError | None = None  # why nobody knows


class Settler:
    """Remembers the files that were noticed until they stand still. Lives on one thread."""

    def __init__(
        self,
        quiet: float,
        clock: Callable[[], float],
        *,
        max_wait: float = 600.0,
        stat: Callable[[Path], Stamp | None] = stamp_of,
    ) -> None:
        self._quiet = quiet  # seconds
        self._clock = clock
        self._max_wait = max_wait  # seconds
        self._stat = stat
        self._pending: dict[Path, _Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, path: Path) -> bool:
        return path in self._pending

    def notice(self, path: Path, *, was_touched: bool = False) -> None:
        """Watch a file from now on; any number of times is the same as once.

        `was_touched`: the system has just reported a write, so that the quiet window begins anew even where
        size and time look the same.
        """
        now = self._clock()
        known = self._pending.get(path)
        if known is not None:
            if was_touched:
                known.still_since = now
            return
        try:
            stamp = self._stat(path)
        except FileConditionError as error:
            self._pending[path] = _Pending(None, still_since=now, noticed=now, condition=error)
            return
        if stamp is not None:
            self._pending[path] = _Pending(stamp, still_since=now, noticed=now)

    def trust(self, path: Path) -> None:
        """Take the word of whoever wrote a file that it is whole: it settles unless it changes now."""
        if path in self._pending:
            self._pending[path].still_since = -math.inf

    def forget(self, path: Path) -> None:
        """Stop watching a file."""
        self._pending.pop(path, None)

    def settled(self) -> Iterator[Path]:
        """Yield, once, every file that stood still over the whole window; forget those that have gone.

        A file of which nobody knows has not stood still: its window begins anew once it is known again.
        """
        now = self._clock()
        for path, pending in list(self._pending.items()):
            try:
                stamp = self._stat(path)
                pending.condition = None
            except FileConditionError as error:
                pending.stamp, pending.still_since, pending.condition = None, now, error
                continue
            if stamp is None:
                del self._pending[path]
            elif stamp != pending.stamp:
                pending.stamp, pending.still_since = stamp, now
            elif now - pending.still_since >= self._quiet:
                del self._pending[path]
                yield path

    def next_due(self) -> float:
        """Return when the next of them will have stood still, by the clock; infinity without any."""
        stills = (pending.still_since for pending in self._pending.values())
        return min(stills, default=math.inf) + self._quiet

    def restless(self) -> list[Path]:
        """Return the files that have not stood still for longer than anybody should wait."""
        now = self._clock()
        return [
            path
            for path, pending in self._pending.items()
            if now - pending.noticed >= self._max_wait and pending.condition is None
        ]

    def unknown(self) -> list[FileConditionError]:
        """Return why nothing is known of some of the files."""
        return [pending.condition for pending in self._pending.values() if pending.condition is not None]
