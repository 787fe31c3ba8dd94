"""What was found in a file that is to be a picture. Pure values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """A whole picture."""

    width: int  # px, upright
    height: int
    format: str  # "jpeg", "png", …
    keywords: tuple[str, ...] = ()
    provenance: Mapping[str, str] | None = None  # a painting of ours
    may_grow: bool = False  # it can be read, and looks as if somebody were still writing it


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Why a file cannot be read as a picture."""

    reason: str
    remedy: str = ""
    may_grow: bool = False  # it breaks off: somebody may still be writing it


Inspection = Readable | Unreadable
Read = Callable[[Path, float], Inspection]


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that was read and, if it is a photo to paint, copied."""

    inspection: Inspection
    sha256: str | None = None  # of the draft that is its copy; None: there is none


def is_to_copy(found: object) -> bool:
    """Return whether what was found is a whole photo, and no painting of ours."""
    return isinstance(found, Readable) and found.provenance is None and not found.may_grow
