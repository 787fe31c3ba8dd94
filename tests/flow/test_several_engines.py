"""The whole daemon with two engines: every photo once, and what befalls one engine is not the other's."""

import json
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.daemons import CONFIG, Home, ended, hang_up, left_overs
from support.daemons import running as played
from support.real import answer, picture, run_once, running
from support.real import home as real_home
from support.waiting import WAIT_SECONDS

from nst_daemon.engine import devices
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.engine.studio import Studio
from nst_daemon.errors import ExitCode
from nst_daemon.ledger.jobs import Job, JobState

__all__ = ["real_home"]

WaitFor = Callable[..., None]

ONE = CONFIG + "engine: {devices: [cpu]}\n"
TWO = CONFIG + "engine: {devices: [cpu, cpu]}\n"
BROKEN = CONFIG + "engine: {devices: [xpu, cpu]}\n"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, TWO)


def drop_pairs(home: Home, pairs: int) -> None:
    """Drop two photos of each name, whose results would have one name."""
    for number in range(pairs):
        for end in ("jpg", "png"):
            home.drop(f"photo{number}.{end}", f"{end} {number}".encode())


def assert_each_was_painted_once(home: Home, photos: int) -> None:
    jobs = home.jobs()
    assert len(jobs) == photos
    assert {job.state for job in jobs} == {JobState.DONE}
    assert len({job.result for job in jobs}) == photos
    for job in jobs:
        number, _, end = job.photo.removeprefix("photo").partition(".")
        assert job.result is not None
        assert job.result.read_bytes() == f"painting:{job.key}:{end} {number}".encode()
    assert len(home.files("outbox")) == len(home.files("archive")) == photos
    assert home.files("inbox") == home.files("failed") == left_overs(home) == []


def has_ledger(home: Home) -> bool:
    return (home.path / "state" / "ledger.db").exists()


def done(home: Home) -> int:
    return sum(state is JobState.DONE for state in home.states().values()) if has_ledger(home) else 0


# ── with played engines ─────────────────────────────────────────────────────────────────────────────────


def test_two_engines_share_200_photos_out_and_paint_each_once(home: Home) -> None:
    drop_pairs(home, 100)
    assert home.run_once(seconds=0.02) == ExitCode.FINE
    assert_each_was_painted_once(home, 200)
    assert {job.attempts for job in home.jobs()} == {1}
    diaries = home.diaries()
    assert len(diaries) == 2
    assert min(map(len, diaries)) >= 20
    assert Counter(job for diary in diaries for job in diary).most_common(1)[0][1] == 1


def test_random_kills_of_a_daemon_with_two_engines_lose_nothing_and_double_nothing(home: Home) -> None:
    drop_pairs(home, 50)
    chance = random.Random(2)
    for _ in range(5):
        process = home.start(seconds=0.05)
        process.join(chance.uniform(0.3, 1.5))
        os.kill(process.pid or 0, signal.SIGKILL)
        assert ended(process) == -signal.SIGKILL
    assert home.run_once() == ExitCode.FINE
    assert_each_was_painted_once(home, 100)


def test_an_engine_that_is_missing_shows_and_the_other_goes_on(home: Home, wait_for: WaitFor) -> None:
    home.source.write_text(BROKEN)
    drop_pairs(home, 10)
    with played(home, seconds=0.1) as process:
        wait_for(lambda: done(home) == 20, seconds=WAIT_SECONDS)
        assert home.codes() == ["engine_missing"]
        assert "'xpu'" in home.snapshot().problems[0].message
        assert home.snapshot().engines[0].state == "missing"
        home.source.write_text(ONE)
        hang_up(process)
        wait_for(lambda: home.codes() == [], seconds=WAIT_SECONDS)
    assert_each_was_painted_once(home, 20)
    assert {job.attempts for job in home.jobs()} == {1}


def test_a_single_run_with_an_engine_that_is_missing_is_done_by_the_other(home: Home) -> None:
    home.source.write_text(BROKEN)
    drop_pairs(home, 5)
    assert home.run_once() == ExitCode.FINE
    assert_each_was_painted_once(home, 10)


def test_a_single_run_whose_engines_are_all_missing_ends(home: Home) -> None:
    home.source.write_text(BROKEN.replace("cpu", "xpu"))
    home.drop("photo1.jpg", b"jpg 1")
    assert home.run_once() != ExitCode.FINE
    assert home.states() == {"photo1.jpg": JobState.QUEUED}


def test_devices_may_come_and_go_while_the_daemon_paints(home: Home, wait_for: WaitFor) -> None:
    home.source.write_text(ONE)
    drop_pairs(home, 30)
    with played(home, seconds=0.15) as process:
        wait_for(lambda: done(home) >= 3, seconds=WAIT_SECONDS)
        assert len(home.snapshot().engines) == 1
        home.source.write_text(TWO)
        hang_up(process)
        wait_for(lambda: len(home.snapshot().current) == 2, seconds=WAIT_SECONDS, what="two at a time")
        assert len(home.snapshot().engines) == 2
        home.source.write_text(ONE)
        hang_up(process)
        wait_for(lambda: len(home.snapshot().engines) == 1, seconds=WAIT_SECONDS)
        wait_for(lambda: done(home) == 60, seconds=WAIT_SECONDS)
    assert_each_was_painted_once(home, 60)
    assert {job.attempts for job in home.jobs()} == {1}


def test_a_stop_hands_back_what_every_engine_paints(home: Home, wait_for: WaitFor) -> None:
    drop_pairs(home, 2)
    with played(home, seconds=600.0):
        wait_for(lambda: has_ledger(home) and len(home.snapshot().current) == 2, seconds=WAIT_SECONDS)
    assert {(job.state, job.attempts) for job in home.jobs()} == {(JobState.QUEUED, 0)}
    assert left_overs(home) == []


def test_a_condition_that_all_engines_meet_is_shown_once(home: Home, wait_for: WaitFor) -> None:
    with played(home, seconds=0.1):
        wait_for(lambda: has_ledger(home) and home.snapshot().engines, seconds=WAIT_SECONDS)
        (home.path / "outbox").rmdir()
        drop_pairs(home, 2)
        wait_for(lambda: "outbox_missing" in home.codes(), seconds=WAIT_SECONDS)
        wait_for(lambda: len(home.jobs()) == 4, seconds=WAIT_SECONDS)
        assert home.codes() == ["outbox_missing"]
        assert sum(map(len, home.diaries())) == 0  # it is asked before anything is painted
        (home.path / "outbox").mkdir()
        wait_for(lambda: done(home) == 4, seconds=WAIT_SECONDS)
        wait_for(lambda: home.codes() == [])
    assert_each_was_painted_once(home, 4)
    assert {job.attempts for job in home.jobs()} == {1}


def _bad(home: Home) -> Job:
    return next(job for job in home.jobs() if job.photo == "bad.jpg")


def test_an_engine_that_is_killed_costs_its_own_job_only(home: Home, wait_for: WaitFor) -> None:
    home.drop("bad.jpg", b"memory")
    for number in range(6):
        home.drop(f"photo{number}.jpg", b"jpg %d" % number)
    with played(home, engine="process"):
        wait_for(lambda: done(home) == 6 and _bad(home).error, seconds=WAIT_SECONDS)
    assert {job.attempts for job in home.jobs() if job.photo != "bad.jpg"} == {1}
    assert _bad(home).attempts >= 1
    assert _bad(home).state in (JobState.QUEUED, JobState.FAILED)


# ── with real ones ──────────────────────────────────────────────────────────────────────────────────────


def test_two_real_engines_paint_at_once_and_what_one_would_paint(
    real_home: Path, wait_for: WaitFor, cache: Callable[[Path], Path]
) -> None:
    config = real_home / "config.yaml"
    other = real_home / "other"
    for number in range(4):
        picture(real_home / "inbox" / f"photo{number}.png", seed=number)
    assert run_once(real_home) == ExitCode.FINE
    (real_home / "outbox").rename(other)
    (real_home / "outbox").mkdir()
    text = config.read_text().replace("_dir: state", "_dir: state2")
    config.write_text(f"{text}engine: {{devices: [cpu, cpu]}}\n")
    # Another state folder would be tuned on its own, and may find another backend as fast.
    cache(real_home / "state2" / "weights")
    for number in range(4):
        (real_home / "archive" / f"photo{number}.png").rename(real_home / "inbox" / f"photo{number}.png")
    with running(real_home):
        statuses: list[dict[str, list[object]]] = []

        def are_two() -> bool:
            statuses.append(json.loads(answer(real_home, "status", "--json")))
            return len(statuses[-1]["current"]) == 2

        wait_for(are_two, seconds=WAIT_SECONDS, what="two at a time")
        assert len(statuses[-1]["engines"]) == 2
        results = [real_home / "outbox" / f"photo{number}.stripes.png" for number in range(4)]
        wait_for(lambda: all(path.exists() for path in results), seconds=WAIT_SECONDS)
    for path in results:
        # As many threads each as the one engine had: the same bytes.
        with Image.open(path) as two, Image.open(other / path.name) as one:
            assert np.array_equal(np.asarray(two), np.asarray(one))


def test_engines_that_share_a_device_share_its_memory_and_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(devices, "free_bytes", lambda device, system_free: 12_000)
    alone = Studio(EngineSettings(device="cpu", cache_dir=tmp_path))
    assert (alone._memory(torch.device("cpu"), 0), threads) == (12_000, [])
    third = Studio(EngineSettings(device="cpu", share=3, cache_dir=tmp_path))
    assert (third._memory(torch.device("cpu"), 0), threads) == (4_000, [2])
    limited = Studio(EngineSettings(device="cpu", share=3, memory_limit=6_000, cache_dir=tmp_path))
    assert limited._memory(torch.device("cpu"), 0) == 2_000
