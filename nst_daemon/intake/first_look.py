"""Photos that lay in an inbox before the daemon first looked at it: said before the first of them is moved.

Nobody is asked: a service has nobody to ask. `check`, `start` and `run` say it beforehand, and the daemon in
its log.
"""

import logging
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.config import Config, Folder, Originals
from nst_daemon.errors import NstError
from nst_daemon.folders.inbox import Inbox
from nst_daemon.folders.walk import Kind, Scan, scan
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import shown

logger = logging.getLogger(__name__)

FACT: Final = "first look"  # of the ledger, with the inbox behind it


def words_on(folder: Folder, count: int) -> str:
    """Return what becomes of the photos that are in an inbox already."""
    photos = "1 photo is" if count == 1 else f"{count} photos are"
    what = {
        Originals.MOVE: f"painted, and moved to {shown(folder.archive)}",
        Originals.DELETE: "painted, and then deleted",
        Originals.KEEP: "painted",
    }[folder.originals]
    return f"{photos} in the inbox {shown(folder.inbox)} already: to be {what}."


def words_before(config: Config) -> list[str]:
    """Return what is to be said of inboxes that no daemon of this config has looked at; reads them.

    What cannot be read is not told of here.
    """
    found = []
    for folder in config.folders:
        try:
            if not _was_looked_at(config, folder) and (count := len(_photos(_scan(folder, config)))):
                found.append(words_on(folder, count))
        except (NstError, FileNotFoundError) as error:
            logger.debug("%s was not counted: %s", folder.inbox, error)
    return found


def _was_looked_at(config: Config, folder: Folder) -> bool:
    path = config.state_dir / "ledger.db"
    if not disk.is_there(path):
        return False
    with Ledger(path, is_view=True) as ledger:
        return _is_known(ledger, folder.inbox)


def _scan(folder: Folder, config: Config) -> Scan:
    return scan(folder.inbox, recursive=config.watch.recursive, ignore=config.watch.ignore)


def _photos(scan: Scan) -> set[Path]:
    return {found.path for found in scan.found if found.kind is Kind.PHOTO}


def _is_known(ledger: Ledger, inbox: Path) -> bool:
    return ledger.facts.recall(f"{FACT} {inbox}") is not None or ledger.seen.has_any(inbox)


class FirstLooks:
    """Says in the log what lay in each inbox at the first look. Lives on the intake's thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: set[Path] = set()

    def look(self, inbox: Inbox, scan: Scan) -> None:
        """Hear of a reading of an inbox; of one that another daemon works on there is none."""
        if inbox.path in self._known or not inbox.has_been_read:
            return
        if not _is_known(self._ledger, inbox.path):
            photos = _photos(scan)
            self._ledger.facts.remember(f"{FACT} {inbox.path}", str(len(photos)))
            if photos:
                logger.info("%s", words_on(inbox.folder, len(photos)))
        self._known.add(inbox.path)
