"""Tickets to the page: each lets one browser in, once, within a minute. Left and taken in the ledger.

The command line and the tray issue them, the page's process takes them: no key to the page is ever on a
command line, where other users of the machine could read it.
"""

import hashlib
import secrets
from contextlib import suppress
from typing import Final

from nst_daemon.ledger.file import LedgerFile

LIFE_SECONDS: Final = 60.0
_NAME: Final = "page ticket "  # of the fact, and behind it the ticket's digest: the ledger holds no ticket


class Tickets:
    """Safe on any thread, and beside other processes that hold the same file."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def issue(self) -> str:
        """Return a new ticket; those that nobody took in time are forgotten."""
        ticket = secrets.token_urlsafe(32)
        now = self._file.clock()
        with self._file.write(durable=False) as db:
            db.execute(
                "DELETE FROM facts WHERE substr(name, 1, ?) = ? AND abs(CAST(value AS REAL) - ?) > ?",
                (len(_NAME), _NAME, now, LIFE_SECONDS),
            )
            db.execute("INSERT INTO facts VALUES (?, ?)", (_NAME + _digest(ticket), repr(now)))
        return ticket

    def take(self, ticket: str) -> bool:
        """Return whether a ticket lets somebody in, which it then never does again."""
        with self._file.write(durable=False) as db:
            row = db.execute(
                "DELETE FROM facts WHERE name = ? RETURNING value", (_NAME + _digest(ticket),)
            ).fetchone()
        with suppress(ValueError):
            return row is not None and 0.0 <= self._file.clock() - float(row["value"]) <= LIFE_SECONDS
        return False


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "replace")).hexdigest()
