"""What a file is to us, by the ending of its name: the one rule, in capitals too. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

# All in lower case; compared with what `ending_of` returns.

# Wherever a picture is expected: photos and styles alike.
PICTURES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".tif", ".tiff", ".webp", ".avif", ".gif", ".bmp"}
    | {".heic", ".heif", ".hif"}
)
# Developed where rawpy is installed; else they fail with a reason and not in silence.
RAWS: Final = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw"}
    | {".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)
# Of each format that is written: ours, and what else a user may call it.
RESULTS: Final[Mapping[str, tuple[str, ...]]] = {
    "jpeg": (".jpg", ".jpeg"),
    "png": (".png",),
    "tiff": (".tif", ".tiff"),
    "webp": (".webp",),
    "avif": (".avif",),
}
ASKING: Final = (".yaml", ".yml", ".json")  # sidecars of ours, in the order in which they speak
XMP: Final = ".xmp"  # an editor's
MASK: Final = ".mask.png"  # photo.mask.png belongs to photo.jpg, and never is a photo itself


class Role(StrEnum):
    """What a file is to the photo that it belongs to."""

    ASKING = "asking"  # a sidecar of ours: YAML or JSON
    XMP = "xmp"  # an editor's
    MASK = "mask"


def stem_of(name: str) -> str:
    """Return a name without its last suffix, as pathlib has it: that is slow for a million names."""
    dot = name.rfind(".")
    return name[:dot] if 0 < dot < len(name) - 1 else name


def ending_of(name: str) -> str:
    """Return the last suffix of a name, in lower case."""
    dot = name.rfind(".")
    return name[dot:].casefold() if 0 < dot < len(name) - 1 else ""


def is_picture(name: str) -> bool:
    """Return whether a file is called like a picture, camera raw among them; a mask is, too."""
    ending = ending_of(name)
    return ending in PICTURES or ending in RAWS


def is_raw(name: str) -> bool:
    """Return whether a file is camera raw: by its name, for many raw formats are TIFF outside."""
    return ending_of(name) in RAWS


def role_of(name: str) -> Role | None:
    """Return what a file is to a photo; None: it belongs to none by its name."""
    if name[-len(MASK) :].casefold() == MASK and len(name) > len(MASK):
        return Role.MASK
    ending = ending_of(name)
    if ending == XMP:
        return Role.XMP
    return Role.ASKING if ending in ASKING else None


def bare(name: str) -> str:
    """Return the name of a sidecar or mask without its ending: `a` of `a.yaml` and `a.mask.png`."""
    return name[: -len(MASK)] if role_of(name) is Role.MASK else stem_of(name)
