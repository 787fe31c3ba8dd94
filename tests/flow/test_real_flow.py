"""The whole flow with the real watcher, the real network and real files, small."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.real import (
    KeptEngine,
    command,
    end_in_the_middle,
    files_in,
    home,
    jobs_of,
    kept,
    picture,
    run_once,
    running,
)
from support.waiting import WAIT_SECONDS

from nst_daemon.cli import paint as cli_paint
from nst_daemon.cli.app import app
from nst_daemon.daemon import daemon
from nst_daemon.errors import ExitCode
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState

__all__ = ["home", "kept"]  # fixtures


def test_a_worker_that_rests_is_woken_by_a_new_job_and_by_the_end(
    home: Path, kept: KeptEngine, monkeypatch: pytest.MonkeyPatch, wait_for: Callable[..., None]
) -> None:
    monkeypatch.setattr(daemon, "WORKER_SECONDS", 3600.0)
    with running(home, kept):
        picture(home / "inbox" / "cat.png")
        wait_for(lambda: files_in(home / "archive"), seconds=WAIT_SECONDS, what="an original put away")
    assert files_in(home / "outbox") == ["cat.stripes.png"]


def test_a_photo_and_its_sidecar_become_a_painting_and_the_original_is_in_the_archive(
    home: Path, kept: KeptEngine
) -> None:
    picture(home / "inbox" / "trip" / "cat.png")
    (home / "inbox" / "trip" / "cat.png.yaml").write_text(
        "style: [stripes, {mosaic: 0.5}]\nset: {size: 40}\n"
    )

    assert run_once(home, kept) is ExitCode.FINE

    assert files_in(home / "outbox") == ["trip/cat.stripes+mosaic.png"]
    with Image.open(home / "outbox" / "trip" / "cat.stripes+mosaic.png") as painted:
        assert painted.size == (40, 30)
    assert files_in(home / "archive") == ["trip/cat.png", "trip/cat.png.yaml"]
    assert files_in(home / "inbox") == []
    assert files_in(home / "failed") == []


def test_status_and_jobs_say_what_the_contract_says(home: Path, kept: KeptEngine) -> None:
    picture(home / "inbox" / "cat.png")
    assert run_once(home, kept) is ExitCode.FINE

    code, text = command(home, "status", "--json")
    status: dict[str, Any] = json.loads(text)
    assert code == ExitCode.FINE
    assert set(status) - {"engines", "seats"} == {
        *("running", "pid", "paused", "version", "engine", "counts", "current", "problems", "page")
    }
    assert (status["running"], status["paused"], status["problems"]) == (False, False, [])
    assert status["counts"] == {
        "held": 0,
        "queued": 0,
        "running": 0,
        "done": 1,
        "failed": 0,
        "cancelled": 0,
    }
    assert set(status["engine"]) == {"state", "device", "network", "weights"}

    code, text = command(home, "jobs", "--json")
    (job,) = json.loads(text)
    assert code == ExitCode.FINE
    assert {"job", "photo", "style", "state", "attempts", "created", "started", "finished", "seconds"} < set(
        job
    )
    assert (job["photo"], job["style"], job["state"], job["attempts"]) == ("cat.png", "stripes", "done", 1)
    assert job["result"] == str(home / "outbox" / "cat.stripes.png")
    assert job["created"].endswith(("Z", "+00:00"))
    assert job["settings"]["size"] == 48


def test_photos_dropped_one_after_another_are_painted_by_one_engine(
    home: Path, wait_for: Callable[..., None]
) -> None:
    others = _engines()
    with running(home):
        pids = set()
        for number in range(3):
            name = f"photo{number}.png"
            picture(home / "inbox" / name, seed=number)
            target = home / "outbox" / f"photo{number}.stripes.png"
            wait_for(target.exists, seconds=WAIT_SECONDS, what=f"{target.name}")
            pids |= _engines() - others
        assert len(pids) == 1
        status = json.loads(command(home, "status", "--json")[1])
        assert status["running"]
        assert status["pid"] == os.getpid()
        assert (status["engine"]["state"], status["engine"]["device"]) == ("warm", "cpu")
    assert _engines() == others


def _engines() -> set[int | None]:
    return {child.pid for child in multiprocessing.active_children() if child.name == "nst-engine"}


def test_nothing_bad_is_lost_and_each_says_why(
    home: Path, kept: KeptEngine, wait_for: Callable[..., None]
) -> None:
    inbox, config = home / "inbox", home / "config.yaml"
    config.write_text(config.read_text().replace("watch: {", "watch: {max_wait_seconds: 1, "))
    (inbox / "empty.jpg").touch()
    (inbox / "text.jpg").write_text("this is no picture at all")
    whole = picture(home / "whole.jpg", size=(300, 200)).read_bytes()
    (inbox / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    picture(inbox / "odd.png", seed=1)
    (inbox / "odd.png.yaml").write_text("style: [stripes")
    picture(inbox / "unknown.png", seed=2)
    (inbox / "unknown.yaml").write_text("style: stripe\n")
    picture(inbox / "good.png", seed=4)
    before = set(files_in(inbox))

    with running(home, kept):
        wait_for(lambda: len(jobs_of(home)) == 5 and not _unfinished(home), seconds=WAIT_SECONDS)
        wait_for(lambda: not _undisposed(home), seconds=WAIT_SECONDS, what="every original in its place")
        assert _problem_codes(home) == ["photo_incomplete"]  # the empty one may be written yet

    jobs = jobs_of(home)
    assert {name: job.state for name, job in jobs.items()} == {
        "text.jpg": JobState.FAILED,
        "cut.jpg": JobState.FAILED,
        "odd.png": JobState.HELD,
        "unknown.png": JobState.HELD,
        "good.png": JobState.DONE,
    }
    assert "stripes" in (jobs["unknown.png"].error or "")  # the near name
    assert "odd.png.yaml" in (jobs["odd.png"].error or "")
    still_there = {*files_in(inbox), *files_in(home / "failed"), *files_in(home / "archive")}
    assert before <= still_there
    for name in ("text.jpg", "cut.jpg"):
        assert (home / "failed" / f"{name}.error.txt").read_text().startswith(name)
    assert (home / "failed" / "cut.jpg").read_bytes() == whole[: len(whole) // 2]
    assert files_in(home / "outbox") == ["good.stripes.png"]


def _states(home: Path) -> list[JobState]:
    return [job.state for job in jobs_of(home).values()]


def _undisposed(home: Path) -> list[int]:
    with Ledger(home / "state" / "ledger.db") as ledger:
        return ledger.jobs.undisposed()


def _unfinished(home: Path) -> bool:
    return bool({JobState.QUEUED, JobState.RUNNING} & set(_states(home)))


def test_a_held_photo_is_painted_once_its_style_appears(
    home: Path, kept: KeptEngine, wait_for: Callable[..., None]
) -> None:
    picture(home / "inbox" / "cat.png")
    (home / "inbox" / "cat.yaml").write_text("style: dots\n")
    with running(home, kept):
        wait_for(lambda: _states(home) == [JobState.HELD], seconds=WAIT_SECONDS)
        picture(home / "styles" / "dots.png", seed=7)
        wait_for((home / "outbox" / "cat.dots.png").exists, seconds=WAIT_SECONDS)


def test_a_failed_job_gives_exit_code_1(home: Path, kept: KeptEngine) -> None:
    (home / "inbox" / "text.jpg").write_text("no picture")
    assert run_once(home, kept) is ExitCode.JOB_FAILED


def test_a_missing_inbox_is_a_problem_and_not_a_crash(
    home: Path, kept: KeptEngine, wait_for: Callable[..., None]
) -> None:
    (home / "inbox").rmdir()
    with running(home, kept):
        wait_for(lambda: _problem_codes(home) == ["inbox_missing"], seconds=WAIT_SECONDS)
        (home / "inbox").mkdir()
        picture(home / "inbox" / "cat.png")
        wait_for((home / "outbox" / "cat.stripes.png").exists, seconds=WAIT_SECONDS)


def _problem_codes(home: Path) -> list[str]:
    with Ledger(home / "state" / "ledger.db") as ledger:
        return [problem.code for problem in ledger.snapshot(running=True).problems]


def test_weights_that_are_missing_end_a_single_run_with_exit_code_3(home: Path) -> None:
    config = home / "config.yaml"
    config.write_text(config.read_text() + "engine: {weights: nowhere.pth}\n")
    picture(home / "inbox" / "cat.png")
    assert command(home, "run", "--once", "--no-tray")[0] == ExitCode.MISSING
    assert files_in(home / "inbox") == ["cat.png"]
    assert _states(home) == [JobState.QUEUED]


def test_sigterm_hands_the_job_back_and_the_next_run_finishes_it(
    home: Path, kept: KeptEngine, wait_for: Callable[..., None]
) -> None:
    picture(home / "inbox" / "cat.png")
    (home / "inbox" / "cat.yaml").write_text("set: {steps: 100000}\n")
    words = [sys.executable, "-m", "nst_daemon", "run", "--no-tray", "--config", str(home / "config.yaml")]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        wait_for(lambda: _is_painting(home), seconds=WAIT_SECONDS, what="the first step")
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(WAIT_SECONDS) == ExitCode.FINE
    job = jobs_of(home)["cat.png"]
    assert (job.state, job.attempts) == (JobState.QUEUED, 0)
    assert files_in(home / "outbox") == []

    (home / "inbox" / "cat.yaml").write_text("set: {steps: 2}\n")
    assert run_once(home, kept) is ExitCode.FINE
    assert files_in(home / "outbox") == ["cat.stripes.png"]


def test_a_painting_that_was_stopped_and_killed_ends_in_the_bytes_of_one_that_was_not(
    home: Path, kept: KeptEngine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (home / "inbox" / "cat.yaml").write_text("set: {preset: classic, steps: 60}\n")
    picture(home / "inbox" / "cat.png")
    other = Path(shutil.copytree(home, tmp_path_factory.mktemp("other") / "home"))
    assert run_once(home, kept) is ExitCode.FINE
    for end, step in ((signal.SIGTERM, 10), (signal.SIGKILL, 20)):
        end_in_the_middle(other, end, at_step=step)
        assert len(files_in(other / "state" / "checkpoints")) == 1
    assert run_once(other, kept) is ExitCode.FINE
    results = [np.asarray(Image.open(each / "outbox" / "cat.stripes.png")) for each in (home, other)]
    assert np.array_equal(results[0], results[1])
    assert files_in(other / "state" / "checkpoints") == []
    assert "going on from" in (other / "state" / "nst-daemon.log").read_text()


def _is_painting(home: Path) -> bool:
    if not (home / "state" / "ledger.db").exists():
        return False
    with Ledger(home / "state" / "ledger.db") as ledger:
        return any(current.progress for current in ledger.snapshot(running=True).current)


def test_a_pause_survives_a_restart_and_resume_ends_it(home: Path, kept: KeptEngine) -> None:
    assert command(home, "pause")[0] == ExitCode.FINE
    picture(home / "inbox" / "cat.png")
    assert run_once(home, kept) is ExitCode.JOB_FAILED  # it is left
    assert jobs_of(home)["cat.png"].state is JobState.QUEUED
    assert command(home, "resume")[0] == ExitCode.FINE
    assert run_once(home, kept) is ExitCode.FINE
    assert jobs_of(home)["cat.png"].state is JobState.DONE


def test_a_painting_that_comes_back_into_the_inbox_is_not_painted_again(home: Path, kept: KeptEngine) -> None:
    picture(home / "inbox" / "cat.png")
    assert run_once(home, kept) is ExitCode.FINE
    result = home / "outbox" / "cat.stripes.png"
    (home / "inbox" / "again.png").write_bytes(result.read_bytes())
    assert run_once(home, kept) is ExitCode.FINE
    assert files_in(home / "outbox") == ["cat.stripes.png"]
    assert (home / "inbox" / "again.png").exists()


def test_the_demo_paints_the_sample_photo_and_prints_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Callable[[Path], Path]
) -> None:
    from typer.testing import CliRunner

    cache(tmp_path / "demo" / "state" / "weights")
    monkeypatch.setattr(cli_paint, "DEMO_SETTINGS", {"size": 48, "steps": 2})
    result = CliRunner().invoke(app, ["demo", "--dir", str(tmp_path / "demo")])
    assert result.exit_code == ExitCode.FINE, result.output
    (painting,) = (tmp_path / "demo" / "outbox").iterdir()
    assert str(painting) in result.output
    with Image.open(painting) as image:
        assert max(image.size) == 48
