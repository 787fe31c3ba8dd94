"""Photos at played seats on loopback: what handing one over costs, and how many seats one keeps busy.

    python benchmarks/farm.py [--seats 1 2 4] [--photos 200] [--seconds 0.1] [--megabytes 0.1]

Daemon, ledger, scheduler, seats and their engines' processes are the real ones; reading and painting are
played, and a painting takes `--seconds` at a seat. Seats on one machine share its cores with the coordinator.
Writes benchmarks/results/farm.json.
"""

import argparse
import json
import os
import queue
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from nst_daemon.config import load
from nst_daemon.config.orders import Order, Painting
from nst_daemon.daemon.daemon import Daemon
from nst_daemon.engine.messages import Finished, Leave, Loaded
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.farm.joining import places_of
from nst_daemon.farm.keys import Join
from nst_daemon.farm.serving import serve_seat
from nst_daemon.intake.inspection import Inspection, Readable
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState
from nst_daemon.system.child import Child

RESULTS = Path(__file__).parent / "results" / "farm.json"
LEAVE_OUT = 0.1  # of the photos, at the begin: engines start with them
CONFIG = """
inbox: inbox
outbox: outbox
state_dir: state
tray: off
notify: off
originals: keep
watch: {{settle_seconds: 0.2, sidecar_seconds: 0}}
farm: {{listen: 'tcp://127.0.0.1:{port}', local: false}}
"""


class PlayedReader:
    """Takes every file for a picture."""

    def prepare(self) -> None:
        """Do nothing."""

    def inspect(self, path: Path) -> Inspection:
        """Return what a photo is."""
        return Readable(width=8, height=8, format="jpeg")

    def thumbnail(self, path: Path) -> bytes | None:
        """Return no small picture."""

    def rest(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def serve_played(pipe: Connection, settings: EngineSettings) -> None:
    """Stand in for the engine's process: take as long as the state folder says, and copy the photo."""
    seconds = float((settings.cache_dir.parent / "seconds").read_text())
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

    threading.Thread(target=listen, daemon=True).start()
    pipe.send(Loaded(device="played", precision="float32"))
    while (order := orders.get()) is not None:
        time.sleep(seconds)
        picture = order.result.with_name("painting.jpg")
        picture.write_bytes(order.photo.read_bytes())
        painting = Painting(
            picture=picture,
            report=None,
            width=8,
            height=8,
            seconds=seconds,
            seconds_to_first_step=0.0,
            device="played",
            losses={},
        )
        pipe.send(Finished(order.job, painting))


@contextmanager
def lent(address: str, seats: int, seconds: float) -> Iterator[None]:
    """Lend so many played devices."""
    places = places_of(Join(address), f"bench-{os.getpid()}", ["cpu"] * seats, serve=serve_played)
    home = places[0].folder.parent
    home.mkdir(parents=True, exist_ok=True)
    (home / "seconds").write_text(str(seconds))
    children = [Child(serve_seat, name="nst-seat", words="A seat", has_children=True) for _ in places]
    try:
        for child, place in zip(children, places, strict=True):
            child.start(place)
        yield
    finally:
        for child in children:
            child.end()


def measured(base: Path, *, seats: int, photos: int, seconds: float, megabytes: float) -> dict[str, float]:
    """Paint photos at so many seats; return what it took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name in ("inbox", "outbox"):
        (base / name).mkdir(parents=True)
    (base / "config.yaml").write_text(CONFIG.format(port=port))
    for number in range(photos):
        content = b"%d " % number + os.urandom(int(megabytes * 1e6))
        (base / "inbox" / f"photo{number}.jpg").write_bytes(content)
    with Ledger(base / "state" / "ledger.db") as ledger:
        ledger.requests.pause()
        daemon = Daemon(load(base / "config.yaml"), make_reader=lambda config: PlayedReader())
        thread = threading.Thread(target=daemon.run)
        thread.start()
        try:
            with lent(f"tcp://127.0.0.1:{port}", seats, seconds):
                _wait(lambda: _count(ledger, JobState.QUEUED) == photos)
                _wait(lambda: len(ledger.snapshot(running=True).seats) == seats)
                ledger.requests.resume()
                first = int(LEAVE_OUT * photos) + seats
                _wait(lambda: _count(ledger, JobState.DONE) >= first)
                began, cpu = time.monotonic(), _cpu()
                before = _count(ledger, JobState.DONE)
                _wait(lambda: _count(ledger, JobState.DONE) == photos)
                took, cpu = time.monotonic() - began, _cpu() - cpu
        finally:
            daemon.stop()
            thread.join()
        done = photos - before
        assert {job.attempts for job in ledger.jobs.all()} == {1}
    assert len(list((base / "outbox").glob("*.jpg"))) == photos
    return {
        "seats": seats,
        "photos a second": round(done / took, 2),
        "overhead a photo, s": round(seats * took / done - seconds, 4),
        "CPU of the coordinator a photo, s": round(cpu / done, 4),
        "megabytes a second, there and back": round(2 * megabytes * done / took, 1),
    }


def _count(ledger: Ledger, state: JobState) -> int:
    return ledger.snapshot(running=True).counts[state]


def _wait(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _cpu() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seats", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--megabytes", type=float, default=0.1)
    asked = parser.parse_args()
    found = []
    for seats in asked.seats:
        with tempfile.TemporaryDirectory() as folder:
            found.append(
                measured(
                    Path(folder) / "home",
                    seats=seats,
                    photos=asked.photos,
                    seconds=asked.seconds,
                    megabytes=asked.megabytes,
                )
            )
        sys.stdout.write(json.dumps(found[-1]) + "\n")
    first, last = found[0], found[-1]
    ratio = last["photos a second"] / first["photos a second"]
    sys.stdout.write(f"{last['seats']} seats paint {ratio:.2f} times what {first['seats']} does\n")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"asked": vars(asked), "found": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
