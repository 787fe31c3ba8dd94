"""Values <-> columns of the ledger's tables. Pure: no file, no SQLite.

A field of `NewJob`, `Job` or `Seen` is kept in the column of its name, by its type: a new one is written down
there, and in a migration, and nowhere else.
"""

import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path, PurePath
from sqlite3 import Row
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_type_hints

from nst_daemon.config.orders import EngineFacts, Progress, SeatFacts
from nst_daemon.config.recipe import (
    EARLIER,
    EVERYWHERE,
    SETTINGS,
    Areas,
    Mask,
    Recipe,
    Region,
    Style,
    resolve,
)
from nst_daemon.disk import Stamp
from nst_daemon.errors import NstError
from nst_daemon.ledger.jobs import Job, NewJob

ENUM_SETTINGS: Final = {
    name: hint
    for name, hint in get_type_hints(Recipe).items()
    if isinstance(hint, type) and issubclass(hint, StrEnum)
}
SHARED: Final = 1024  # styles, settings and areas that are parsed once for all rows that have the same
NO_MEANING: Final = (
    *(ValueError, KeyError, TypeError, AttributeError, AssertionError, IndexError, OverflowError, OSError),
    NstError,
)  # what parsing may raise: broken JSON, an unknown word, a time that no calendar has, settings that are none


class UnreadableRowError(Exception):
    """A row that no longer says what it should: written by another version, or damaged."""


def path_in(path: PurePath | None) -> str | bytes | None:
    """Return a path as SQLite keeps it: text, or bytes where the name is no UTF-8."""
    if path is None:
        return None
    text = os.fspath(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return text


def path_out(value: str | bytes | None) -> Path | None:
    """Return the path that `path_in` was given."""
    return None if value is None else Path(os.fsdecode(value))


def text_in(text: str | None) -> str | None:
    """Return words that SQLite takes: a byte that is no UTF-8 is spelt out."""
    return None if text is None else os.fsencode(text).decode("utf-8", "backslashreplace")


def result_name(path: Path | None) -> str | bytes | None:
    """Return a result's path as the least discerning file system sees it: no case, one Unicode form."""
    if path is None:
        return None
    text = os.fspath(path)
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return path_in(Path(folded))


# ── by type ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Kind:
    """How values of one type are kept, and what is made of them again."""

    put: Callable[[Any], object]
    take: Callable[[Any], Any]


def _kind_of(hint: Any) -> _Kind:
    """Return how values of a field are kept, by its annotation."""
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _Kind(lambda value: value.value, hint)
    if not isinstance(hint, UnionType):
        return _KINDS[hint]
    (inner,) = (each for each in get_args(hint) if each is not NoneType)
    kind = _kind_of(inner)
    return _Kind(
        lambda value: None if value is None else kind.put(value),
        lambda value: None if value is None else kind.take(value),
    )


@cache
def _kinds_of(shape: type) -> Mapping[str, _Kind]:
    """Return how each field of a dataclass is kept."""
    hints = get_type_hints(shape)
    return {field.name: _kind_of(hints[field.name]) for field in fields(shape)}


def columns_of(value: Any, shape: type) -> dict[str, object]:
    """Return the columns that a dataclass is kept in: the fields of `shape`, its own or that of its base."""
    return {name: kind.put(getattr(value, name)) for name, kind in _kinds_of(shape).items()}


def fields_of(row: Row, shape: type) -> dict[str, Any]:
    """Return what `columns_of` was given. Raises: one of NO_MEANING: the row holds no such thing."""
    return {name: kind.take(row[name]) for name, kind in _kinds_of(shape).items()}


# ── jobs ────────────────────────────────────────────────────────────────────────────────────────────────


def job_columns(new: NewJob) -> dict[str, object]:
    """Return the columns of a new job's row that come from intake or `submit`."""
    place = None if new.inbox is None else path_in(new.place)  # its own column, for what is blocked
    return columns_of(new, NewJob) | {"place": place}


def job_of_row(row: Row) -> Job:
    """Return the job that a row of the table `jobs` holds. Raises: UnreadableRowError: it holds none."""
    try:
        return Job(**fields_of(row, Job))
    except NO_MEANING as error:
        raise UnreadableRowError(f"{type(error).__name__}: {error}") from error


def copies_of_row(row: Row) -> set[Path]:
    """Return the private copies that a row of the table `jobs` names: of its photo, its masks and styles.

    Of a row that no longer parses, whatever may be one.
    """
    found = set()
    try:
        areas = _areas_out(row["areas"])
        styles = (
            *_styles_out(row["styles"]),
            *(style for region in areas.regions for style in region.styles),
        )
        found |= {mask.path for mask in areas.masks} | {style.path for style in styles}
    except NO_MEANING:
        quoted = _QUOTED.findall(f"{row['areas']} {row['styles']}")
        found |= {Path(json.loads(text)) for text in quoted if _is_json(text)}
    with suppress(*NO_MEANING):
        found |= {copy for copy in (path_out(row["copy"]),) if copy is not None}
    return found


_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _style_in(style: Style) -> dict[str, object]:
    return {
        "name": style.name,
        "path": os.fspath(style.path),
        "sha256": style.sha256,
        "weight": style.weight,
    }


def _style_out(known: dict[str, Any]) -> Style:
    return Style(name=known["name"], path=Path(known["path"]), sha256=known["sha256"], weight=known["weight"])


def _styles_in(styles: tuple[Style, ...]) -> str:
    return json.dumps([_style_in(style) for style in styles])


@lru_cache(maxsize=SHARED)
def _styles_out(text: str) -> tuple[Style, ...]:
    return tuple(map(_style_out, json.loads(text)))


def _areas_in(areas: Areas) -> str | None:
    """Return masks and regions as JSON; None where there are none."""
    if areas == EVERYWHERE:
        return None
    regions = [
        {"mask": _mask_in(region.mask), "styles": [_style_in(style) for style in region.styles]}
        for region in areas.regions
    ]
    return json.dumps({"mask": areas.mask and _mask_in(areas.mask), "regions": regions})


@lru_cache(maxsize=SHARED)
def _areas_out(text: str | None) -> Areas:
    if text is None:
        return EVERYWHERE
    known = json.loads(text)
    regions = tuple(
        Region(mask=_mask_out(each["mask"]), styles=tuple(map(_style_out, each["styles"])))
        for each in known["regions"]
    )
    return Areas(mask=known["mask"] and _mask_out(known["mask"]), regions=regions)


def _mask_in(mask: Mask) -> dict[str, str]:
    return {"name": mask.name, "path": os.fspath(mask.path), "sha256": mask.sha256}


def _mask_out(known: dict[str, str]) -> Mask:
    return Mask(name=known["name"], path=Path(known["path"]), sha256=known["sha256"])


def _recipe_in(recipe: Recipe) -> str:
    return json.dumps(recipe.as_settings())


@lru_cache(maxsize=SHARED)
def _recipe_out(text: str) -> Recipe:
    known = {name: value for name, value in json.loads(text).items() if name in SETTINGS}
    for name, kind in ENUM_SETTINGS.items():
        if name in known:
            known[name] = kind(known[name])
    return resolve({**EARLIER, **known})


def progress_in(progress: Progress) -> str:
    """Return a progress as JSON."""
    return json.dumps(
        {name: getattr(progress, name) for name in _PROGRESS} | {"losses": dict(progress.losses)}
    )


def _progress_out(text: str) -> Progress | None:
    """Return the progress that `progress_in` was given; None where it can no longer be read: a view's."""
    try:
        return Progress(**json.loads(text))
    except NO_MEANING:
        return None


# ── engines ─────────────────────────────────────────────────────────────────────────────────────────────


def engines_in(engines: Iterable[EngineFacts]) -> str:
    """Return what the engines are as JSON."""
    return json.dumps([{name: getattr(facts, name) for name in _ENGINE_FACTS} for facts in engines])


def engines_out(text: str | None) -> tuple[EngineFacts, ...]:
    """Return the facts that `engines_in` was given, as far as they are for views, and can be read."""
    try:
        return tuple(
            EngineFacts(**{name: each[name] for name in _ENGINE_FACTS}) for each in json.loads(text or "[]")
        )
    except NO_MEANING:
        return ()


def seats_in(seats: Iterable[SeatFacts]) -> str:
    """Return what the seats of a farm are as JSON."""
    return json.dumps([asdict(facts) for facts in seats])


def seats_out(text: str | None) -> tuple[SeatFacts, ...]:
    """Return the facts that `seats_in` was given, as far as they can be read."""
    try:
        return tuple(SeatFacts(**each) for each in json.loads(text or "[]"))
    except NO_MEANING:
        return ()


_PROGRESS: Final = tuple(Progress.__dataclass_fields__)
_ENGINE_FACTS: Final = ("state", "device", "network", "weights")


def _as_it_is(value: Any) -> Any:
    return value


_KINDS: Final[Mapping[Any, _Kind]] = {
    int: _Kind(_as_it_is, _as_it_is),
    float: _Kind(_as_it_is, _as_it_is),
    bool: _Kind(int, bool),
    str: _Kind(text_in, _as_it_is),
    tuple[str, ...]: _Kind(json.dumps, lambda text: tuple(json.loads(text))),
    Path: _Kind(path_in, lambda value: Path(os.fsdecode(value))),
    PurePath: _Kind(path_in, lambda value: PurePath(os.fsdecode(value))),
    Stamp: _Kind(str, Stamp.parse),
    datetime: _Kind(datetime.timestamp, lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    tuple[Style, ...]: _Kind(_styles_in, _styles_out),
    Recipe: _Kind(_recipe_in, _recipe_out),
    Areas: _Kind(_areas_in, _areas_out),
    Progress: _Kind(progress_in, _progress_out),
}
