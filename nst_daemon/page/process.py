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
from nst_daemon.system.child import Child

logger = logging.getLogger(__name__)

BACK_OFF_SECONDS: Final = 1.0  # before a process that ended begins anew; doubles
MAX_BACK_OFF_SECONDS: Final = 60.0
STEADY_SECONDS: Final = 60.0  # a process that lived this long did not end because it cannot begin
LEAVE_SECONDS: Final = 3.0  # then it is killed
LEFT: Final = 0  # the exit code of one that nobody looked at any more
ENDED: Final = 75  # of one that was told to, or broke
WANTED: Final = "page wanted"  # the fact: somebody has asked, and was still there when a daemon left


class PageKeeper:
    """Keeps the process alive as long as it is wanted and tended. One thread uses it."""

    def __init__(
        self, config: Config, ledger: Ledger, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.config = config
        self._ledger = ledger
        self._clock = clock
        self._child = Child(serve, name="nst-page", words="The process of the page", has_children=True)
        self._was_said = ""  # why it could not be started: once
        self._began = 0.0
        self._due = float("-inf")
        self._back_off = BACK_OFF_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process, while it lives."""
        return self._child.pid

    def tend(self) -> None:
        """Start the process where it is wanted and not there. Raises: ConditionError: of the ledger."""
        if self._ledger.requests.take(Request.PAGE) and self.config.page.mode is not PageMode.OFF:
            self._ledger.facts.remember(WANTED, "yes", durable=False)
            self._due = float("-inf")
        if self._child.is_alive():
            return
        if self._child.has_begun:
            self._take_leave()
        if self._clock() >= self._due and self._is_wanted():
            self._start()

    def follow(self, config: Config) -> None:
        """Serve as another config asks for, from the next `tend` on."""
        if config.page != self.config.page or config.styles != self.config.styles:
            self.close()
            with suppress(ConditionError):
                self._ledger.problems.set("page", [])  # it may have been of the address
            self._due = float("-inf")
        self.config = config

    def close(self) -> None:
        """End the process: politely, then at once."""
        self._child.end(seconds=LEAVE_SECONDS)
        with suppress(ConditionError):
            self._ledger.presence.set_page(None)

    def _is_wanted(self) -> bool:
        match self.config.page.mode:
            case PageMode.ON:
                return True
            case PageMode.OFF:
                return False
        return self._ledger.facts.recall(WANTED) is not None

    def _start(self) -> None:
        try:
            self._child.start(self.config)
        except ConditionError as error:
            if error.message != self._was_said:
                logger.warning("there is no page: %s", error)
            self._was_said = error.message
            self._due = self._clock() + MAX_BACK_OFF_SECONDS
            return
        self._was_said = ""
        self._began = self._clock()

    def _take_leave(self) -> None:
        """Judge an end: nobody looked any more, or it broke and begins anew after a pause."""
        code = self._child.wait_for_end(LEAVE_SECONDS)
        self._ledger.presence.set_page(None)
        if code == LEFT:
            self._ledger.facts.remember(WANTED, None, durable=False)
            return
        now = self._clock()
        if now - self._began >= STEADY_SECONDS:
            self._back_off = BACK_OFF_SECONDS
        self._due = now + self._back_off
        self._back_off = min(2 * self._back_off, MAX_BACK_OFF_SECONDS)


def serve(_: Connection, config: Config) -> None:
    """Serve the page until the parent ends or nobody looks any more. Runs in the process."""
    logs.log_to_stderr()
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # what strangers send is no news
    code = ENDED
    try:
        from nst_daemon.page import server

        with Ledger(config.state_dir / "ledger.db") as ledger:
            code = LEFT if server.run(config, ledger) else ENDED
    except (NstError, OSError) as error:
        logger.warning("the page begins anew: %s", error)
    except Exception:  # a bug: the jobs go on
        logger.exception("the page broke, and begins anew")
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)  # at once: a thread that hangs with a dead disk must not keep us
