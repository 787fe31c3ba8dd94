"""distributed as it is used here: its settings, its log, and calls that have a deadline. Decides nothing.

No task is ever handed to Dask: it tells who is there, and carries calls and bytes. So none of its promises
about tasks (reruns, stealing, results that are kept) is leant on.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final, Self

import dask

from nst_daemon.errors import NstError
from nst_daemon.farm.answers import UnreachableError

CONNECT_SECONDS: Final = 10.0
LIVING_SECONDS: Final = 60.0  # a machine that gave no sign of life for so long is taken for gone
LINKS: Final = 1024  # connections kept at once; each seat in use has one or two
LOGGERS: Final = (
    "distributed",
    "distributed.client",
    "distributed.deploy",
    "bokeh",
    "tornado",
    "tornado.application",
)

SETTINGS: Final[Mapping[str, object]] = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.active-memory-manager.start": False,
    # Not shorter: a thread that holds the interpreter looks dead (dask/distributed#6324).
    "distributed.scheduler.worker-ttl": f"{LIVING_SECONDS:g}s",
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.comm.timeouts.connect": f"{CONNECT_SECONDS:g}s",
    "distributed.comm.timeouts.tcp": "30s",
    "distributed.admin.system-monitor.gil.enabled": False,
}

logger = logging.getLogger(__name__)


class _IntoOurs(logging.Handler):
    """Hands the log of distributed on to ours: its warnings, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.info("%s: %s", record.name, record.getMessage().partition("\n")[0])


def prepare(*, is_encrypted: bool) -> None:
    """Set distributed up in this process; before it is imported, and once more does no harm."""
    dask.config.set(SETTINGS)
    dask.config.set({"distributed.comm.require-encryption": is_encrypted})
    import distributed  # noqa: F401  it sets its own loggers up when it is imported

    for name in LOGGERS:
        theirs = logging.getLogger(name)
        theirs.handlers[:] = [_IntoOurs(logging.WARNING)]
        theirs.propagate = False


def packed(value: object) -> Any:
    """Return a value as distributed sends it: pickled, its bytes beside."""
    from distributed.protocol.serialize import to_serialize

    return to_serialize(value)  # type: ignore[no-untyped-call]


class Wire:
    """Calls to schedulers and seats. Lives on one event loop."""

    def __init__(self, security: Any = None) -> None:
        from distributed.core import ConnectionPool

        arguments = {} if security is None else security.get_connection_args("client")
        self._pool: Any = ConnectionPool(limit=LINKS, timeout=CONNECT_SECONDS, connection_args=arguments)

    async def start(self) -> Self:
        """Begin; return itself."""
        await self._pool.start()
        return self

    async def call(self, address: str, handler: str, *, seconds: float, **words: Any) -> Any:
        """Return what a handler at an address answers.

        Raises:
            UnreachableError: nobody did, in so many seconds.
            NstError: as the handler raised it.
        """
        try:
            async with asyncio.timeout(seconds):
                return await getattr(self._pool(address), handler)(**words)
        except NstError:
            raise
        except TimeoutError as error:
            raise UnreachableError(f"no answer within {seconds:g} s") from error
        except (OSError, ValueError, RuntimeError) as error:  # CommClosedError is an OSError
            raise UnreachableError(f"{type(error).__name__}: {error}") from error

    async def ask(self, address: str, what: str, *, seconds: float, words: Mapping[str, Any]) -> Any:
        """Return what a seat answers to one of its calls. Raises: as `call`."""
        return await self.call(address, "nst", seconds=seconds, call=what, words=packed(dict(words)))

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()
