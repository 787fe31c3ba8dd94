"""Values and rows are one thing in two forms; a ledger from before keeps what it knew."""

import os
import sqlite3
import sys
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import pytest
from support.new_jobs import PROGRESS, STARRY, new_job

from nst_daemon.config.recipe import Areas, Mask, Region
from nst_daemon.disk import Stamp
from nst_daemon.ledger import Ledger, Seen, Verdict
from nst_daemon.ledger.columns import columns_of, fields_of, job_columns
from nst_daemon.ledger.jobs import Job, NewJob
from nst_daemon.ledger.schema import MIGRATIONS

SKY = Mask(name="sky.png", path=Path("/state/photos/sky.png"), sha256="3" * 64)
NEW = new_job(
    sidecar=Path("/inbox/trip/a.yaml"),
    error="it waits",
    areas=Areas(mask=SKY, regions=(Region(mask=SKY, styles=(STARRY,)),)),
)
NOW = datetime(2026, 8, 1, 12, 0, 0, 250_000, tzinfo=UTC)
JOB = Job(
    **{field.name: getattr(NEW, field.name) for field in fields(NewJob)},
    id=7,
    attempts=2,
    created=NOW,
    started=NOW,
    finished=NOW,
    seconds=1.5,
    result=Path("/outbox/trip/a.jpg"),
    cancel_requested=True,
    is_disposed=True,
    progress=PROGRESS,
    strikes=1,
)
SEEN = Seen(
    path=Path("/inbox/a.jpg"),
    root=Path("/inbox"),
    stamp=Stamp(7, 2**62, 2**100),
    verdict=Verdict.JOB,
    photo_sha256="a" * 64,
    keywords=("nst|café", "x"),
    sidecar="'a.yaml':1:2:3",
)


def stored(table: str, columns: dict[str, object]) -> Any:
    """Return the columns as a row of a new ledger's table has them."""
    db = sqlite3.connect(":memory:")
    db.row_factory = sqlite3.Row
    for statement in (statement for migration in MIGRATIONS for statement in migration):
        db.execute(statement)
    marks = ", ".join("?" * len(columns))
    db.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", tuple(columns.values()))
    return db.execute(f"SELECT * FROM {table}").fetchone()


@pytest.mark.parametrize(
    ("table", "value"), [("jobs", JOB), ("jobs", replace(JOB, areas=Areas(), recipe=None)), ("seen", SEEN)]
)
def test_every_field_is_kept_in_the_column_of_its_name(table: str, value: Any) -> None:
    row = stored(table, columns_of(value, type(value)))
    assert type(value)(**fields_of(row, type(value))) == value
    assert {field.name for field in fields(value)} <= set(row.keys())


def test_what_is_handed_over_can_be_had_again() -> None:
    assert JOB.as_new() == NEW
    assert set(job_columns(NEW)) == {field.name for field in fields(NewJob)} | {"place"}


@pytest.mark.parametrize("text", ["", "1:2", "1:2:3:4", "a:b:c"])
def test_what_is_no_stamp_is_refused(text: str) -> None:
    assert Stamp.parse(str(SEEN.stamp)) == SEEN.stamp
    with pytest.raises(ValueError):
        Stamp.parse(text)


def old_ledger(path: Path, *rows: tuple[object, ...]) -> None:
    path.parent.mkdir(parents=True)
    db = sqlite3.connect(path)
    for number, migration in enumerate(MIGRATIONS[:4], start=1):
        for statement in migration:
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {number}")
    for number, (photo, original, inbox, place) in enumerate(rows):
        columns = {"photo": photo, "original": original, "inbox": inbox, "place": place, "key": str(number)}
        columns |= {"copy": "/c", "photo_sha256": "s", "outbox": "/outbox", "origin": "inbox", "styles": "[]"}
        columns |= {"state": "queued", "created": 1.0}
        marks = ", ".join("?" * len(columns))
        db.execute(f"INSERT INTO jobs ({', '.join(columns)}) VALUES ({marks})", tuple(columns.values()))
    db.execute("INSERT INTO seen VALUES ('/inbox/a.jpg', '/inbox', 7, 8, '9', 'job', 's', '[]', '')")
    db.commit()
    db.close()


@pytest.mark.skipif(sys.platform == "win32", reason="names are Unicode there")
def test_a_ledger_from_before_has_the_real_path_of_every_photo(tmp_path: Path) -> None:
    path = tmp_path / "state" / "ledger.db"
    old_ledger(
        path,
        ("trip/a.jpg", "/inbox/trip/a.jpg", "/inbox", "trip"),
        ("caf\\xe9.jpg", b"/inbox/caf\xe9.jpg", "/inbox", "."),
        ("fa\\xfc/caf\\xe9.jpg", b"/i\xdf/fa\xfc/caf\xe9.jpg", b"/i\xdf", b"fa\xfc"),
        ("fa\\xfc/b.jpg", b"/failed/fa\xfc/b.2.jpg", "/inbox", b"fa\xfc"),
        ("/home/caf\\xe9.jpg", b"/home/caf\xe9.jpg", None, None),
        ("old.jpg", "/failed/old.jpg", "/inbox", None),
    )
    with Ledger(path) as ledger:
        jobs = ledger.jobs.all(newest_first=False)
        assert [os.fsencode(job.path) for job in jobs] == [
            b"trip/a.jpg",
            b"caf\xe9.jpg",
            b"fa\xfc/caf\xe9.jpg",
            b"fa\xfc/b.jpg",
            b"/home/caf\xe9.jpg",
            b"old.jpg",
        ]
        assert jobs[2].photo == "fa\\xfc/caf\\xe9.jpg"
        assert jobs[3].place == PurePath(os.fsdecode(b"fa\xfc"))
        seen = ledger.seen.get(Path("/inbox/a.jpg"))
        assert seen is not None
        assert seen.stamp == Stamp(7, 8, 9)
