"""Files that wait in an inbox by no fault of theirs: by the disk's fault, or by ours.

Each has a pause of its own, which doubles: one file's trouble never stops the others, and ends by itself.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nst_daemon.disk import Stamp, stamp_of
from nst_daemon.errors import ConditionError, FileConditionError, NstError, PhotoError, Trouble
from nst_daemon.ledger.jobs import Problem, problem_of, shown

logger = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 2.0  # before a file is looked at again; doubles
MAX_PAUSE_SECONDS: Final = 60.0
BUG_SECONDS: Final = 600.0  # before a file is tried again that met a bug; doubles as well
MAX_BUG_SECONDS: Final = 6 * 3600.0
TRIES: Final = 3  # after so many a trouble is one that lasts


@dataclass(slots=True)
class _Delay:
    error: NstError
    stamp: Stamp | None  # of the file that met a bug: another one is tried at once
    pause: float
    due: float
    tries: int


class Delays:
    """Remembers which files wait, why, and until when. Lives on one thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._delays: dict[Path, _Delay] = {}

    def holds(self, path: Path, stamp: Stamp | None) -> bool:
        """Return whether a file waits, and has not changed since it met a bug."""
        delay = self._delays.get(path)
        return delay is not None and delay.stamp in (None, stamp)

    @contextmanager
    def apart(self, path: Path) -> Iterator[None]:
        """Let the trouble of one file be its own: it waits where it is, and the others go on.

        Raises:
            ConditionError: it is no file's trouble but the machine's.
        """
        try:
            yield
        except FileConditionError as error:
            self.put(path, of_photo(error))
        except ConditionError:
            raise
        except Exception:  # a bug: this file is set aside, the others go on
            logger.exception("%s could not be taken in", path)
            stamp = None
            with suppress(ConditionError):
                stamp = stamp_of(path)
            self.put(path, bug_of(path), stamp)

    def put(self, path: Path, error: NstError, stamp: Stamp | None = None) -> None:
        """Let a file wait, the longer the more often it is."""
        is_bug = not isinstance(error, FileConditionError)
        first, most = (BUG_SECONDS, MAX_BUG_SECONDS) if is_bug else (PAUSE_SECONDS, MAX_PAUSE_SECONDS)
        known = self._delays.get(path)
        pause = first if known is None else min(2 * known.pause, most)
        tries = 1 if known is None else known.tries + 1
        self._delays[path] = _Delay(error, stamp, pause, self._clock() + pause, tries)
        if known is None or known.error.code != error.code:
            logger.warning("%s waits: %s", path.name, error)

    def forget(self, path: Path) -> None:
        """Forget a file: it was dealt with, has changed, or is gone."""
        self._delays.pop(path, None)

    def due(self) -> Iterator[Path]:
        """Yield the files that are to be looked at again; each is known until it is put anew or forgotten."""
        now = self._clock()
        for path, delay in list(self._delays.items()):
            if delay.due <= now:
                delay.due = now + delay.pause
                yield path

    def lasts(self) -> bool:
        """Return whether all that wait have been tried so often that nobody need wait for them."""
        return all(delay.tries >= TRIES for delay in self._delays.values())

    def problems(self) -> list[Problem]:
        """Return what a user could mend, a line for each kind of trouble."""
        by_code: dict[str, list[NstError]] = {}
        for delay in self._delays.values():
            by_code.setdefault(delay.error.code, []).append(delay.error)
        return [problem_of(errors[0], more=len(errors) - 1) for errors in by_code.values()]


def of_photo(error: FileConditionError) -> FileConditionError:
    """Return the condition of a photo with the code that its users know it by."""
    if error.is_named:
        return error
    if error.trouble is not Trouble.UNREADABLE:
        return error.named("inbox")
    return FileConditionError(
        error.message,
        path=error.path,
        trouble=error.trouble,
        remedy=error.remedy,
        code="photo_forbidden",
    )


def bug_of(path: Path) -> PhotoError:
    """Return what is said of a photo that met a bug of ours."""
    return PhotoError(
        f"{shown(path)} met a bug, and was set aside; it is tried again from time to time.",
        remedy="Please report it, with the log: nst-daemon logs",
        code="photo_bug",
    )
