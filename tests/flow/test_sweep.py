"""Every call of a small flow fails with every errno: once, for a while, and until somebody mends it.

After the example of SQLite's tests, which let the n-th allocation or write fail, for each n. A seeded sample
runs always, the whole with `-m slow`.
"""

import errno
import os
import random
import shutil
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from support.faults import ERRNOS, Faults
from support.flow import Flow, calls_of

from nst_daemon import disk
from nst_daemon.ledger.jobs import JobState

SEED = 20151508
SAMPLE = 40  # cases of each kind in every run
PATIENCE = 300.0  # seconds of the flow's clock; the longest pause is a minute
WHILE_SECONDS = 25.0
LASTING_SECONDS = 150.0

sample_or_whole = pytest.mark.parametrize(
    "is_whole",
    [False, pytest.param(True, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])],
    ids=["sample", "whole"],
)
Place = tuple[str, str, str]  # a call, a folder relative to the base, and a name without what is random in it


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Place]:
    base = tmp_path_factory.mktemp("calm")
    return [place_of(call, path, base) for call, path in calls_of(base)]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """Return what makes a new empty folder, of the same length of name each time."""
    base = tmp_path / "home"

    def made() -> Path:
        shutil.rmtree(base, ignore_errors=True)
        base.mkdir()
        return base

    yield made
    shutil.rmtree(base, ignore_errors=True)


def place_of(call: str, path: Path, base: Path) -> Place:
    folder = os.path.relpath(path.parent, base)
    return call, folder, ".nst-*" if path.name.startswith(".nst-") else path.name


def chosen(cases: list[tuple[object, int]], is_whole: bool) -> list[tuple[object, int]]:
    return cases if is_whole else random.Random(SEED).sample(cases, SAMPLE)


def failures_of(
    cases: list[tuple[object, int]],
    run: Callable[[Flow, Faults, object, int], None],
    home: Callable[[], Path],
) -> list[str]:
    """Run the flow once for each case; return which broke a promise, and how."""
    found = []
    for case, number in cases:
        faults = Faults()
        real, disk.system.calls = disk.system.calls, faults
        flow = Flow(home(), faults)
        try:
            run(flow, faults, case, number)
        except Exception as error:  # noqa: BLE001  a daemon that ended is one of the findings
            where = traceback.extract_tb(error.__traceback__)[-1].line
            found.append(f"{case} {errno.errorcode[number]}: {type(error).__name__}: {error} ({where})")
        finally:
            disk.system.calls = real
            flow.place.close()
    return found


def assert_none_breaks(
    subjects: Iterable[object],
    run: Callable[[Flow, Faults, object, int], None],
    home: Callable[[], Path],
    is_whole: bool,
) -> None:
    """Run the flow for each subject and errno, or for a sample of them, and list what broke."""
    cases = [(subject, number) for subject in subjects for number in ERRNOS]
    found = failures_of(chosen(cases, is_whole), run, home)
    assert not found, "\n".join([f"{len(found)} broke a promise", *found[:40]])


@sample_or_whole
def test_one_error_at_any_call_costs_some_seconds_and_nothing_else(
    calls: list[Place], home: Callable[[], Path], is_whole: bool
) -> None:
    def run(flow: Flow, faults: Faults, index: object, number: int) -> None:
        assert isinstance(index, int)
        faults.nth = (index, number)
        flow.drop()
        flow.run(PATIENCE, until=flow.is_over)
        assert faults.struck == 1
        flow.run(35)  # what it has left behind is swept, and what it showed is forgotten
        flow.assert_all_is_well()

    assert_none_breaks(range(len(calls)), run, home, is_whole)


@sample_or_whole
def test_errors_at_one_place_for_a_while_cost_that_while_and_nothing_else(
    calls: list[Place], home: Callable[[], Path], is_whole: bool
) -> None:
    def run(flow: Flow, faults: Faults, place: object, number: int) -> None:
        _break(faults, flow.place.base, place, number)
        flow.drop()
        flow.run(WHILE_SECONDS)
        faults.heal()
        flow.run(PATIENCE, until=flow.is_over)
        flow.run(35)
        flow.assert_all_is_well()

    assert_none_breaks(dict.fromkeys(calls), run, home, is_whole)


@sample_or_whole
def test_errors_that_last_hinder_no_other_photo_and_show_with_a_remedy(
    calls: list[Place], home: Callable[[], Path], is_whole: bool
) -> None:
    def run(flow: Flow, faults: Faults, place: object, number: int) -> None:
        _break(faults, flow.place.base, place, number)
        flow.drop()
        flow.run(LASTING_SECONDS)
        if not flow.is_over():
            problems = flow.problems()
            assert problems, "nothing is shown"
            assert all(problem.remedy for problem in problems), problems
        states = {job.photo: job.state for job in flow.place.jobs()}
        for name in _others(place):
            assert states.get(name) is JobState.DONE, f"{name} is hindered: {states}"
        assert not {JobState.FAILED, JobState.CANCELLED} & set(states.values()), states
        faults.heal()
        flow.run(PATIENCE, until=flow.is_over)
        flow.run(35)
        flow.assert_all_is_well()

    assert_none_breaks(dict.fromkeys(calls), run, home, is_whole)


def _break(faults: Faults, base: Path, place: object, number: int) -> None:
    """Let one call at one place fail until it is healed."""
    assert isinstance(place, tuple)
    faults.fail_for_ever(place[0], number=number, at=lambda path: place_of(place[0], path, base) == place)


def _others(place: object) -> list[str]:
    """Return the photos that have nothing to do with a place of the inbox."""
    assert isinstance(place, tuple)
    _, folder, name = place
    if folder == "inbox/trip" or (folder, name) == ("inbox", "trip"):
        return ["b.jpg"]
    return ["trip/a.jpg"] if (folder, name) == ("inbox", "b.jpg") else []
