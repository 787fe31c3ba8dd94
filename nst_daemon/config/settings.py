"""Settings, in whatever text they came -> checked values: `set`, rules, sidecars, `--set`.

Reads no file: the text is handed in.
"""

import re
import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from nst_daemon.config.blends import blend_of, mask_name, regions_of
from nst_daemon.config.kinds import RULES, WORD
from nst_daemon.config.recipe import SETTINGS, Figures, PreserveColor, Recipe, Sidecar, canonical_layer
from nst_daemon.config.refusals import refusal
from nst_daemon.config.text import Document, Fault, KeyPath, nearest, read
from nst_daemon.errors import ConfigError

LAYER_SETTINGS: Final = ("content_layers", "style_layers")
HEAD: Final = 20_000  # characters of a text that is no YAML, by whose keys it is known for another program's
ASKING_KEYS: Final = ("style", "set", "mask", "regions")
OWN_KEYS: Final = (*ASKING_KEYS, "attended", "whole")  # by which a sidecar is known for ours
SIDECAR_KEYS: Final = (*OWN_KEYS, "title")  # which many programs write beside photos
MAX_TITLE: Final = 500  # characters
SWITCHES: Final[Mapping[str, tuple[str, str]]] = {  # what false and true mean of settings that are a word
    "preserve_color": (PreserveColor.OFF, PreserveColor.LUMINANCE),
    "figures": (Figures.OFF, Figures.ON),
}
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
    if key in SWITCHES and isinstance(value, bool):
        return SWITCHES[key][value]
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

    Other programs put files of that name beside photos as well (PhotoPrism, Google Takeout, a blog's front
    matter). What has none of our keys is theirs and asks for nothing: see `_is_foreign`.
    """
    path = Path(path)
    try:
        document = read(text, path.name, is_hostile=True)
    except ConfigError as error:
        return _foreign(path) if _looks_foreign(text) else Sidecar(path=path, fault=str(error))
    if document.value is None:
        return Sidecar(path=path)
    if _is_foreign(document.value, path):
        return _foreign(path)
    if not isinstance(document.value, Mapping):
        return Sidecar(path=path, fault=f"{path.name}: has no keys: write style: starry_night")
    return _sidecar(document, document.value, path)


def _foreign(path: Path) -> Sidecar:
    return Sidecar(path=path, is_ours=False)


def _is_foreign(value: object, path: Path) -> bool:
    """Return whether a sidecar's value is another program's.

    One with a key of ours is ours, and so is one whose every key is nearly one (`stlye`), or a setting that
    belongs under `set`: a slip of the pen holds its photo with a hint. A single word in YAML is a style whose
    key was forgotten.
    """
    if not isinstance(value, Mapping):
        return path.suffix.lower() == ".json" or not isinstance(value, (str, int, float))
    return not _are_ours({str(key) for key in value})


def _are_ours(keys: Collection[str]) -> bool:
    return not set(OWN_KEYS).isdisjoint(keys) or (bool(keys) and all(map(_is_nearly_ours, keys)))


def _is_nearly_ours(key: str) -> bool:
    words = (*ASKING_KEYS, *SETTINGS)
    return key.lower() in words or bool(nearest(key.lower(), words, cutoff=0.75))


KEY: Final = re.compile(
    r"""^[\s{"'-]*([A-Za-z_][\w .-]*?)["']?[ \t]*:(?:\s|$|["\[{])""", re.M
)  # in YAML and JSON


def _looks_foreign(text: str | bytes) -> bool:
    """Return whether a text that is no YAML, or too long, has keys, and they are another program's."""
    if isinstance(text, bytes):
        encoding = "utf-16" if text[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        text = text.decode(encoding, "replace")
    keys = {match[1] for match in KEY.finditer(text[:HEAD])}
    return bool(keys) and not _are_ours(keys)


def _sidecar(document: Document, value: Mapping[str, object], path: Path) -> Sidecar:
    faults = [
        Fault((str(key),), f"is no key of a sidecar{nearest(str(key), ASKING_KEYS)}")
        for key in value
        if key not in SIDECAR_KEYS
    ]
    blend = _asked(blend_of, "style", value, faults)
    mask = _asked(mask_name, "mask", value, faults)
    regions = _asked(regions_of, "regions", value, faults)
    title = _asked(_title, "title", value, faults)
    attended = _asked(_yes_or_no, "attended", value, faults)
    _asked(_yes_or_no, "whole", value, faults)
    settings, wrong = settings_and_faults(value.get("set") or {}, ("set",))
    if faults or wrong:
        return Sidecar(path=path, fault="; ".join(document.describe(f) for f in [*faults, *wrong]))
    return Sidecar(
        path=path,
        style=blend,
        set=settings,
        mask=mask,
        regions=regions or (),
        title=title,
        attended=bool(attended),
    )


def _title(value: object) -> str:
    """Return what people call a picture. Raises: ValueError: it is no text, or too long."""
    if not isinstance(value, (str, int, float)) or len(str(value)) > MAX_TITLE:
        raise ValueError(f"got {reprlib.repr(value)}, allowed is a text of up to {MAX_TITLE} characters")
    return str(value)


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"got {reprlib.repr(value)}, allowed is true or false")
    return value


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
