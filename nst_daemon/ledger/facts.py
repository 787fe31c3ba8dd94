"""Facts that the ledger keeps under a name, in words. Knows no job."""

import uuid

from nst_daemon.ledger.columns import text_in
from nst_daemon.ledger.file import LedgerFile


class Facts:
    """What is to be remembered from one run to the next. Safe on any thread."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file
        if self.recall("identity") is None:
            self.remember("identity", uuid.uuid4().hex)

    @property
    def identity(self) -> str:
        """A name that no other ledger has; the same for as long as this file lives."""
        return self.recall("identity") or ""

    def remember(self, name: str, value: str | None, *, durable: bool = True) -> None:
        """Keep a fact under a name; None forgets it."""
        with self._file.write(durable=durable) as db:
            if value is None:
                db.execute("DELETE FROM facts WHERE name = ?", (text_in(name),))
            else:
                db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (text_in(name), text_in(value)))

    def recall(self, name: str) -> str | None:
        """Return the fact under a name."""
        with self._file.read() as db:
            row = db.execute("SELECT value FROM facts WHERE name = ?", (text_in(name),)).fetchone()
        return None if row is None else str(row["value"])
