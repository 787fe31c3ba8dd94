"""The editors' part of the daemon, ticked by hand."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.faults import Faults
from support.place import SCREAM, Place

from nst_daemon.editors.part import Editors
from nst_daemon.folders.exchange import Exchange
from nst_daemon.ledger.jobs import JobState


@pytest.fixture
def place(tmp_path: Path, clock: FakeClock) -> Iterator[Place]:
    made = Place(tmp_path, clock)
    made.config = replace(made.config, exchange=tmp_path / "editors")
    yield made
    made.close()


@pytest.fixture
def editors(place: Place) -> Iterator[Editors]:
    with Editors(place.config, place.ledger, lambda config: place.reader) as made:
        yield made


def exchange_of(place: Place) -> Exchange:
    assert place.config.exchange is not None
    return Exchange(place.config.exchange)


def order(place: Place) -> None:
    folder = exchange_of(place).root / "in" / "gimp"
    (folder / "a.tif").write_bytes(b"photo")
    (folder / "a.tif.yaml").write_text(f"style: {SCREAM}\nwhole: true\n")


def test_a_folder_that_comes_later_is_worked_on(place: Place, editors: Editors) -> None:
    editors.tick()
    assert place.jobs() == []
    exchange_of(place).make()
    order(place)
    editors.tick()
    assert place.only_job().state is JobState.QUEUED
    assert f"{SCREAM}\t" in exchange_of(place).styles.read_text()


def test_a_folder_that_was_never_seen_is_missed_by_nobody(
    place: Place, editors: Editors, faults: Faults
) -> None:
    faults.fail_for_ever("stat", number=errno.EACCES, at=exchange_of(place).root / "in")
    editors.tick()
    assert place.codes() == []


def test_a_folder_that_does_not_answer_any_more_is_a_problem_and_goes_on(
    place: Place, editors: Editors, faults: Faults
) -> None:
    exchange_of(place).make()
    editors.tick()
    faults.fail_for_ever("stat", number=errno.ESTALE, at=exchange_of(place).root / "in")
    editors.tick()
    assert len(place.codes()) == 1
    faults.heal()
    order(place)
    editors.tick()
    assert place.codes() == []
    assert place.only_job().state is JobState.QUEUED
