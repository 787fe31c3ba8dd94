"""A ledger with played jobs and real pictures, and the page over it: for tests, and to look at.

`PYTHONPATH=tests python -m support.played_page FOLDER` serves it until Ctrl-C and prints the way in.
"""

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np
from PIL import Image

from nst_daemon import __version__
from nst_daemon.config import Config, load
from nst_daemon.config.orders import EngineFacts
from nst_daemon.config.recipe import Style
from nst_daemon.disk.files import file_sha256
from nst_daemon.folders.library import BUILT_IN
from nst_daemon.folders.outbox import report_target
from nst_daemon.ledger import Added, Ledger
from nst_daemon.ledger.jobs import Job, JobState, NewJob
from nst_daemon.page import process
from nst_daemon.system.child import Child, Serve
from support.new_jobs import PROGRESS, new_job
from support.waiting import take, wait_for

ANY_PORT = "page: {listen: '127.0.0.1:0'}\n"
STYLES = ("swirling_oil", "mosaic", "stained_glass")


@dataclass
class Played:
    """A config, its ledger, and a page over it."""

    config: Config
    ledger: Ledger
    child: Child

    @property
    def address(self) -> str:
        return self.ledger.presence.page() or ""

    def ticket(self) -> str:
        """Return the address by which one browser gets in."""
        return f"{self.address}/open/{self.ledger.tickets.issue()}"

    def begin(self) -> None:
        """Start the page's process, and wait until it listens."""
        self.ledger.presence.set_page(None)
        self.child.start(self.config)
        wait_for(lambda: bool(self.address), seconds=30.0)


def config_in(base: Path, more: str = ANY_PORT) -> Config:
    for name in ("inbox", "outbox", "styles"):
        (base / name).mkdir(parents=True, exist_ok=True)
    text = f"inbox: inbox\noutbox: outbox\nstyles: styles\nstate_dir: state\nexchange: off\n{more}"
    (base / "config.yaml").write_text(text)
    return load(base / "config.yaml")


def picture(path: Path, seed: int, size: tuple[int, int] = (480, 320)) -> Path:
    """Write a JPEG that differs from others of another seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    low = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(low).resize(size, Image.Resampling.BICUBIC).save(path, "JPEG", quality=85)
    return path


def job_of(config: Config, name: str, number: int, **changes: object) -> NewJob:
    """Return a job of a photo that lies in the inbox."""
    photo = picture(config.folders[0].inbox / name, number)
    style = STYLES[number % len(STYLES)]
    found = next(path for path in BUILT_IN.iterdir() if path.stem == style)
    job = new_job(
        f"key-{number}",
        path=PurePath(name),
        original=photo,
        copy=config.state_dir / "photos" / f"{number}.jpg",
        photo_sha256=file_sha256(photo),
        inbox=config.folders[0].inbox,
        outbox=config.folders[0].outbox,
        styles=(Style(name=style, path=found, sha256=file_sha256(found)),),
    )
    return replace(job, **changes)  # type: ignore[arg-type]


def add(ledger: Ledger, job: NewJob) -> int:
    added = ledger.add(job)
    assert isinstance(added, Added)
    return added.job


def finish(ledger: Ledger, config: Config, job: int, name: str) -> None:
    """Let the job that is first in the queue be painted."""
    claimed = ledger.queue.claim()
    assert claimed is not None and claimed.id == job
    result = picture(config.folders[0].outbox / name, 1000 + job)
    ledger.move(job, JobState.RUNNING, JobState.DONE, result=result, seconds=12.5)


def reported(played: Played, name: str) -> tuple[Job, Path]:
    """Add a job that was painted with a report; return where that belongs, and draw none."""
    plain = job_of(played.config, name, 80)
    assert plain.recipe is not None
    job = add(played.ledger, replace(plain, key=name, recipe=replace(plain.recipe, report=True)))
    result = picture(played.config.folders[0].outbox / name, 1000 + job)
    with played.ledger.file.write() as db:
        db.execute("UPDATE jobs SET state = 'running' WHERE id = ?", (job,))
    assert played.ledger.move(job, JobState.RUNNING, JobState.DONE, result=result, seconds=1.0)
    found = played.ledger.jobs.get(job)
    assert found is not None
    return found, report_target(result)


def play(config: Config, ledger: Ledger, *, done: int = 6, waiting: int = 4) -> Job:
    """Fill a ledger with jobs in every state; return the one that is painted."""
    for number in range(done):
        job = add(ledger, job_of(config, f"trip/photo {number}.jpg", number))
        finish(ledger, config, job, f"trip/photo {number}.{STYLES[number % len(STYLES)]}.jpg")
    failed = add(ledger, job_of(config, "broken.jpg", 50))
    ledger.queue.claim()
    ledger.move(
        failed,
        JobState.RUNNING,
        JobState.FAILED,
        error="broken.jpg breaks off. Copy it again. (docs/errors.md#photo_incomplete)",
    )
    held = job_of(config, "portrait.jpg", 51, key="held:p", styles=(), recipe=None, state=JobState.HELD)
    add(ledger, replace(held, error="There is no style stary_night: did you mean starry_night?"))
    running = add(ledger, job_of(config, "<img src=x onerror=alert(1)> ü \u202e.jpg", 60))
    for number in range(61, 61 + waiting):
        add(ledger, job_of(config, f"waits {number}.jpg", number))
    claimed = ledger.queue.claim()
    assert claimed is not None and claimed.id == running
    ledger.presence.set_daemon(os.getpid(), __version__)
    ledger.presence.set_engines([EngineFacts(state="painting", device="cpu", weights="original")])
    paint(ledger, claimed, 0.1)
    return claimed


def copy_done(ledger: Ledger, count: int) -> None:
    """Copy a job that is done so many times."""
    with ledger.file.write(durable=False) as db:
        own = ("id", "key", "result_name")
        columns = [row["name"] for row in db.execute("PRAGMA table_info(jobs)") if row["name"] not in own]
        names = ", ".join(columns)
        db.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            f"INSERT INTO jobs (key, {names}) SELECT 'copy-' || i, {names} FROM jobs, n "
            f"WHERE id = (SELECT min(id) FROM jobs WHERE state = 'done')",
            (count,),
        )


def paint(ledger: Ledger, job: Job, fraction: float) -> None:
    """Let the painting of a running job come so far."""
    step = max(1, round(300 * fraction))
    progress = replace(
        PROGRESS,
        fraction=fraction,
        step=step,
        steps=300,
        seconds=120 * fraction,
        eta_seconds=120 * (1 - fraction),
    )
    ledger.attempts.report_progress(job.id, progress)
    draft = picture(job.preview.with_suffix(".tmp"), step)
    draft.replace(job.preview)


@contextmanager
def beating(ledger: Ledger) -> Iterator[None]:
    """Say each second that the daemon lives, as a real one does."""
    is_over = threading.Event()

    def beat() -> None:
        while not is_over.wait(1.0):
            ledger.presence.beat()

    heart = threading.Thread(target=beat, name="heart", daemon=True)
    heart.start()
    try:
        yield
    finally:
        is_over.set()
        heart.join()


@contextmanager
def beginning(played: Played) -> Iterator[Played]:
    """Serve a page over a ledger, whose daemon lives."""
    with beating(played.ledger):
        try:
            played.begin()
            yield played
        finally:
            played.child.end(seconds=5.0)


@contextmanager
def served(
    base: Path, *, more: str = ANY_PORT, serve: Serve = process.serve, **options: int
) -> Iterator[Played]:
    """Serve the page over played jobs."""
    config = config_in(base, more)
    child = Child(serve, name="nst-page", words="The page", has_children=True)
    with Ledger(config.state_dir / "ledger.db") as ledger:
        play(config, ledger, **options)
        with beginning(Played(config, ledger, child)) as played:
            yield played


def say(address: str) -> None:
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--done", type=int, default=6)
    options = parser.parse_args()
    with served(options.folder, done=options.done) as played:
        say(played.ticket())
        (running,) = played.ledger.jobs.all(state=JobState.RUNNING)
        began = time.monotonic()
        asked = options.folder / "ticket"  # `touch FOLDER/ticket`: another ticket
        while True:
            take(1.0)
            paint(played.ledger, running, min(0.99, 0.1 + (time.monotonic() - began) % 120 / 125))
            if asked.exists():
                asked.unlink()
                say(played.ticket())


if __name__ == "__main__":
    main()
