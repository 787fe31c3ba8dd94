"""What the daemon and an engine say to each other of a painting: plain values, for a pipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nst_daemon.config.recipe import EVERYWHERE, Areas, Recipe, Style


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One picture to paint. All paths are local and readable by the engine's process."""

    job: int
    photo: Path
    photo_name: str  # for messages; `photo` may be a private copy
    styles: tuple[Style, ...]
    recipe: Recipe
    result: Path  # where the engine writes, without the extension: the format decides it
    key: str = ""  # the job's unique key, for the result's provenance
    photo_sha256: str = ""  # what `photo` has to be; empty: whatever is there now
    original: Path | None = None  # whose copy `photo` may be; another machine may see it
    areas: Areas = EVERYWHERE
    preview: Path | None = None  # where a small picture of the painting so far is shown
    checkpoint: Path | None = None  # written while it is painted; a crash goes on from there


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far one painting has come."""

    scale: int  # from 1
    scales: int
    width: int  # px, of this scale
    height: int
    step: int  # over all scales, from 1; never less than before
    steps: int
    fraction: float  # of the time that it is forecast to take; never less than before
    losses: Mapping[str, float]  # "total", "content", "style", "tv"; weighted, as they are summed
    seconds: float  # since the first step
    eta_seconds: float

    @property
    def percent(self) -> int:
        """How much is done, 0 to 100."""
        return int(100 * self.fraction)


@dataclass(frozen=True, slots=True, kw_only=True)
class Painting:
    """What the engine made: finished files, not yet published."""

    picture: Path
    report: Path | None
    width: int  # px
    height: int
    seconds: float  # from the order to the finished file
    seconds_to_first_step: float
    device: str
    losses: Mapping[str, float]  # at the end
    notes: tuple[str, ...] = ()  # what a user should know: "scaled down to …", "no EXIF in …"


ENGINE_STATES: Final = ("missing", "cold", "starting", "warm", "painting")  # missing: it cannot start


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What the engine's process is, as far as the daemon knows."""

    state: str = "cold"  # of ENGINE_STATES
    device: str = ""
    network: str = "vgg19"
    weights: str = ""
    precision: str = ""  # of the convolutions, if it was chosen when the engine was loaded
    others: tuple[str, ...] = ()  # accelerators of the machine beside the one that `auto` takes


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatFacts:
    """A device that another machine lends, as far as the daemon knows."""

    name: str  # the machine's and the device's: gpu1/cuda:0
    device: str
    state: str  # of ENGINE_STATES, or of SEAT_STATES
    job: int | None = None  # in hand
    painted: int = 0  # since the daemon began
    lost: int = 0  # how often it has gone with a job in hand
    version: str = ""  # of nst-daemon there
    heard: float = 0.0  # when it last answered, in seconds since 1970
    address: str = ""


SEAT_STATES: Final = ("leaving", "refused", "unreachable", "silent")  # takes no job


def busiest(engines: Sequence[EngineFacts]) -> EngineFacts:
    """Return the engine that stands for all where one is shown; a cold one if there is none."""
    return max(engines, key=lambda facts: ENGINE_STATES.index(facts.state), default=EngineFacts())
