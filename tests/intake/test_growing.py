"""Pictures that are not whole, or may not be, wait for their writer."""

import os
from pathlib import Path

import pytest
from support.clock import FakeClock

from nst_daemon import disk
from nst_daemon.intake.growing import Fate, Incomplete
from nst_daemon.intake.inspection import Readable, Unreadable

ODD = Readable(width=64, height=48, format="bmp", may_grow=True)
HALF = Unreadable(reason="It breaks off.", may_grow=True)
MAX_WAIT = 600.0


def put(waiting: Incomplete, path: Path, answer: Readable | Unreadable) -> Path:
    stamp = disk.stamp_of(path)
    assert stamp is not None
    waiting.put(path, stamp, answer)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.bmp"
    path.write_bytes(b"black")
    return path


def test_an_odd_picture_is_taken_once_it_stood_still_for_long(photo: Path, clock: FakeClock) -> None:
    waiting = Incomplete(clock, max_wait=MAX_WAIT)
    put(waiting, photo, ODD)
    assert waiting.fate_of(photo) is Fate.WAITS
    clock.advance(MAX_WAIT)
    assert waiting.fate_of(photo) is Fate.ACCEPTED


def test_an_odd_picture_that_nobody_wrote_to_for_long_is_taken_at_once(photo: Path, clock: FakeClock) -> None:
    waiting = Incomplete(clock, max_wait=MAX_WAIT)
    old = photo.stat().st_mtime - MAX_WAIT - 1
    os.utime(photo, (old, old))
    assert waiting.fate_of(put(waiting, photo, ODD)) is Fate.ACCEPTED
    assert waiting.fate_of(put(waiting, photo, HALF)) is Fate.WAITS


def test_no_age_helps_while_somebody_writes_or_downloads(photo: Path, clock: FakeClock) -> None:
    os.utime(photo, (0, 0))
    writing = Incomplete(clock, max_wait=MAX_WAIT, is_written=lambda _: True)
    assert writing.fate_of(put(writing, photo, ODD)) is Fate.WAITS
    waiting = Incomplete(clock, max_wait=MAX_WAIT)
    photo.with_name("a.bmp.part").write_bytes(b"")
    assert waiting.fate_of(put(waiting, photo, ODD)) is Fate.WAITS
