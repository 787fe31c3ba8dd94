"""Brings originals to the archive or to `failed`, deletes them or lets them be: once, and what was read only.

Deletes an original only after its copy is on the disk. It is gone, or another's, only where that is proven;
whatever else a disk says is a condition, and the original waits where it is.
"""

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Final

from nst_daemon import disk
from nst_daemon.config import Folder, Originals
from nst_daemon.disk.files import file_sha256, folder_in, move_beside, names_beside, written_whole
from nst_daemon.disk.spelling import spellings
from nst_daemon.errors import FileConditionError, NameRefusedError, Trouble
from nst_daemon.folders.belongings import Belonging, belongings_of
from nst_daemon.folders.outbox import missing, nth_spelling
from nst_daemon.ledger.jobs import Job, Origin, shown

logger = logging.getLogger(__name__)

NOTE: Final = ".error.txt"  # beside a failed photo: why it failed
MAX_NAME: Final = 255  # bytes

Sha256Of = Callable[[Path], str]


def dispose_original(job: Job, folder: Folder, *, sha256_of: Sha256Of = file_sha256) -> Path | None:
    """Do with a painted photo what `originals` says; return where it is now, None if it is no more.

    Call it when every job of the photo has ended, and DONE is in the ledger. A file that was overwritten
    since it was read stays where it is: nobody has painted it yet. So does a submitted photo.

    Raises:
        ConditionError: it is not known where the photo is, or it cannot be moved now; call again later.
    """
    photo = job.original
    if folder.originals is Originals.KEEP and disk.is_there(photo):
        _forget_failure(photo, folder)
        return photo
    if not _is_ours(job, sha256_of):
        if disk.is_there(photo) or job.origin is not Origin.INBOX:
            return photo
        _prove_gone(photo, folder)
        return _moved_before(job, folder, folder.archive, "archive", sha256_of)
    if folder.originals is Originals.DELETE:
        _delete(job, folder)
        return None
    return _move(job, folder.archive, folder, "archive", sha256_of)


def fail_original(job: Job, folder: Folder, reason: str, *, sha256_of: Sha256Of = file_sha256) -> Path | None:
    """Move a failed photo and its sidecars to `failed`, with `<name>.error.txt`; return where it is now.

    None if it is no more. A submitted photo, and one that was overwritten meanwhile, stays. The reason is
    there as soon as the photo is, also where it cannot be taken out of the inbox.

    Raises:
        ConditionError: it is not known where the photo is, or it cannot be moved now; call again later.
    """
    photo = job.original
    if not _is_ours(job, sha256_of):
        if disk.is_there(photo) or job.origin is not Origin.INBOX:
            return photo
        _prove_gone(photo, folder)
        found = _moved_before(job, folder, folder.failed, "failed", sha256_of)
        if found is not None:
            _note_failure(job, found, folder, reason)
        return found
    if photo.is_relative_to(folder.failed):
        _note_failure(job, photo, folder, reason)
        return photo
    try:
        moved = _move(job, folder.failed, folder, "failed", sha256_of)
    except FileConditionError:
        with suppress(FileConditionError):
            copy = _copy_in(job, folder.failed, sha256_of)
            if copy is not None:
                _note_failure(job, copy, folder, reason)
        raise
    _note_failure(job, moved, folder, reason)
    return moved


def _is_ours(job: Job, sha256_of: Sha256Of) -> bool:
    """Return whether the original is ours to move, and still the file that was read. Reads it whole.

    Raises:
        ConditionError: nobody knows.
    """
    if job.origin is not Origin.INBOX or not disk.is_file(job.original):
        return False
    try:
        return sha256_of(job.original) == job.photo_sha256
    except FileNotFoundError:
        return False


def _prove_gone(photo: Path, folder: Folder) -> None:
    """Refuse to take a photo for gone where only its disk is. Raises: ConditionError."""
    for name, root in (("inbox", folder.inbox), ("failed", folder.failed)):
        if photo.is_relative_to(root) and not disk.is_gone(photo, root=root):
            raise missing(root, name=name)


def _delete(job: Job, folder: Folder) -> None:
    """Delete a photo and what belongs to it; what nobody has painted, a raw file, goes to the archive."""
    photo = job.original
    try:
        belongings = belongings_of(photo)
        kept = [each.path for each in belongings if each.is_kept]
        for path in kept:
            _follow(path, _made(folder.archive, job), None)
        for path in (*(each.path for each in belongings if not each.is_kept), photo):
            disk.remove(path)
        _forget_failure(photo, folder)
    except FileConditionError as error:
        raise _stuck(error, photo, folder) from error


def _move(job: Job, target: Path, folder: Folder, name: str, sha256_of: Sha256Of) -> Path:
    """Move a photo and its sidecars into a folder, under the sub-folders that it had."""
    photo = job.original
    try:
        belongings = belongings_of(photo)
        moved = move_beside(photo, _made(target, job), sha256_of=sha256_of)
        _move_after(photo, moved, belongings)
        _forget_failure(photo, folder)
    except FileConditionError as error:
        is_of_target = error.path.is_relative_to(target) or target.is_relative_to(error.path)
        if is_of_target:
            raise error.named(name) from error
        raise _stuck(error, photo, folder, must_go=target == folder.failed) from error
    except (FileNotFoundError, NameRefusedError) as error:  # it has gone this moment; or no name will do
        raise FileConditionError(
            f"{photo.name} could not be moved to {target}: {error}.", path=photo, trouble=Trouble.BUSY
        ) from error
    logger.debug("%s was moved to %s", photo, moved)
    return moved


def _stuck(
    error: FileConditionError, photo: Path, folder: Folder, *, must_go: bool = False
) -> FileConditionError:
    """Return what is said of a photo that cannot be taken away from where it is."""
    is_in_failed = photo.is_relative_to(folder.failed)
    name, place = ("failed", folder.failed) if is_in_failed else ("inbox", folder.inbox)
    if error.trouble is not Trouble.READ_ONLY:
        return error.named(name)
    why = error.__cause__.strerror if isinstance(error.__cause__, OSError) else "it is read-only"
    else_keep = "" if must_go or is_in_failed else "Set `originals: keep`, or "
    return FileConditionError(
        f"{shown(PurePath(error.path.name))} cannot be taken out of the {name} {place}: {why}.",
        path=error.path,
        trouble=error.trouble,
        remedy=_sentence(f"{else_keep}make the {name} writable; it goes on by itself."),
    )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _made(target: Path, job: Job) -> Path:
    """Return the folder of a photo in the archive or in `failed`, which is there now."""
    disk.make_folder(target)
    return folder_in(target, job.place)


def _move_after(photo: Path, moved: Path, belongings: list[Belonging]) -> None:
    """Move what belongs to a photo to where the photo is now: photo.yaml becomes photo.2.yaml."""
    for each in belongings:
        _follow(each.path, moved.parent, each.stem_beside(photo, moved))


def _follow(path: Path, folder: Path, stem: str | None) -> None:
    with suppress(FileNotFoundError):  # somebody was faster
        move_beside(path, folder, stem=stem)


def _moved_before(job: Job, folder: Folder, target: Path, name: str, sha256_of: Sha256Of) -> Path | None:
    """Return where a crash left a photo that it had moved and not recorded; what it left behind follows."""
    photo = job.original
    try:
        path = _copy_in(job, target, sha256_of)
        if path is not None:
            if disk.is_folder(photo.parent):
                _move_after(photo, path, belongings_of(photo))
            _forget_failure(photo, folder)
    except FileConditionError as error:
        raise error.named(name if error.path.is_relative_to(target) else "inbox") from error
    return path


def _copy_in(job: Job, target: Path, sha256_of: Sha256Of) -> Path | None:
    """Return where in a folder a photo is that was moved or copied there. Raises: ConditionError."""
    for spelling in range(len(tuple(spellings(job.original.name)))):
        place = target.joinpath(*(nth_spelling(part, spelling) for part in job.place.parts))
        for path in names_beside(place, nth_spelling(job.original.name, spelling)):
            if not disk.is_file(path):
                break
            with suppress(FileNotFoundError):
                if sha256_of(path) == job.photo_sha256:
                    return path
    return None


def _failure_note(photo: Path) -> Path:
    name = os.fsdecode(os.fsencode(photo.name)[: MAX_NAME - len(NOTE)])
    return photo.with_name(f"{name}{NOTE}")


def _note_failure(job: Job, photo: Path, folder: Folder, reason: str) -> None:
    text = f"{job.original.name}: {reason}\nTo try again: nst-daemon retry {job.id}\n"
    try:
        with written_whole(_failure_note(photo)) as file:
            file.write(text.encode(errors="backslashreplace"))
    except FileConditionError as error:
        raise error.named("failed") from error


def _forget_failure(photo: Path, folder: Folder) -> None:
    if photo.is_relative_to(folder.failed):
        disk.remove(_failure_note(photo))
