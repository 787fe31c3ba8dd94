"""What a user asks of the daemon as a whole; what is asked of one job is in that job's row."""

import json
from collections.abc import Collection
from enum import StrEnum
from typing import Final

from nst_daemon.ledger.facts import Facts

PAUSED: Final = "paused"  # the fact that says so
EVERYBODY: Final = "--all"  # in the place of a seat's name
DRAIN: Final = "asked to drain"  # the fact that says which seats


class Request(StrEnum):
    """What the daemon is asked to do at once; forgotten when it starts anew."""

    QUIT = "quit"
    PAGE = "show the page"  # for a browser; where it is then, `presence` says
    UNLOAD = "unload the model"  # give the engine's memory back; the next job loads it again


class Requests:
    """Left by commands and by the tray, found by the daemon. Safe on any thread."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def pause(self) -> None:
        """Ask the daemon to begin no further job; survives a restart."""
        self._facts.remember(PAUSED, "yes")

    def resume(self) -> None:
        """Take `pause` back."""
        self._facts.remember(PAUSED, None)

    def is_paused(self) -> bool:
        """Return whether no further job is to be begun."""
        return self._facts.recall(PAUSED) is not None

    def ask(self, request: Request) -> None:
        """Ask the daemon for something that is done at once, or not at all."""
        self._facts.remember(f"asked to {request}", "yes", durable=False)

    def take(self, request: Request) -> bool:
        """Return whether a request is open, which it is no longer then."""
        if self._facts.recall(f"asked to {request}") is None:
            return False  # asked several times a second: a look costs no lock
        self._facts.remember(f"asked to {request}", None, durable=False)
        return True

    def drain(self, seats: Collection[str]) -> None:
        """Ask seats of the farm to end what they have in hand, and to leave."""
        self._facts.remember(DRAIN, json.dumps(sorted({*seats, *self._drains()})), durable=False)

    def take_drains(self) -> tuple[str, ...]:
        """Return which seats are to leave; asked for no longer then."""
        seats = self._drains()
        if seats:
            self._facts.remember(DRAIN, None, durable=False)
        return seats

    def _drains(self) -> tuple[str, ...]:
        try:
            return tuple(map(str, json.loads(self._facts.recall(DRAIN) or "[]")))
        except ValueError:
            return ()
