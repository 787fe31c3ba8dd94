"""What a painting says of itself: written with a result, read back by `explain` and `render --like`. Pure.

The text may be hostile: anyone can write it into a picture.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nst_daemon import __version__
from nst_daemon.config.blends import Blend, blend_of, spell_blend, spell_setting
from nst_daemon.config.orders import Order
from nst_daemon.config.recipe import EARLIER, SETTINGS, Recipe, Style, blend_name, resolve
from nst_daemon.config.settings import check_settings
from nst_daemon.errors import ConfigError

MAX_CHARS = 100_000  # of one part


def of_order(order: Order, *, weights: str) -> dict[str, str]:
    """Return what a result says of itself, by name."""
    said = {
        "style": blend_name(order.styles),
        "styles": _json(_facts(order.styles)),
        "settings": json.dumps(order.recipe.as_settings(), sort_keys=True),
        "seed": str(order.recipe.seed),
        "weights": weights,
        "version": __version__,
        "job_key": order.key,
    }
    if order.areas.mask is not None:
        said["mask"] = order.areas.mask.name
    if order.areas.regions:
        regions = [{"mask": each.mask.name, "styles": _facts(each.styles)} for each in order.areas.regions]
        said["regions"] = _json(regions)
    return said


def _facts(styles: Sequence[Style]) -> list[dict[str, object]]:
    return [{"name": style.name, "share": style.weight, "sha256": style.sha256} for style in styles]


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """The style and settings of a painting, to be used once more."""

    blend: Blend
    settings: Mapping[str, object]
    hashes: Mapping[str, str]  # of the style pictures, by name
    warnings: tuple[str, ...]

    def notes(self, styles: Sequence[Style]) -> Iterator[str]:
        """Yield why a new painting may look different all the same."""
        yield from self.warnings
        for style in styles:
            if self.hashes.get(style.name, style.sha256) != style.sha256:
                yield f"the picture of the style {style.name} is another one today."


def likeness(said: Mapping[str, str], *, weights: str) -> Likeness:
    """Return the style and settings that a painting tells of; `weights` are those of this engine.

    Raises:
        ConfigError: what it tells makes no sense.
    """
    try:
        styles = _styles_of(said)
        blend = blend_of([{name: share} for name, share, _ in styles])
        raw = _parsed(said.get("settings", "{}"))
        if not isinstance(raw, dict):
            raise ValueError("its settings are none")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ConfigError(f"What the painting says of itself cannot be used: {error}.") from error
    unknown = sorted(str(key) for key in raw if key not in SETTINGS)
    warnings = [f"its setting {key} is unknown here, and was left out." for key in unknown]
    if said.get("weights", weights) != weights:
        warnings.append(f"it was painted with the weights {said['weights']}; engine.weights is {weights}.")
    if said.get("version", __version__) != __version__:
        warnings.append(f"it was painted by version {said['version']}; this is {__version__}.")
    if "mask" in said or "regions" in said:
        warnings.append("its masks belong to its own photo; those beside the new one count.")
    known = check_settings({key: value for key, value in raw.items() if key in SETTINGS})
    return Likeness(
        blend=blend,
        settings={**EARLIER, **known} if known else {},
        hashes={name: sha256 for name, _, sha256 in styles if sha256},
        warnings=tuple(warnings),
    )


def _parsed(text: str) -> object:
    if len(text) > MAX_CHARS:
        raise ValueError(f"a part of it has {len(text)} characters")
    return json.loads(text)


def _styles_of(said: Mapping[str, str]) -> list[tuple[str, float, str]]:
    if "styles" not in said:
        return [(name, 1.0, "") for name in said["style"].split("+")]
    return _facts_in(_list_in(said["styles"]))


def _list_in(text: str) -> list[Any]:
    known = _parsed(text)
    if not isinstance(known, list):
        raise ValueError("a part of it is no list")
    return known


def _facts_in(known: Iterable[Any]) -> list[tuple[str, float, str]]:
    return [(str(each["name"]), each.get("share", 1.0), str(each.get("sha256", ""))) for each in known]


def described(said: Mapping[str, str]) -> Iterator[str]:
    """Yield lines on how a painting was made; settings only where they differ from the preset's."""
    try:
        model = likeness(said, weights=said.get("weights", ""))
    except ConfigError:
        yield from (f"{name}: {value}" for name, value in said.items())
        return
    yield f"style: {spell_blend(model.blend)}"
    preset = resolve({"preset": model.settings.get("preset", Recipe().preset)}).as_settings()
    yield f"preset: {preset['preset']}"
    for key, value in model.settings.items():
        plain = list(value) if isinstance(value, tuple) else value
        if plain != preset.get(key):
            yield f"{key}: {spell_setting(value)}"
    if said.get("mask"):
        yield f"mask: {said['mask']}"
    yield from _regions_of(said.get("regions", "[]"))
    for name in ("seed", "weights", "version", "job_key"):
        if said.get(name) and name not in model.settings:
            yield f"{name.replace('_', ' ')}: {said[name]}"


def _regions_of(text: str) -> Iterator[str]:
    """Yield a line a region; the text as it is where it makes no sense."""
    try:
        regions = [(str(each["mask"]), _facts_in(each["styles"])) for each in _list_in(text)]
        blends = [blend_of([{name: share} for name, share, _ in styles]) for _, styles in regions]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        yield f"regions: {text}"
        return
    for (mask, _), blend in zip(regions, blends, strict=True):
        yield f"region {mask}: {spell_blend(blend)}"
