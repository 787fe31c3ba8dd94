"""Which folders of a config must not lie in each other. Reads symbolic links; changes nothing."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from nst_daemon import disk
from nst_daemon.config.text import Fault, KeyPath
from nst_daemon.errors import ConditionError

Place = tuple[KeyPath, Path]  # a key of the config, and the folder that it names


def overlaps(inboxes: Sequence[Place], others: Sequence[Place]) -> Iterator[Fault]:
    """Yield a fault for every folder inside an inbox, and every inbox inside one that we write to."""
    for (_, first), (key, second) in itertools.combinations(inboxes, 2):
        if is_inside(second, first) or is_inside(first, second):
            yield Fault(key, f"{second} and the inbox {first} overlap: each photo would be painted twice")
    for (key, inbox), (other, folder) in itertools.product(inboxes, others):
        if is_inside(folder, inbox):
            yield Fault(other, f"{folder} is inside the inbox {inbox}: what is put there would be painted")
        elif other[-1] != "styles" and is_inside(inbox, folder):
            yield Fault(
                key, f"{inbox} is inside {folder}, the {other[-1]}: what is put there would be painted"
            )


def is_inside(path: Path, folder: Path) -> bool:
    """Return whether `path` is `folder` or lies in it, by whatever name or link it is reached."""
    path, folder = disk.real_path(path), disk.real_path(folder)
    if path.is_relative_to(folder):
        return True
    # A bind mount, or a file system that takes Inbox for inbox.
    return any(_is_same(parent, folder) for parent in (path, *path.parents))


def _is_same(one: Path, other: Path) -> bool:
    try:
        return disk.is_same_file(one, other)
    except ConditionError:
        return False
