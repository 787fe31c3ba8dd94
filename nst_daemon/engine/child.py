"""The engine's process, from the inside: takes orders from a pipe, answers with progress and paintings."""

import contextlib
import logging
import os
import queue
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from nst_daemon import disk
from nst_daemon.config.orders import Order, Progress
from nst_daemon.engine.messages import (
    Alive,
    Died,
    Finished,
    Found,
    Leave,
    Loaded,
    Logged,
    Refused,
    Stepped,
    Stop,
)
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import EngineError, NstError, OutOfMemoryError

logger = logging.getLogger(__name__)

ALIVE_SECONDS = 30.0  # without a step's end, the parent hears from us this often
NICENESS = 5  # the desktop comes first


def serve(pipe: Connection, settings: EngineSettings) -> None:
    """Load the network, then fulfil orders until told to leave or until the parent is gone."""
    os.umask(0o077)  # what is made here is kept in the state folder, or is a preview: its owner's alone
    with contextlib.suppress(AttributeError, OSError):  # Windows has no nice
        os.nice(NICENESS)
    # Threads that wait by spinning lose to every other busy program: steps take twice as long beside one.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported
    parent = ParentLink(pipe)
    package = logging.getLogger("nst_daemon")
    package.setLevel(logging.INFO)
    package.addHandler(_ToParent(parent))
    threading.Thread(target=parent.listen, name="engine-listen", daemon=True).start()
    try:
        from nst_daemon.engine import devices  # imports torch: seconds
        from nst_daemon.engine.studio import Studio

        if settings.device == "auto":
            parent.say(Found(devices.others()))
        studio = Studio(settings)
    except NstError as error:
        parent.say(Died(error))
        return
    parent.say(Loaded(device=str(studio.device), precision=studio.precision))
    while (order := parent.orders.get()) is not None:
        parent.fulfil(studio, order)


class _ToParent(logging.Handler):
    """Hands log records to the daemon: two processes must not write one log file."""

    def __init__(self, parent: "ParentLink") -> None:
        super().__init__(logging.INFO)
        self.parent = parent

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        self.parent.say(Logged(record.levelno, self.format(record)))


class ParentLink:
    """The child's end of the pipe. `listen` has a thread of its own; all else is the main thread's."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.orders: queue.Queue[Order | None] = queue.Queue()
        self.stop = threading.Event()
        self._said_at = time.monotonic()

    def listen(self) -> None:
        """Take in what the parent says, in the middle of a painting too."""
        while True:
            try:
                message = self.pipe.recv()
            except (EOFError, OSError):
                os._exit(0)  # the parent is gone: nobody waits for a result, and a step can last minutes
            match message:
                case Order():
                    self.stop.clear()
                    self.orders.put(message)
                case Stop():
                    self.stop.set()
                case Leave():
                    self.orders.put(None)

    def say(self, message: object) -> None:
        """Send to the parent; without one, end."""
        self._said_at = time.monotonic()
        try:
            self.pipe.send(message)
        except OSError:
            os._exit(0)

    def should_stop(self) -> bool:
        """Return whether to stop; asked at each step and tile, which tells the parent that we live."""
        if time.monotonic() - self._said_at > ALIVE_SECONDS:
            self.say(Alive())
        return self.stop.is_set()

    def fulfil(self, studio: "Studio", order: Order) -> None:  # type: ignore[name-defined] # noqa: F821
        """Answer one order with a painting or with the reason why there is none."""

        def on_progress(progress: Progress) -> None:
            self.say(Stepped(order.job, progress))

        try:
            self.say(Finished(order.job, studio.fulfil(order, on_progress, self.should_stop)))
        except NstError as error:
            self.say(Refused(order.job, error))
        except MemoryError:
            self.say(Refused(order.job, OutOfMemoryError(f"{order.photo_name}: there is too little memory.")))
        except Exception as error:  # the daemon decides what becomes of us
            logger.exception("job %d broke the engine", order.job)
            self.say(Refused(order.job, _as_ours(error, order)))


def _as_ours(error: Exception, order: Order) -> NstError:
    """Return an error that is none of ours as one: a full disk or a dead share is no photo's fault."""
    if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        name = error.filename
        return disk.condition_at(error, Path(name) if isinstance(name, str) and name else order.result)
    return EngineError(f"{order.photo_name}: {type(error).__name__}: {error}")
