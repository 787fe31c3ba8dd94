"""A home for the real daemon with the real network, small."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_daemon.config import Config, load
from nst_daemon.daemon.daemon import Daemon
from nst_daemon.errors import ExitCode
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Job
from support.waiting import WAIT_SECONDS

SETTINGS = "set: {size: 48, steps: 3, pyramid: 0}"


@pytest.fixture
def home(tmp_path: Path, cache: Callable[[Path], Path]) -> Path:
    """Return a folder with inbox, outbox, a style of the user's and a config."""
    for name in ("inbox", "outbox", "styles"):
        (tmp_path / name).mkdir()
    picture(tmp_path / "styles" / "stripes.png", seed=3)
    (tmp_path / "config.yaml").write_text(
        "inbox: inbox\noutbox: outbox\nstate_dir: state\nstyle: stripes\n"
        f"watch: {{settle_seconds: 0.2, sidecar_seconds: 0, rescan_seconds: 1}}\n{SETTINGS}\n"
    )
    cache(tmp_path / "state" / "weights")
    return tmp_path


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (64, 48)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    wave = 127 + 120 * np.sin((x * (1 + seed) + y) / 5)
    Image.fromarray(np.stack([wave, 255 - wave, x + y], axis=-1).astype(np.uint8)).save(path)
    return path


def config_of(home: Path) -> Config:
    return load(home / "config.yaml")


def jobs_of(home: Path) -> dict[str, Job]:
    with Ledger(home / "state" / "ledger.db") as ledger:
        return {job.photo: job for job in ledger.jobs.all()}


def run_once(home: Path) -> ExitCode:
    return Daemon(config_of(home)).run(once=True)


def command(home: Path, *words: str) -> tuple[int, str]:
    """Run a command as a user does; return its exit code and what it wrote to stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "nst_daemon", *words, "--config", str(home / "config.yaml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_SECONDS,
    )
    return done.returncode, done.stdout


@contextmanager
def running(home: Path) -> Iterator[Daemon]:
    """Run the daemon on a thread of its own."""
    daemon = Daemon(config_of(home))
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        yield daemon
    finally:
        daemon.stop()
        thread.join()


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
