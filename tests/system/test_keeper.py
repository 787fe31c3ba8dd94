"""The one keeper of a child: begun where it is wanted, begun anew after it broke, gone once it has left."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import pytest
from support.clock import FakeClock
from support.starts import fail_starts
from support.waiting import hang

from nst_daemon.errors import ConditionError
from nst_daemon.system.child import Child, Serve
from nst_daemon.system.keeper import (
    ANEW,
    BACK_OFF_SECONDS,
    LEFT,
    MAX_BACK_OFF_SECONDS,
    STEADY_SECONDS,
    Keeper,
)


def stay(_: Connection) -> None:
    hang()


def leave(_: Connection) -> None:
    os._exit(LEFT)


def end(_: Connection) -> None:
    os._exit(ANEW)


@contextmanager
def kept(
    serve: Serve,
    clock: FakeClock,
    is_wanted: Callable[[], bool] = lambda: True,
    on_end: Callable[[int | None], None] = lambda code: None,
) -> Iterator[Keeper]:
    child = Child(serve, name="nst-test", words="The test's process")
    keeper = Keeper(child, without="no test", is_wanted=is_wanted, on_end=on_end, clock=clock)
    try:
        yield keeper
    finally:
        keeper.close()
    assert keeper.child.pid is None


def wait_for_its_end(keeper: Keeper) -> None:
    assert keeper.child._run is not None
    keeper.child._run.join(20.0)


def test_a_process_is_there_as_soon_as_it_is_wanted_and_stays(clock: FakeClock) -> None:
    wanted: list[str] = []
    with kept(stay, clock, lambda: bool(wanted)) as keeper:
        keeper.tend()
        assert not keeper.child.has_begun
        wanted.append("yes")
        keeper.tend()
        first = keeper.child.pid
        assert first is not None
        keeper.tend()
        assert keeper.child.pid == first


def test_the_pause_before_one_that_breaks_doubles_and_is_short_again_after_a_long_life(
    clock: FakeClock,
) -> None:
    codes: list[int | None] = []
    with kept(end, clock, on_end=codes.append) as keeper:
        for pause in (BACK_OFF_SECONDS, 2 * BACK_OFF_SECONDS, BACK_OFF_SECONDS):
            keeper.tend()
            wait_for_its_end(keeper)
            if len(codes) == 2:
                clock.advance(STEADY_SECONDS)  # it lived as long
            keeper.tend()
            assert not keeper.has_left
            clock.advance(pause - 0.1)
            keeper.tend()
            assert not keeper.child.has_begun
            clock.advance(0.1)
    assert codes == [ANEW] * 3


def test_one_that_left_stays_away_until_somebody_hurries_it(clock: FakeClock) -> None:
    codes: list[int | None] = []
    with kept(leave, clock, on_end=codes.append) as keeper:
        keeper.tend()
        wait_for_its_end(keeper)
        for _ in range(2):
            keeper.tend()
            assert keeper.has_left
            clock.advance(2 * MAX_BACK_OFF_SECONDS)
        assert codes == [LEFT]
        keeper.hurry()
        keeper.tend()
        assert keeper.child.has_begun


def test_an_end_that_cannot_be_noted_is_an_end_all_the_same(clock: FakeClock) -> None:
    def on_end(code: int | None) -> None:
        raise ConditionError("The disk is full.", code="disk_full")

    with kept(leave, clock, on_end=on_end) as keeper:
        keeper.tend()
        wait_for_its_end(keeper)
        with pytest.raises(ConditionError):
            keeper.tend()
        keeper.tend()
        assert keeper.has_left


def test_one_that_cannot_be_started_is_said_once_and_tried_each_minute(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = fail_starts(monkeypatch, 2)
    with kept(stay, clock) as keeper:
        for tries in (1, 2):
            keeper.tend()
            keeper.tend()
            assert len(made) == tries
            assert keeper.child.pid is None
            clock.advance(MAX_BACK_OFF_SECONDS)
        keeper.tend()
        assert keeper.child.pid is not None
    (record,) = caplog.records
    assert record.getMessage().startswith("no test: ")
