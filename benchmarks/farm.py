"""Photos at played seats on loopback: what handing one over costs, and how many seats one keeps busy.

    python benchmarks/farm.py [--seats 1 2 4] [--photos 200] [--seconds 0.1] [--megabytes 0.1]
    python benchmarks/farm.py --seats 1 --photos 20 --seconds 1 --megabytes 8 --mbit 100 --ahead both
    python benchmarks/farm.py --idle 100

Daemon, ledger, scheduler, seats and their engines' processes are the real ones; reading and painting are
played, and a painting takes `--seconds` at a seat. Seats on one machine share its cores with the coordinator.
`--mbit` puts a line of at most so many megabits a second before each seat: a relay in this process, whose CPU
is counted, too. With `--ahead both` each is measured without the next photo being sent ahead, and with.
`--idle`: which share of a core the coordinator takes while so many seats have nothing to do. Writes
benchmarks/results/farm.json.
"""

import argparse
import itertools
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psutil
from load import PlayedReader

from nst_daemon.config import load
from nst_daemon.daemon.daemon import Daemon
from nst_daemon.farm import ahead
from nst_daemon.farm.joining import places_of
from nst_daemon.farm.keys import Join
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState
from nst_daemon.system.child import Child

RESULTS = Path(__file__).parent / "results" / "farm.json"
SENT_AHEAD = ahead.AHEAD_BYTES
IDLE_SECONDS = 20.0  # so long nothing is watched
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


@contextmanager
def lent(address: str, seats: int, seconds: float, mbit: float = 0.0) -> Iterator[None]:
    """Lend so many devices with the tests' engine, each behind a line of so many megabits a second."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from support.daemons import SLOW, serve_played, start_server
    from support.relay import Relay
    from support.seats import free_port, serve_seat

    start_server()  # which seats are forked from: a hundred of them share their memory
    names = ["cpu"] * seats
    places = places_of(
        Join(address), f"bench-{os.getpid()}", names, port=free_port() if mbit else 0, serve=serve_played
    )
    home = places[0].folder.parent
    for place in places:
        place.folder.mkdir(parents=True, exist_ok=True)
    (home / SLOW).write_text(f"0 {seconds}")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home)
        for place in places:
            contact = None
            if mbit:
                relay = Relay(place.port)
                stack.callback(relay.close)
                relay.pace = 8e-6 / mbit
                contact = f"tcp://127.0.0.1:{relay.port}"
            serve = partial(serve_seat, contact)
            child = Child(serve, name="nst-seat", words="A seat", method="forkserver", has_children=True)
            stack.callback(child.end)
            child.start(place)
        yield


@contextmanager
def running(base: Path) -> Iterator[tuple[str, Ledger]]:
    """Run a daemon on a thread of this process; yield the farm's address, and the ledger."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name in ("inbox", "outbox"):
        (base / name).mkdir(parents=True, exist_ok=True)
    (base / "config.yaml").write_text(CONFIG.format(port=port))
    with Ledger(base / "state" / "ledger.db") as ledger:
        ledger.requests.pause()
        daemon = Daemon(load(base / "config.yaml"), make_reader=lambda config: PlayedReader())
        thread = threading.Thread(target=daemon.run)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{port}", ledger
        finally:
            daemon.stop()
            thread.join()


def measured(
    base: Path,
    *,
    seats: int,
    photos: int,
    seconds: float,
    megabytes: float,
    mbit: float = 0.0,
    is_ahead: bool = True,
) -> dict[str, float]:
    """Paint photos at so many seats; return what it took."""
    (base / "inbox").mkdir(parents=True)
    for number in range(photos):
        content = b"%d " % number + os.urandom(int(megabytes * 1e6))
        (base / "inbox" / f"photo{number}.jpg").write_bytes(content)
    setattr(ahead, "AHEAD_BYTES", SENT_AHEAD if is_ahead else 0)  # noqa: B010
    with running(base) as (address, ledger), lent(address, seats, seconds, mbit):
        _wait(lambda: _count(ledger, JobState.QUEUED) == photos)
        _wait(lambda: len(ledger.snapshot(running=True).seats) == seats)
        ledger.requests.resume()
        first = int(LEAVE_OUT * photos) + seats
        _wait(lambda: _count(ledger, JobState.DONE) >= first)
        began, cpu = time.monotonic(), _cpu()
        before = _count(ledger, JobState.DONE)
        _wait(lambda: _count(ledger, JobState.DONE) == photos)
        took, cpu = time.monotonic() - began, _cpu() - cpu
        done = photos - before
        assert {job.attempts for job in ledger.jobs.all()} == {1}
    assert len(list((base / "outbox").glob("*.jpg"))) == photos
    return {
        "seats": seats,
        "sent ahead": is_ahead,
        "photos a second": round(done / took, 2),
        "overhead a photo, s": round(seats * took / done - seconds, 4),
        "CPU of the coordinator a photo, s": round(cpu / done, 4),
        "megabytes a second, there and back": round(2 * megabytes * done / took, 1),
    }


def measured_idle(base: Path, seats: int) -> dict[str, float]:
    """Return which share of a core the coordinator takes while so many seats have nothing to do."""
    with running(base) as (address, ledger):
        ledger.requests.resume()
        _wait(lambda: _schedulers(address))
        alone = _shares(address)
        with lent(address, seats, 0.0):
            _wait(lambda: len(ledger.snapshot(running=True).seats) == seats)
            time.sleep(IDLE_SECONDS)  # they have joined just now
            there = _shares(address)
    names = ("daemon", "scheduler")
    found = {f"{name}, % of a core": share for name, share in zip(names, there, strict=True)}
    before = {f"{name} alone, % of a core": share for name, share in zip(names, alone, strict=True)}
    return {"idle seats": seats} | before | found


def _shares(address: str) -> tuple[float, ...]:
    """Return which share of a core this process and the farm's scheduler take for a while, in percent."""
    both = (psutil.Process(), *_schedulers(address))
    began, before = time.monotonic(), [_cpu_of(process) for process in both]
    time.sleep(IDLE_SECONDS)
    took = time.monotonic() - began
    return tuple(
        round(100 * (_cpu_of(process) - cpu) / took, 1) for process, cpu in zip(both, before, strict=True)
    )


def _schedulers(address: str) -> list[psutil.Process]:
    """Return the process that listens at an address, if it does so by now."""
    port = int(address.rpartition(":")[2])
    return [
        child
        for child in psutil.Process().children()
        if any(each.laddr.port == port and each.status == "LISTEN" for each in child.net_connections("tcp"))
    ]


def _count(ledger: Ledger, state: JobState) -> int:
    return ledger.snapshot(running=True).counts[state]


def _wait(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _cpu() -> float:
    return _cpu_of(psutil.Process())


def _cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seats", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--megabytes", type=float, default=0.1)
    parser.add_argument("--mbit", type=float, default=0.0, help="a line of at most so many megabits a second")
    parser.add_argument("--ahead", choices=("on", "both"), default="on")
    parser.add_argument("--idle", type=int, default=0, metavar="SEATS")
    asked = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        if asked.idle:
            found.append(measured_idle(Path(folder) / "idle", asked.idle))
            sys.stdout.write(json.dumps(found[-1]) + "\n")
        else:
            found += painted(Path(folder), asked)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"asked": vars(asked), "found": found}, indent=1) + "\n")


def painted(folder: Path, asked: argparse.Namespace) -> list[dict[str, float]]:
    """Measure photos at every number of seats, and print what was found."""
    found = []
    for seats, is_ahead in itertools.product(
        asked.seats, (False, True) if asked.ahead == "both" else (True,)
    ):
        found.append(
            measured(
                folder / f"{seats} {is_ahead}",
                seats=seats,
                photos=asked.photos,
                seconds=asked.seconds,
                megabytes=asked.megabytes,
                mbit=asked.mbit,
                is_ahead=is_ahead,
            )
        )
        sys.stdout.write(json.dumps(found[-1]) + "\n")
    first, last = found[0], found[-1]
    ratio = last["photos a second"] / first["photos a second"]
    sys.stdout.write(f"the last row is {ratio:.2f} times as fast as the first\n")
    return found


if __name__ == "__main__":
    main()
