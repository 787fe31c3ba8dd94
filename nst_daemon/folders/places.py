"""The folders that the worker writes to: each on the disk where it belongs, or not written to at all.

A disk that is not mounted leaves an empty folder behind. What were put there would vanish from sight as
soon as the disk is back.
"""

from collections.abc import Callable
from pathlib import Path

from nst_daemon.errors import FileConditionError, Trouble
from nst_daemon.folders import mounts
from nst_daemon.ledger.facts import Facts


class Places:
    """Remembers in the ledger which disk each folder is on. Safe on any thread."""

    def __init__(
        self, facts: Facts, *, mount_point_of: Callable[[Path], Path] = mounts.mount_point_of
    ) -> None:
        self._facts = facts
        self._mount_point_of = mount_point_of

    def check(self, folder: Path, *, name: str) -> None:
        """Refuse a folder that has lost its disk; `name` is what the config calls it.

        Raises:
            ConditionError: it is an empty mount point.
        """
        mount = self._mount_point_of(folder)
        fact = f"mount {folder}"
        known = self._facts.recall(fact)
        bareness = mounts.bareness_of(folder, mount=mount, expected=None if known is None else Path(known))
        if bareness is not None:
            what, remedy = bareness
            raise FileConditionError(
                f"The {name} {folder} {what}.", path=folder, trouble=Trouble.MISSING, remedy=remedy
            ).named(name)
        if known != str(mount):
            self._facts.remember(fact, str(mount))
