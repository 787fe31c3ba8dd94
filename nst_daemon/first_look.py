"""Photos that lay in an inbox before the daemon first looked at it: said before the first of them is moved.

Nobody is asked: a service has nobody to ask. `check`, `start` and `run` say it beforehand, the daemon in its
log and, as long as they are there, in its status.
"""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.config import Config, Folder, Originals
from nst_daemon.errors import ConditionError, NstError
from nst_daemon.inbox.walk import Kind, Scan, scan
from nst_daemon.inbox.watching import Root
from nst_daemon.jobs import FIRST_PHOTOS, JobState, Problem, shown
from nst_daemon.ledger import Ledger

logger = logging.getLogger(__name__)

HANDFUL: Final = 5  # photos; so many are no library that was named as the inbox by mistake
SOURCE: Final = "first look"  # of the problem


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
    with Ledger(path) as ledger:
        return _is_known(ledger, folder.inbox)


def _scan(folder: Folder, config: Config) -> Scan:
    return scan(folder.inbox, recursive=config.watch.recursive, ignore=config.watch.ignore)


def _photos(scan: Scan) -> set[Path]:
    return {found.path for found in scan.found if found.kind is Kind.PHOTO}


def _is_known(ledger: Ledger, inbox: Path) -> bool:
    return ledger.recall(f"{SOURCE} {inbox}") is not None or bool(ledger.seen_under(inbox))


class FirstLooks:
    """Says what lay in each inbox at the first look. Lives on the intake's thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: set[Path] = set()
        self._first: dict[Path, set[Path]] = {}  # of each inbox, what lay there and has not left it
        self._shown: dict[Path, Problem] = {}

    def look(self, root: Root, scan: Scan) -> None:
        """Hear of a reading of an inbox; of one that another daemon works on there is none."""
        if not root.has_been_read:
            return
        photos = _photos(scan)
        if root.path not in self._known:
            self._begin(root, photos)
            self._known.add(root.path)
        if root.path in self._first:
            self._first[root.path] &= photos
            self._show(root)

    def refresh(self) -> None:
        """Let the line go as soon as all of them are through; how many are left is counted at a reading."""
        for inbox, photos in list(self._first.items()):
            with suppress(ConditionError):
                while photos and self._is_through(photo := next(iter(photos))):
                    photos.remove(photo)
            if not photos:
                del self._first[inbox]
                del self._shown[inbox]
                self._ledger.set_problems(SOURCE, list(self._shown.values()))

    def _is_through(self, photo: Path) -> bool:
        """Return whether a photo has left its inbox, or stays and has all it will get: a duplicate."""
        if not disk.is_there(photo):
            return True
        states = {job.state for job in self._ledger.jobs_of_photo(photo)}
        return bool(states) and states.isdisjoint((JobState.HELD, JobState.QUEUED, JobState.RUNNING))

    def _begin(self, root: Root, photos: set[Path]) -> None:
        if _is_known(self._ledger, root.path):
            return
        self._ledger.remember(f"{SOURCE} {root.path}", str(len(photos)))
        if photos:
            logger.info("%s", words_on(root.folder, len(photos)))
        if len(photos) > HANDFUL and root.folder.originals is not Originals.KEEP:
            self._first[root.path] = photos

    def _show(self, root: Root) -> None:
        count = len(self._first[root.path])
        before = dict(self._shown)
        self._shown.pop(root.path, None)
        if count:
            self._shown[root.path] = Problem(
                code=FIRST_PHOTOS,
                message=f"From before the first start: {words_on(root.folder, count)}",
                remedy="`nst-daemon pause` stops it; `originals: keep` leaves them where they are.",
            )
        else:
            del self._first[root.path]
        if self._shown != before:
            self._ledger.set_problems(SOURCE, list(self._shown.values()))
