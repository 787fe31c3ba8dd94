"""What an engine at a seat needs of the farm: a way to ask its seat, and somebody who keeps count."""

from collections.abc import Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nst_daemon.farm.parcel import Blob


@dataclass(frozen=True, slots=True)
class Hint:
    """What a seat will probably need next, and where it lies here."""

    photo: Blob
    files: Mapping[Blob, Path]  # the photo's, too


class Seats(Protocol):
    """The way to the seats. `members.Farm` is one."""

    def ask(self, name: str, what: str, /, *, seconds: float = ..., **words: Any) -> Future[Any]:
        """Return what a seat will answer."""
        ...

    def is_gone(self, name: str) -> bool:
        """Return whether a seat is proven not to be there."""
        ...

    def wait_for_news(self, seconds: float) -> None:
        """Wait until somebody comes or goes, at most so long."""
        ...

    def use(self, count: int) -> None:
        """Count engines in the middle of something."""
        ...

    def note(self, name: str, **changes: Any) -> None:
        """Keep what is known of a seat."""
        ...

    def last_seat_of(self, key: str) -> str | None:
        """Return which seat had a job the last time, if that is known."""
        ...

    def set_last_seat(self, key: str, name: str | None) -> None:
        """Remember which seat has a job; None: it is painted."""
        ...

    def count_painted(self, name: str) -> None:
        """Count a painting that came home."""
        ...

    def count_lost(self, name: str) -> None:
        """Count a seat that went with a job in hand."""
        ...

    def look_ahead(self, name: str, styles: Collection[str]) -> Hint | None:
        """Return what a seat that paints in styles of these hashes will probably need next."""
        ...
