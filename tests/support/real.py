"""A home for the real daemon with the real network, small."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from nst_daemon.cli.app import app
from nst_daemon.config import Config, load
from nst_daemon.config.orders import EngineFacts, Order, Painting, Progress
from nst_daemon.daemon.daemon import Daemon
from nst_daemon.engine.child import serve
from nst_daemon.engine.process import EngineProcess, OnFacts
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import ExitCode
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Job
from nst_daemon.painting.attempt import Engine
from nst_daemon.painting.pool import make_engine
from support.waiting import WAIT_SECONDS, take, wait_for

STEP_SECONDS = 0.1  # of an engine that is to be ended in the middle
SETTINGS = "set: {size: 48, steps: 3, pyramid: 0}"


@pytest.fixture
def home(tmp_path: Path, cache: Callable[[Path], Path]) -> Path:
    """Return a folder with inbox, outbox, a style of the user's and a config."""
    return made_home(tmp_path, cache)


def made_home(base: Path, cache: Callable[[Path], Path]) -> Path:
    for name in ("inbox", "outbox", "styles"):
        (base / name).mkdir()
    picture(base / "styles" / "stripes.png", seed=3)
    (base / "config.yaml").write_text(
        "inbox: inbox\noutbox: outbox\nstate_dir: state\nstyle: stripes\n"
        f"watch: {{settle_seconds: 0.2, sidecar_seconds: 0, rescan_seconds: 1}}\n{SETTINGS}\n"
    )
    cache(base / "state" / "weights")
    return base


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


class KeptEngine:
    """One engine's process for the daemons of several tests: each leaves it, and the next finds it warm."""

    def __init__(self, cache_dir: Path) -> None:
        settings = EngineSettings(device="cpu", cache_dir=cache_dir)
        self._process = EngineProcess(settings, on_facts=lambda facts: self._on_facts(facts))
        self._on_facts: OnFacts = lambda _: None
        self._process.warm_up()

    def made(self, settings: EngineSettings, on_facts: OnFacts) -> Engine:
        """Stand in for what makes a daemon's engine."""
        self._on_facts = on_facts
        return self

    @property
    def facts(self) -> EngineFacts:
        return self._process.facts

    @property
    def is_warm(self) -> bool:
        return self._process.is_warm

    def warm_up(self, should_stop: Callable[[], bool]) -> object:
        return self._process.warm_up(should_stop)

    def paint(
        self, order: Order, *, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> Painting:
        return self._process.paint(order, on_progress=on_progress, should_stop=should_stop)

    def end(self) -> None:
        """Leave the process to the next daemon."""
        self._on_facts = lambda _: None

    def close(self) -> None:
        self._process.end()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, cache: Callable[[Path], Path]) -> Iterator[KeptEngine]:
    engine = KeptEngine(cache(tmp_path_factory.mktemp("kept")))
    yield engine
    engine.close()


def daemon_of(home: Path, engine: KeptEngine | None) -> Daemon:
    return Daemon(config_of(home), make_engine=make_engine if engine is None else engine.made)


def run_once(home: Path, engine: KeptEngine | None = None) -> ExitCode:
    return daemon_of(home, engine).run(once=True)


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


def answer(home: Path, *words: str) -> str:
    """Return what a command writes to stdout; in this process, for who asks often."""
    return CliRunner().invoke(app, [*words, "--config", str(home / "config.yaml")]).stdout


@contextmanager
def running(home: Path, engine: KeptEngine | None = None) -> Iterator[Daemon]:
    """Run the daemon on a thread of its own."""
    daemon = daemon_of(home, engine)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        yield daemon
    finally:
        daemon.stop()
        thread.join()


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def end_in_the_middle(home: Path, number: signal.Signals, *, at_step: int) -> None:
    """Let a daemon paint in a process of its own, and end it by a signal when it has come so far."""
    process = multiprocessing.get_context("spawn").Process(target=_run_slowly, args=(home,))
    process.start()
    try:
        wait_for(lambda: _step(home) >= at_step, seconds=WAIT_SECONDS, what=f"step {at_step}")
        os.kill(process.pid or 0, number)
        process.join(WAIT_SECONDS)
    finally:
        process.kill()
        process.join()
        process.close()


def _step(home: Path) -> int:
    if not (home / "state" / "ledger.db").exists():
        return 0
    with Ledger(home / "state" / "ledger.db") as ledger:
        current = ledger.snapshot(running=True).current
        return max((each.progress.step for each in current if each.progress), default=0)


def _run_slowly(home: Path) -> None:
    def make(settings: EngineSettings, on_facts: OnFacts) -> Engine:
        return EngineProcess(settings, on_facts=on_facts, serve=_serve_slowly)

    Daemon(config_of(home), make_engine=make).run()


def _serve_slowly(pipe: Connection, settings: EngineSettings) -> None:
    """Paint as ever, but slowly enough for a signal, and worth a checkpoint from the first step."""
    from nst_daemon.engine import checkpoint
    from nst_daemon.engine.descent import Descent

    step: Callable[[Descent], object] = Descent._step

    def slowly(descent: Descent) -> object:
        take(STEP_SECONDS)
        return step(descent)

    Descent._step = slowly  # type: ignore[method-assign, assignment]
    checkpoint.WORTH_SECONDS = 0.0  # type: ignore[misc]
    serve(pipe, settings)
