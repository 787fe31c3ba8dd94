"""No fsync in the tests: it is for a power cut, which no test has, and would take most of their time.

That it is asked for, when and of what, is tested. A process that is killed loses nothing without it.
"""

import functools
import os
import sqlite3
from collections.abc import Callable
from typing import Any

Patch = Callable[[object, str, object], None]

_connect = sqlite3.connect


class Unsynced(sqlite3.Connection):
    """A connection whose transactions wait for no disk."""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "BEGIN IMMEDIATE":
            super().execute("PRAGMA synchronous = OFF")
        return super().execute(sql, *parameters)


def spare_the_disk(patch: Patch = setattr) -> None:
    """Let nothing in this process be synced."""
    patch(os, "fsync", lambda descriptor: None)
    patch(sqlite3, "connect", functools.partial(_connect, factory=Unsynced))


def sync_ledgers(patch: Patch) -> None:
    """Let the ledgers that are opened from now on be synced all the same."""
    patch(sqlite3, "connect", _connect)
