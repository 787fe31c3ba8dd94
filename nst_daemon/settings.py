"""Settings, in whatever text they came -> checked values: `set`, rules, sidecars, `--set`.

Reads no file: the text is handed in.
"""

import math
import re
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

from nst_daemon.config_text import Document, Fault, KeyPath, nearest, read
from nst_daemon.errors import ConfigError
from nst_daemon.recipe import SETTINGS, PreserveColor, Recipe, Sidecar, blend_of, canonical_layer
from nst_daemon.shapes import Parsed, conform, hints_of

LAYER_SETTINGS: Final = ("content_layers", "style_layers")


def idle_seconds(keep_warm: str) -> float:
    """Return `keep_warm` in seconds: "90", "15m", "2h"; "always" is infinite, "never" 0.

    Raises:
        ValueError: it is none of these.
    """
    if keep_warm in ("always", "never"):
        return math.inf if keep_warm == "always" else 0.0
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", keep_warm.strip())
    if match is None:
        raise ValueError(f"{keep_warm!r} is no time")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def memory_bytes(limit: str) -> int:
    """Return "4GB", "512 MB", "1.5GiB" or a plain number in bytes.

    Raises:
        ValueError: it is no amount of memory.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", limit.strip().lower())
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"{limit!r} is no amount of memory")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** " kmgt".index(match[2] or " "))


def device_name(name: str) -> str:
    """Return the name of a device as torch spells it.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(r"auto|cpu|mps|(cuda|xpu)(:\d+)?", name.lower()):
        raise ValueError(f"{name!r} is no device")
    return name.lower()


KeepWarm = Annotated[str, Parsed(idle_seconds, "a time such as 90s, 15m or 2h, or always, or never")]
MemoryLimit = Annotated[str, Parsed(memory_bytes, "an amount of memory such as 4GB or 800MB")]
Device = Annotated[str, Parsed(device_name, "auto, cpu, cuda, cuda:1, mps or xpu")]


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
    return conform(hints_of(Recipe)[key], value, place, faults)


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
    return not any(nearest(str(key), ("style", "set"), cutoff=0.75) for key in keys)


def _sidecar(document: Document, value: Mapping[str, object], path: Path) -> Sidecar:
    faults = [
        Fault((str(key),), f"is no key of a sidecar{nearest(str(key), ('style', 'set'))}")
        for key in value
        if key not in ("style", "set")
    ]
    blend = None
    if value.get("style") is not None:
        try:
            blend = blend_of(value["style"])
        except ValueError as error:
            faults.append(Fault(("style",), str(error)))
    settings, wrong = settings_and_faults(value.get("set") or {}, ("set",))
    if faults or wrong:
        return Sidecar(path=path, fault="; ".join(document.describe(f) for f in [*faults, *wrong]))
    return Sidecar(path=path, style=blend, set=settings)
