"""Photos decoded and looked at: what runs in the reader's process, and never in the daemon's.

Decodes the whole photo: a header that reads well says nothing about the rest of the file. What the disk or
the machine is at fault for is a condition, and no verdict on the photo.
"""

import importlib
import logging
from collections.abc import Iterator
from enum import StrEnum
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from nst_daemon import disk
from nst_daemon.errors import ConditionError, IncompletePhotoError, PhotoError, StyleError
from nst_daemon.folders.drafts import draft_copy
from nst_daemon.folders.sidecars import xmp_beside
from nst_daemon.images.layout import ContactSheet
from nst_daemon.images.likeness import Descriptor
from nst_daemon.intake.inspection import Inspection, Read, Readable, Unreadable, is_to_copy

logger = logging.getLogger(__name__)

SEEN: Final = 16  # px that are left of a decoded photo: nobody looks at them
THUMBNAIL: Final = 192  # px, longer side, of a style in a list: sharp on a screen of twice the pixels
BLOCK: Final = 1 << 20  # bytes


class Task(StrEnum):
    """What the process is asked to do with a file."""

    READ = "read"  # decode it
    TAKE = "take"  # decode it, answer, and copy it if it is a photo to paint: that is a second answer
    LOOK = "look"  # read its bytes: can its disk give them at all?
    SHRINK = "shrink"  # make a JPEG of it, no longer than so many px
    DESCRIBE = "describe"  # say what its colours and contrasts are
    DRAW = "draw"  # make a contact sheet of it and its paintings


def serve(pipe: Connection, read: Read) -> None:
    """Answer for one photo after another until the daemon closes its end."""
    importlib.import_module("nst_daemon.images.labels")  # while the first photo settles
    pipe.send(True)  # ready
    while True:
        try:
            task, path, max_megapixels, detail = pipe.recv()
        except (EOFError, OSError):
            return
        for answer in _answers(Task(task), path, max_megapixels, detail, read):
            try:
                pipe.send(answer)
            except OSError:
                return


def _answers(task: Task, path: Path, max_megapixels: float, detail: Any, read: Read) -> Iterator[object]:
    """Yield what is answered to a task, each as soon as it is known."""
    if task is not Task.TAKE:
        yield _done(task, path, max_megapixels, detail, read)
        return
    answer = _answer(read, path, max_megapixels)
    yield answer
    # Decoded before it is copied: the bytes are in the system's memory by now, and no disk or share is asked
    # for them twice; and what is no photo is not copied.
    if is_to_copy(answer):
        yield _copied(path, detail)


def _done(task: Task, path: Path, max_megapixels: float, detail: Any, read: Read) -> object:
    """Return what is answered to a task."""
    match task:
        case Task.READ | Task.TAKE:
            return _answer(read, path, max_megapixels)
        case Task.LOOK:
            return _look(path)
        case Task.SHRINK:
            return _shrunk(path, max_megapixels, detail)
        case Task.DESCRIBE:
            return _described(path, max_megapixels)
        case Task.DRAW:
            return _drawn(detail[0], detail[1], max_megapixels)


def _answer(read: Read, path: Path, max_megapixels: float) -> Inspection | Exception:
    """Return what a photo is, or what stands between it and us."""
    try:
        return read(path, max_megapixels)
    except (ConditionError, FileNotFoundError) as error:
        return error
    except OSError as error:
        return disk.condition_at(error, path)
    except MemoryError:
        return ConditionError(
            f"There is too little memory to read {path.name}.",
            remedy="It is tried again; close other programs.",
            code="system_busy",
        )
    except Exception as error:  # a bug of a decoder: this photo's, whatever comes next
        logger.exception("%s broke its decoder", path.name)
        return Unreadable(
            reason=f"{path.name} cannot be decoded: {type(error).__name__}: {error}.",
            remedy="Export it again.",
        )


def _copied(path: Path, draft: Path) -> str | Exception:
    """Copy a photo to a draft; return the sha256 of its bytes, or what stands in the way."""
    try:
        return draft_copy(path, draft)
    except (ConditionError, FileNotFoundError) as error:
        return error


def _look(path: Path) -> bool | Exception:
    """Read a file's bytes; return what stands between them and us."""
    try:
        with disk.opened(path) as file:
            while file.read(BLOCK):
                pass
    except (ConditionError, FileNotFoundError) as error:
        return error
    return True


def _shrunk(path: Path, max_megapixels: float, longest: int | None) -> bytes | Exception | None:
    """Return a JPEG of a picture; None: it is none; or what stands between it and us."""
    from nst_daemon.images.loading import load_style
    from nst_daemon.images.saving import thumbnail

    try:
        picture = load_style(path, name=path.name, max_megapixels=max_megapixels, longer=longest)
        return thumbnail(picture, longest)
    except (ConditionError, FileNotFoundError) as error:
        return error
    except StyleError as error:
        logger.info("%s", error)
        return None


def _described(path: Path, max_megapixels: float) -> Descriptor | Exception | None:
    """Return what a picture's colours and contrasts are; None: it is none; or what stands in the way."""
    from nst_daemon.images.descriptor import LONGEST, descriptor_of
    from nst_daemon.images.loading import load_style

    try:
        return descriptor_of(load_style(path, name=path.name, max_megapixels=max_megapixels, longer=LONGEST))
    except (ConditionError, FileNotFoundError) as error:
        return error
    except StyleError as error:
        logger.info("%s", error)
        return None


def _drawn(sheet: ContactSheet, kind: str, max_megapixels: float) -> bytes | Exception:
    """Return a contact sheet as a file, or what stands in the way."""
    from nst_daemon.images.contact_sheet import drawn

    try:
        return drawn(sheet, kind, max_megapixels=max_megapixels)
    except (ConditionError, FileNotFoundError, PhotoError) as error:
        return error
    except MemoryError:
        return ConditionError("There is too little memory to draw the sheet.", code="system_busy")


def read_photo(path: Path, max_megapixels: float) -> Inspection:
    """Decode a whole photo. For the process: the daemon never calls it."""
    # Here, so that the daemon itself never loads Pillow.
    from nst_daemon.images.labels import read_keywords, read_provenance
    from nst_daemon.images.loading import load_photo

    try:
        photo = load_photo(path, name=path.name, max_megapixels=max_megapixels, longer=SEEN)
    except PhotoError as error:
        return Unreadable(
            reason=error.message, remedy=error.remedy, may_grow=isinstance(error, IncompletePhotoError)
        )
    return Readable(
        width=photo.width,
        height=photo.height,
        format=photo.format,
        keywords=read_keywords(path, photo.metadata, sidecars=xmp_beside(path)),
        provenance=read_provenance(path, photo.metadata),
        may_grow=photo.may_grow,
    )
