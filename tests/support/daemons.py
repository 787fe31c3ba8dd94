"""Real daemons in processes of their own, fast: reading and painting are played, all else is as it is.

A process is forked from a server that has imported everything, so that a start costs milliseconds.
"""

import itertools
import multiprocessing
import os
import queue
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

from nst_daemon.config import Config, load
from nst_daemon.config.orders import EngineFacts, Order, Painting, Progress
from nst_daemon.daemon import daemon as daemons_daemon
from nst_daemon.daemon.daemon import Daemon
from nst_daemon.disk.files import TEMPORARY
from nst_daemon.engine import process as engine_process
from nst_daemon.engine.messages import Finished, Leave, Loaded, Refused, Stepped, Stop
from nst_daemon.engine.process import EngineProcess, OnFacts
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import (
    CancelledError,
    EngineError,
    ExitCode,
    MissingError,
    OutOfMemoryError,
    StyleError,
)
from nst_daemon.folders.drafts import draft_copy
from nst_daemon.intake import intake, reading, taking
from nst_daemon.intake.inspection import Inspection, Readable
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.intake.readers import Readers
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Job, JobState, Snapshot
from nst_daemon.painting import delivery, disposal, worker
from nst_daemon.painting.attempt import Engine
from nst_daemon.system.crash import VARIABLE
from support import syncing
from support.place import FakeReader
from support.waiting import WAIT_SECONDS, comes_true, hang, take

STYLES = ("stripes", "dots")
CONFIG = """
inbox: inbox
outbox: outbox
state_dir: state
style: stripes
tray: off
notify: off
watch: {settle_seconds: 0.1, sidecar_seconds: 0, rescan_seconds: 1}
"""
SLOW = "pauses"  # a file in the state folder: how many seconds a played engine starts, and paints


class PlayedReader(FakeReader):
    """Takes every file for a picture, but for those whose bytes say otherwise."""

    def inspect(self, path: Path) -> Inspection:
        answer = super().inspect(path)
        content = path.read_bytes()
        if isinstance(answer, Readable) and content.startswith(b"painting:"):
            return replace(answer, provenance={"job_key": content.split(b":")[1].decode()})
        return answer


def read_played(path: Path, max_megapixels: float) -> Inspection:
    """Stand in for what runs in the process that reads photos."""
    return PlayedReader().inspect(path)


def read_and_hold(path: Path, max_megapixels: float) -> Inspection:
    """Read, copy, and answer no more before somebody puts a file `go` beside the inbox."""
    setattr(reading, "draft_copy", _copy_and_hold)  # noqa: B010  in the reading process
    return read_played(path, max_megapixels)


def _copy_and_hold(photo: Path, draft: Path) -> str:
    sha256 = draft_copy(photo, draft)
    assert comes_true((photo.parent.parent / "go").exists, WAIT_SECONDS)
    return sha256


def read_several() -> None:
    """Let several photos be read at once from the first moment; in the daemon's process."""
    for name, value in {"SHORT_SECONDS": 0.0, "ENOUGH_BYTES": 1, "processors": lambda: 4}.items():
        setattr(taking, name, value)


class PlayedEngine:
    """Paints by writing down what it was asked for, and in `diary` for which jobs."""

    facts = EngineFacts()
    is_warm = False

    def __init__(self, seconds: float, device: str, diary: Path) -> None:
        self.seconds = seconds
        self.device = device
        self.diary = diary

    def warm_up(self, should_stop: Callable[[], bool]) -> None:
        if self.device == "xpu":  # of all devices the one that is broken here
            raise MissingError("This machine cannot use the device 'xpu'.")

    def paint(
        self, order: Order, *, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> Painting:
        with self.diary.open("a") as diary:
            diary.write(f"{order.job}\n")
        if order.photo.read_bytes().startswith(b"styleless"):
            raise StyleError(f"{order.styles[0].name}: no such style.")
        if comes_true(should_stop, self.seconds):
            raise CancelledError("stopped")
        return painting_of(order)

    def end(self) -> None:
        pass


def painting_of(order: Order) -> Painting:
    picture = order.result.with_name("painting.jpg")
    picture.write_bytes(b"painting:" + order.key.encode() + b":" + order.photo.read_bytes())
    report = order.result.with_name("report.png") if order.recipe.report else None
    if report is not None:
        report.write_bytes(b"report:" + order.key.encode())
    return Painting(
        picture=picture,
        report=report,
        width=1,
        height=1,
        seconds=0.1,
        seconds_to_first_step=0.1,
        device="cpu",
        losses={},
    )


def serve_played(pipe: Connection, settings: EngineSettings) -> None:
    """Stand in for the engine's process; the photo's bytes say what is to go wrong."""
    orders: queue.Queue[Order | None] = queue.Queue()

    def listen() -> None:
        while True:
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                os._exit(0)
            match message:
                case Order():
                    orders.put(message)
                case Leave():
                    orders.put(None)
                case Stop():
                    os._exit(0)

    if settings.device == "xpu":  # here too
        os._exit(3)
    pauses = settings.cache_dir.parent / SLOW
    start_seconds, paint_seconds = map(float, pauses.read_text().split()) if pauses.exists() else (0.0, 0.0)
    take(start_seconds)
    threading.Thread(target=listen, daemon=True).start()
    pipe.send(Loaded(device="played", precision="float32"))
    is_broken = False
    while (order := orders.get()) is not None:
        content = order.photo.read_bytes()
        if is_broken or content.startswith(b"driver"):
            is_broken = True  # an error of CUDA sticks to its process
            error = EngineError(f"{order.photo_name}: CUDA error: an illegal memory access was encountered")
            pipe.send(Refused(order.job, error))
            continue
        if content.startswith(b"full") and order.photo.with_suffix(".once").exists():
            order.photo.with_suffix(".once").unlink()
            pipe.send(Refused(order.job, OutOfMemoryError(f"{order.photo_name} does not fit.")))
            continue
        pipe.send(Stepped(order.job, progress_at(1)))
        if content.startswith(b"hang"):
            hang()
        elif content.startswith(b"exit"):
            os._exit(1)
        elif content.startswith(b"memory"):  # as the kernel ends what takes too much
            os.kill(os.getpid(), signal.SIGKILL)
        take(paint_seconds)
        pipe.send(Finished(order.job, painting_of(order)))


def progress_at(step: int) -> Progress:
    return Progress(
        scale=1,
        scales=1,
        width=8,
        height=8,
        step=step,
        steps=100,
        fraction=step / 100,
        losses={"total": 1.0},
        seconds=1.0,
        eta_seconds=1.0,
    )


class Home:
    """A folder with a config, an inbox and an outbox, and the daemon over it."""

    def __init__(self, path: Path, config: str = CONFIG) -> None:
        self.path = path
        for name in ("inbox", "outbox", "styles"):
            (path / name).mkdir(parents=True, exist_ok=True)
        for style in STYLES:
            (path / "styles" / f"{style}.jpg").write_bytes(style.encode())
        self.source = path / "config.yaml"
        if not self.source.exists():
            self.source.write_text(config)

    @property
    def config(self) -> Config:
        return load(self.source)

    def drop(self, name: str, content: bytes = b"photo") -> Path:
        target = self.path / "inbox" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    def files(self, folder: str) -> list[str]:
        base = self.path / folder
        return sorted(str(path.relative_to(base)) for path in base.rglob("*") if path.is_file())

    def diaries(self) -> list[list[int]]:
        """Return for which jobs each of the played engines was asked, in the daemons so far."""
        return [[int(job) for job in path.read_text().split()] for path in sorted(self.path.glob("*.diary"))]

    def jobs(self) -> list[Job]:
        with Ledger(self.path / "state" / "ledger.db") as ledger:
            return ledger.jobs.all(newest_first=False)

    def states(self) -> dict[str, JobState]:
        return {job.photo: job.state for job in self.jobs()}

    def undisposed(self) -> list[int]:
        """Return the jobs whose originals still have to be put away."""
        with Ledger(self.path / "state" / "ledger.db") as ledger:
            return ledger.jobs.undisposed()

    def snapshot(self) -> Snapshot:
        with Ledger(self.path / "state" / "ledger.db") as ledger:
            return ledger.snapshot(running=True)

    def codes(self) -> list[str]:
        return [problem.code for problem in self.snapshot().problems]

    def start(self, crash_at: str = "", **how: Any) -> ForkServerProcess:
        """Start the daemon in a process of its own."""
        process = start_server().Process(target=_run, args=(self.source, crash_at, how))
        process.start()
        return process

    def run_once(self, crash_at: str = "", **how: Any) -> int:
        """Run the daemon until all is done, or until it crashes; return its exit code."""
        process = self.start(crash_at, once=True, **how)
        return ended(process)


def start_server() -> ForkServerContext:
    """Begin the server that processes are forked from; it stays."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["support.daemons", "support.seats", "distributed"])
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.fspath(Path(__file__).parent.parent)  # the server is not told of sys.path
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if path is not None:
            os.environ["PYTHONPATH"] = path
    return context


def ended(process: ForkServerProcess, seconds: float = WAIT_SECONDS) -> int:
    process.join(seconds)
    code = process.exitcode
    if code is None:
        process.kill()
        process.join()
        raise TimeoutError("the daemon did not end")
    process.close()
    return code


def make_played(seconds: float, home: Path) -> Callable[[EngineSettings, OnFacts], Engine]:
    numbers = itertools.count(1)
    return lambda settings, on_facts: PlayedEngine(
        seconds, settings.device, home / f"engine{next(numbers)}.diary"
    )


def make_process(settings: EngineSettings, on_facts: OnFacts) -> Engine:
    return EngineProcess(settings, on_facts=on_facts, serve=serve_played)


def _run(source: Path, crash_at: str, how: dict[str, Any]) -> None:
    """Run a daemon; in its process."""
    os.setsid()
    os.environ[VARIABLE] = crash_at
    syncing.spare_the_disk()
    for module in (worker, disposal, delivery):
        module.CONDITION_SECONDS = 0.3  # type: ignore[attr-defined]
    intake.BLOCK_SECONDS = 0.3  # type: ignore[misc]
    engine_process.START_METHOD = "forkserver"  # type: ignore[misc]
    tempfile.tempdir = str(source.parent.parent)  # leases of local inboxes
    for pause in ("INTAKE_SECONDS", "WORKER_SECONDS", "BEAT_SECONDS"):
        setattr(daemons_daemon, pause, 0.05)
    for path in (source.parent / "state").glob("user"):
        os.setuid(int(path.read_text()))
    if prepare := how.get("prepare"):
        prepare()
    seconds = how.get("seconds", 0.0)
    daemon = Daemon(
        load(source),
        make_engine=make_process if how.get("engine") == "process" else make_played(seconds, source.parent),
        make_reader=lambda config: (
            Readers(PhotoReader(read=how["reader"])) if "reader" in how else PlayedReader()
        ),
    )
    sys.exit(int(daemon.run(once=bool(how.get("once")))))


def left_overs(home: Home) -> list[str]:
    """Return what no crash may leave behind, in any folder of ours."""
    state = home.path / "state"
    found = [str(path) for path in home.path.rglob(f"{TEMPORARY}*")]
    found += [str(path) for path in (state / "work").rglob("*")]
    found += [str(path) for path in (state / "photos").glob(".*")]
    return found


@contextmanager
def running(home: Home, **how: Any) -> Iterator[ForkServerProcess]:
    process = home.start(**how)
    try:
        yield process
    finally:
        if process.is_alive():
            os.kill(process.pid or 0, signal.SIGTERM)
        code = ended(process)
    assert code == ExitCode.FINE


def hang_up(process: ForkServerProcess) -> None:
    os.kill(process.pid or 0, signal.SIGHUP)
