"""The words by which styles, blends and regions are asked for. Pure; knows no library and no file."""

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

Blend = tuple[tuple[str, float], ...]  # names of styles and their shares, relative to each other
MAX_BLEND: Final = 16  # styles in one picture; each costs a pass of the network before the first step
MAX_REGIONS: Final = 8  # each costs a tenth of every step
Regions = tuple[tuple[str, Blend], ...]  # names of masks, and the styles behind them


def style_key(name: str) -> str:
    """Return what all spellings of one style's name share: "Starry Night" and "starry-night" are one."""
    return re.sub(r"[\s_-]+", "_", unicodedata.normalize("NFC", name).strip().casefold())


# nst|starry_night (lr:hierarchicalSubject), nst/starry_night (digiKam:TagsList), nst:… and style:… (flat).
# With a = it is a setting: nst:size=2048.
# Never a bare word: darktable splits nst|starry_night into the two words "nst" and "starry_night".
_KEYWORD: Final = re.compile(r"\s*(?:nst\s*[|/:]|style\s*:)(?P<word>.+)", re.IGNORECASE | re.DOTALL)
Levels = tuple[str, ...]


def asked_by(keywords: Iterable[str]) -> tuple[tuple[Levels, ...], tuple[str, ...]]:
    """Return the styles and the settings (`size=2048`) that an editor's keywords ask for: the one rule.

    A style is one or more names, of which the first counts that there is: of `nst|oil|thick`, a deeper
    hierarchy, these are `oil|thick`, `thick` and `oil`.
    """
    words = [match["word"].strip() for keyword in keywords if (match := _KEYWORD.fullmatch(keyword))]
    deep = {word: [level.strip() for level in re.split(r"[|/]", word) if level.strip()] for word in words}
    styles = [
        tuple(dict.fromkeys((word, *reversed(levels)) if len(levels) > 1 else levels))
        for word, levels in deep.items()
        if levels and "=" not in word
    ]
    settings = [levels[-1] for word, levels in deep.items() if levels and "=" in levels[-1]]
    return tuple(styles), tuple(settings)


def blend_of(style: object) -> Blend:
    """Return a choice of style as names and shares, from a name or a list of `name` and `{name: share}`.

    Raises:
        ValueError: it is none, or names a path or a URL: styles come from the library only.
    """
    entries = style if isinstance(style, (list, tuple)) else [style]
    blend = tuple(share for entry in entries for share in _shares(entry))
    if not 1 <= len(blend) <= MAX_BLEND:
        raise ValueError(f"names {len(blend)} styles, allowed are 1 to {MAX_BLEND}")
    if len({style_key(name) for name, _ in blend}) < len(blend):
        raise ValueError("names one style twice")
    return blend


def _shares(entry: object) -> Blend:
    if not isinstance(entry, Mapping):
        return ((_style_name(entry), 1.0),)
    return tuple((_style_name(name), _share(name, share)) for name, share in entry.items())


def _style_name(name: object) -> str:
    if not isinstance(name, (str, int, float)) or isinstance(name, bool):  # a style may be called 1984
        raise ValueError(f"got {name!r}, allowed is the name of a style, or a list of names")
    text = str(name).strip()
    if not text or len(text) > 200 or re.search(r'[/\\:*?"<>|\x00-\x1f\x7f]', text) or text.startswith("."):
        raise ValueError(f"got {name!r}, allowed is the name of a style in the library: no path and no URL")
    return text


def _share(name: object, share: object) -> float:
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < math.inf:
        raise ValueError(f"got {share!r} as the share of {name}, allowed is a number above 0")
    return float(share)


def mask_name(name: object) -> str:
    """Return the name of a mask: a PNG file beside the photo.

    Raises:
        ValueError: it is none, or a path or a URL.
    """
    is_name = isinstance(name, str) and not re.search(r'[/\\:*?"<>|\x00-\x1f\x7f]', name)
    if not is_name or not re.fullmatch(r"[^.\s].{0,200}\.png", str(name), re.IGNORECASE):
        raise ValueError(f"got {name!r}, allowed is the name of a PNG file beside the photo: no path, no URL")
    return str(name)


def regions_of(regions: object) -> Regions:
    """Return regions as pairs of a mask's name and a choice of style, from a list of `{mask, style}`.

    Raises:
        ValueError: it is no such list.
    """
    if not isinstance(regions, (list, tuple)) or not 1 <= len(regions) <= MAX_REGIONS:
        raise ValueError(f"allowed is a list of 1 to {MAX_REGIONS} of {{mask: sky.png, style: mosaic}}")
    found = []
    for number, region in enumerate(regions, start=1):
        if not isinstance(region, Mapping) or set(region) != {"mask", "style"}:
            raise ValueError(f"number {number} must have the keys mask and style, and no other")
        found.append((mask_name(region["mask"]), blend_of(region["style"])))
    return tuple(found)


def spell_blend(blend: Blend) -> str:
    """Return a blend in words: `starry_night`, or `starry_night 1 + the_scream 0.4`."""
    if len(blend) == 1:
        return blend[0][0]
    return " + ".join(f"{name} {share:g}" for name, share in blend)


def spell_setting(value: object) -> str:
    """Return a setting's value in words, as config.yaml has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(str(part) for part in value) if isinstance(value, (tuple, list)) else str(value)
