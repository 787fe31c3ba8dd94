"""What a photo may be, and the words for one that is not: every reason to refuse a picture file.

Reads a file, and decodes nothing.
"""

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.errors import FileConditionError, IncompletePhotoError, PhotoError, Trouble
from nst_daemon.images import containers
from nst_daemon.images.tiff_picture import UnknownScaleError

MAX_BYTES: Final = 2 << 30  # of a file; 250 megapixels of 16 bits, not packed, have 1.5 GB
MAX_SIDE: Final = 65_500  # px; JPEG ends at 65,535
MIN_SIDE: Final = 16  # px; the network halves a picture four times
UNIDENTIFIED: Final = re.compile("cannot identify image file .*")  # Pillow's words; it names no file here
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


def read_file(path: Path, name: str) -> bytes:
    """Return a file's bytes, all of them at once: what is judged is what is decoded.

    Raises:
        PhotoError: it is no file with something in it, or too large.
        IncompletePhotoError: it is empty, or was written to meanwhile, or is not there.
        ConditionError: it cannot be read now.
    """
    facts = disk.facts_of(path, follow=True)
    if facts is None:
        raise _gone(name)
    if not stat.S_ISREG(facts.st_mode):
        raise PhotoError(f"{name} is no ordinary file.", remedy="Put the photo itself there.")
    if facts.st_size == 0:
        raise IncompletePhotoError(f"{name} is empty.", remedy="Copy it again.")
    if facts.st_size > MAX_BYTES:
        raise PhotoError(
            f"{name}: {facts.st_size / 1e9:.1f} GB, the limit is {MAX_BYTES / 1e9:.1f} GB.",
            remedy="Save it as JPEG, or scale it down.",
        )
    try:
        content = disk.read_bytes(path, at_most=facts.st_size + 1)
    except FileNotFoundError as error:
        raise _gone(name) from error
    if len(content) != facts.st_size:
        raise IncompletePhotoError(f"{name} was written to while it was read.", remedy="It is read again.")
    return content


def _gone(name: str) -> IncompletePhotoError:
    return IncompletePhotoError(f"{name} is not there any more.", remedy="Put it into the inbox again.")


def cut(name: str) -> IncompletePhotoError:
    """Return the error of a photo that is not whole."""
    return IncompletePhotoError(f"{name} breaks off before its end.", remedy="Copy or export it again.")


def no_memory(path: Path, name: str) -> FileConditionError:
    """Return the condition of a photo for which there is no memory now: that says nothing about the photo."""
    return FileConditionError(
        f"{name} does not fit into memory at the moment.",
        path=path,
        trouble=Trouble.BUSY,
        remedy="It is tried again by itself; close other programs, or scale the photo down.",
    )


def not_loaded(path: Path, name: str, error: ImportError) -> FileConditionError:
    """Return the condition of a photo whose decoder is installed, and cannot be loaded by the system now."""
    return FileConditionError(
        f"{name} waits for its decoder, which cannot be loaded: {error}.",
        path=path,
        trouble=Trouble.BUSY,
        remedy="It is tried again; if it stays, install the decoder anew, and start the daemon again.",
    )


def undecodable(content: bytes, name: str, error: BaseException) -> PhotoError:
    """Return the error that says why bytes that were read well are no picture."""
    kind = containers.kind(content)
    if not kind:
        known = containers.foreign(content)
        what = (
            f"is {known}, which nst-daemon does not read"
            if known
            else "is no picture that nst-daemon can read"
        )
        return PhotoError(
            f"{name} {what}.", remedy="Export it as JPEG, PNG, TIFF, WebP, AVIF, HEIC, GIF or BMP."
        )
    reason = UNIDENTIFIED.sub("its beginning makes no sense", shown(str(error))) or type(error).__name__
    if isinstance(error, UnknownScaleError):
        return PhotoError(
            f"{name} has {reason}, and nothing in it says which of them is white.",
            remedy="Export it with 8 or 16 bits a channel, or with floats of 0 to 1.",
        )
    return PhotoError(f"{name} cannot be decoded ({kind}): {reason}.", remedy="Export it again.")
