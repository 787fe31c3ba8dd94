"""Settings, in whatever text they came -> checked values: `set`, rules, sidecars, `--set`.

Reads no file: the text is handed in.
"""

import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from nst_daemon.blends import blend_of, mask_name, regions_of
from nst_daemon.config.kinds import RULES, WORD
from nst_daemon.config.refusals import refusal
from nst_daemon.config.text import Document, Fault, KeyPath, nearest, read
from nst_daemon.errors import ConfigError
from nst_daemon.recipe import SETTINGS, PreserveColor, Recipe, Sidecar, canonical_layer

LAYER_SETTINGS: Final = ("content_layers", "style_layers")
SIDECAR_KEYS: Final = ("style", "set", "mask", "regions")
T = TypeVar("T")


# ── settings ────────────────────────────────────────────────────────────────────────────────────────────


def check_settings(raw: Mapping[str, object]) -> dict[str, object]:
    """Return partial settings with the types of `Recipe`, ready for `recipe.resolve`.

    Raises:
        ConfigError: lists every unknown key, with the nearest valid one, and every value out of range.
    """
    settings, faults = settings_and_faults(raw, ())
    if faults:
        raise Document(name="settings", value=raw).error(faults)
    return settings


def settings_and_faults(raw: object, path: KeyPath) -> tuple[dict[str, object], list[Fault]]:
    """Return the settings that are right, and what is wrong with the others, at keys below `path`."""
    if not isinstance(raw, Mapping):
        return {}, [Fault(path, f"got {reprlib.repr(raw)}, allowed is keys with values: {{size: 2048}}")]
    settings: dict[str, object] = {}
    faults: list[Fault] = []
    for key, value in raw.items():
        place = (*path, str(key))
        if key not in SETTINGS:
            faults.append(Fault(place, f"is no setting{nearest(str(key), SETTINGS)}"))
        elif key in LAYER_SETTINGS:
            try:
                settings[key] = _layers(key, value)
            except ValueError as error:
                faults.append(Fault(place, str(error)))
        else:
            settings[key] = _setting(key, value, place, faults)
    return settings, faults


def _setting(key: str, value: object, place: KeyPath, faults: list[Fault]) -> object:
    if key == "preserve_color" and isinstance(value, bool):
        return PreserveColor.LUMINANCE if value else PreserveColor.OFF
    try:
        return _adapter(key).validate_python(value)
    except ValidationError:
        faults.append(Fault(place, refusal(Recipe, (key,), value)))
        return None


@cache
def _adapter(key: str) -> TypeAdapter[Any]:
    kind = get_type_hints(Recipe, include_extras=True)[key]
    return TypeAdapter(kind if kind is bool else Annotated[kind, WORD], config=RULES)


def _layers(key: str, value: object) -> tuple[str, ...]:
    names = re.split(r"[\s,]+", value.strip()) if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"got {reprlib.repr(value)}, allowed is a list of layers: [relu3_1, relu4_1]")
    if not names and key == "style_layers":
        raise ValueError("is empty: name at least one layer, such as relu3_1")
    return tuple(canonical_layer(name) for name in names)


def parse_assignments(assignments: Sequence[str], *, name: str = "--set") -> dict[str, object]:
    """Return the settings of `size=2048`, `preset=fine`, …; the last of one key counts.

    `name`: where they stand, for messages. The text may be hostile: a photo's keywords.

    Raises:
        ConfigError: no `key=value`, or a setting that is wrong.
    """
    raw: dict[str, object] = {}
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        if not sign or not key.strip():
            raise ConfigError(
                f"{name} {assignment}: is no key=value{nearest(key, SETTINGS)}",
                remedy="Write it like size=2048.",
            )
        raw[key.strip()] = read(text, f"{name} {key.strip()}", is_hostile=True).value
    settings, faults = settings_and_faults(raw, ())
    if faults:
        raise Document(name=name, value=raw).error(faults)
    return settings


# ── sidecars ────────────────────────────────────────────────────────────────────────────────────────────


def parse_sidecar(text: str | bytes, path: Path | str) -> Sidecar:
    """Return what a sidecar asks for; one that cannot be used has a `fault`. Never raises.

    A `.json` file with none of our keys belongs to another program (Google Takeout leaves one beside every
    photo) and asks for nothing.
    """
    path = Path(path)
    try:
        document = read(text, path.name, is_hostile=True)
    except ConfigError as error:
        return Sidecar(path=path, fault=str(error))
    if document.value is None or _is_foreign(document.value, path):
        return Sidecar(path=path)
    if not isinstance(document.value, Mapping):
        return Sidecar(path=path, fault=f"{path.name}: has no keys: write style: starry_night")
    return _sidecar(document, document.value, path)


def _is_foreign(value: object, path: Path) -> bool:
    if path.suffix.lower() != ".json":
        return False
    keys = value if isinstance(value, Mapping) else ()
    is_ours = (nearest(str(key), ("style", "set"), cutoff=0.75) or key in SIDECAR_KEYS for key in keys)
    return not any(is_ours)


def _sidecar(document: Document, value: Mapping[str, object], path: Path) -> Sidecar:
    faults = [
        Fault((str(key),), f"is no key of a sidecar{nearest(str(key), SIDECAR_KEYS)}")
        for key in value
        if key not in SIDECAR_KEYS
    ]
    blend = _asked(blend_of, "style", value, faults)
    mask = _asked(mask_name, "mask", value, faults)
    regions = _asked(regions_of, "regions", value, faults)
    settings, wrong = settings_and_faults(value.get("set") or {}, ("set",))
    if faults or wrong:
        return Sidecar(path=path, fault="; ".join(document.describe(f) for f in [*faults, *wrong]))
    return Sidecar(path=path, style=blend, set=settings, mask=mask, regions=regions or ())


def _asked(
    read: Callable[[object], T], key: str, value: Mapping[str, object], faults: list[Fault]
) -> T | None:
    """Return what a key of a sidecar asks for; None if it is not there, or wrong: then it is in `faults`."""
    if value.get(key) is None:
        return None
    try:
        return read(value[key])
    except ValueError as error:
        faults.append(Fault((key,), str(error)))
        return None
