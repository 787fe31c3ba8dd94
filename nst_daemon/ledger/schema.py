"""The ledger's tables, as a list of migrations, and its rows as values. Pure: no file, no SQLite.

A migration is never edited once released: a change is a new entry at the end. `LedgerFile` runs those
that a file does not have yet, each in one transaction, behind a backup.
"""

import json
import os
import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol, get_type_hints

from nst_daemon.config.orders import EngineFacts, Progress
from nst_daemon.config.recipe import EVERYWHERE, SETTINGS, Areas, Mask, Recipe, Region, Style, resolve
from nst_daemon.errors import NstError
from nst_daemon.ledger.jobs import Job, JobState, NewJob, Origin

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE jobs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            key TEXT NOT NULL UNIQUE,
            photo TEXT NOT NULL,
            original NOT NULL,                 -- paths: text, or bytes where they are no UTF-8
            copy NOT NULL,
            photo_sha256 TEXT NOT NULL,
            inbox,
            outbox NOT NULL,
            origin TEXT NOT NULL,
            styles TEXT NOT NULL,              -- JSON
            recipe TEXT,                       -- JSON; NULL while held
            sidecar,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            created REAL NOT NULL,             -- seconds since 1970, as all times here
            started REAL,
            finished REAL,
            seconds REAL,
            result,
            result_name,                       -- `result` as a file system that folds case sees it
            error TEXT,
            cancel_requested INTEGER NOT NULL DEFAULT 0,
            not_before REAL NOT NULL DEFAULT 0,
            progress TEXT,                     -- JSON; of what runs, and the last of what is done
            was_done INTEGER NOT NULL DEFAULT 0,
            is_disposed INTEGER NOT NULL DEFAULT 0  -- the original is where it belongs
        )
        """,
        "CREATE INDEX jobs_by_state ON jobs (state, id)",
        "CREATE INDEX jobs_by_original ON jobs (original)",
        "CREATE UNIQUE INDEX jobs_by_result ON jobs (result_name) WHERE result_name IS NOT NULL",
        """
        CREATE TABLE seen (
            path PRIMARY KEY NOT NULL,
            root NOT NULL,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            inode TEXT NOT NULL,               -- text: Windows has 128 bits of it
            verdict TEXT NOT NULL,
            photo_sha256 TEXT NOT NULL,
            keywords TEXT NOT NULL,            -- JSON
            sidecar TEXT NOT NULL              -- fingerprint of the sidecar that was paired
        ) WITHOUT ROWID
        """,
        "CREATE INDEX seen_by_root ON seen (root)",
        """
        CREATE TABLE problems (
            source TEXT NOT NULL, position INTEGER NOT NULL,
            code TEXT NOT NULL, message TEXT NOT NULL, remedy TEXT NOT NULL,
            PRIMARY KEY (source, position)
        ) WITHOUT ROWID
        """,
        "CREATE TABLE facts (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID",
    ),
    ("ALTER TABLE jobs ADD COLUMN areas TEXT",),  # JSON: masks and regions; NULL where there are none
    (
        # The worker asks for these all the time, also when thousands of jobs are done.
        "CREATE INDEX jobs_undisposed ON jobs (state, id) WHERE is_disposed = 0",
        # Inboxes that another daemon works on: their jobs wait.
        "CREATE TABLE foreign_inboxes (path PRIMARY KEY NOT NULL) WITHOUT ROWID",
    ),
    (
        # The photo's folder, relative to its inbox; NULL for a submitted photo.
        "ALTER TABLE jobs ADD COLUMN place",
        # Whose fault a bad end is: how far the attempt in hand has come (NULL: the engine does not have the
        # photo), how far the best one came, and how many ended badly since and came no further: by an end of
        # the daemon, or of the engine.
        "ALTER TABLE jobs ADD COLUMN reached REAL",
        "ALTER TABLE jobs ADD COLUMN best REAL NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN strikes INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN breaks INTEGER NOT NULL DEFAULT 0",
        # Outboxes, or sub-folders of them, that take no result at the moment: their jobs wait.
        "CREATE TABLE blocked_outboxes (path NOT NULL, place)",  # place: one of its sub-folders; NULL: all
    ),
)

ENUM_SETTINGS: Final = {
    name: hint
    for name, hint in get_type_hints(Recipe).items()
    if isinstance(hint, type) and issubclass(hint, StrEnum)
}


NO_MEANING: Final = (
    *(ValueError, KeyError, TypeError, AttributeError, AssertionError, IndexError, OverflowError, OSError),
    NstError,
)  # what parsing may raise: broken JSON, an unknown word, a time that no calendar has, settings that are none


class UnreadableRowError(Exception):
    """A row that no longer says what it should: written by another version, or damaged."""


class Row(Protocol):
    """A row of a table, by the names of its columns."""

    def __getitem__(self, name: str, /) -> Any: ...


class Verdict(StrEnum):
    """What became of a file of the inbox."""

    JOB = "job"  # it has jobs of its own
    DUPLICATE = "duplicate"  # the same work was done or is waiting already
    PAINTING = "painting"  # a result of ours: never painted again
    UNREADABLE = "unreadable"  # recorded as a failed job
    MASK = "mask"  # of another photo, by the word of a sidecar


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A file of an inbox that has been dealt with, and by what it is known again."""

    path: Path
    root: Path  # the inbox
    size: int
    mtime_ns: int
    inode: int
    verdict: Verdict
    photo_sha256: str = ""
    keywords: tuple[str, ...] = ()
    sidecar: str = ""  # fingerprint of the sidecar that was paired; empty: none


def path_in(path: Path | None) -> str | bytes | None:
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


def job_columns(new: NewJob) -> dict[str, object]:
    """Return the columns of a new job's row that come from intake or `submit`.

    Without `place` where it cannot be known from the paths: what the row says of it stays.
    """
    place: dict[str, object] = {}
    if new.inbox is not None and new.original.is_relative_to(new.inbox):
        place = {"place": path_in(new.original.relative_to(new.inbox).parent)}
    return place | {
        "key": text_in(new.key),
        "photo": text_in(new.photo),
        "original": path_in(new.original),
        "copy": path_in(new.copy),
        "photo_sha256": new.photo_sha256,
        "inbox": path_in(new.inbox),
        "outbox": path_in(new.outbox),
        "origin": new.origin.value,
        "styles": json.dumps([_style_in(style) for style in new.styles]),
        "areas": areas_in(new.areas),
        "recipe": None if new.recipe is None else json.dumps(new.recipe.as_settings()),
        "sidecar": path_in(new.sidecar),
        "state": new.state.value,
        "error": text_in(new.error),
    }


def job_of_row(row: Row) -> Job:
    """Return the job that a row of the table `jobs` holds. Raises: UnreadableRowError: it holds none."""
    try:
        return _job_of_row(row)
    except NO_MEANING as error:
        raise UnreadableRowError(f"{type(error).__name__}: {error}") from error


def _job_of_row(row: Row) -> Job:
    original, copy, outbox = path_out(row["original"]), path_out(row["copy"]), path_out(row["outbox"])
    assert original is not None and copy is not None and outbox is not None  # NOT NULL columns
    return Job(
        id=row["id"],
        key=row["key"],
        photo=row["photo"],
        original=original,
        copy=copy,
        photo_sha256=row["photo_sha256"],
        inbox=path_out(row["inbox"]),
        outbox=outbox,
        origin=Origin(row["origin"]),
        styles=_styles_of(row["styles"]),
        recipe=_recipe_of(row["recipe"]),
        sidecar=path_out(row["sidecar"]),
        state=JobState(row["state"]),
        attempts=row["attempts"],
        created=_moment(row["created"]),
        started=None if row["started"] is None else _moment(row["started"]),
        finished=None if row["finished"] is None else _moment(row["finished"]),
        seconds=row["seconds"],
        result=path_out(row["result"]),
        error=row["error"],
        cancel_requested=bool(row["cancel_requested"]),
        is_disposed=bool(row["is_disposed"]),
        areas=areas_out(row["areas"]),
        progress=progress_out(row["progress"]),
        place=path_out(row["place"]),
        strikes=row["strikes"],
    )


def copies_of_row(row: Row) -> set[Path]:
    """Return the private copies that a row of the table `jobs` names: of its photo, its masks and styles.

    Of a row that no longer parses, whatever may be one.
    """
    found = set()
    try:
        areas = areas_out(row["areas"])
        styles = (*_styles_of(row["styles"]), *(style for region in areas.regions for style in region.styles))
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


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _style_in(style: Style) -> dict[str, object]:
    return {
        "name": style.name,
        "path": os.fspath(style.path),
        "sha256": style.sha256,
        "weight": style.weight,
    }


def _style_out(known: dict[str, Any]) -> Style:
    return Style(name=known["name"], path=Path(known["path"]), sha256=known["sha256"], weight=known["weight"])


def _styles_of(text: str) -> tuple[Style, ...]:
    return tuple(map(_style_out, json.loads(text)))


def areas_in(areas: Areas) -> str | None:
    """Return masks and regions as JSON; None where there are none."""
    if areas == EVERYWHERE:
        return None
    regions = [
        {"mask": _mask_in(region.mask), "styles": [_style_in(style) for style in region.styles]}
        for region in areas.regions
    ]
    return json.dumps({"mask": areas.mask and _mask_in(areas.mask), "regions": regions})


def areas_out(text: str | None) -> Areas:
    """Return the masks and regions that `areas_in` was given."""
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


def _recipe_of(text: str | None) -> Recipe | None:
    if text is None:
        return None
    known = {name: value for name, value in json.loads(text).items() if name in SETTINGS}
    for name, kind in ENUM_SETTINGS.items():
        if name in known:
            known[name] = kind(known[name])
    return resolve(known)


def progress_in(progress: Progress | None) -> str | None:
    """Return a progress as JSON."""
    if progress is None:
        return None
    return json.dumps(
        {name: getattr(progress, name) for name in _PROGRESS} | {"losses": dict(progress.losses)}
    )


def progress_out(text: str | None) -> Progress | None:
    """Return the progress that `progress_in` was given; None too where it can no longer be read: a view's."""
    try:
        return None if text is None else Progress(**json.loads(text))
    except NO_MEANING:
        return None


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


def seen_columns(seen: Seen) -> tuple[object, ...]:
    """Return the row of the table `seen`, in the order of its columns."""
    return (
        path_in(seen.path),
        path_in(seen.root),
        seen.size,
        seen.mtime_ns,
        str(seen.inode),
        seen.verdict.value,
        seen.photo_sha256,
        json.dumps(seen.keywords),
        seen.sidecar,
    )


def seen_of_row(row: Row) -> Seen:
    """Return what a row of the table `seen` holds. Raises: one of NO_MEANING: it holds nothing."""
    path, root = path_out(row["path"]), path_out(row["root"])
    assert path is not None and root is not None  # NOT NULL columns
    return Seen(
        path=path,
        root=root,
        size=row["size"],
        mtime_ns=row["mtime_ns"],
        inode=int(row["inode"]),
        verdict=Verdict(row["verdict"]),
        photo_sha256=row["photo_sha256"],
        keywords=tuple(json.loads(row["keywords"])),
        sidecar=row["sidecar"],
    )


_PROGRESS: Final = tuple(Progress.__dataclass_fields__)
_ENGINE_FACTS: Final = ("state", "device", "network", "weights")
