"""A line between two ports of this machine: slow, stalled, cut, or damaging what it carries."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from support.seats import free_port

HOST = "127.0.0.1"
BLOCK = 64 << 10


class Relay:
    """Carries bytes from its own port to another and back. It has a thread of its own, until `close`."""

    def __init__(self, target: int) -> None:
        self.port, self.target = free_port(), target
        self.delay = 0.0  # seconds, each way
        self.pace = 0.0  # seconds that a byte takes, each way
        self.damages = 0  # so many of the next blocks arrive damaged
        self._ends: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._accept, HOST, self.port))

    def stall(self) -> None:
        """Carry nothing, and keep what comes."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def flow(self) -> None:
        """Carry all that was kept, and what comes."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def cut(self) -> None:
        """Break all connections, and take no new one until it is mended."""
        self._is_cut = True
        self._run(self._break())

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self._server.close()
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, step: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(20)

    async def _break(self) -> None:
        for end in self._ends:
            end.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._ends.add(back)
        try:
            if self._is_cut:
                return
            far, forth = await asyncio.open_connection(HOST, self.target)
            self._ends.add(forth)
            await asyncio.gather(self._carry(near, forth), self._carry(far, back))
            self._ends.discard(forth)
        except (OSError, asyncio.CancelledError):
            pass  # nobody listens there, one end has hung up, or the line was cut: so does the other end
        finally:
            back.transport.abort()
            self._ends.discard(back)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def arrive() -> None:
            while True:
                due, block = await line.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()) + self.pace * len(block))
                await self._flows.wait()
                if not block:
                    break
                if self.damages:
                    self.damages -= 1
                    block = bytes((block[0] ^ 1,)) + block[1:]
                target.write(block)
                await target.drain()
            target.close()

        arriving = asyncio.create_task(arrive())
        block = b"-"
        while block:
            try:
                block = await source.read(BLOCK)
            except OSError:
                block = b""
            line.put_nowait((self._loop.time() + self.delay, block))
        await arriving
