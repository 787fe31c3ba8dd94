"""What goes through the pipe between the daemon and its engine's process."""

from dataclasses import dataclass

from nst_daemon.config.orders import Painting, Progress
from nst_daemon.errors import NstError


@dataclass(frozen=True, slots=True)
class Stop:
    """To the engine: leave off the order in hand."""


@dataclass(frozen=True, slots=True)
class Leave:
    """To the engine: end when the order in hand is done."""


@dataclass(frozen=True, slots=True)
class Found:
    """From the engine: which accelerators this machine has beside the one that `auto` takes."""

    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """From the engine: the network is on the device."""

    device: str
    precision: str  # of the convolutions; empty until the first painting has chosen it


@dataclass(frozen=True, slots=True)
class Died:
    """From the engine: it cannot start."""

    error: NstError


@dataclass(frozen=True, slots=True)
class Stepped:
    """From the engine: how far it is."""

    job: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class Logged:
    """From the engine: a line for the daemon's log."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """From the engine: the painting is there."""

    job: int
    painting: Painting


@dataclass(frozen=True, slots=True)
class Refused:
    """From the engine: no painting, and why."""

    job: int
    error: NstError


@dataclass(frozen=True, slots=True)
class Alive:
    """From the engine: it is in the middle of a long step, and does not hang."""
