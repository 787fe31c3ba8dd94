"""`farm join`: a process for each device that this machine lends, kept alive until it is told to leave.

One thread. The seats' processes end with this one, however it ends.
"""

import logging
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from nst_daemon.config import ALL, state_home
from nst_daemon.disk import locks
from nst_daemon.engine.child import serve
from nst_daemon.engine.process import Serve, probe
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import ConditionError, ConfigError
from nst_daemon.farm.keys import Join
from nst_daemon.farm.serving import GRACE_SECONDS, LEFT, LeaveSeat, Said, SeatPlace, serve_seat
from nst_daemon.system.child import Child, EndedError
from nst_daemon.system.pauses import Pauses

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.2  # between two looks at the seats
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0  # seconds before a seat that died is begun anew; doubles
STEADY_SECONDS: Final = 60.0  # one that lived so long did not die because it cannot begin
END_SECONDS: Final = GRACE_SECONDS + 12.0  # beyond the grace it hands back what it has, and is heard
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

Show = Callable[[str, str], None]  # a seat's name, and a line


def machine_name(name: str | None) -> str:
    """Return the name of this machine in the farm: what was asked for, or its host's.

    Raises:
        ConfigError: it is none.
    """
    made = name if name is not None else re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()).strip("-.")
    if not NAME.fullmatch(made or "seat"):
        raise ConfigError(
            f"{name!r} is no name of a machine.", remedy="Letters, digits, dots and dashes: --name gpu1"
        )
    return made or "seat"


def devices_of(asked: str, cache_dir: Path) -> list[str]:
    """Return the devices that are lent: of `all` each accelerator, of a machine without one its processor.

    Raises:
        MissingError: one is not there, or there are no weights.
        ConfigError: it is no device's name.
    """
    from nst_daemon.config.kinds import device_names

    try:
        named = device_names(asked if asked.lower() == ALL else [each.strip() for each in asked.split(",")])
    except ValueError as error:
        raise ConfigError(
            f"--devices: {error}.", remedy="Example: --devices cuda:0,cuda:1, or all"
        ) from error
    if named != (ALL,):
        return [probe(EngineSettings(device=each, cache_dir=cache_dir)).device for each in named]
    first = probe(EngineSettings(device="auto", cache_dir=cache_dir))
    return [first.device, *first.others]


def places_of(
    join: Join,
    machine: str,
    devices: Sequence[str],
    *,
    port: int = 0,
    shared: Sequence[Path] = (),
    serve: Serve = serve,
) -> list[SeatPlace]:
    """Return what each seat's process is started with. Two on one device share it, and have a number."""
    folder = home_of(machine)
    places = []
    for number, device in enumerate(devices):
        twin = devices[:number].count(device)
        name = f"{device}.{twin + 1}" if twin else device
        settings = EngineSettings(device=device, share=devices.count(device), cache_dir=folder / "weights")
        own = folder / re.sub(r"\W", "-", name)
        at = port + number if port else 0
        places.append(
            SeatPlace(
                name=f"{machine}/{name}",
                join=join,
                settings=settings,
                folder=own,
                port=at,
                shared=tuple(shared),
                serve=serve,
            )
        )
    return places


def home_of(machine: str) -> Path:
    """Return the one folder in which this machine's seats write, and read but for what is shared."""
    return state_home() / "seats" / machine


class _Keeper:
    """Keeps one seat's process alive."""

    def __init__(self, place: SeatPlace, show: Show) -> None:
        self.place = place
        self.has_left = False
        self._show = show
        self._child = Child(serve_seat, name="nst-seat", words="The process of a seat", has_children=True)
        self._began = float("-inf")
        self._due = float("-inf")
        self._pauses = Pauses(FIRST_PAUSE, LONGEST_PAUSE)

    @property
    def is_alive(self) -> bool:
        """Whether its process lives."""
        return self._child.is_alive()

    def tend(self) -> None:
        """Show what the process says; begin it where it is not there, and did not leave for good."""
        with suppress(EndedError):
            while self._child.has_begun and self._child.poll(0):
                said = self._child.receive()
                if isinstance(said, Said):
                    self._show(self.place.name, said.text)
        if self.has_left or self._child.is_alive():
            return
        now = time.monotonic()
        if self._began > float("-inf"):
            code = self._child.wait_for_end(1.0)
            self.has_left = code == LEFT
            if self.has_left:
                self._show(self.place.name, "has left")
                return
            if now - self._began > STEADY_SECONDS:
                self._pauses.reset()
            self._show(self.place.name, f"its process has ended ({code}), and is begun anew")
            self._due = now + self._pauses.next()
            self._began = float("-inf")
        if now >= self._due:
            self._begin()

    def _begin(self) -> None:
        try:
            self._child.start(self.place)
            self._began = time.monotonic()
        except ConditionError as error:
            self._show(self.place.name, str(error))
            self._due = time.monotonic() + LONGEST_PAUSE

    def ask_to_leave(self) -> None:
        """Have it end what is in hand, and go."""
        with suppress(EndedError):
            self._child.send(LeaveSeat())

    def end(self) -> None:
        """End it at once."""
        self._child.end()


def lend(places: Sequence[SeatPlace], show: Show) -> None:
    """Lend devices until all seats have left: drained from afar, or told to by SIGTERM or Ctrl-C.

    A second signal ends it at once.

    Raises:
        AlreadyRunningError: another process lends under this name.
        MissingError: the seats' folder cannot be used.
    """
    folder = places[0].folder.parent
    with ExitStack() as stack:
        stack.enter_context(locks.held(folder))
        keepers = [_Keeper(place, show) for place in places]
        for keeper in keepers:
            stack.callback(keeper.end)
        signals = stack.enter_context(_signals())
        deadline = float("inf")
        while not all(keeper.has_left for keeper in keepers):
            if signals and deadline == float("inf"):
                deadline = time.monotonic() + END_SECONDS
                for keeper in keepers:
                    keeper.ask_to_leave()
            if len(signals) > 1 or time.monotonic() > deadline:
                return
            for keeper in keepers:
                if signals and not keeper.is_alive:
                    keeper.has_left = True
                keeper.tend()
            time.sleep(LOOK_SECONDS)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Yield the list of signals to end that have come."""
    come: list[int] = []
    before = {
        number: signal.signal(number, lambda which, _: come.append(which))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield come
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
