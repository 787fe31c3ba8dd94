"""Which disk a folder is on: to know an empty mount point for what it is, and a share without events."""

import os
from pathlib import Path
from typing import Final

from nst_daemon import disk

MOUNT_TABLE: Final = Path("/proc/self/mountinfo")  # Linux
MEANT: Final = ".nst-inbox"  # a file of this name says that the folder is an inbox wherever it lies
SILENT: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "ncpfs", "davfs"}
    | {"vboxsf", "prl_fs", "virtiofs", "vmhgfs", "fuse"}
)  # what another machine writes there raises no event here; a probe of our own would, and prove nothing


def absence_of(folder: Path, *, mount: Path, expected: Path | None) -> tuple[str, str] | None:
    """Return why a folder is not where it belongs, and the remedy; None if it is.

    `mount` is the mount point that it lies under now, `expected` the one that it lay under before.

    Raises:
        ConditionError: nobody knows.
    """
    if not disk.is_folder(folder):
        return "is not there", "Make the folder, or mount its disk; it goes on by itself."
    return bareness_of(folder, mount=mount, expected=expected)


def bareness_of(folder: Path, *, mount: Path, expected: Path | None) -> tuple[str, str] | None:
    """Return, as `absence_of` does, whether the disk of a folder is gone; the folder may not exist."""
    is_bare = expected is not None and expected != mount and expected.is_relative_to(mount)
    if is_bare and not disk.is_there(folder / MEANT):
        return (
            f"is an empty mount point: {expected} is not mounted",
            f"Mount the disk; it goes on by itself. If the folder is meant as it is: touch {folder / MEANT}",
        )
    return None


def file_system_of(folder: Path, *, table: Path = MOUNT_TABLE) -> str:
    """Return the type of a folder's file system, e.g. "ext4"; empty where the system does not say."""
    try:
        lines = table.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    place = Path(os.path.realpath(folder))
    best, found = -1, ""
    for line in lines:
        # 36 35 98:0 /root /mount/point options - ext3 /dev/root options   (proc(5))
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or not kind:
            continue
        mount = Path(_unescaped(fields[4]))
        if place.is_relative_to(mount) and len(mount.parts) >= best:  # a later line lies over an earlier
            best, found = len(mount.parts), kind[0]
    return found


def is_silent(folder: Path, *, table: Path = MOUNT_TABLE) -> bool:
    """Return whether changes in a folder may come about without an event on this machine."""
    kind = file_system_of(folder, table=table)
    return kind in SILENT or kind.startswith("fuse.")


def _unescaped(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text
