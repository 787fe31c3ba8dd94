"""What a seat answers, and what it means that it does not. Pure values."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nst_daemon.config.orders import EngineFacts, Progress
from nst_daemon.errors import NstError
from nst_daemon.farm.parcel import PackedPainting

BEGUN: Final = "begun"  # what `begin` answers: it paints
BUSY: Final = "busy"  # it still leaves off what it had in hand
LACKING: Final = "lacking"  # files that were here have gone: they have to come anew
LEAVING: Final = "leaving"  # it takes no parcel any more
CHECKPOINT: Final = "checkpoint"  # the name under which one is fetched


class Sight(StrEnum):
    """What a seat sees of a file in a folder that it may share with its coordinator; each in words."""

    TAKEN = "was read there"
    FORBIDDEN = "may not be read there: `farm join --shared` says what may"
    ABSENT = "is not there"
    DIFFERENT = "is another file there"
    BUSY = "waits behind one that its disk does not give out"


class UnreachableError(Exception):
    """Nobody answered, or not in time. What the other side did of what it was asked is not known."""


class StrangerError(NstError):
    """The token is not that of the parcel in hand: it was given up, or this is another process by now."""

    code = "seat_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a seat is, told to whoever wants to use it."""

    run: str  # of this process: another one knows nothing of what this one has in hand
    version: str
    python: str
    system: str
    device: str
    is_leaving: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Peek:
    """What a seat answers when it is asked how far it is."""

    facts: EngineFacts
    is_leaving: bool
    progress: Progress | None = None
    preview: bytes | None = None  # if there is one that the asker does not have
    preview_mark: str = ""
    checkpoint_mark: str = ""  # of what can be fetched; empty: nothing
    painting: PackedPainting | None = None  # it is finished
    error: NstError | None = None  # it is refused
    is_over: bool = False
