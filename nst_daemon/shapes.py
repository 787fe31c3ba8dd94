"""Plain values from YAML -> the types of frozen dataclasses, or what is wrong with them. Pure.

What a field allows is its annotation: text, numbers with `Ge` and `Le`, `StrEnum`, `Literal`, tuples, other
dataclasses, `Parsed` text. Written here because the command line must answer in a blink, and the usual
library takes longer to import than all the rest of it.
"""

import dataclasses
import math
import reprlib
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Le

from nst_daemon.config_text import Fault, KeyPath, nearest

BOOLEANS: Final[Mapping[object, bool]] = {
    **dict.fromkeys((True, "true", "yes", "on"), True),
    **dict.fromkeys((False, "false", "no", "off"), False),
}
KINDS: Final[Mapping[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """Marks text that a function must accept: `Annotated[str, Parsed(idle_seconds, "a time")]`."""

    parse: Callable[[str], object]
    allowed: str


class _Misfit(ValueError):  # noqa: N818  it never leaves this module
    """The value is none of what its annotation allows."""


def conform(
    hint: Any,
    value: object,
    path: KeyPath,
    faults: list[Fault],
    *,
    unknown: Callable[[KeyPath], str] = lambda _: "is no key here",
) -> Any:
    """Return the value as its annotation wants it; None where it cannot be, with the reason in `faults`."""
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return _dataclass(hint, value, path, faults, unknown)
    if get_origin(hint) is tuple and isinstance(value, (list, tuple)):
        (kind, _) = get_args(hint)
        return tuple(
            conform(kind, part, (*path, index), faults, unknown=unknown) for index, part in enumerate(value)
        )
    try:
        return _scalar(hint, value)
    except _Misfit:
        faults.append(Fault(path, refusal(hint, value)))
        return None


def _dataclass(
    kind: Any,
    value: Mapping[Any, object],
    path: KeyPath,
    faults: list[Fault],
    unknown: Callable[[KeyPath], str],
) -> Any:
    hints, before = hints_of(kind), len(faults)
    given = {}
    for key, part in value.items():
        place = (*path, str(key))
        if key in hints:
            given[key] = conform(hints[key], part, place, faults, unknown=unknown)
        else:
            faults.append(Fault(place, unknown(place)))
    for field in dataclasses.fields(kind):
        is_needed = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if is_needed and field.name not in value:
            faults.append(Fault((*path, field.name), "is missing"))
    return kind(**given) if len(faults) == before else None


@cache
def hints_of(kind: Any) -> dict[str, Any]:
    """Return the annotations of a dataclass by field."""
    return get_type_hints(kind, include_extras=True)


def _scalar(hint: Any, value: object) -> object:
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is Annotated:
        return _marked(_scalar(parts[0], value), parts[1:])
    if origin in (Union, types.UnionType):
        return _first_fit(parts, value)
    if origin is Literal and value in parts:
        return value
    if isinstance(hint, type) and issubclass(hint, StrEnum) and isinstance(value, str):
        return _member(hint, value)
    if hint in KINDS:
        return _plain(hint, value)
    raise _Misfit


def _marked(value: Any, marks: tuple[object, ...]) -> object:
    for mark in marks:
        match mark:
            case Ge(ge=low) if not value >= low:  # NaN is neither above nor below
                raise _Misfit
            case Le(le=high) if not value <= high:
                raise _Misfit
            case Parsed(parse=parse):
                try:
                    parse(value)
                except ValueError as error:
                    raise _Misfit from error
    return value


def _first_fit(hints: tuple[Any, ...], value: object) -> object:
    for hint in hints:
        if hint is types.NoneType and value is None:
            return None
        try:
            return _scalar(hint, value)
        except _Misfit:
            continue
    raise _Misfit


def _member(kind: type[StrEnum], value: str) -> StrEnum:
    try:
        return kind(value.lower())
    except ValueError as error:
        raise _Misfit from error


def _plain(kind: type, value: object) -> object:
    """Return text, a number or a boolean; a number may be written as text, and text as a number."""
    if kind is bool:
        word = value.lower() if isinstance(value, str) else value
        if isinstance(word, (bool, str)) and word in BOOLEANS:
            return BOOLEANS[word]
        raise _Misfit
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise _Misfit
    if kind is str:
        return str(value)
    try:
        number = float(value)
        if not math.isfinite(number) or (kind is int and number != int(number)):
            raise _Misfit
        # Not by way of float: a seed may have 63 bits.
        return number if kind is float else int(number if isinstance(value, float) else value)
    except (ValueError, OverflowError) as error:
        raise _Misfit from error


# ── words ───────────────────────────────────────────────────────────────────────────────────────────────


def refusal(hint: Any, value: object) -> str:
    """Return "got …, allowed is …", with the nearest word of a closed set."""
    near = nearest(value.lower(), _words(hint)) if isinstance(value, str) else ""
    return f"got {reprlib.repr(value)}, allowed is {allowed(hint)}{near}"


def allowed(hint: Any) -> str:
    """Return in words what an annotation allows."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _allowed_marked(parts[0], parts[1:])
    if origin in (Union, types.UnionType):
        return ", or ".join(allowed(part) for part in parts if part is not types.NoneType)
    if words := _words(hint):
        return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]
    if origin is tuple:
        return "a list"
    return KINDS.get(hint, "keys with values")


def _allowed_marked(hint: Any, marks: tuple[object, ...]) -> str:
    for mark in marks:
        if isinstance(mark, Parsed):
            return mark.allowed
    low = next((mark.ge for mark in marks if isinstance(mark, Ge)), None)
    high = next((mark.le for mark in marks if isinstance(mark, Le)), None)
    if high is None:
        return f"{allowed(hint)}, {_number(low)} or more"
    return f"{allowed(hint)} from {_number(low)} to {_number(high)}"


def _number(limit: Any) -> str:
    return f"{limit:g}" if isinstance(limit, float) else str(limit)


def _words(hint: Any) -> list[str]:
    """Return the words of a closed set; none where it is open."""
    if get_origin(hint) in (Union, types.UnionType):
        return [word for part in get_args(hint) for word in _words(part)]
    if get_origin(hint) is Literal:
        return [str(word) for word in get_args(hint)]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return [str(word) for word in hint]
    return []
