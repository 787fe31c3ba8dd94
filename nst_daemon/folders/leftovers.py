"""What lies in an inbox and is left alone: one quiet line on all of it."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from heapq import nsmallest
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.errors import ConditionError
from nst_daemon.folders.gate import Left, left_by_name
from nst_daemon.ledger.jobs import LEFT_ALONE, Problem, shown

logger = logging.getLogger(__name__)

WORDS: Final[Mapping[Left, tuple[str, str]]] = {
    Left.UNKNOWN: ("file that is nothing that is painted", "files that are nothing that is painted"),
    Left.LINK: ("link, which is not followed", "links, which are not followed"),
    Left.SPECIAL: ("file that is no ordinary one", "files that are no ordinary ones"),
    Left.CONFLICT: ("copy of a sync conflict", "copies of sync conflicts"),
    Left.RAW: ("raw file beside its picture", "raw files beside their pictures"),
    Left.LIBRARY: ("folder of another program", "folders of other programs"),
}  # one, and many
SHOWN: Final = 3  # names of each kind


class Leftovers:
    """What is left alone in one inbox. Lives on the intake's thread."""

    def __init__(self, root: Path, ignore: tuple[str, ...]) -> None:
        self._root = root
        self._ignore = ignore
        self._left: dict[Path, Left] = {}
        self._is_told = True  # `_message` is about what is left now
        self._message = ""

    def replace(self, left: Mapping[Path, Left]) -> None:
        """Take over what a reading of the whole inbox has found."""
        if left != self._left:
            self._left = dict(left)
            self._is_told = False

    def notice(self, path: Path) -> None:
        """Hear of a path at which something happened, and that is no photo and no sidecar."""
        self._is_told = False
        left = left_by_name(path.relative_to(self._root), self._ignore)
        with suppress(ConditionError):  # the next reading of the inbox tells
            # What is in a library is not told.
            if left in (Left.UNKNOWN, Left.CONFLICT) and disk.is_there(path):
                self._left[path] = left
                return
        self._left.pop(path, None)

    def problems(self) -> list[Problem]:
        """Return the quiet line; say it in the log where it is new."""
        if not self._left:
            return []
        if not self._is_told:  # twenty thousand names are not sorted at every tick
            self._tell(in_words(self._root, self._left))
        remedy = "`nst-daemon explain FILE` says why; what watch.ignore names is not told of."
        return [Problem(code=LEFT_ALONE, message=self._message, remedy=remedy)]

    def _tell(self, message: str) -> None:
        self._is_told = True
        if message != self._message:
            logger.info("%s", message)
            self._message = message


def in_words(root: Path, left: Mapping[Path, Left]) -> str:
    """Return one line on all that is left alone in an inbox."""
    words = []
    for why, (one, many) in WORDS.items():
        paths = [path for path, reason in left.items() if reason is why]
        if paths:
            count = f"1 {one}" if len(paths) == 1 else f"{len(paths)} {many}"
            names = ", ".join(shown(path.relative_to(root)) for path in nsmallest(SHOWN, paths))
            more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
            words.append(f"{count}: {names}{more}")
    return f"Left alone in the inbox {shown(root)}: {'; '.join(words)}."
