"""The style library as jobs are made from it: a style is whole, readable and copied before a job has it.

A style picture gets the care that a photo gets. One that is still being copied, is broken, or lies on a disk
that does not answer holds the photos that ask for it; none of them is at fault.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.config.recipe import Style
from nst_daemon.disk import Stamp
from nst_daemon.errors import ConditionError, FileConditionError, StyleError
from nst_daemon.folders.copies import private_copy
from nst_daemon.folders.library import Entry, Library, no_file
from nst_daemon.intake.inspection import Inspection, Unreadable
from nst_daemon.intake.reader import Reader
from nst_daemon.ledger.jobs import Problem, problem_of

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 15.0  # between looks at the user's folder when no photo asks for a style
UNKNOWN_SECONDS: Final = 10.0  # between looks at a style whose disk does not answer
SHOWN_SECONDS: Final = 60.0  # such a style is shown for so long after a photo has asked for it
BROKEN_SECONDS: Final = 600.0  # … at one that cannot be read: its reader may have lacked memory
WHEN_WHOLE: Final = "It goes on by itself once the picture is whole."


class BrokenStyleError(StyleError):
    """The file is no picture, and will be none by waiting."""


@dataclass(slots=True)
class _Sighting:
    """A style file as it was seen, and what is known of it as long as it does not change."""

    stamp: Stamp
    since: float
    is_settled: bool = False
    refusal: tuple[float, StyleError] | None = None  # when it was found to be unreadable, and why
    style: Style | None = None  # whole, with a copy
    copied: Stamp | None = None  # that copy, as it was made


@dataclass(slots=True)
class Shelf:
    """Lives on one thread, which is its reader's."""

    library: Library
    copies: Path  # the folder of the private copies
    reader: Reader
    settle_seconds: float
    patience: float  # seconds for a picture that can be read, and looks as if it were still written
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time  # as files have it
    _seen: dict[Path, _Sighting] = field(default_factory=dict)
    _unknown_at: float | None = None  # when a disk did not answer
    _unknown: dict[str, tuple[float, FileConditionError]] = field(default_factory=dict)  # which, and why
    _retries: int = 0
    _looked_at: float = float("-inf")

    def names(self) -> tuple[str, ...]:
        """Return the name of every style."""
        return self.library.names()

    def near(self, name: str) -> tuple[str, ...]:
        """Return the names that are spelt most like this one."""
        return self.library.near(name)

    def get(self, name: str) -> Style:
        """Return a style whose picture is a private copy; a built-in one stays where it is.

        Raises:
            StyleError: there is none of that name, or it is not whole.
            FileConditionError: it cannot be read now.
            ConditionError: our own folder cannot be written.
        """
        try:
            style = self._first_whole(self.library.candidates(name))
        except FileConditionError as error:
            self._unknown_at = self.clock()
            self._unknown[name] = self.clock(), (named := error.named("styles"))
            raise named from error
        self._unknown.pop(name, None)
        return style

    def news(self) -> object:
        """Return a value that is another one as soon as a photo may get what it did not get before."""
        now = self.clock()
        if self._unknown_at is not None and now - self._unknown_at >= UNKNOWN_SECONDS:
            self._unknown_at = None
            self._retries += 1
        state = [(entry.name, entry.path, self._state_of(entry)) for entry in self.library.entries()]
        return tuple(state), self.library.trouble is None, self._retries

    def problems(self) -> list[Problem]:
        """Return why the user's styles cannot be read; looks at them now and then."""
        if self.clock() - self._looked_at >= LOOK_SECONDS:
            self.library.names()
            self._looked_at = self.clock()
        for name, (moment, _) in list(self._unknown.items()):
            if self.clock() - moment > SHOWN_SECONDS:  # nobody asks for it any more
                del self._unknown[name]
        if self.library.trouble is not None:
            return [problem_of(self.library.trouble)]
        unknown = [error for _, error in self._unknown.values()]
        return [problem_of(unknown[0], more=len(unknown) - 1)] if unknown else []

    def _state_of(self, entry: Entry) -> object:
        if entry.is_builtin or self.library.trouble is not None:
            return None
        try:
            sighting = self._sighted(entry.path)
        except (StyleError, FileConditionError) as error:
            return str(error)
        has_waited = self.clock() - sighting.since >= self.patience
        return sighting.stamp, sighting.is_settled, has_waited, self._refusal_of(sighting) is None

    def _first_whole(self, entries: tuple[Entry, ...]) -> Style:
        """Return the first that is a picture. One that may yet become one is waited for."""
        refusal: BrokenStyleError | None = None
        for entry in entries:
            try:
                return self._whole(entry)
            except BrokenStyleError as error:
                refusal = refusal or error
        assert refusal is not None  # there is at least one of each name
        raise refusal

    def _whole(self, entry: Entry) -> Style:
        if entry.is_builtin:
            return self.library.get(entry.name)
        sighting = self._sighted(entry.path)
        if not sighting.is_settled:
            raise _unfinished(entry)
        if (refusal := self._refusal_of(sighting)) is not None:
            raise refusal
        if sighting.style is None or disk.stamp_of(sighting.style.path) != sighting.copied:
            try:
                sighting.style = self._taken(entry, sighting)
            except FileNotFoundError as error:
                raise no_file(entry.path) from error
        return sighting.style

    def _taken(self, entry: Entry, sighting: _Sighting) -> Style:
        """Read and copy a picture as a photo is read and copied."""
        answer = self._inspected(entry)
        if isinstance(answer, Unreadable):
            refusal = _refusal(answer)
            sighting.refusal = self.clock(), refusal
            raise refusal
        if answer.may_grow and self.clock() - sighting.since < self.patience:
            raise _unfinished(entry)
        copy, sha256 = private_copy(entry.path, self.copies)
        if disk.stamp_of(entry.path, follow=True) != sighting.stamp:
            raise _unfinished(entry)
        sighting.copied = disk.stamp_of(copy)
        return Style(name=entry.name, path=copy, sha256=sha256)

    def _inspected(self, entry: Entry) -> Inspection:
        """Return what a style file is. What the machine is at fault for holds this style, and no other."""
        try:
            return self.reader.inspect(entry.path)
        except FileConditionError:
            raise
        except ConditionError as error:
            self._unknown_at = self.clock()
            raise StyleError(
                f"Style picture {entry.name} cannot be read now: {error.message}", remedy=error.remedy
            ) from error

    def _refusal_of(self, sighting: _Sighting) -> StyleError | None:
        if sighting.refusal is None or self.clock() - sighting.refusal[0] >= BROKEN_SECONDS:
            return None
        return sighting.refusal[1]

    def _sighted(self, path: Path) -> _Sighting:
        """Return a style file as it is now.

        It has settled once it was not written for a while, by its own time or, where that lies ahead, by our
        watch; and while nobody has it open for writing.
        """
        facts = disk.facts_of(path, follow=True)
        if facts is None or not disk.is_file(path, follow=True):
            raise no_file(path)
        stamp, sighting = Stamp.of(facts), self._seen.get(path)
        if sighting is None or sighting.stamp != stamp:
            sighting = self._seen[path] = _Sighting(stamp, self.clock())
        if not sighting.is_settled:
            stands_still = max(self.now() - facts.st_mtime, self.clock() - sighting.since)
            is_still = stands_still >= self.settle_seconds
            sighting.is_settled = is_still and not disk.is_being_written(path)
        return sighting


def _unfinished(entry: Entry) -> StyleError:
    return StyleError(f"Style picture {entry.name} is still being written.", remedy=WHEN_WHOLE)


def _refusal(answer: Unreadable) -> StyleError:
    reason = f"Style picture {answer.reason}"
    if answer.may_grow:
        return StyleError(reason, remedy=WHEN_WHOLE)
    return BrokenStyleError(reason, remedy=f"{answer.remedy} It goes on by itself then.".strip())
