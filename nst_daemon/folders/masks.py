"""Masks: grey PNG files beside a photo that say where it is painted, and in which style.

`photo.mask.png` is known by its name; any other by the word of a sidecar in the same folder.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nst_daemon import disk
from nst_daemon.config.blends import Blend, Regions
from nst_daemon.config.recipe import EVERYWHERE, Areas, Mask, Region, Sidecar, Style
from nst_daemon.errors import PhotoError
from nst_daemon.folders.companions import Neighbours, neighbours_in
from nst_daemon.folders.copies import private_copy
from nst_daemon.folders.sidecars import masks_named_in, own_mask
from nst_daemon.images.endings import MASK, ending_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Masks:
    """The masks that a photo asks for, as private copies."""

    painting: Mask | None = None
    named: Mapping[str, Mask] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def fault(self) -> str | None:
        """Why the photo must wait; None if nothing is missing."""
        if not self.missing:
            return None
        return f"Its sidecar names the mask {' and '.join(self.missing)}, which is not beside the photo."


NO_MASKS = Masks()


def take_masks(photo: Path, sidecar: Sidecar | None, folder: Path) -> Masks:
    """Copy the masks of a photo into a folder of ours.

    Raises:
        ConditionError: the folder cannot be written, or a mask not be read now.
    """
    asked = Sidecar(path=photo) if sidecar is None else sidecar
    default = own_mask(photo) if asked.mask is None else None
    painting = asked.mask if default is None else default.name
    names = dict.fromkeys(([] if painting is None else [painting]) + [name for name, _ in asked.regions])
    if not names:
        return NO_MASKS
    beside = neighbours_in(photo.parent)
    named = {name: mask for name in names if (mask := _taken(beside.spelt(name), folder))}
    return Masks(
        painting=None if painting is None else named.get(painting),
        named=named,
        missing=tuple(name for name in names if name not in named),
    )


def _taken(path: Path, folder: Path) -> Mask | None:
    if not disk.is_file(path):
        return None
    try:
        copy, sha256 = private_copy(path, folder)
    except (FileNotFoundError, PhotoError):
        return None
    return Mask(name=path.name, path=copy, sha256=sha256)


def areas_of(regions: Regions, masks: Masks, styles_of: Callable[[Blend], tuple[Style, ...]]) -> Areas:
    """Return where what is painted; none of the masks may be missing."""
    if masks.painting is None and not regions:
        return EVERYWHERE
    found = tuple(Region(mask=masks.named[mask], styles=styles_of(blend)) for mask, blend in regions)
    return Areas(mask=masks.painting, regions=found)


def namers_of(picture: Path) -> list[Path]:
    """Return the sidecars by which a picture is the mask of another photo.

    Raises:
        ConditionError: nobody knows what is beside it.
    """
    if ending_of(picture.name) != ending_of(MASK):
        return []
    beside = neighbours_in(picture.parent)
    return [sidecar for sidecar in beside.asking() if _is_named(picture, sidecar, beside)]


def _is_named(picture: Path, sidecar: Path, beside: Neighbours) -> bool:
    if not disk.is_file(sidecar) or picture not in masks_named_in(sidecar, beside):
        return False
    return picture not in beside.photos_of(sidecar.name)  # one that names itself is still a photo


def masks_of_alone(photo: Path, sidecars: list[Path]) -> list[Path]:
    """Return the masks that these sidecars of a photo name, and no other sidecar does.

    Raises:
        ConditionError: nobody knows what is beside it.
    """
    named = dict.fromkeys(mask for sidecar in sidecars for mask in masks_named_in(sidecar))
    return [
        mask
        for mask in named
        if mask != photo and disk.is_file(mask) and all(other in sidecars for other in namers_of(mask))
    ]
