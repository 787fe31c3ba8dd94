"""The problems that `status` shows, each source's own. Not durable: a new daemon finds them anew."""

from collections.abc import Sequence

from nst_daemon.ledger.columns import text_in
from nst_daemon.ledger.file import LedgerFile
from nst_daemon.ledger.jobs import Problem


class Problems:
    """What a user could mend, as each part of the daemon says it. Safe on any thread."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def set(self, source: str, problems: Sequence[Problem]) -> None:
        """Replace all problems of one source, e.g. "intake"; an empty list says that all is well."""
        rows = [
            (source, position, problem.code, text_in(problem.message), text_in(problem.remedy))
            for position, problem in enumerate(problems)
        ]
        with self._file.read() as db:
            known = db.execute("SELECT * FROM problems WHERE source = ? ORDER BY position", (source,))
            if [tuple(row) for row in known] == rows:
                return  # said every tick, written once
        with self._file.write(durable=False) as db:
            db.execute("DELETE FROM problems WHERE source = ?", (source,))
            db.executemany("INSERT INTO problems VALUES (?, ?, ?, ?, ?)", rows)

    def clear(self) -> None:
        """Forget the problems of all sources: those of a daemon that has ended."""
        with self._file.write(durable=False) as db:
            db.execute("DELETE FROM problems")
