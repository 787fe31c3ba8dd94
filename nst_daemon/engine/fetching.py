"""A file from the web: whole and of the right hash, or not there at all. Goes on where it was interrupted."""

import http.client
import logging
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.disk.files import file_sha256
from nst_daemon.errors import ConditionError, NameRefusedError, WeightsError

logger = logging.getLogger(__name__)

OnBytes = Callable[[int, int], None]  # so far, in all

TIMEOUT: Final = 60  # seconds without a byte: a dead line
BLOCK: Final = 1 << 20  # bytes
NO_SUCH_RANGE: Final = 416  # HTTP's status for a range beyond the end


class _CutError(Exception):
    """The connection ended before the file did."""


def download(url: str, target: Path, sha256_head: str, on_bytes: OnBytes | None = None) -> Path:
    """Return `target`, fetched from `url` unless it is there already, and right.

    The file appears under its name only when whole and of the right hash.

    Raises:
        WeightsError: no connection, the wrong bytes, or a disk that cannot keep them.
    """
    try:
        return _downloaded(url, target, sha256_head, on_bytes)
    except (ConditionError, NameRefusedError) as error:
        raise WeightsError(
            f"The weights cannot be kept in {target.parent}: {error.message}", remedy=error.remedy
        ) from error
    except (urllib.error.URLError, http.client.HTTPException, _CutError, OSError, ValueError) as error:
        raise WeightsError(
            f"The weights could not be downloaded from {url}: {error}.",
            remedy=f"Connect to the internet and try again, put the file at {target} by hand, or set "
            "engine.weights to original, which needs no download.",
        ) from error


def _downloaded(url: str, target: Path, sha256_head: str, on_bytes: OnBytes | None) -> Path:
    if _is_right(target, sha256_head):
        return target
    if disk.remove(target):
        logger.warning("%s was damaged, and is downloaded anew", target)
    disk.make_folder(target.parent)
    part = target.with_name(f"{target.name}.part")
    if not _is_right(part, sha256_head):  # else we were killed between the last byte and the rename
        _fetch(url, part, on_bytes)
        if not _is_right(part, sha256_head):
            disk.remove(part)
            raise WeightsError(f"{url}: the downloaded bytes are damaged.", remedy="Try again.")
    disk.replace(part, target)
    disk.sync_folder(target.parent)
    logger.info("downloaded the weights to %s", target)
    return target


def _is_right(path: Path, sha256_head: str) -> bool:
    try:
        return file_sha256(path).startswith(sha256_head)
    except FileNotFoundError:
        return False


def _fetch(url: str, part: Path, on_bytes: OnBytes | None) -> None:
    """Append what is missing of `url` to `part`; begin anew where there is nothing that fits."""
    facts = disk.facts_of(part)
    have = 0 if facts is None else facts.st_size
    try:
        _append(url, part, have, on_bytes)
    except urllib.error.HTTPError as error:
        if error.code != NO_SUCH_RANGE or not have:
            raise
        logger.info("the download is begun anew: the part that is there is no part of the file")
        disk.remove(part)
        _append(url, part, 0, on_bytes)


def _append(url: str, part: Path, have: int, on_bytes: OnBytes | None) -> None:
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        if answer.status != http.client.PARTIAL_CONTENT:
            disk.remove(part)
            have = 0
        in_all = have + int(answer.headers.get("Content-Length", 0))
        with disk.appended(part) as file:
            while block := answer.read(BLOCK):
                have += file.write(block)
                if on_bytes:
                    on_bytes(have, in_all)
    if in_all and have < in_all:
        raise _CutError(f"the connection ended after {have} of {in_all} bytes")
