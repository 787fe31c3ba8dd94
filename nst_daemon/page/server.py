"""The server: sockets, the application behind its guard, and an end within two seconds.

In its process's main thread. Nothing here asks the network for anything.
"""

import asyncio
import logging
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from nst_daemon import disk
from nst_daemon.config import Config, PageMode
from nst_daemon.disk.files import written_whole
from nst_daemon.folders.library import Library
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Problem
from nst_daemon.page import sheets, uploads
from nst_daemon.page.guard import ALWAYS, Guard
from nst_daemon.page.live import Live
from nst_daemon.page.looks import Looks
from nst_daemon.page.routes import app_of
from nst_daemon.page.site import Looker, Site
from nst_daemon.page.thumbs import Thumbs
from nst_daemon.page.uploads import Untaken, Uploads

logger = logging.getLogger(__name__)

END_SECONDS: Final = 2  # for what is being answered at the end
HEADER_SECONDS: Final = 10.0  # for a browser to say what it wants
HEADER_BYTES: Final = 16 << 10
MAX_CONNECTIONS: Final = 512  # a process may have 1024 files open
TICK_SECONDS: Final = 1.0  # between two looks whether it is to leave
UVICORN_TICKS: Final = 10  # of its own, in as long
IDLE_SECONDS: Final = 600.0  # without a tab; then the process leaves, where it was started for somebody
LAST_PORT: Final = "page port"  # the fact: an open tab finds the page where it was


class Protocol(H11Protocol):
    """HTTP/1.1 that waits for a request no longer than `HEADER_SECONDS`."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait; of too many that wait none is kept."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self._patience = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        if self._patience is not None:
            self._patience.cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Take what has come; a request is what was waited for."""
        super().handle_events()
        if self._patience is not None and self._has_asked():
            self._patience.cancel()
            self._patience = None

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, which never reaches the guard, with what every answer has."""
        import h11

        with suppress(h11.LocalProtocolError):  # an answer is under way
            headers = [(name.encode(), value.encode()) for name, value in ALWAYS.items()]
            headers += [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
            for event in (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=msg.encode("ascii", "replace")),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _has_asked(self) -> bool:
        return bool(self.cycle)

    def _give_up(self) -> None:
        if not self._has_asked():
            self.transport.abort()


class Server(uvicorn.Server):
    """Ends when it is told to, streams and all; or when nobody has looked for a while."""

    def __init__(self, config: uvicorn.Config, site: Site, *, leaves: bool) -> None:
        super().__init__(config)
        self._live, self._uploads = site.live, site.uploads
        self._leaves = leaves
        self.has_left = False  # nobody looked any more
        self._told = asyncio.Event()  # to end
        self._loop: asyncio.AbstractEventLoop | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note that the end has come; called by a signal."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told.set)

    async def main_loop(self) -> None:
        """See once a second whether it ends, and at once when it is told to; uvicorn would look ten times."""
        self._loop = asyncio.get_running_loop()
        ticks = 0
        while not await self.on_tick(ticks):
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._told.wait()
            ticks += UVICORN_TICKS

    async def on_tick(self, counter: int) -> bool:
        """Return whether it ends now."""
        if self._leaves and self._live.idle_seconds > IDLE_SECONDS:
            self.has_left = self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams and what is sent first: they would not end by themselves."""
        self._uploads.close()
        await self._live.close()
        await super().shutdown(sockets)


def bound(config: Config, ledger: Ledger) -> socket.socket:
    """Return a socket that listens where the config says, else on the last time's port, else on any.

    Raises:
        OSError: on none of them.
    """
    host, port = config.page.address
    last = ledger.facts.recall(LAST_PORT) or ""
    wanted = [port] if port else []  # 0 is any
    if last.isdecimal():
        wanted.append(int(last))
    for each in (*wanted, 0):
        with suppress(OSError):
            found = _listening(host, each)
            ledger.facts.remember(LAST_PORT, str(found.getsockname()[1]))
            return found
    return _listening(host, 0)


def _listening(host: str, port: int) -> socket.socket:
    family, kind, number, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    found = socket.socket(family, kind, number)
    try:
        if exclusive := getattr(socket, "SO_EXCLUSIVEADDRUSE", None):
            found.setsockopt(
                socket.SOL_SOCKET, exclusive, 1
            )  # Windows: no other program may listen here, too
        else:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(MAX_CONNECTIONS)
    except BaseException:
        found.close()
        raise
    return found


def address_of(listening: socket.socket) -> str:
    """Return under which address a browser on this machine finds the page."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def token_in(state_dir: Path) -> str:
    """Return the key to the page, which a browser that was let in holds; made at the first time."""
    path = state_dir / "page.token"
    with suppress(FileNotFoundError):
        disk.make_private_file(path)
        if token := disk.read_bytes(path, at_most=1000, follow=False).decode("ascii", "replace").strip():
            return token
    token = secrets.token_urlsafe(32)
    with written_whole(path) as file:
        file.write(token.encode())
    disk.make_private_file(path)
    return token


def run(config: Config, ledger: Ledger) -> bool:
    """Serve the page until told to end; True: until nobody has looked for a while.

    Raises:
        OSError: there is no port to be had.
    """
    try:
        listening = bound(config, ledger)
    except OSError as error:
        ledger.problems.set("page", [_deaf(config, error)])
        raise
    ledger.problems.set("page", [])
    sheets.sweep(config, ledger)
    try:
        return asyncio.run(_serve(config, ledger, listening))
    finally:
        listening.close()


def _deaf(config: Config, error: OSError) -> Problem:
    return Problem(
        code="page_missing",
        message=f"The page cannot listen on {config.page.listen}: {error.strerror or error}.",
        remedy="Set page.listen in config.yaml to an address of this machine; it goes on by itself.",
    )


async def _serve(config: Config, ledger: Ledger, listening: socket.socket) -> bool:
    live = Live(Looker(ledger, sheets.told))
    thumbs = Thumbs(config.state_dir / "page", PhotoReader(max_megapixels=config.max_megapixels))
    looks = Looks(thumbs)
    site = Site(
        started_with=config,
        ledger=ledger,
        token=token_in(config.state_dir),
        live=live,
        thumbs=thumbs,
        looks=looks,
        library=Library(config.styles, memory=ledger.facts),
        uploads=Uploads(silence_seconds=uploads.SILENCE_SECONDS),
        untaken=Untaken(ledger),
    )
    port = listening.getsockname()[1]
    guard = Guard(app_of(site, port=port), port=port, hosts=config.page.hosts, token=site.token)
    options: dict[str, Any] = {
        "http": Protocol,
        "ws": "none",
        "lifespan": "off",
        "log_config": None,
        "access_log": False,  # a ticket stands in an address
        "proxy_headers": False,
        "server_header": False,
        "timeout_graceful_shutdown": END_SECONDS,
        "h11_max_incomplete_event_size": HEADER_BYTES,
    }
    server = Server(uvicorn.Config(guard, **options), site, leaves=config.page.mode is PageMode.AUTO)
    address = address_of(listening)
    ledger.presence.set_page(address)
    logger.info("The page is at %s", address)
    try:
        await server.serve(sockets=[listening])
    finally:
        ledger.presence.set_page(None)
        await looks.close()
        await thumbs.close()
    return server.has_left
