"""Two daemons with ledgers of their own on one inbox: each photo once, whoever dies."""

import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
from support.daemons import CONFIG, Home, ended
from support.waiting import WAIT_SECONDS

from nst_daemon.errors import ExitCode
from nst_daemon.ledger.jobs import JobState

WaitFor = Callable[..., None]
PHOTOS = 30


@pytest.fixture
def homes(tmp_path: Path) -> tuple[Home, Home]:
    """Return two configs over the inbox and outbox of the first."""
    first = Home(tmp_path / "a")
    shared = CONFIG.replace("inbox: inbox", "inbox: ../a/inbox").replace(
        "outbox: outbox", "outbox: ../a/outbox"
    )
    return first, Home(tmp_path / "b", shared)


def drop(home: Home, start: int, count: int) -> None:
    for number in range(start, start + count):
        home.drop(f"{number}.jpg", b"photo %d" % number)


def assert_each_once(home: Home, count: int) -> None:
    assert home.files("outbox") == sorted(f"{number}.stripes.jpg" for number in range(count))
    assert home.files("archive") == sorted(f"{number}.jpg" for number in range(count))
    assert home.files("inbox") == []


def stop(*processes: ForkServerProcess) -> None:
    for process in processes:
        os.kill(process.pid or 0, signal.SIGTERM)
    for process in processes:
        assert ended(process) == ExitCode.FINE


def is_empty(home: Home) -> bool:
    return home.files("inbox") == []


def test_two_daemons_on_one_inbox_paint_each_photo_once(homes: tuple[Home, Home], wait_for: WaitFor) -> None:
    first, _ = homes
    drop(first, 0, PHOTOS)
    processes = [home.start(seconds=0.02) for home in homes]
    wait_for(lambda: is_empty(first), seconds=WAIT_SECONDS, what="the end of the work")
    drop(first, PHOTOS, 5)
    wait_for(lambda: is_empty(first), seconds=WAIT_SECONDS, what="the end of the work")
    assert sorted(len(home.jobs()) for home in homes) == [0, PHOTOS + 5]
    alarms = [[each.code for each in home.snapshot().problems if not each.is_quiet] for home in homes]
    assert sorted(alarms) == [[], ["inbox_shared"]]
    stop(*processes)
    assert_each_once(first, PHOTOS + 5)


def test_a_killed_daemons_inbox_is_taken_over_and_its_own_queue_waits_when_it_comes_back(
    homes: tuple[Home, Home], wait_for: WaitFor
) -> None:
    first, second = homes
    drop(first, 0, PHOTOS)
    process = first.start(seconds=0.05)
    wait_for(lambda: len(first.files("outbox")) >= 3, seconds=WAIT_SECONDS)
    wait_for(lambda: len(first.jobs()) == PHOTOS, seconds=WAIT_SECONDS)
    other = second.start(seconds=0.05)
    wait_for(lambda: (second.path / "state" / "ledger.db").exists() and second.codes(), what="inbox_shared")
    os.kill(process.pid or 0, signal.SIGKILL)
    ended(process)
    wait_for(lambda: second.jobs(), seconds=WAIT_SECONDS, what="the take-over")
    again = first.start(seconds=0.05)  # its queue is full of photos that the other is painting now
    wait_for(lambda: is_empty(first), seconds=WAIT_SECONDS, what="the end of the work")
    stop(again, other)
    assert {job.state for job in second.jobs()} == {JobState.DONE}
    assert_each_once(first, PHOTOS)
    assert first.run_once() == ExitCode.FINE  # it comes to know what has happened meanwhile
    assert JobState.QUEUED not in first.states().values()
    assert_each_once(first, PHOTOS)


def test_a_single_run_beside_another_daemon_leaves_its_inbox_to_it(
    homes: tuple[Home, Home], wait_for: WaitFor
) -> None:
    first, second = homes
    process = first.start()
    wait_for(lambda: (first.path / "state" / "ledger.db").exists() and first.snapshot().pid)
    drop(first, 0, 1)
    wait_for(lambda: is_empty(first), seconds=WAIT_SECONDS)
    assert second.run_once() == ExitCode.FINE
    assert second.jobs() == []
    stop(process)
