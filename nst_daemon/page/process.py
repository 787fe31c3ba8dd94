"""The page's process: kept by the daemon as long as somebody wants a page, and what runs in it.

`PageKeeper` starts it where the config says `on`, or somebody has asked; `serve` is what runs in it. Its end
costs no job: it reads the ledger and leaves requests in it.
"""

import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Final, Self

from nst_daemon.config import Config, PageMode
from nst_daemon.disk import logs
from nst_daemon.errors import ConditionError, NstError
from nst_daemon.ledger import Ledger, Request
from nst_daemon.system import malloc
from nst_daemon.system.child import Child
from nst_daemon.system.keeper import ANEW, LEFT, Keeper

logger = logging.getLogger(__name__)

WANTED: Final = "page wanted"  # the fact: somebody has asked, and was still there when a daemon left


class PageKeeper:
    """Keeps the process alive as long as it is wanted and tended. One thread uses it."""

    def __init__(
        self, config: Config, ledger: Ledger, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.config = config
        self._ledger = ledger
        self._keeper = Keeper(
            Child(serve, name="nst-page", words="The process of the page", has_children=True),
            without="there is no page",
            is_wanted=self._is_wanted,
            on_end=self._take_leave,
            clock=clock,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process, while it lives."""
        return self._keeper.child.pid

    def tend(self) -> None:
        """Start the process where it is wanted and not there. Raises: ConditionError: of the ledger."""
        if self._ledger.requests.take(Request.PAGE) and self.config.page.mode is not PageMode.OFF:
            self._ledger.facts.remember(WANTED, "yes", durable=False)
            self._keeper.hurry()
        self._keeper.tend(self.config)

    def follow(self, config: Config) -> None:
        """Serve as another config asks for, from the next `tend` on."""
        if config.page != self.config.page or config.styles != self.config.styles:
            self.close()
            with suppress(ConditionError):
                self._ledger.problems.set("page", [])  # it may have been of the address
            self._keeper.hurry()
        self.config = config

    def close(self) -> None:
        """End the process: politely, then at once."""
        self._keeper.close()
        with suppress(ConditionError):
            self._ledger.presence.set_page(None)

    def _is_wanted(self) -> bool:
        match self.config.page.mode:
            case PageMode.ON:
                return True
            case PageMode.OFF:
                return False
        return self._ledger.facts.recall(WANTED) is not None

    def _take_leave(self, code: int | None) -> None:
        """Send nobody there any more; one that left since nobody looked is no longer wanted."""
        self._ledger.presence.set_page(None)
        if code == LEFT:
            self._ledger.facts.remember(WANTED, None, durable=False)


def serve(_: Connection, config: Config) -> None:
    """Serve the page until the parent ends or nobody looks any more. Runs in the process."""
    malloc.share_one_arena()
    logs.log_to_stderr()
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # what strangers send is no news
    code = ANEW
    try:
        from nst_daemon.page import server

        with Ledger(config.state_dir / "ledger.db") as ledger:
            code = LEFT if server.run(config, ledger) else ANEW
    except (NstError, OSError) as error:
        logger.warning("the page begins anew: %s", error)
    except Exception:  # a bug: the jobs go on
        logger.exception("the page broke, and begins anew")
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)  # at once: a thread that hangs with a dead disk must not keep us
