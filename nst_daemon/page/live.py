"""The state as it changes: looked at once a second for all tabs, sent to each as server-sent events.

Every message is the whole state: one that is lost costs nothing. While no tab is open nothing is looked at.
On the event loop; the looking itself runs on a thread, for a disk may keep it waiting.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any, Final

from nst_daemon.errors import NstError
from nst_daemon.page.answers import RefusedError

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
QUIET_SECONDS: Final = 15.0  # then a beat keeps proxies awake, and finds out who has left
MAX_STREAMS: Final = 64
RETRY: Final = b"retry: 2000\n\n"  # milliseconds; how soon a browser comes again
BEAT: Final = b"event: beat\ndata: 1\n\n"  # not a comment: a tab could not hear it, nor miss it


class Live:
    """All open streams, and the one look that serves them."""

    def __init__(
        self, look: Callable[[], dict[str, Any]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look = look
        self._clock = clock
        self._count = 0  # of the messages so far
        self._message = b""  # the last one
        self._changed = asyncio.Condition()
        self._looking: asyncio.Task[None] | None = None
        self._last: dict[str, Any] | None = None
        self._left_at = clock()
        self.streams = 0
        self.looks = 0
        self._is_over = False

    @property
    def idle_seconds(self) -> float:
        """How long no tab has been open."""
        return 0.0 if self.streams else self._clock() - self._left_at

    def enter(self) -> AsyncGenerator[bytes, None]:
        """Return the stream of one more tab. Raises: RefusedError: there are too many."""
        if self.streams >= MAX_STREAMS:
            raise RefusedError(429, f"{MAX_STREAMS} tabs are open already.", "Close some of them.")
        return self._stream()

    async def close(self) -> None:
        """End all streams."""
        self._is_over = True
        async with self._changed:
            self._changed.notify_all()
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking

    async def _stream(self) -> AsyncGenerator[bytes, None]:
        self.streams += 1
        try:
            if self._looking is None or self._looking.done():
                self._last = None
                self._count, self._message = self._count + 1, b""
                self._looking = asyncio.create_task(self._look_on())
            yield RETRY
            seen = 0 if self._message else self._count
            while not self._is_over:
                if await self._is_news(seen):
                    seen = self._count
                    yield self._message
                elif not self._is_over:
                    yield BEAT
        finally:
            self.streams -= 1
            self._left_at = self._clock()

    async def _is_news(self, seen: int) -> bool:
        """Wait for another message than the one that was seen; False: none came for a while, or the end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(QUIET_SECONDS), self._changed:
                await self._changed.wait_for(lambda: self._count != seen or self._is_over)
        return self._count != seen and not self._is_over

    async def _look_on(self) -> None:
        """Look once a second, for as long as anybody wants to know."""
        while self.streams and not self._is_over:
            try:
                found = await asyncio.to_thread(self._look)
            except NstError as error:  # the next look may do better; a tab notices the silence
                logger.info("the page cannot look: %s", error)
            else:
                self.looks += 1
                if found != self._last:
                    self._last = found
                    await self._tell({**found, "now": time.time()})
            await asyncio.sleep(LOOK_SECONDS)

    async def _tell(self, state: dict[str, Any]) -> None:
        async with self._changed:
            self._count += 1
            self._message = b"event: state\ndata: " + json.dumps(state).encode() + b"\n\n"
            self._changed.notify_all()
