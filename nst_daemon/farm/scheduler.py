"""The farm's scheduler, in a process of its own beside the daemon: who is there. It gets no task of ours."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final
from urllib.parse import urlsplit

from nst_daemon.farm import wire

LOOK_SECONDS: Final = 1.0  # between two looks whether the daemon wants us to end


@dataclass(frozen=True, slots=True)
class Listening:
    """From the scheduler: it does."""

    address: str


@dataclass(frozen=True, slots=True)
class CannotListen:
    """From the scheduler: it cannot, and why."""

    reason: str


def serve_scheduler(pipe: Connection, address: str, security: Any) -> None:
    """Listen at an address until the daemon ends us, or ends. Runs in the scheduler's process."""
    logging.getLogger("nst_daemon").addHandler(logging.NullHandler())
    wire.prepare(is_encrypted=security is not None)
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
