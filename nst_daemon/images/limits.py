"""What a photo may be, and the words for one that is not: every reason to refuse a picture file.

Looks at a file's facts, its first bytes and its end; decodes nothing.
"""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nst_daemon.errors import IncompletePhotoError, PhotoError
from nst_daemon.images import containers

MAX_BYTES: Final = 2 << 30  # of a file; 250 megapixels of 16 bits, not packed, have 1.5 GB
MAX_SIDE: Final = 65_500  # px; JPEG ends at 65,535
MIN_SIDE: Final = 16  # px; the network halves a picture four times
MAX_ASPECT: Final = 64  # longer by shorter side


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a photo may be, and the name by which an error speaks of it."""

    name: str
    megapixels: float

    def check(self, width: int, height: int) -> None:
        """Raise PhotoError for a size beyond the limits."""
        size = width * height / 1e6
        if size > self.megapixels:
            raise PhotoError(
                f"{self.name}: {size:,.1f} megapixels, the limit is {self.megapixels:g}.",
                remedy="Scale it down, or raise max_megapixels in config.yaml.",
            )
        shorter, longer = sorted((width, height))
        if shorter < MIN_SIDE or longer > MAX_SIDE or longer > MAX_ASPECT * shorter:
            raise PhotoError(
                f"{self.name}: {width} × {height} px; each side must have {MIN_SIDE} to {MAX_SIDE} px, "
                f"and the longer at most {MAX_ASPECT} times the shorter.",
                remedy="Crop or scale it in an editor.",
            )


def shown(name: str) -> str:
    """Return a file's name as a message may show it: without control characters."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in name)


def check_file(path: Path, name: str) -> None:
    """Raise PhotoError for what is no file with something in it.

    Raises:
        OSError: it cannot be looked at.
    """
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise PhotoError(f"{name} is no ordinary file.", remedy="Put the photo itself there.")
    if facts.st_size == 0:
        raise IncompletePhotoError(f"{name} is empty.", remedy="Copy it again.")
    if facts.st_size > MAX_BYTES:
        raise PhotoError(
            f"{name}: {facts.st_size / 1e9:.1f} GB, the limit is {MAX_BYTES / 1e9:.1f} GB.",
            remedy="Save it as JPEG, or scale it down.",
        )


def unreadable(path: Path, name: str, error: BaseException) -> PhotoError:
    """Return the error that says why a picture could not be read."""
    if isinstance(error, FileNotFoundError):
        return PhotoError(f"{name} is not there any more.", remedy="Put it into the inbox again.")
    if isinstance(error, PermissionError):
        return PhotoError(f"{name} may not be read.", remedy="Give the daemon's user the right to read it.")
    if isinstance(error, MemoryError):
        return PhotoError(f"{name} does not fit into memory.", remedy="Scale it down.")
    try:
        kind, is_cut = containers.kind(path), containers.breaks_off(path)
    except OSError:
        kind, is_cut = "", False
    if is_cut:
        return IncompletePhotoError(f"{name} breaks off before its end.", remedy="Copy or export it again.")
    if not kind:
        return PhotoError(
            f"{name} is no picture that nst-daemon can read.",
            remedy="Export it as JPEG, PNG, TIFF, WebP, AVIF, HEIC, GIF or BMP.",
        )
    reason = shown(str(error)).replace(str(path), name) or type(error).__name__
    return PhotoError(f"{name} cannot be decoded ({kind}): {reason}.", remedy="Export it again.")
