"""Points at which a test may kill the process, as a power cut would: `NST_CRASH_AT=<point>`.

Each stands where something is on the disk and the next thing is not yet.
"""

import os
from enum import StrEnum
from typing import Final

from nst_daemon.errors import ConfigError

VARIABLE: Final = "NST_CRASH_AT"
EXIT_CODE: Final = 137  # as after SIGKILL


class CrashPoint(StrEnum):
    """Where the process may be killed, in the order of a photo's way."""

    SETTLED = "settled"  # the photo stands still; nobody has read it
    INSPECTED = "inspected"  # it is a whole picture
    COPYING = "copying"  # the private copy is written, and has no name yet
    COPIED = "copied"  # it has; no job knows it
    ADDED = "added"  # the job is in the ledger; the file is not remembered as seen
    SEEN = "seen"
    CLAIMED = "claimed"  # the attempt is counted
    PAINTED = "painted"  # the engine has written the picture to the state folder
    KEPT = "kept"  # the picture lies where the next start looks for it
    RESERVED = "reserved"  # the job has the name of its result
    WRITTEN = "written"  # the result is whole beside its place
    PUBLISHED = "published"  # it is in its place; the job is still running
    REPORTED = "reported"  # the report, if there is one, is in its place; the result is not
    DONE = "done"  # the job is done; the original is still in the inbox
    LINKED = "linked"  # the original is in the archive and in the inbox
    MOVED = "moved"  # it is in the archive; the ledger does not know it
    DISPOSED = "disposed"  # the ledger knows it


def check_variable() -> None:
    """Refuse a point that there is not: a test would pass without having tested anything.

    Raises:
        ConfigError: lists the points.
    """
    wanted = os.environ.get(VARIABLE)
    if wanted and wanted not in list(CrashPoint):
        raise ConfigError(
            f"{VARIABLE} is {wanted!r}, which is no crash point.", remedy=f"One of: {', '.join(CrashPoint)}."
        )


def crash_at(point: CrashPoint) -> None:
    """End the process at once, without any clean-up, if a test asked for it."""
    if os.environ.get(VARIABLE) == point:
        os._exit(EXIT_CODE)
