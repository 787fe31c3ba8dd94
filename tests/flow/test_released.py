"""What each released version left is opened by this one: config, ledger, requests, checkpoints."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from support.real import config_of, files_in, jobs_of, picture, run_once
from support.released import restored

from nst_daemon import config
from nst_daemon.config.recipe import resolve
from nst_daemon.errors import ExitCode
from nst_daemon.ledger import Ledger, Request
from nst_daemon.ledger.jobs import JobState

RELEASED = Path(__file__).parent / "released"
STATES = {
    "failed.jpg": JobState.FAILED,
    "held.png": JobState.HELD,
    "trip/done.png": JobState.DONE,
    "killed.png": JobState.RUNNING,
    "cancelled.png": JobState.CANCELLED,
    "asked.png": JobState.RUNNING,
    "masked.png": JobState.QUEUED,
    "waiting.png": JobState.QUEUED,
}


@pytest.fixture(params=sorted(path.name for path in RELEASED.iterdir()))
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return what a release left, on this machine."""
    return restored(RELEASED / request.param, tmp_path / "home")


def states(home: Path) -> dict[str, JobState]:
    return {photo: job.state for photo, job in jobs_of(home).items()}


def test_its_configs_load_and_mean_what_they_say(home: Path) -> None:
    assert config_of(home).folders[0].set["steps"] == 40
    example = home / "config.example.yaml"
    assert config.load(example).folders[0].set == {}
    example.write_text(re.sub(r"^#(?=\s*\w+:)", "", example.read_text(), flags=re.M))  # every key
    found, said = config.load(example), yaml.safe_load(example.read_text())
    assert set(found.folders[0].set) == set(said["set"])
    assert resolve(found.folders[0].set).steps == said["set"]["steps"]
    assert found.watch.rescan_seconds == said["watch"]["rescan_seconds"]
    assert found.engine.keep_warm == said["engine"]["keep_warm"]


def test_its_ledger_opens_with_all_that_it_knew(home: Path) -> None:
    with Ledger(home / "state" / "ledger.db") as ledger:
        jobs = {job.photo: job for job in ledger.jobs.all()}
        assert {photo: job.state for photo, job in jobs.items()} == STATES
        assert ledger.jobs.problems() == []
        assert ledger.requests.is_paused()
        assert ledger.requests.take(Request.UNLOAD)
        assert ledger.jobs.is_cancelled(jobs["asked.png"].id)
        assert [current.job for current in ledger.snapshot(running=True).current] == [
            *(jobs["killed.png"].id, jobs["asked.png"].id)
        ]
        assert "dots" in (jobs["held.png"].error or "")
        assert set().union(*ledger.jobs.copies()) <= {
            *(home / "state" / "photos").iterdir(),
            home / "inbox" / "failed.jpg",
        }
    done, killed, masked = (jobs[photo] for photo in ("trip/done.png", "killed.png", "masked.png"))
    assert done.result == home / "outbox" / "trip" / "done.stripes.png"
    assert (done.original, done.is_disposed) == (home / "archive" / "trip" / "done.png", True)
    assert done.progress is not None
    assert killed.recipe is not None
    assert (killed.recipe.steps, [style.name for style in killed.styles]) == (40, ["stripes"])
    assert masked.areas.mask is not None
    assert masked.recipe is not None
    assert masked.recipe.strength == 0.8


def test_its_waiting_jobs_are_painted_once_and_the_interrupted_one_goes_on(
    home: Path, cache: Callable[[Path], Path]
) -> None:
    cache(home / "state" / "weights")
    checkpoints = home / "state" / "checkpoints"
    assert [path.stem for path in checkpoints.iterdir()] == [jobs_of(home)["killed.png"].key]
    picture(home / "styles" / "dots.png", seed=7)  # the held one waits for it
    assert run_once(home) is ExitCode.JOB_FAILED  # it is paused: jobs are left
    assert set(states(home).values()) >= {JobState.QUEUED}
    with Ledger(home / "state" / "ledger.db") as ledger:
        ledger.requests.resume()

    assert run_once(home) is ExitCode.FINE

    ended = dict.fromkeys(STATES, JobState.DONE) | {"failed.jpg": JobState.FAILED}
    assert states(home) == ended | dict.fromkeys(("asked.png", "cancelled.png"), JobState.CANCELLED)
    painted = ("held.dots", "killed.stripes", "masked.stripes", "trip/done.stripes", "waiting.stripes")
    assert files_in(home / "outbox") == [f"{name}.png" for name in painted]
    assert files_in(home / "inbox") == ["asked.png", "cancelled.png"]
    log = (home / "state" / "nst-daemon.log").read_text()
    assert log.count("going on from") == 1
    assert files_in(checkpoints) == []
