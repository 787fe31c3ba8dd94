"""Which disk a folder is on: to know an empty mount point for what it is, and a share without events."""

import os
from collections.abc import Set
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.errors import FileConditionError, Trouble

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


def lost_in(inbox: Path, *, before: Set[Path], now: Set[Path]) -> list[FileConditionError]:
    """Return which sub-folders of an inbox have lost their disk: what was on it is not gone."""
    lost = []
    for folder in sorted(before - now):
        try:
            what = bareness_of(folder, mount=inbox, expected=folder) if disk.is_folder(folder) else None
        except FileConditionError as error:
            lost.append(error)
            continue
        if what is not None:
            words = f"{folder} {what[0]}."
            lost.append(FileConditionError(words, path=folder, trouble=Trouble.MISSING, remedy=what[1]))
    return lost


def mount_point_of(folder: Path, *, table: Path = MOUNT_TABLE) -> Path:
    """Return the mount point that a folder lies under; the folder need not exist.

    By the system's table where there is one: it also has what is mounted from elsewhere on the same disk.

    Raises:
        ConditionError: nobody knows.
    """
    mount = _mount_of(folder, table)
    return disk.mount_point_of(folder) if mount is None else mount[0]


def mounts_below(folder: Path, *, table: Path = MOUNT_TABLE) -> frozenset[Path]:
    """Return the mount points in a folder, however deep; none where the system has no table of them."""
    place = Path(os.path.realpath(folder))
    below = (mount.relative_to(place) for mount, _ in _mounted(table) if mount.is_relative_to(place))
    return frozenset(folder / path for path in below if path.parts)


def file_system_of(folder: Path, *, table: Path = MOUNT_TABLE) -> str:
    """Return the type of a folder's file system, e.g. "ext4"; empty where the system does not say."""
    mount = _mount_of(folder, table)
    return "" if mount is None else mount[1]


def _mount_of(folder: Path, table: Path) -> tuple[Path, str] | None:
    """Return the deepest mount that a folder lies under, and its type."""
    place = Path(os.path.realpath(folder))
    found = None
    for mount, kind in _mounted(table):
        is_deeper = found is None or len(mount.parts) >= len(
            found[0].parts
        )  # a later line lies over an earlier
        if is_deeper and place.is_relative_to(mount):
            found = mount, kind
    return found


def _mounted(table: Path) -> list[tuple[Path, str]]:
    """Return every mount point with the type of its file system, in order."""
    try:
        lines = table.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        # 36 35 98:0 /root /mount/point options - ext3 /dev/root options   (proc(5))
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) >= 5 and kind:
            found.append((Path(_unescaped(fields[4])), kind[0]))
    return found


def is_silent(folder: Path, *, table: Path = MOUNT_TABLE) -> bool:
    """Return whether changes in a folder may come about without an event on this machine."""
    kind = file_system_of(folder, table=table)
    return kind in SILENT or kind.startswith("fuse.")


def _unescaped(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text
