"""Thousands of small photos dropped at once, with an engine that is played: what the queue itself costs.

    python benchmarks/load.py [--photos 10000]

Intake, ledger, worker and outbox are the real ones, each on its thread, as in the daemon; reading and
painting are played. Checks that nothing is lost or doubled, and writes benchmarks/results/load.json. What a
ledger costs in which a million jobs wait already, is told by rows.py.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import psutil

from nst_daemon.config import Config, load
from nst_daemon.config.orders import EngineFacts, Order, Painting, Progress
from nst_daemon.daemon.daemon import Daemon
from nst_daemon.engine.process import OnFacts
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.folders.drafts import draft_copy
from nst_daemon.intake.inspection import Inspection, Readable, Taken
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState

RESULTS = Path(__file__).parent / "results" / "load.json"
LINE = "{done:8} {seconds:9.1f} {ms_a_photo:12.2f} {cpu_ms_a_photo:10.2f} {mb:8.0f} {status_cpu_ms:20.0f}"
PARTS = 10  # the run is looked at in as many parts
CONFIG = """
inbox: inbox
outbox: outbox
state_dir: state
tray: off
notify: off
watch: {settle_seconds: 0.5, sidecar_seconds: 0}
"""


class PlayedReader:
    """Takes every file for a picture."""

    def prepare(self) -> None:
        """Do nothing."""

    def inspect(self, path: Path) -> Inspection:
        """Return what a photo is."""
        path.read_bytes()
        return Readable(width=8, height=8, format="jpeg")

    def take(self, path: Path, draft: Path) -> Future[Taken]:
        """Copy a photo."""
        future = Future[Taken]()
        future.set_result(Taken(self.inspect(path), draft_copy(path, draft)))
        return future

    def attend(self, seconds: float) -> None:
        """Do nothing: all is done at once."""

    def thumbnail(self, path: Path) -> bytes | None:
        """Return no small picture."""

    def rest(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class PlayedEngine:
    """Paints by copying."""

    facts = EngineFacts()
    is_warm = False

    def paint(
        self, order: Order, *, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> Painting:
        """Return the photo as its own painting."""
        picture = order.result.with_name("painting.jpg")
        picture.write_bytes(b"painting of " + order.photo.read_bytes())
        return Painting(
            picture=picture,
            report=None,
            width=8,
            height=8,
            seconds=0.0,
            seconds_to_first_step=0.0,
            device="played",
            losses={},
        )

    def warm_up(self, should_stop: Callable[[], bool]) -> None:
        """Nothing to load."""

    def end(self) -> None:
        """Do nothing."""


def _make_engine(settings: EngineSettings, on_facts: OnFacts) -> PlayedEngine:
    return PlayedEngine()


def _make_reader(config: Config) -> PlayedReader:
    return PlayedReader()


def run(home: Path, photos: int) -> list[dict[str, float]]:
    """Drop the photos, wait for the paintings, and return one row a part of the run."""
    for name in ("inbox", "outbox"):
        (home / name).mkdir()
    (home / "config.yaml").write_text(CONFIG)
    for number in range(photos):
        (home / "inbox" / f"{number}.jpg").write_bytes(b"photo %d" % number)
    daemon = Daemon(load(home / "config.yaml"), make_engine=_make_engine, make_reader=_make_reader)
    thread = threading.Thread(target=daemon.run)
    process = psutil.Process()
    begun, cpu = time.perf_counter(), sum(process.cpu_times()[:2])
    thread.start()
    rows: list[dict[str, float]] = []
    while len(rows) < PARTS:
        time.sleep(0.2)
        done = sum(1 for entry in os.scandir(home / "outbox") if not entry.name.startswith("."))
        if done >= photos * (len(rows) + 1) / PARTS:
            now, used = time.perf_counter(), sum(process.cpu_times()[:2])
            row = {
                "done": done,
                "seconds": now - begun,
                "cpu": used - cpu,
                "mb": process.memory_info().rss / 1e6,
            }
            before = rows[-1] if rows else {"done": 0, "seconds": 0.0, "cpu": 0.0}
            count = max(1, done - before["done"])
            row["ms_a_photo"] = 1000 * (row["seconds"] - before["seconds"]) / count
            row["cpu_ms_a_photo"] = 1000 * (row["cpu"] - before["cpu"]) / count
            row["status_cpu_ms"] = status_cpu(home)
            rows.append(row)
            print(LINE.format(**row), flush=True)
    while list((home / "inbox").glob("*.jpg")):
        time.sleep(0.2)
    daemon.stop()
    thread.join()
    return rows


def status_cpu(home: Path) -> float:
    """Return the milliseconds of CPU that `nst-daemon status` takes at this moment."""
    words = [sys.executable, "-m", "nst_daemon", "status", "--json", "--config", str(home / "config.yaml")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def check(home: Path, photos: int) -> None:
    """Leave with a word if a photo was lost or painted twice."""
    with Ledger(home / "state" / "ledger.db") as ledger:
        jobs = ledger.jobs.all()
    wanted = {b"painting of photo %d" % number for number in range(photos)}
    found = [path.read_bytes() for path in (home / "outbox").iterdir()]
    kept = list((home / "archive").iterdir())
    once = {job.attempts for job in jobs} == {1} and {job.state for job in jobs} == {JobState.DONE}
    if not (len(jobs) == len(found) == len(kept) == photos and set(found) == wanted and once):
        sys.exit(f"lost or doubled: {len(jobs)} jobs, {len(found)} paintings, {len(kept)} originals")
    print(f"nothing lost, nothing twice: {photos} jobs, paintings and originals")


def main() -> None:
    """Print one line a tenth of the run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=int, default=10_000)
    photos = parser.parse_args().photos
    print("    done   seconds   ms a photo     CPU ms       MB   CPU ms of a status")
    with tempfile.TemporaryDirectory() as folder:
        rows = run(Path(folder), photos)
        check(Path(folder), photos)
    rounded = [{key: round(value, 2) for key, value in row.items()} for row in rows]
    RESULTS.write_text(json.dumps({"photos": photos, "parts": rounded}, indent=1) + "\n")


if __name__ == "__main__":
    main()
