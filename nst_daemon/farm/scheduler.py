"""The farm's scheduler, in a process of its own beside the daemon: who is there. It gets no task of ours."""

import asyncio
import logging
import ssl
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final
from urllib.parse import urlsplit

from nst_daemon.farm import wire

NO_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}
)  # of who speaks no TLS
KEYS: Final = ("UNKNOWN_CA", "CERTIFICATE", "DECRYPT_ERROR")  # in what OpenSSL says of another farm's
LOOK_SECONDS: Final = 1.0  # between two looks whether the daemon wants us to end


@dataclass(frozen=True, slots=True)
class Listening:
    """From the scheduler: it does."""

    address: str


@dataclass(frozen=True, slots=True)
class CannotListen:
    """From the scheduler: it cannot, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """From the scheduler: who could not show that it is of this farm."""

    host: str
    is_plain: bool  # it does not speak TLS at all; else it has the keys of another farm


class _Gate(logging.Handler):
    """Tells of whom Dask turns away: it says so in its log alone."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(logging.WARNING)
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        said = record.args
        if not isinstance(said, tuple) or len(said) != 3 or not isinstance(said[2], ssl.SSLError):
            return
        reason = said[2].reason or ""
        is_plain = reason in NO_TLS
        if is_plain or any(word in reason for word in KEYS):  # else it only looked whether a port is open
            host = urlsplit(str(said[1])).hostname or str(said[1])
            with suppress(OSError):
                self._pipe.send(TurnedAway(host, is_plain))


def serve_scheduler(pipe: Connection, address: str, security: Any) -> None:
    """Listen at an address until the daemon ends us, or ends. Runs in the scheduler's process."""
    logging.getLogger("nst_daemon").addHandler(logging.NullHandler())
    wire.prepare(is_encrypted=security is not None)
    logging.getLogger("distributed.comm.tcp").addHandler(_Gate(pipe))
    asyncio.run(_listen(pipe, address, security))


async def _listen(pipe: Connection, address: str, security: Any) -> None:
    parts = urlsplit(address)
    scheduler: Any = _scheduler_class()(
        host=f"{parts.scheme}://{parts.hostname}",
        port=parts.port or 0,
        security=security,
        dashboard=False,
    )
    try:
        await scheduler
    except (OSError, ValueError, RuntimeError) as error:
        with suppress(OSError):
            pipe.send(CannotListen(str(error.__cause__ or error)))
        return
    with suppress(OSError):
        pipe.send(Listening(scheduler.address))
    await scheduler.finished()


def _scheduler_class() -> Any:
    from distributed import Scheduler

    class QuietScheduler(Scheduler):
        """A Dask scheduler without the page that it would serve to everybody, dashboard or not."""

        def start_http_server(self, *_: Any, **__: Any) -> None:
            """Listen nowhere else."""

    return QuietScheduler
