"""Photos that lay in an inbox before the first start are told of before the first of them is moved."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.place import Place

from nst_daemon.config import Originals
from nst_daemon.intake.first_look import words_before

COUNT = 6


@pytest.fixture
def place(tmp_path: Path, clock: FakeClock) -> Iterator[Place]:
    for number in range(COUNT):
        (tmp_path / "inbox" / "sub").mkdir(parents=True, exist_ok=True)
        (tmp_path / "inbox" / "sub" / f"{number}.jpg").write_bytes(b"%d" % number)
    (tmp_path / "inbox" / "0.yaml").write_bytes(b"style: the_scream")
    made = Place(tmp_path, clock)
    yield made
    made.close()


def test_the_daemon_says_so_before_it_takes_a_photo_in(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        place.tick()
    assert (
        f"{COUNT} photos are in the inbox {place.inbox} already: "
        f"to be painted, and moved to {place.base / 'archive'}."
    ) in caplog.text
    assert place.jobs() == []
    assert place.codes() == []


def test_it_is_said_once(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.run(1)
    with caplog.at_level(logging.INFO):
        place.restart()
        place.run(70)
    assert "already" not in caplog.text
    assert words_before(place.config) == []


def test_an_inbox_that_a_daemon_of_an_earlier_version_knows_is_not_new(place: Place) -> None:
    place.run(20)
    place.ledger.facts.remember(f"first look {place.inbox}", None)
    place.restart()
    assert words_before(place.config) == []


@pytest.mark.parametrize(
    ("originals", "end"),
    [
        (Originals.MOVE, "painted, and moved to {base}/archive."),
        (Originals.DELETE, "painted, and then deleted."),
        (Originals.KEEP, "painted."),
    ],
)
def test_the_commands_say_it_before_the_start(
    tmp_path: Path, place: Place, originals: Originals, end: str
) -> None:
    folder = replace(place.folders[0], originals=originals)
    fresh = replace(place.config, folders=(folder,), state_dir=tmp_path / "another")
    (line,) = words_before(fresh)
    assert line.startswith(f"{COUNT} photos are in the inbox")
    assert line.endswith(end.format(base=tmp_path))
    assert not (tmp_path / "another").exists()


def test_an_inbox_that_is_not_there_or_empty_is_no_word(tmp_path: Path, place: Place) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    folders = tuple(replace(place.folders[0], inbox=path) for path in (empty, tmp_path / "none"))
    assert words_before(replace(place.config, folders=folders, state_dir=tmp_path / "another")) == []
