"""The sketches of a sheet, one photo in many styles: which, in which order, and how each is painted.

Knows neither who asks for a sheet nor where its pictures go.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from nst_daemon.config.blends import style_key
from nst_daemon.config.recipe import Format, Preset, Recipe, Style, resolve
from nst_daemon.errors import ConditionError, ConfigError, StyleError
from nst_daemon.images.layout import SIDE, longer_side
from nst_daemon.images.likeness import Descriptor, suits
from nst_daemon.intake.submission import Styles

logger = logging.getLogger(__name__)

# What of a user's settings says how long a painting takes, or what its file is like: a sheet's own hold.
OWN: Final = frozenset(
    {"preset", "size", "steps", "pyramid", "averaging", "optimizer", "learning_rate"}
    | {"format", "quality", "report", "strip_gps"}
)


class Describer(Protocol):
    """What a sheet asks of a `PhotoReader`."""

    def descriptor(self, path: Path) -> Descriptor | None:
        """Return what a picture's colours and contrasts are; None: it is no picture."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """One style on a sheet."""

    name: str
    style: Style | None  # None: it cannot be had
    suits: float | None = None  # how well it suits the photo, 0 to 1; None: nobody can say
    error: str = ""  # why it cannot be had


def named_styles(names: Sequence[str], library: Styles) -> tuple[str, ...]:
    """Return the styles that are asked for, `a,b` or one by one; all of the library if none are.

    Raises:
        ConfigError: one is not in the library, or there is none at all.
    """
    known = {style_key(name): name for name in library.names()}
    if not known:
        raise ConfigError("There is no style.", remedy="Put a picture into the styles folder.")
    asked = [part for name in names for part in ([name] if style_key(name) in known else name.split(","))]
    wanted = [part.strip() for part in asked if part.strip()]
    if names and not wanted:
        raise ConfigError("--styles names no style.", remedy="Example: --styles mosaic,woodcut")
    for name in wanted:
        if style_key(name) not in known:
            near = library.near(name)
            remedy = f"Did you mean {' or '.join(near)}?" if near else "`nst-daemon styles` lists them."
            raise ConfigError(f"There is no style {name}.", remedy=remedy, code="style_missing")
    return tuple(dict.fromkeys(known[style_key(name)] for name in wanted or known))


def ordered(photo: Path, names: Sequence[str], library: Styles, reader: Describer) -> tuple[Sketch, ...]:
    """Return a photo's sketches, the style that suits it best first, and last those that cannot be had.

    Raises:
        FileNotFoundError: the photo is gone.
        ConditionError: it cannot be read now.
    """
    own = reader.descriptor(photo)
    sketches = [_sketch(name, own, library, reader) for name in names]
    return tuple(sorted(sketches, key=_place))


def _place(sketch: Sketch) -> tuple[bool, bool, float, str]:
    return sketch.style is None, sketch.suits is None, -(sketch.suits or 0.0), sketch.name


def _sketch(name: str, photo: Descriptor | None, library: Styles, reader: Describer) -> Sketch:
    try:
        style = library.get(name)
        its = reader.descriptor(style.path)
    except FileNotFoundError:
        return Sketch(name=name, style=None, error=f"Style picture {name} is gone.")
    except (StyleError, ConditionError) as error:
        logger.info("style %s has no sketch: %s", name, error)
        return Sketch(name=name, style=None, error=error.message)
    return Sketch(name=name, style=style, suits=None if photo is None or its is None else suits(photo, its))


def sketch_recipe(size: tuple[int, int], settings: Mapping[str, object], *, side: int = SIDE) -> Recipe:
    """Return how each sketch of a photo of `size` = (width, height) px is painted.

    As the user's own settings have it, small and with few steps.
    """
    kept = {key: value for key, value in settings.items() if key not in OWN}
    own = {"preset": Preset.DRAFT, "size": longer_side(*size, side), "format": Format.PNG}
    return resolve({**kept, **own})
