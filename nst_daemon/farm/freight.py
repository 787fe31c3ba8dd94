"""The files of one hand-over: a seat gets those that it lacks, and what it has made is brought home whole.

Each has its hash. What arrives damaged is sent anew; a file that is at fault here is no seat's fault.
"""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from nst_daemon import disk
from nst_daemon.config.model import SharedFolder
from nst_daemon.config.orders import Painting
from nst_daemon.disk.files import discard, file_sha256
from nst_daemon.errors import CancelledError, ConditionError, NstError, SeatLostError
from nst_daemon.farm.answers import CHECKPOINT, Sight, UnreachableError
from nst_daemon.farm.parcel import (
    Blob,
    PackedFile,
    PackedOrder,
    PackedPainting,
    chunks_of,
    plain,
    spoilt,
    unpacked_painting,
)
from nst_daemon.farm.talk import SEND_SECONDS, Talk

logger = logging.getLogger(__name__)

TRIES: Final = 3  # of a file that arrives damaged
PULL_SECONDS: Final = 60.0  # between two looks at a checkpoint: so much of a long painting may be lost


class Freight:
    """Sends and fetches. Lives on a worker's thread."""

    def __init__(self, talk: Talk, shared: Sequence[SharedFolder] = ()) -> None:
        self._talk = talk
        self._shared = shared
        self._mark = ""  # of the checkpoint that was fetched last
        self._pulled = time.monotonic()  # when that was

    def send(self, packing: PackedOrder, files: Mapping[Blob, Path], original: Path | None = None) -> None:
        """Have every file at the seat that it lacks: read in a folder that both see, or sent.

        `original`: of the photo, where what is painted may be a copy.

        Raises:
            JobError: a file is not here what it was when it was ordered; or `SeatLostError`.
        """
        for blob in self._talk.ask("lacks", blobs=tuple(files)):
            places = [files[blob], *([original] if original is not None and blob == packing.photo else ())]
            if any(self._is_seen(blob, place) for place in places):
                continue
            for _ in range(TRIES):
                try:
                    if self._sent(blob, files[blob]):
                        break
                    is_sound = file_sha256(files[blob]) == blob.sha256
                except FileNotFoundError as error:
                    raise spoilt(packing, blob) from error
                if not is_sound:
                    raise spoilt(packing, blob)
                logger.warning("%s: %s arrived damaged, once more", self._talk.seat, files[blob].name)
            else:
                raise self._damaged("what is sent there")

    def _is_seen(self, blob: Blob, place: Path) -> bool:
        """Have the seat read a file itself, where both see it; whatever is in the way, it is sent then."""
        for folder in self._shared:
            parts = folder.parts_of(place)
            if parts is None:
                continue
            words: dict[str, Any] = {"blob": blob, "root": folder.there, "parts": parts}
            why: object
            try:
                facts = disk.facts_of(place)
                why = self._talk.ask_once(
                    "borrow", seconds=SEND_SECONDS, size=facts.st_size if facts else -1, **words
                )
            except CancelledError:
                raise
            except (UnreachableError, NstError) as error:
                why = error
            if why is Sight.TAKEN:
                return True
            logger.info("%s: %s %s; it is sent", self._talk.seat, place, why)
        return False

    def _sent(self, blob: Blob, path: Path) -> bool:
        """Send a file; False: it is not there what it is here."""
        return all(self._talk.ask("put", seconds=SEND_SECONDS, **words) for words in chunks_of(blob, path))

    def bring_home(self, made: PackedPainting, folder: Path) -> Painting:
        """Return a painting whose files were fetched into a folder, each whole. Raises: SeatLostError."""
        for packing in filter(None, (made.picture, made.report)):
            target = folder / plain(packing.name)
            for _ in range(TRIES):
                if self._is_fetched(packing, target):
                    break
                logger.warning("%s: %s came back damaged, once more", self._talk.seat, packing.name)
            else:
                raise self._damaged("what it sends")
        return unpacked_painting(made, folder)

    def _is_fetched(self, packing: PackedFile, target: Path) -> bool:
        digest, offset = hashlib.sha256(), 0
        discard(target)
        with disk.created(target) as file:
            while offset < packing.size:
                words: dict[str, Any] = {"token": self._talk.token, "name": packing.name, "offset": offset}
                data = self._talk.ask("fetch", seconds=SEND_SECONDS, **words)
                if not data:
                    return False
                file.write(data)
                digest.update(data)
                offset += len(data)
        return digest.hexdigest() == packing.sha256

    def pull(self, mark: str, checkpoint: Path, draft: Path) -> None:
        """Fetch the checkpoint that has a mark, now and then, so that another seat can go on from there."""
        if time.monotonic() - self._pulled < PULL_SECONDS or mark in ("", self._mark):
            return
        self._pulled = time.monotonic()
        discard(draft)
        try:
            with disk.created(draft) as file:
                words: dict[str, Any] = {"token": self._talk.token, "name": CHECKPOINT, "mark": mark}
                offset = 0
                while data := self._talk.ask("fetch", offset=offset, **words):
                    file.write(data)
                    offset += len(data)
            if offset == disk.Stamp.parse(mark).size:  # else it was written anew meanwhile
                disk.make_folder(checkpoint.parent)
                disk.replace(draft, checkpoint)
                self._mark = mark
        except (ConditionError, FileNotFoundError) as error:  # the spare wheel: nothing fails by it
            logger.info("no checkpoint was fetched from %s: %s", self._talk.seat, error)
        finally:
            discard(draft)

    def _damaged(self, what: str) -> SeatLostError:
        return SeatLostError(
            f"{self._talk.seat}: {what} arrives damaged.", remedy="Look at its network and disk."
        )
