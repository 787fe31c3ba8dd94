"""What goes with a photo when it leaves its inbox: its sidecars, its masks, the raw file of the same shot.

What serves a second photo stays until the last of them goes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nst_daemon import disk
from nst_daemon.folders.companions import Companion, Neighbours, neighbours_in
from nst_daemon.folders.masks import masks_of_alone
from nst_daemon.images.endings import Role, is_raw


@dataclass(frozen=True, slots=True)
class Belonging:
    """A file that goes with a photo."""

    path: Path
    is_full: bool = False  # its name has the photo's whole name before its ending
    ending: str = ""  # what follows that; empty: it keeps its name, whatever the photo's becomes
    is_kept: bool = False  # it is never deleted: nobody has painted it

    def stem_beside(self, photo: Path, moved: Path) -> str | None:
        """Return the name, but for its last suffix, beside the photo where that is now; None: its own."""
        if moved.name == photo.name or not self.ending:
            return None
        name = f"{moved.name if self.is_full else moved.stem}{self.ending}"
        return name.removesuffix(self.path.suffix)


def belongings_of(photo: Path) -> list[Belonging]:
    """Return what goes with a photo.

    Raises:
        ConditionError: nobody knows what is beside it.
    """
    beside = neighbours_in(photo.parent, about=photo.name, is_fresh=True)
    twins = {photo.with_name(name) for name in beside.twins_of(photo.name)}
    raws = set() if is_raw(photo.name) else {twin for twin in twins if is_raw(twin.name)}
    others = twins - raws
    own = [
        each
        for each in beside.companions_of(photo.name)
        if others.isdisjoint(beside.photos_of(each.path.name))
    ]
    found = [_belonging(each) for each in own]
    asking = [each.path for each in own if each.role is Role.ASKING]
    named = (mask for mask in masks_of_alone(photo, asking) if mask not in {each.path for each in own})
    found += [Belonging(mask) for mask in named]
    return found if others else [*found, *_raws(beside, sorted(raws))]


def _belonging(companion: Companion) -> Belonging:
    return Belonging(companion.path, companion.is_full, companion.ending)


def _raws(beside: Neighbours, raws: list[Path]) -> Iterator[Belonging]:
    """Yield the raw files of the same shot, and what is written beside them in their own names."""
    for raw in raws:
        if disk.is_file(raw):
            yield Belonging(raw, ending=raw.suffix, is_kept=True)
            full = (each for each in beside.companions_of(raw.name) if each.is_full)
            yield from (
                Belonging(each.path, ending=f"{raw.suffix}{each.ending}", is_kept=True) for each in full
            )
