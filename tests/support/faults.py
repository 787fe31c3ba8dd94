"""Faults of the disk, injected into the calls of `disk.system`: once, for a while or for ever."""

import errno
import inspect
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_daemon.disk.system import System

CALLS = tuple(name for name, _ in inspect.getmembers(System, inspect.isfunction))
ERRNOS = tuple(
    getattr(errno, name)
    for name in (
        *("ESTALE", "EIO", "EACCES", "ENOSPC", "EROFS", "ENODEV", "ETIMEDOUT", "EMFILE", "ENOMEM", "EINTR"),
    )
)
ON_DESCRIPTORS = frozenset({"read", "write", "fsync", "clone"})


@dataclass
class Rule:
    """What fails, where and how often."""

    call: str
    number: int
    at: Callable[[Path], bool]
    first: int  # the how-manieth matching call is the first to fail
    times: float  # how many fail; infinity: until `heal`
    seen: int = 0

    def strikes(self, call: str, *paths: Path) -> bool:
        if call != self.call or not any(map(self.at, paths)):
            return False
        self.seen += 1
        return self.first <= self.seen < self.first + self.times


class Faults(System):
    """The system's calls, some of which fail. `made` has all of them, in order."""

    def __init__(self) -> None:
        self.made: list[tuple[str, Path]] = []
        self.rules: list[Rule] = []
        self.struck = 0
        self.failed: set[str] = set()  # the calls that did
        self.nth: tuple[int, int] | None = None  # the call that fails, from 0, and its errno
        self._paths: dict[int, Path] = {}  # of open descriptors

    def fail(
        self,
        call: str,
        number: int,
        *,
        at: Path | Callable[[Path], bool] = lambda path: True,
        first: int = 1,
        times: float = 1,
    ) -> Rule:
        """Let a call fail from its `first` time on; `at` is a path, or says of which."""
        assert call in CALLS, call
        is_at = at if callable(at) else lambda path, place=at: path == place
        rule = Rule(call, number, is_at, first, times)
        self.rules.append(rule)
        return rule

    def fail_for_ever(self, *calls: str, number: int, at: Path | Callable[[Path], bool]) -> None:
        """Let calls fail until `heal`."""
        for call in calls:
            self.fail(call, number, at=at, times=math.inf)

    def heal(self) -> None:
        """Let all be well again."""
        self.rules.clear()


def _faulty(name: str) -> Callable[..., Any]:
    real = getattr(System, name)

    def call(self: Faults, subject: Any, *args: Any) -> Any:
        path = self._paths.get(subject, Path("?")) if name in ON_DESCRIPTORS else Path(subject)
        self.made.append((name, path))
        if self.nth is not None and len(self.made) == self.nth[0] + 1:
            self.struck += 1
            self.failed.add(name)
            raise OSError(self.nth[1], os.strerror(self.nth[1]), str(path))
        others = [each for each in args if isinstance(each, Path)]  # the name that it is to have
        for rule in self.rules:
            if rule.strikes(name, path, *others):
                self.struck += 1
                self.failed.add(name)
                raise OSError(rule.number, os.strerror(rule.number), str(path))
        answer = real(self, subject, *args)
        if name == "open":
            self._paths[answer] = path
        return answer

    return call


for _name in CALLS:
    setattr(Faults, _name, _faulty(_name))


def under(folder: Path) -> Callable[[Path], bool]:
    """Return whether a path is a folder or lies in it."""
    return lambda path: path.is_relative_to(folder)
