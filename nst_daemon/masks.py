"""Masks: grey PNG files beside a photo that say where it is painted, and in which style.

`photo.mask.png` is known by its name; any other by the word of a sidecar in the same folder.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from nst_daemon.blends import Blend, Regions
from nst_daemon.copies import private_copy
from nst_daemon.errors import PhotoError
from nst_daemon.files import is_plain_file
from nst_daemon.inbox.walk import bare
from nst_daemon.pairing import SIDECAR_SUFFIXES
from nst_daemon.recipe import EVERYWHERE, Areas, Mask, Region, Sidecar, Style
from nst_daemon.sidecars import masks_named_in, own_mask


class StylesOf(Protocol):
    """Returns the pictures of a blend."""

    def __call__(self, blend: Blend, /) -> tuple[Style, ...]:
        """Return them, or raise NstError."""
        ...


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
        ConditionError: the folder cannot be written.
    """
    asked = Sidecar(path=photo) if sidecar is None else sidecar
    default = own_mask(photo) if asked.mask is None else photo.with_name(asked.mask)
    paths = ([] if default is None else [default]) + [photo.with_name(name) for name, _ in asked.regions]
    named = {path.name: mask for path in dict.fromkeys(paths) if (mask := _taken(path, folder))}
    return Masks(
        painting=None if default is None else named.get(default.name),
        named=named,
        missing=tuple(path.name for path in dict.fromkeys(paths) if path.name not in named),
    )


def _taken(path: Path, folder: Path) -> Mask | None:
    if not is_plain_file(path):
        return None
    try:
        copy, sha256 = private_copy(path, folder)
    except (FileNotFoundError, PhotoError):
        return None
    return Mask(name=path.name, path=copy, sha256=sha256)


def areas_of(regions: Regions, masks: Masks, styles_of: StylesOf) -> Areas:
    """Return where what is painted; none of the masks may be missing."""
    if masks.painting is None and not regions:
        return EVERYWHERE
    found = tuple(Region(mask=masks.named[mask], styles=styles_of(blend)) for mask, blend in regions)
    return Areas(mask=masks.painting, regions=found)


def namers_of(picture: Path) -> Iterator[Path]:
    """Yield the sidecars by which a picture is the mask of another photo."""
    if picture.suffix.casefold() != ".png":
        return
    try:
        beside = [path for path in picture.parent.iterdir() if path.suffix.casefold() in SIDECAR_SUFFIXES]
    except OSError:
        return
    for sidecar in beside:
        if is_plain_file(sidecar) and picture in masks_named_in(sidecar) and not _owns(sidecar, picture):
            yield sidecar


def _owns(sidecar: Path, photo: Path) -> bool:
    return bare(sidecar) in (photo, photo.with_suffix(""))


def masks_of_alone(photo: Path, sidecars: list[Path]) -> list[Path]:
    """Return the masks that these sidecars of a photo name, and no other sidecar does."""
    named = dict.fromkeys(mask for sidecar in sidecars for mask in masks_named_in(sidecar))
    return [
        mask
        for mask in named
        if mask != photo and is_plain_file(mask) and all(other in sidecars for other in namers_of(mask))
    ]
