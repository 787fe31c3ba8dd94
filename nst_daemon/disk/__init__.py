"""The boundary to the disks: the one package that makes the system's calls on files.

Every answer is a value or a `ConditionError`. Absence is proven: ENOENT and ENOTDIR alone say that something
is not there, and are the only OSErrors, beside EEXIST, that leave this package, as `FileNotFoundError` and
`FileExistsError`. Whatever else a file system says is a `FileConditionError`: of that path, for now.

Knows no photo, no job and no config.
"""

from nst_daemon.disk.bytes import created, opened, read_bytes, share_bytes
from nst_daemon.disk.changes import (
    copy_facts,
    link,
    make_executable,
    make_folder,
    remove,
    remove_if_empty,
    remove_tree,
    replace,
    sync_folder,
    touch,
)
from nst_daemon.disk.facts import (
    Stamp,
    entries_of,
    facts_of,
    first_hole,
    free_bytes,
    is_being_written,
    is_executable,
    is_file,
    is_folder,
    is_gone,
    is_same_file,
    is_there,
    mount_point_of,
    real_path,
    stamp_of,
)
from nst_daemon.disk.private import (
    FILE_MODE,
    close_tree,
    is_private,
    make_private,
    make_private_file,
    unusable,
)
from nst_daemon.disk.system import Entry
from nst_daemon.disk.verdicts import condition_at, missing

__all__ = [
    "FILE_MODE",
    "Entry",
    "Stamp",
    "close_tree",
    "condition_at",
    "copy_facts",
    "created",
    "entries_of",
    "facts_of",
    "first_hole",
    "free_bytes",
    "is_being_written",
    "is_executable",
    "is_file",
    "is_folder",
    "is_gone",
    "is_private",
    "is_same_file",
    "is_there",
    "link",
    "make_executable",
    "make_folder",
    "make_private",
    "make_private_file",
    "missing",
    "mount_point_of",
    "opened",
    "read_bytes",
    "real_path",
    "remove",
    "remove_if_empty",
    "remove_tree",
    "replace",
    "share_bytes",
    "stamp_of",
    "sync_folder",
    "touch",
    "unusable",
]
