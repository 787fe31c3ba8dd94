"""What an OSError says about the machine: a full disk, a folder that is gone, one that cannot be written.

Pure. Such an error is nobody's fault and ends by itself; any other OSError is the job's or a bug.
"""

import errno
from pathlib import Path
from typing import Final

from nst_daemon.errors import ConditionError

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
UNWRITABLE: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR})
UNREACHABLE: Final = frozenset(
    {errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH}
    | {errno.ENOTCONN}
)  # a share that does not answer, a disk that was pulled out


def lies_ahead(moment: float, now: float, *, at_most: float) -> bool:
    """Return whether a moment is yet to come; one that is far off says that the clock was set back."""
    return 0 < moment - now <= at_most


def condition_of(error: OSError, folder: Path, *, name: str) -> ConditionError | None:
    """Return the condition behind an error in a folder of ours; None if it is none.

    `name` is what the config calls the folder ("outbox"), and names the code: `outbox_missing`.
    """
    why = error.strerror or str(error)
    if error.errno in FULL:
        return ConditionError(
            f"The disk of {folder} is full.",
            remedy="Free some space; it goes on by itself.",
            code="disk_full",
        )
    if error.errno in UNWRITABLE:
        return ConditionError(
            f"{folder} cannot be written: {why}.",
            remedy="Make it writable; it goes on by itself.",
            code="read_only",
        )
    if error.errno in GONE and not folder.is_dir():
        return missing(folder, name=name)
    if error.errno in UNREACHABLE:
        return ConditionError(
            f"{folder} does not answer: {why}.",
            remedy="Check the disk or the network; it goes on by itself.",
            code=f"{name}_unreachable",
        )
    return None


def missing(folder: Path, *, name: str) -> ConditionError:
    """Return the condition of a folder that is not there."""
    return ConditionError(
        f"The {name} {folder} is not there.",
        remedy="Make the folder, or mount its disk; it goes on by itself.",
        code=f"{name}_missing",
    )
