"""The command that opens the page in the browser."""

import socket
import time
import webbrowser
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import typer

from nst_daemon.cli.common import ConfigOption, answer, is_running, ledger_of, load_config, say
from nst_daemon.errors import ConfigError, MissingError, NotRunningError

if TYPE_CHECKING:
    from nst_daemon.ledger import Ledger

WAIT_SECONDS: Final = 30.0  # for the page's process to begin, on a machine that paints
LOOK_SECONDS: Final = 0.1


def page(
    config: ConfigOption = None,
    url: Annotated[
        bool, typer.Option("--url", help="Print the address, good for one browser and one minute.")
    ] = False,
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Only start the page, and say where it is.")
    ] = False,
) -> None:
    """Open the page in the browser: what is painted, what was, and photos dropped into it.

    Example: nst-daemon page
    """
    loaded = load_config(config)
    if loaded.page.mode == "off":
        raise ConfigError(
            "The config says that there is no page.", remedy="Set page: {mode: auto}.", code="page_off"
        )
    if not is_running(loaded):
        raise NotRunningError(
            "No daemon is running, which keeps the page.",
            remedy="`nst-daemon start`, and then `nst-daemon page`.",
        )
    with ledger_of(loaded) as ledger:
        address = _awaited(ledger)
        if no_open and not url:
            say(f"The page is at {address}. `nst-daemon page` lets a browser in.")
            return
        link = f"{address}/open/{ledger.tickets.issue()}"
    if url:
        answer(link)
    elif webbrowser.open(link):
        say(f"The page is at {address}.")
    else:
        say("No browser could be started. Open this within a minute:")
        answer(link)


def _awaited(ledger: "Ledger") -> str:
    """Return the page's address, once it answers there. Raises: MissingError: it does not come."""
    from nst_daemon.ledger import Request

    deadline = time.monotonic() + WAIT_SECONDS
    ledger.requests.ask(Request.PAGE)
    while time.monotonic() < deadline:
        address = ledger.presence.page()
        if address is not None and _answers(address):
            return address
        time.sleep(LOOK_SECONDS)
    raise MissingError("The page did not come.", remedy="`nst-daemon logs` says more.", code="page_missing")


def _answers(address: str) -> bool:
    parts = urlsplit(address)
    with suppress(OSError):
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=1.0).close()
        return True
    return False
