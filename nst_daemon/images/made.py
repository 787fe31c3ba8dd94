"""What a painting is, as far as the tags that it takes over from its photo must say something else. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

SIDES_SWAPPED = frozenset({5, 6, 7, 8})  # EXIF's orientations


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A painting beside its photo."""

    width: int  # px, of the painting
    height: int
    of_width: int  # px, of the photo, upright
    of_height: int
    turned: int = 1  # EXIF's orientation of the photo's file
    is_srgb: bool = True  # no profile says anything else
    identity: str = "0" * 32  # the painting's own, 32 hexadecimal digits
    mime: str = "image/jpeg"

    @property
    def across(self) -> float:
        """How many px of the painting are a px of the photo, from left to right."""
        return self.width / self.of_width

    @property
    def down(self) -> float:
        """How many px of the painting are a px of the photo, from top to bottom."""
        return self.height / self.of_height

    @property
    def is_moved(self) -> bool:
        """Whether a place in px of the photo's file is another one in the painting."""
        return self.turned != 1 or (self.width, self.height) != (self.of_width, self.of_height)


def identity(provenance: Mapping[str, str], width: int, height: int, kind: str) -> str:
    """Return the identity of a painting: the same for the same job, and another one than any photo's."""
    words = [f"{name}={value}" for name, value in sorted(provenance.items())]
    text = "\n".join([*words, kind, f"{width} x {height}"])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
