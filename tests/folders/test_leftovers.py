"""What is left alone in an inbox is told of in one quiet line, and is no alarm."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.place import Place

from nst_daemon.config import Notify
from nst_daemon.desktop.icons import Look
from nst_daemon.desktop.menu import View, look_of
from nst_daemon.desktop.notices import Notices
from nst_daemon.folders.leftovers import Leftovers
from nst_daemon.ledger.jobs import LEFT_ALONE, Problem
from nst_daemon.ledger.words import status_text


@pytest.fixture
def place(tmp_path: Path, clock: FakeClock) -> Iterator[Place]:
    made = Place(tmp_path, clock)
    yield made
    made.close()


def drop_some(place: Place) -> None:
    for name in ("a.jxl", "b.psd", "photo", "c.JPG.jpg_medium", "sub/d.txt"):
        place.drop(name)
    (place.inbox / "link.jpg").symlink_to(place.base / "elsewhere.jpg")
    (place.inbox / "Photos.photoslibrary").mkdir()


def problem(place: Place) -> Problem:
    (found,) = place.ledger.snapshot(running=True).problems
    return found


def test_one_quiet_line_tells_what_is_left_alone(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    drop_some(place)
    with caplog.at_level(logging.INFO):
        place.run(300, step=5)
    assert place.jobs() == []
    found = problem(place)
    assert found.code == LEFT_ALONE
    assert (
        "5 files that are nothing that is painted: a.jxl, b.psd, c.JPG.jpg_medium and 2 more" in found.message
    )
    assert "1 link, which is not followed: link.jpg" in found.message
    assert "1 folder of another program: Photos.photoslibrary" in found.message
    assert caplog.text.count("Left alone") == 1
    assert place.intake.is_idle()


def test_the_line_goes_with_what_it_is_about(place: Place) -> None:
    path = place.drop("a.psd")
    place.run(70)
    assert place.codes() == [LEFT_ALONE]
    path.unlink()
    place.run(70)
    assert place.codes() == []


def test_what_the_user_ignores_and_what_is_hidden_is_not_told_of(tmp_path: Path) -> None:
    leftovers = Leftovers(tmp_path, ("*.psd",))
    (tmp_path / "x.lrdata").mkdir()
    for name in (".a", "Thumbs.db", "a.psd", "a.jpg~", "x.lrdata/1.jpg"):
        (tmp_path / name).touch()
        leftovers.notice(tmp_path / name)
    assert leftovers.problems() == []
    (tmp_path / "a.jxl").touch()
    leftovers.notice(tmp_path / "a.jxl")
    assert "a.jxl" in leftovers.problems()[0].message


def test_the_line_is_no_alarm(place: Place) -> None:
    drop_some(place)
    place.run(70)
    snapshot = place.ledger.snapshot(running=True)
    assert look_of(View(snapshot=snapshot)) is Look.IDLE
    assert Notices(Notify.ALL, clock=lambda: 0.0).look(snapshot, ended=[], held=[]) == []
    assert snapshot.alarms == ()
    (line,) = [line for line in status_text(snapshot) if "a.jxl" in line]
    assert not line.startswith("!")
