"""What an OSError says of a path: that nothing is there, that a name cannot be, or a condition.

ENOENT and ENOTDIR alone prove absence. Every other errno is nobody's fault and ends by itself.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from nst_daemon.errors import FileConditionError, Trouble

T = TypeVar("T")


def _known(*names: str) -> frozenset[int]:
    """Return the numbers of the errnos that this platform knows."""
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


FULL: Final = _known("ENOSPC", "EDQUOT", "EFBIG")
RIGHTS: Final = _known("EACCES", "EPERM")
SHORT: Final = _known(
    "EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EAGAIN", "EINTR", "EBUSY", "ETXTBSY", "EDEADLK"
)
UNREACHABLE: Final = _known(
    *("EIO", "ESTALE", "ENODEV", "ENXIO", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENOTCONN", "ENETDOWN"),
    *("ENETUNREACH", "ECONNRESET", "ECONNABORTED", "ECONNREFUSED", "EREMOTEIO", "ENOMEDIUM", "ESHUTDOWN"),
    *("ENOLINK", "ECOMM", "EPROTO"),
)  # a share that does not answer, a disk that was pulled out
NO_NAME: Final = _known("ENAMETOOLONG", "EINVAL", "EILSEQ", "ELOOP")  # no file can have this name here
NO_LINKS: Final = _known(
    "EXDEV", "EPERM", "EACCES", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EINVAL"
)  # another file system, one without hard links, or a file of another user (fs.protected_hardlinks)
IN_USE: Final = (32, 33)  # Windows' sharing and lock violations, which come as EACCES


def ask(call: Callable[..., T], path: Path, *args: Any, is_writing: bool = False) -> T:
    """Make a call about a path; what it cannot do becomes a value's absence or a condition.

    Raises:
        FileNotFoundError: it is not there, or its name cannot be.
        FileConditionError: whether it is there cannot be known now, or it cannot be written now.
    """
    try:
        return call(path, *args)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ENOTDIR or (error.errno in NO_NAME and not is_writing):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
        raise condition_at(error, path, is_writing=is_writing) from error
    except ValueError as error:  # a NUL in the name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error


def condition_at(error: OSError, path: Path, *, is_writing: bool = False) -> FileConditionError:
    """Return the condition that an error of the system means for a path. Pure."""
    why = error.strerror or str(error)
    number = error.errno or 0
    if getattr(error, "winerror", 0) in IN_USE or number in SHORT:
        message, trouble = f"{path}: {why}.", Trouble.BUSY
        remedy = "It goes on by itself; if it stays, close other programs."
    elif number in FULL and is_writing:
        message, trouble = f"The disk of {path.parent} is full.", Trouble.FULL
        remedy = "Free some space; it goes on by itself."
    elif is_writing and (number == errno.EROFS or number in RIGHTS):
        message, trouble = f"{path} cannot be written: {why}.", Trouble.READ_ONLY
        remedy = "Make it writable; it goes on by itself."
    elif number in RIGHTS:
        message, trouble = f"{path} may not be read: {why}.", Trouble.UNREADABLE
        remedy = (
            "Give the daemon's user the right to read it (macOS: Privacy & Security); it goes on by itself."
        )
    elif number in UNREACHABLE:
        message, trouble = f"{path} does not answer: {why}.", Trouble.UNREACHABLE
        remedy = "Check the disk or the network; it goes on by itself."
    else:
        message, trouble = f"{path}: {why}.", Trouble.ERROR
        remedy = "Check this disk; it goes on by itself."
    return FileConditionError(message, path=path, trouble=trouble, remedy=remedy)


def missing(folder: Path) -> FileConditionError:
    """Return the condition of a folder that is not there."""
    return FileConditionError(
        f"{folder} is not there.",
        path=folder,
        trouble=Trouble.MISSING,
        remedy="Make the folder, or mount its disk; it goes on by itself.",
    )
