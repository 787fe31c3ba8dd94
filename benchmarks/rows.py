"""A ledger with a hundred thousand or a million jobs that wait: what each look at it costs, and a start.

    python benchmarks/rows.py [--rows 100000] [--home FOLDER]

Makes so many small photos in folders of a thousand, one of a hundred with a sidecar, and the jobs and what
was seen of them, as the intake would have. Then times the ledger's questions, the intake's start, its reading
of the inbox and a changed sidecar, and `nst-daemon status` as a process. Prints milliseconds, and the memory
that each took. With --home the folder stays, and is used again. Writes benchmarks/results/rows-<rows>.json.
"""

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path, PurePath

import psutil
from load import PlayedReader

from nst_daemon import __version__
from nst_daemon.config import Config, load
from nst_daemon.config.recipe import Style, job_key, resolve
from nst_daemon.disk import Stamp
from nst_daemon.folders.inboxes import Inboxes
from nst_daemon.folders.library import Library
from nst_daemon.folders.networks import network_of
from nst_daemon.folders.sidecars import fingerprint
from nst_daemon.intake.intake import Intake
from nst_daemon.intake.shelf import Shelf
from nst_daemon.ledger import Ledger, Seen, Verdict
from nst_daemon.ledger.columns import columns_of, job_columns
from nst_daemon.ledger.jobs import JobState, NewJob

RESULTS = Path(__file__).parent / "results"
FOLDER = 1000  # photos in a folder
WITH_SIDECAR = 100  # one photo of so many has one
AT_ONCE = 10_000  # rows in a transaction
STYLE = "woodcut"
Columns = dict[str, object]
OLD = time.time() - 3600  # everything has settled
CONFIG = f"""
inbox: inbox
outbox: outbox
state_dir: state
tray: off
notify: off
style: {STYLE}
watch: {{mode: polling, rescan_seconds: 60}}
"""


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


# ── the folder ──────────────────────────────────────────────────────────────────────────────────────────


def photo_at(inbox: Path, number: int) -> Path:
    """Return the path of a photo."""
    return inbox / f"{number // FOLDER:04}" / f"{number:07}.jpg"


def make_files(inbox: Path, rows: int) -> None:
    """Make the photos and their sidecars."""
    for number in range(rows):
        path = photo_at(inbox, number)
        if number % FOLDER == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"photo %d" % number)
        os.utime(path, (OLD, OLD))
        if number % WITH_SIDECAR == 0:
            sidecar = path.with_name(f"{path.name}.yaml")
            sidecar.write_text(f"style: {STYLE}\n")
            os.utime(sidecar, (OLD, OLD))


def rows_of(config: Config, style: Style, rows: int) -> Iterator[tuple[Columns, Columns]]:
    """Yield the columns of a job that waits and of what was seen, of each photo."""
    folder, recipe = config.folders[0], resolve(config.folders[0].set)
    made: tuple[Columns, Columns] | None = None
    for number in range(rows):
        path = photo_at(folder.inbox, number)
        sidecar = path.with_name(f"{path.name}.yaml") if number % WITH_SIDECAR == 0 else None
        sha256 = hashlib.sha256(b"photo %d" % number).hexdigest()
        copy = config.state_dir / "photos" / f"{sha256}.jpg"
        seen = Seen(
            path=path,
            root=folder.inbox,
            stamp=Stamp.of(path.lstat()),
            verdict=Verdict.JOB,
            photo_sha256=sha256,
            sidecar="" if sidecar is None else fingerprint(path),
        )
        key = job_key(sha256, (style,), recipe, __version__)
        if made is None:
            job = NewJob(
                key=key,
                path=PurePath(path.relative_to(folder.inbox)),
                original=path,
                copy=copy,
                photo_sha256=sha256,
                inbox=folder.inbox,
                outbox=folder.outbox,
                styles=(style,),
                recipe=recipe,
            )
            made = job_columns(job) | {"created": OLD}, columns_of(seen, Seen)
        own = {
            "key": key,
            "path": f"{path.parent.name}/{path.name}",
            "place": path.parent.name,
            "original": str(path),
            "copy": str(copy),
            "photo_sha256": sha256,
            "sidecar": None if sidecar is None else str(sidecar),
        }
        yield made[0] | own, columns_of(seen, Seen)


def fill(ledger: Ledger, config: Config, style: Style, rows: int) -> None:
    """Write the rows, many in a transaction: to add one after the other would take an hour."""
    made = rows_of(config, style, rows)
    while some := list(islice(made, AT_ONCE)):
        with ledger.file.write(durable=False) as db:
            for number, table in enumerate(("jobs", "seen")):
                columns = [each[number] for each in some]
                names, marks = ", ".join(columns[0]), ", ".join("?" * len(columns[0]))
                db.executemany(
                    f"INSERT INTO {table} ({names}) VALUES ({marks})",
                    [tuple(each.values()) for each in columns],
                )


def key_for(ledger: Ledger, network: str | None) -> None:
    """Write for which program and network all keys were found to be right."""
    with ledger.file.write(durable=False) as db:
        db.execute("UPDATE jobs SET keyed_for = ?", (network,))


def make_home(home: Path, rows: int) -> None:
    """Make all of it."""
    for name in ("inbox", "outbox"):
        (home / name).mkdir(parents=True)
    (home / "config.yaml").write_text(CONFIG)
    config = load(home / "config.yaml")
    make_files(config.folders[0].inbox, rows)
    with Ledger(config.state_dir / "ledger.db") as ledger:
        fill(ledger, config, _shelf(config, ledger, Clock()).get(STYLE), rows)
        key_for(
            ledger, f"{__version__}:{network_of(config.engine.weights)}"
        )  # as a daemon that ran has left it
    (home / "made").write_text(str(rows))


def _shelf(config: Config, ledger: Ledger, clock: Clock) -> Shelf:
    return Shelf(
        Library(config.styles, memory=ledger.facts),
        copies=config.state_dir / "photos",
        reader=PlayedReader(),
        settle_seconds=config.watch.settle_seconds,
        patience=config.watch.max_wait_seconds,
        clock=clock,
    )


# ── measured ────────────────────────────────────────────────────────────────────────────────────────────


def _cpu() -> float:
    """Return the seconds of CPU of this thread, and of the processes that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.thread_time() + children.ru_utime + children.ru_stime


class Table:
    """Prints a row for each thing that was measured, and keeps it."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, float]] = {}

    @contextmanager
    def of(self, what: str, times: int = 1) -> Iterator[None]:
        """Measure what is done in the context, so many times."""
        process = psutil.Process()
        before, is_over, most = process.memory_info().rss, threading.Event(), [0]

        def watch() -> None:
            while not is_over.wait(0.02):
                most[0] = max(most[0], process.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        begun, cpu = time.perf_counter(), _cpu()
        try:
            yield
        finally:
            seconds, cpu_seconds = time.perf_counter() - begun, _cpu() - cpu
            is_over.set()
            watcher.join()
        row = {
            "ms": 1000 * seconds / times,
            "cpu_ms": 1000 * cpu_seconds / times,
            "mb": max(0.0, most[0] - before) / 1e6,
        }
        self.rows[what] = {name: round(value, 3) for name, value in row.items()}
        print(f"{what:44}" + "{ms:14.2f} {cpu_ms:14.2f} {mb:8.0f}".format(**row), flush=True)

    def times(self, what: str, act: Callable[[], object], times: int = 5) -> None:
        """Measure a call that can be made several times."""
        act()
        with self.of(what, times):
            for _ in range(times):
                act()


def ask_ledger(table: Table, ledger: Ledger) -> None:
    """Time what views, intake and workers ask all the time."""
    jobs = ledger.jobs
    table.times("snapshot: each second, and each view", lambda: ledger.snapshot(running=True))
    table.times("held jobs, none: each two seconds", lambda: jobs.all(state=JobState.HELD))
    table.times("running jobs, none", lambda: jobs.all(state=JobState.RUNNING))
    table.times("originals that have to go: each two seconds", jobs.undisposed)
    table.times("is_cancelled: while a job runs", lambda: jobs.is_cancelled(7), 1000)
    table.times("has_work, before(last)", lambda: (ledger.queue.has_work(), ledger.queue.before(sys.maxsize)))
    with table.of("copies that are needed: each six hours"):
        deque(jobs.copies(), maxlen=0)
    with table.of("prune: each six hours"):
        ledger.prune(OLD - 1)


def paint_some(table: Table, ledger: Ledger, outbox: Path, count: int = 50) -> None:
    """Time what the ledger costs each job: claimed, begun, reserved, done, disposed; then put back."""
    numbers = []
    with table.of("a job's way through the ledger", count):
        for _ in range(count):
            job = ledger.queue.claim()
            assert job is not None
            numbers.append(job.id)
            target = outbox / f"{job.id}.jpg"
            ledger.attempts.begin(job.id)
            ledger.reserve_result(job.id, target)
            ledger.move(job.id, JobState.RUNNING, JobState.DONE, result=target, seconds=1.0)
            ledger.mark_disposed(job.id, job.original)
    for number in numbers:
        ledger.retry(number)


def take_in(table: Table, config: Config, ledger: Ledger) -> None:
    """Time the intake: its start, a reading of the inbox, a sidecar that has changed."""
    clock = Clock()
    with Inboxes(config.folders, config.watch, clock=clock) as inboxes:

        def begun() -> Intake:
            return Intake(
                config=config,
                inboxes=inboxes,
                reader=PlayedReader(),
                ledger=ledger,
                library=_shelf(config, ledger, clock),
                clock=clock,
            )

        with table.of("intake: start"):
            intake = begun()
        with table.of("intake: first tick"):
            _tick(intake, clock)
        with table.of("intake: reading the inbox, each minute"):
            _tick(intake, clock)
        sidecar = photo_at(config.folders[0].inbox, WITH_SIDECAR).with_suffix(".jpg.yaml")
        sidecar.write_text(f"style: {STYLE}\n")
        with table.of("intake: the same, a sidecar has changed"):
            _tick(intake, clock)
        with table.of("intake: a tick with nothing to do"):
            intake.tick()
        key_for(ledger, None)
        with table.of("intake: start with another version or network"):
            begun()


def _tick(intake: Intake, clock: Clock) -> None:
    clock.now += 61.0
    while intake.tick():
        pass


def ask_status(table: Table, home: Path) -> None:
    """Time the command."""
    words = [sys.executable, "-m", "nst_daemon", "status", "--json", "--config", str(home / "config.yaml")]

    def status() -> None:
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)

    table.times("`nst-daemon status --json`, a process", status, 3)


def measure(home: Path, rows: int) -> Table:
    """Print what each thing took."""
    table, config = Table(), load(home / "config.yaml")
    print(f"{rows} jobs wait".ljust(44) + "            ms         CPU ms       MB")
    ask_status(table, home)
    with table.of("the ledger is opened and checked"):
        ledger = Ledger(config.state_dir / "ledger.db")
    with ledger:
        ask_ledger(table, ledger)
        paint_some(table, ledger, config.folders[0].outbox)
        take_in(table, config, ledger)
        with table.of("every row is looked through, after the start"):
            ledger.jobs.look_through()
        assert ledger.snapshot(running=True).counts[JobState.QUEUED] == rows
    size = (config.state_dir / "ledger.db").stat().st_size
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"the ledger's file: {size / 1e6:.0f} MB, {size / rows:.0f} bytes a job; peak memory {peak:.0f} MB")
    table.rows["peak"] = {"mb": round(peak)}
    return table


def main() -> None:
    """Make a folder, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--home", type=Path, help="a folder that stays")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = args.home or Path(folder) / "home"
        if not (home / "made").is_file():
            shutil.rmtree(home, ignore_errors=True)
            make_home(home, args.rows)
        table = measure(home, args.rows)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"rows-{args.rows}.json").write_text(json.dumps(table.rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
