"""The whole daemon is killed, at every crash point and at random: nothing is lost, nothing is doubled."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from support.daemons import (
    CONFIG,
    SLOW,
    Home,
    ended,
    left_overs,
    read_and_hold,
    read_played,
    read_several,
)
from support.waiting import WAIT_SECONDS

from nst_daemon.disk.files import TEMPORARY
from nst_daemon.errors import ExitCode
from nst_daemon.intake.taking import MOST
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState
from nst_daemon.system.crash import EXIT_CODE, VARIABLE, CrashPoint

WaitFor = Callable[..., None]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def assert_all_is_as_if_nothing_had_happened(
    home: Home, *, result: str, report: bool = False, attempts: int = 2
) -> None:
    (job,) = home.jobs()
    assert job.state is JobState.DONE
    assert job.attempts <= attempts
    assert home.files("outbox") == sorted([result, *([f"{result[:-4]}.report.png"] if report else [])])
    assert home.files("archive") == ["trip/a.jpg", "trip/a.jpg.yaml"]
    assert job.original == home.path / "archive" / "trip" / "a.jpg"
    assert home.files("inbox") == []
    assert home.files("failed") == []
    assert left_overs(home) == []
    with Ledger(home.path / "state" / "ledger.db") as ledger:
        assert ledger.jobs.undisposed() == []


@pytest.mark.parametrize("point", list(CrashPoint))
def test_a_daemon_killed_at_any_point_ends_its_work_at_the_next_start(home: Home, point: CrashPoint) -> None:
    home.drop("trip/a.jpg")
    home.drop("trip/a.jpg.yaml", b"style: dots\nset: {report: true}\n")
    assert home.run_once(crash_at=point) == EXIT_CODE
    assert home.run_once() == ExitCode.FINE
    assert home.run_once() == ExitCode.FINE  # a start with nothing to do changes nothing
    assert_all_is_as_if_nothing_had_happened(home, result="trip/a.dots.jpg", report=True)
    (job,) = home.jobs()
    content = (home.path / "outbox" / "trip" / "a.dots.jpg").read_bytes()
    assert content == f"painting:{job.key}:photo".encode()


READING = (CrashPoint.SETTLED, CrashPoint.INSPECTED, CrashPoint.COPYING, CrashPoint.COPIED, CrashPoint.ADDED)


@pytest.mark.parametrize("point", READING)
def test_a_daemon_killed_between_reading_and_job_leaves_nothing_that_its_reading_process_made(
    home: Home, point: CrashPoint
) -> None:
    home.drop("trip/a.jpg")
    home.drop("trip/a.jpg.yaml", b"style: dots\n")
    assert home.run_once(crash_at=point, reader=read_played) == EXIT_CODE
    assert home.run_once(reader=read_played) == ExitCode.FINE
    assert_all_is_as_if_nothing_had_happened(home, result="trip/a.dots.jpg")


def test_a_daemon_that_is_killed_while_several_photos_are_copied_leaves_no_process_and_no_draft(
    home: Home, wait_for: WaitFor
) -> None:
    photos = {f"{number}.jpg": f"photo {number}".encode() for number in range(6)}
    for name, content in photos.items():
        home.drop(name, content)
    process = home.start(reader=read_and_hold, prepare=read_several)
    copies = home.path / "state" / "photos"
    wait_for(
        lambda: len(list(copies.glob(f"{TEMPORARY}*"))) == MOST, seconds=WAIT_SECONDS, what="four drafts"
    )
    readers = psutil.Process(process.pid).children()
    process.kill()
    ended(process)
    wait_for(lambda: not any(map(is_alive, readers)), what="the end of the reading processes")
    assert home.jobs() == []
    (home.path / "go").touch()
    assert home.run_once(reader=read_and_hold, prepare=read_several) == ExitCode.FINE
    assert {job.photo: job.state for job in home.jobs()} == dict.fromkeys(photos, JobState.DONE)
    assert [path.read_bytes() for path in sorted((home.path / "archive").iterdir())] == list(photos.values())
    assert left_overs(home) == []


def is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def test_an_unknown_crash_point_is_refused_at_the_start(home: Home) -> None:
    words = [sys.executable, "-m", "nst_daemon", "run", "--once", "--config", str(home.source)]
    environment = {**os.environ, VARIABLE: "nowhere"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.USAGE
    assert "published" in done.stderr


def test_the_command_with_the_real_engine_ends_its_work_after_three_kills(
    home: Home, cache: Callable[[Path], Path]
) -> None:
    cache(home.path / "state" / "weights")
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    for path in (home.path / "inbox" / "trip" / "a.jpg", home.path / "styles" / "dots.jpg"):
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    home.drop("trip/a.jpg.yaml", b"style: dots\nset: {size: 32, steps: 1, pyramid: 0}\n")
    words = [sys.executable, "-m", "nst_daemon", "run", "--once", "--no-tray", "--config", str(home.source)]
    for crash_at in (CrashPoint.CLAIMED, CrashPoint.PUBLISHED, CrashPoint.LINKED, ""):
        environment = {**os.environ, VARIABLE: crash_at}
        done = subprocess.run(words, env=environment, capture_output=True, check=False, timeout=WAIT_SECONDS)
        assert done.returncode == (EXIT_CODE if crash_at else ExitCode.FINE), done.stderr
    assert_all_is_as_if_nothing_had_happened(home, result="trip/a.dots.jpg", attempts=3)
    with Image.open(home.path / "outbox" / "trip" / "a.dots.jpg") as painted:
        painted.load()
        assert painted.size == (32, 24)


def assert_each_photo_has_one_whole_result(home: Home, photos: int) -> None:
    jobs = home.jobs()
    assert len(jobs) == photos
    assert {job.state for job in jobs} == {JobState.DONE}
    assert Counter(job.photo_sha256 for job in jobs).most_common(1)[0][1] == 1
    assert len(home.files("outbox")) == len(home.files("archive")) == photos
    for job in jobs:
        assert job.result is not None
        assert job.result.read_bytes() == f"painting:{job.key}:photo {job.photo[13:-4]}".encode()
    assert home.files("inbox") == home.files("failed") == left_overs(home) == []


def kill_at_random(
    home: Home,
    start: Callable[[random.Random], ForkServerProcess],
    *,
    photos: int,
    kills: int,
    longest: float,
) -> None:
    """Drop photos, and kill one daemon after another in the middle of its work on them."""
    for number in range(photos):
        home.drop(f"folder{number % 7}/photo{number}.jpg", b"photo %d" % number)
    chance = random.Random(kills)
    done = in_the_middle = 0
    for _ in range(kills):
        process = start(chance)
        process.join(chance.uniform(0.1, longest))
        assert process.exitcode is None
        os.kill(process.pid or 0, signal.SIGKILL)
        assert ended(process) == -signal.SIGKILL
        before, done = done, sum(state is JobState.DONE for state in home.states().values())
        assert done >= before
        in_the_middle += done < photos
    assert in_the_middle >= kills / 2  # the others met an idle daemon


@pytest.mark.parametrize("kills", [8, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_random_kills_under_a_load_of_200_photos_lose_nothing_and_double_nothing(
    home: Home, kills: int
) -> None:
    seconds = 0.03 if kills < 10 else 0.1
    kill_at_random(home, lambda _: home.start(seconds=seconds), photos=200, kills=kills, longest=1.5)
    assert home.run_once() == ExitCode.FINE
    assert_each_photo_has_one_whole_result(home, 200)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_three_hundred_kills_with_an_engine_that_starts_slowly_fail_no_photo(home: Home) -> None:
    pauses = home.path / "state" / SLOW
    pauses.parent.mkdir()

    def start(chance: random.Random) -> ForkServerProcess:
        # Most of these lives end before the engine has seen a photo.
        pauses.write_text(f"{chance.uniform(0.0, 1.0)} 0.3")
        return home.start(engine="process")

    kill_at_random(home, start, photos=100, kills=300, longest=2.2)
    pauses.write_text("0 0")
    assert home.run_once(engine="process") == ExitCode.FINE
    assert_each_photo_has_one_whole_result(home, 100)


def test_everything_ends_within_two_seconds_when_the_daemon_is_killed(home: Home, wait_for: WaitFor) -> None:
    """The engine in the middle of a step, the process that reads photos, and that of tray and notices."""
    home.source.write_text(CONFIG.replace("tray: off", "tray: on"))
    home.drop("a.jpg", b"hang")
    process = home.start(engine="process", reader=read_played)
    assert process.pid is not None
    daemon = psutil.Process(process.pid)
    wait_for(lambda: home.path.joinpath("state", "ledger.db").exists() and home.snapshot().current)
    wait_for(lambda: any(current.progress for current in home.snapshot().current), what="the first step")
    wait_for(lambda: len(_parts_of(daemon)) >= 3, what="engine, reader and tray")
    children = daemon.children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    _, left = psutil.wait_procs(children, timeout=2.0)
    # Where nobody reaps what has lost its parent, as in many a container, the dead stay as zombies.
    assert [each for each in left if each.status() != psutil.STATUS_ZOMBIE] == []
    ended(process)


def _parts_of(daemon: psutil.Process) -> list[psutil.Process]:
    """Return the processes that the daemon has begun, without those that Python keeps for itself."""
    return [child for child in daemon.children() if "resource_tracker" not in " ".join(child.cmdline())]
