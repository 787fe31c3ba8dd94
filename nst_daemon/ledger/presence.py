"""That a daemon works on this ledger, and what its engines are: for views, and for who starts another.

Not durable: a new daemon writes all of it anew.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from nst_daemon.config.orders import EngineFacts, SeatFacts
from nst_daemon.errors import ConditionError, NameRefusedError
from nst_daemon.ledger.columns import engines_in, seats_in
from nst_daemon.ledger.facts import Facts
from nst_daemon.ledger.file import LedgerFile

PAGE: Final = "page"  # the fact that says where it is


class Presence:
    """Signs of life of the daemon, which alone writes them. Safe on any thread."""

    def __init__(self, file: LedgerFile, facts: Facts) -> None:
        self._file = file
        self._facts = facts

    def set_daemon(self, pid: int | None, version: str) -> None:
        """Keep who works on this ledger; None when the daemon leaves."""
        self._facts.remember("pid", None if pid is None else str(pid), durable=False)
        self._facts.remember("version", version, durable=False)
        self.beat()

    def beat(self) -> None:
        """Say that the daemon lives."""
        with suppress(ConditionError, NameRefusedError, FileNotFoundError, FileExistsError):
            self._file.keep_reserve()
        self._facts.remember("heartbeat", repr(self._file.clock()), durable=False)

    def heartbeat(self) -> float | None:
        """Return when the daemon last said that it lives, in seconds since 1970."""
        text = self._facts.recall("heartbeat")
        with suppress(ValueError):
            return None if text is None else float(text)
        return None

    def set_ready(self, pid: int | None) -> None:
        """Keep that a daemon holds its lock and has read its inboxes once; None: it does not."""
        self._facts.remember("ready", None if pid is None else str(pid), durable=False)

    def ready_pid(self) -> int | None:
        """Return the process of the daemon that is ready; only meant while the lock is held."""
        text = self._facts.recall("ready")
        return int(text) if text is not None and text.isdecimal() else None

    def set_page(self, address: str | None) -> None:
        """Keep where the page for a browser is; None: there is none."""
        self._facts.remember(PAGE, address, durable=False)

    def page(self) -> str | None:
        """Return where the page for a browser is; only meant while the daemon lives."""
        return self._facts.recall(PAGE)

    def set_seats(self, seats: Sequence[SeatFacts]) -> None:
        """Keep which devices of other machines are there."""
        text = seats_in(seats)
        if self._facts.recall("seats") != text:
            self._facts.remember("seats", text, durable=False)

    def set_engines(self, engines: Sequence[EngineFacts]) -> None:
        """Keep what the engines are."""
        text = engines_in(engines)
        if self._facts.recall("engines") != text:
            self._facts.remember("engines", text, durable=False)
