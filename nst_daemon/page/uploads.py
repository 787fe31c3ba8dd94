"""Photos and styles that a browser sends: written as they come, counted, and given their name last of all.

The name that a browser gives is only asked for its letters and its ending: the file gets a name of our own in
a folder of the config. A photo is from there on a photo like any other.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path, PurePath
from typing import Final

from starlette.requests import ClientDisconnect, Request

from nst_daemon import disk
from nst_daemon.config import Folder, check_settings
from nst_daemon.disk.files import discard, names_beside, temporary_in
from nst_daemon.disk.spelling import with_letters_for_all
from nst_daemon.errors import StyleError
from nst_daemon.folders.gate import left_by_name
from nst_daemon.folders.library import Library
from nst_daemon.images.endings import PICTURES, is_picture, role_of
from nst_daemon.ledger import Ledger
from nst_daemon.page.answers import RefusedError

BLOCK: Final = 1 << 20  # bytes written at once
MARGIN: Final = 64 << 20  # bytes that are left free on the disk
SILENCE_SECONDS: Final = 30.0  # then a browser that sends nothing has gone
MAX_AT_ONCE: Final = 16
MAX_NAME: Final = 120  # bytes
MAX_UNTAKEN: Final = 1000  # photos that wait in the inbox for the daemon to take them


class Uploads:
    """Takes files, some at a time. On the event loop; disks are written on threads."""

    def __init__(self, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._silence_seconds = silence_seconds
        self._under_way = 0
        self._waits: set[asyncio.Timeout] = set()  # for what a browser sends
        self._is_over = False

    def close(self) -> None:
        """Refuse what is on its way, at once: the page ends."""
        self._is_over = True
        for wait in self._waits:
            wait.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def taken(
        self, request: Request, folder: Path, max_bytes: int, *, ending: str | None = None
    ) -> AsyncIterator[Path]:
        """Give what is sent, whole, in a folder under a temporary name, which is gone in the end.

        `ending`: of that name, for who reads the file by it.

        Raises:
            RefusedError: it is too large or too slow, it breaks off, there are too many, or no room.
            ConditionError: it cannot be written now.
        """
        if self._under_way >= MAX_AT_ONCE:
            raise RefusedError(429, f"{MAX_AT_ONCE} files are on their way already.", "Wait for one of them.")
        said = request.headers.get("content-length", "")
        if said.isdecimal() and int(said) > max_bytes:
            raise _too_large(max_bytes)
        draft = temporary_in(folder)
        if ending is not None:
            draft = draft.with_suffix(ending)
        self._under_way += 1
        try:
            await asyncio.to_thread(_check_room, folder, int(said) if said.isdecimal() else 0)
            await self._write(request, draft, max_bytes)
            yield draft
        finally:
            self._under_way -= 1
            await asyncio.shield(asyncio.to_thread(discard, draft))  # also where we are told to end

    async def _write(self, request: Request, draft: Path, max_bytes: int) -> None:
        count, waiting = 0, bytearray()
        with ExitStack() as stack:
            file = await asyncio.to_thread(stack.enter_context, disk.created(draft))
            async for block in self._blocks(request):
                count += len(block)
                if count > max_bytes:
                    raise _too_large(max_bytes)
                waiting += block
                if len(waiting) >= BLOCK:
                    await asyncio.to_thread(_check_room, draft.parent, len(waiting))
                    await asyncio.to_thread(file.write, bytes(waiting))
                    waiting.clear()
            await asyncio.to_thread(file.write, bytes(waiting))
            await asyncio.to_thread(stack.close)
        if not count:
            raise RefusedError(400, "Nothing was sent.")

    async def _blocks(self, request: Request) -> AsyncIterator[bytes]:
        """Yield what comes, for as long as something does."""
        stream = aiter(request.stream())
        while True:
            try:
                async with asyncio.timeout(0 if self._is_over else self._silence_seconds) as wait:
                    self._waits.add(wait)
                    block = await anext(stream, None)
            except TimeoutError as error:
                if self._is_over:
                    raise RefusedError(503, "The page ends.", "Send it again in a moment.") from error
                raise RefusedError(408, "The rest of the file did not come.", "Send it again.") from error
            except ClientDisconnect as error:
                raise RefusedError(400, "The file breaks off.", "Send it again.") from error
            finally:
                self._waits.discard(wait)
            if block is None:
                return
            yield block


class Untaken:
    """The photos that came from the page and were not taken by the daemon yet. Safe on any thread."""

    def __init__(self, ledger: Ledger, *, at_most: int = MAX_UNTAKEN) -> None:
        self._ledger = ledger
        self._at_most = at_most
        self._photos: set[Path] = set()
        self._lock = threading.Lock()

    def note(self, photo: Path) -> None:
        """Note one that has come."""
        with self._lock:
            self._photos.add(photo)

    def check(self) -> None:
        """Refuse the next one while too many wait. Raises: RefusedError, ConditionError."""
        with self._lock:
            if len(self._photos) < self._at_most:
                return
            self._photos = {photo for photo in self._photos if self._waits(photo)}
            if len(self._photos) >= self._at_most:
                raise RefusedError(
                    429,
                    f"{self._at_most} photos wait in the inbox to be taken in.",
                    "They are; send the others then.",
                )

    def _waits(self, photo: Path) -> bool:
        return disk.is_there(photo) and not self._ledger.jobs.of_photo(photo)


def own_name(name: str, ignore: tuple[str, ...] = ()) -> str:
    """Return the name that a file gets which a browser calls so: no path, no odd letters, a known ending.

    Raises:
        RefusedError: it would be no photo in an inbox.
    """
    bare = with_letters_for_all(PurePath(name.replace("\\", "/")).name).strip(" .")
    path = PurePath(bare)
    if not is_picture(bare) or role_of(bare) is not None:
        endings = ", ".join(sorted(ending[1:] for ending in PICTURES))
        raise RefusedError(415, f"{name[:80]!r} is not called like a picture.", f"Endings: {endings}.")
    stem = path.stem
    while len(stem.encode()) + len(path.suffix) > MAX_NAME:
        stem = stem[:-1]
    own = f"{stem.rstrip(' .')}{path.suffix}"
    if (left := left_by_name(PurePath(own), ignore)) is not None:
        raise RefusedError(415, f"{own} would be left alone: {left}.", "Give it another name.")
    return own


def asked(query: Mapping[str, str], library: Library) -> dict[str, object]:
    """Return what is asked for beside a photo, as a sidecar says it; empty: nothing.

    Raises:
        RefusedError: there is no such style.
        ConfigError: a setting is none.
    """
    sidecar: dict[str, object] = {}
    if style := query.get("style"):
        try:
            sidecar["style"] = library.candidates(style)[0].name
        except StyleError as error:
            raise RefusedError(400, error.message, error.remedy) from error
    if wanted := chosen(query):
        sidecar["set"] = {
            key: getattr(value, "value", value) for key, value in check_settings(wanted).items()
        }
    return sidecar


def into_inbox(draft: Path, name: str, sidecar: Mapping[str, object]) -> Path:
    """Give a whole photo its name in the inbox, its sidecar first; return it.

    Raises:
        NameRefusedError, ConditionError: it cannot have one now.
    """
    for photo in names_beside(draft.parent, name):
        beside = photo.with_name(f"{photo.name}.yaml")
        if disk.is_there(photo) or disk.is_there(beside):
            continue
        try:
            if sidecar:
                with disk.created(beside) as file:
                    file.write(_yaml(sidecar))
            _name(draft, photo)
        except FileExistsError:  # another was faster
            with suppress(FileNotFoundError):
                discard(beside)
            continue
        except BaseException:
            discard(beside)
            raise
        return photo
    raise AssertionError("unreachable: there is always a further name")


def _name(draft: Path, target: Path) -> None:
    if not disk.link(draft, target):  # this disk knows no links
        disk.replace(draft, target)
    disk.sync_folder(target.parent)


def inbox_of(folder: Folder) -> Path:
    """Return where photos from the page go. Raises: ConditionError: it is not there."""
    if not disk.is_folder(folder.inbox):
        raise disk.missing(folder.inbox).named("inbox")
    return folder.inbox


def _yaml(sidecar: Mapping[str, object]) -> bytes:
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in sidecar.items()]  # JSON is YAML
    return "".join(lines).encode()


def chosen(query: Mapping[str, str]) -> dict[str, object]:
    """Return the settings that stand in an address, as they are written there: numbers and words."""
    return {key: _value(query[key]) for key in ("preset", "size") if query.get(key)}


def _value(text: str) -> object:
    return int(text) if text.isdecimal() and len(text) < 8 else text


def _check_room(folder: Path, size: int) -> None:
    if disk.free_bytes(folder) < size + MARGIN:
        raise RefusedError(507, f"The disk of {folder.name} is full.", "Free some space on it.")


def _too_large(max_bytes: int) -> RefusedError:
    return RefusedError(
        413, f"The file is larger than {max_bytes / 1e6:g} MB.", "Raise page.max_upload in config.yaml."
    )
