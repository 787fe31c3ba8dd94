"""Machines that lend devices, on loopback: `farm join` in processes of their own, engines played.

What a seat's engine paints is what one beside the daemon would, and the photo's bytes say what goes wrong.
"""

import json
import os
import re
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import psutil

from nst_daemon.config import state_home
from nst_daemon.config.addresses import Address, Scheme
from nst_daemon.config.orders import SeatFacts
from nst_daemon.engine import process as engine_process
from nst_daemon.engine.child import serve
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.farm import joining, link, serving
from nst_daemon.farm.keys import make_farm, read_join
from nst_daemon.farm.serving import SeatPlace
from nst_daemon.system.child import Child
from support import syncing
from support.daemons import CONFIG, SLOW, Home, ended, serve_played, start_server
from support.waiting import WAIT_SECONDS, wait_for


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class FarmHome(Home):
    """A home whose daemon paints at seats alone, unless its config says otherwise."""

    def __init__(
        self,
        path: Path,
        *,
        farm: str = "local: false",
        more: str = "",
        host: str = "127.0.0.1",
        is_encrypted: bool = False,
    ) -> None:
        self.port = free_port()
        self.address = Address(Scheme.TLS if is_encrypted else Scheme.TCP, host, self.port)
        super().__init__(path, f"{CONFIG}farm: {{listen: '{self.address}', {farm}}}\n{more}")
        if is_encrypted:
            self.join = make_farm(self.config.state_dir, self.address).join
        else:
            self.join = path / "join.json"
            self.join.write_text(json.dumps({"farm": 1, "address": str(self.address)}))
            self.join.chmod(0o600)

    def start(self, crash_at: str = "", **how: Any) -> ForkServerProcess:
        return super().start(crash_at, prepare=prepare_daemon, **how)

    def has_ledger(self) -> bool:
        return (self.path / "state" / "ledger.db").exists()

    def seats(self) -> dict[str, SeatFacts]:
        return {each.name: each for each in self.snapshot().seats} if self.has_ledger() else {}

    def ready(self) -> set[str]:
        """Return the seats that take jobs, or have one."""
        return {name for name, each in self.seats().items() if each.state in ("cold", "warm", "painting")}

    def wait_for_seats(self, count: int) -> None:
        wait_for(lambda: len(self.ready()) == count, seconds=WAIT_SECONDS, what=f"{count} seats")


class Machine:
    """One `farm join` in a process of its own."""

    def __init__(self, join: Path, name: str, devices: Sequence[str] = ("cpu",), **how: Any) -> None:
        self.name = name
        self.folder = joining.home_of(name)
        self._how = (join, name, devices, how)
        self._process = start_server().Process(
            target=_lend, args=(join, name, tuple(devices), dict(os.environ), how)
        )
        self._process.start()
        self._code: int | None = None

    def seat_pids(self) -> list[int]:
        return _pids_in(self.folder, "seat.pid")

    def engine_pids(self) -> list[int]:
        return _pids_in(self.folder, "engine.pid")

    def wait(self) -> int:
        """Wait for the end of its process; return the exit code."""
        if self._code is None:
            self._code = ended(self._process)
        return self._code

    def end(self) -> int:
        """End it as a service does; return its exit code."""
        if self._code is None and self._process.is_alive():
            os.kill(self._process.pid or 0, signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it without a word, as a power cut does."""
        send([self._process.pid or 0], signal.SIGKILL)
        self.wait()

    def again(self) -> "Machine":
        """Return the same machine, switched on again."""
        join, name, devices, how = self._how
        return Machine(join, name, devices, **how)


def _pids_in(folder: Path, name: str) -> list[int]:
    return [int(path.read_text()) for path in sorted(folder.glob(f"*/{name}")) if path.read_text()]


@contextmanager
def lent(home: FarmHome, *names: str, painters: Sequence[str] = (), **how: Any) -> Iterator[list[Machine]]:
    """Have machines lend a device each, `painters` with the real engine; fail if a process is left behind."""
    machines = [Machine(home.join, name, **how) for name in names]
    machines += [Machine(home.join, name, engine="real") for name in painters]
    try:
        yield machines
    finally:
        pids = []
        for machine in machines:
            send([*machine.seat_pids(), *machine.engine_pids()], signal.SIGCONT)
            machine.end()
            pids += [*machine.seat_pids(), *machine.engine_pids()]
        wait_for(lambda: not list(filter(_lives, pids)), what="the end of all of their processes")


def send(pids: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to processes, of which some may have ended."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def scheduler_pids(home: FarmHome) -> list[int]:
    """Return the processes that listen at the farm's address."""
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            for each in process.net_connections("tcp"):
                if each.status == psutil.CONN_LISTEN and each.laddr.port == home.port:
                    found.add(process.pid)
    return sorted(found)


# ── in their processes, which are forked: a start costs milliseconds ──────────────────────────────────────


def prepare_daemon() -> None:
    """Have the daemon's scheduler forked as well."""
    setattr(link, "Child", partial(Child, method="forkserver"))  # noqa: B010


def lend(join: str, name: str, seconds: float) -> None:
    """Lend a played device, in a process that was started for it."""
    start_server()
    _lend(Path(join), name, ("cpu",), {}, {"seconds": seconds})


def _lend(
    path: Path, name: str, devices: tuple[str, ...], environment: dict[str, str], how: dict[str, Any]
) -> None:
    """Lend devices; in the machine's process."""
    os.environ.update(environment)
    syncing.spare_the_disk()
    setattr(joining, "Child", partial(Child, method="forkserver"))  # noqa: B010
    setattr(joining, "serve_seat", partial(serve_seat, how.get("contact")))  # noqa: B010
    setattr(joining, "FIRST_PAUSE", 0.1)  # noqa: B010
    log = state_home() / "seats" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    is_real = how.get("engine") == "real"
    places = joining.places_of(
        read_join(path),
        name,
        devices,
        port=how.get("port", 0),
        shared=how.get("shared", ()),
        serve=_serve_real if is_real else _serve_played,
    )
    for place in places:
        place.folder.mkdir(parents=True, exist_ok=True)
    if seconds := how.get("seconds"):
        (joining.home_of(name) / SLOW).write_text(f"0 {seconds}")
    with log.open("a", buffering=1) as stream:

        def show(seat: str, line: str) -> None:
            stream.write(f"{seat}: {line}\n")

        joining.lend(places, show)


def serve_seat(contact: str | None, pipe: Connection, place: SeatPlace) -> None:
    """Stand in for what runs in a seat's process; `contact`: it is to be dialled at another address."""
    if contact is not None:
        kind = serving._worker_class()
        setattr(serving, "_worker_class", lambda: partial(kind, contact_address=contact))  # noqa: B010
    syncing.spare_the_disk()
    engine_process.START_METHOD = "forkserver"  # type: ignore[misc]
    (place.folder / "seat.pid").write_text(str(os.getpid()))
    serving.serve_seat(pipe, place)


def _serve_played(pipe: Connection, settings: EngineSettings) -> None:
    _note_engine(settings)
    serve_played(pipe, settings)


def _serve_real(pipe: Connection, settings: EngineSettings) -> None:
    _note_engine(settings)
    serve(pipe, settings)


def _note_engine(settings: EngineSettings) -> None:
    folder = settings.cache_dir.parent / re.sub(r"\W", "-", settings.device)
    (folder / "engine.pid").write_text(str(os.getpid()))
