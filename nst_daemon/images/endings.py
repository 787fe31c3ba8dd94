"""The endings by which a file is taken for a picture, or for what belongs to one. Pure; all in lower case."""

from collections.abc import Mapping
from typing import Final

PICTURES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".tif", ".tiff", ".webp", ".avif", ".gif", ".bmp"}
    | {".heic", ".heif", ".hif"}
)  # wherever a picture is expected: photos and styles alike
RAWS: Final = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw"}
    | {".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)  # developed where rawpy is installed; else they fail with a reason and not in silence
RESULTS: Final[Mapping[str, tuple[str, ...]]] = {
    "jpeg": (".jpg", ".jpeg"),
    "png": (".png",),
    "tiff": (".tif", ".tiff"),
    "webp": (".webp",),
    "avif": (".avif",),
}  # of each format that is written: ours, and what else a user may call it
ASKING: Final = (".yaml", ".yml", ".json")  # sidecars of ours, in the order in which they speak
XMP: Final = ".xmp"  # an editor's
SIDECARS: Final = frozenset({*ASKING, XMP})
MASK: Final = ".mask.png"  # photo.mask.png belongs to photo.jpg, and never is a photo itself
