"""torchvision's weights of VGG19, by torch.hub: whole and of the right hash, or not there at all.

The only import of torchvision, in a function: it takes as long as torch's own, and most never need it. What
torch.hub leaves to its caller is done here: a dead line ends, a file that was damaged after its download is
fetched anew, several engines download once, and every failure says what to do.
"""

import contextlib
import http.client
import io
import logging
import pickle
import socket
import ssl
import time
import urllib.error
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import torch
from torch import Tensor

from nst_daemon import disk
from nst_daemon.disk.files import file_sha256
from nst_daemon.disk.locks import one_at_a_time
from nst_daemon.errors import ConditionError, NameRefusedError, WeightsError

if TYPE_CHECKING:
    from torchvision.models import VGG19_Weights

logger = logging.getLogger(__name__)

TIMEOUT: Final = 60.0  # seconds without a byte: a dead line
WORD_SECONDS: Final = 30.0  # between two words on the download; an engine that is silent for long is ended
LOCK: Final = "download.lock"
PART: Final = ".partial"  # ends torch.hub's name for a file that is not whole
OFFLINE: Final = (
    urllib.error.URLError,
    http.client.HTTPException,
    ssl.SSLError,
    TimeoutError,
    ConnectionError,
)  # all but one are OSErrors, and no fault of the disk
NO_WEIGHTS: Final = (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError)


def torchvision_weights(folder: Path) -> Mapping[str, Tensor]:
    """Return the state dict of torchvision's VGG19, kept in a folder, and downloaded if it is not there.

    Raises:
        WeightsError: no torchvision, no connection, the wrong bytes, or a disk that cannot keep them.
    """
    source = _source()
    name = PurePosixPath(urlsplit(source.url).path).name
    try:
        with one_at_a_time(folder / LOCK), _dead_line_ends(), _told_in_the_log():
            _clear(folder / name)
            state: Mapping[str, Tensor] = source.get_state_dict(
                model_dir=str(folder), check_hash=True, map_location="cpu", weights_only=True
            )
            return state
    except (ConditionError, NameRefusedError) as error:
        raise _unkept(folder, error.message, error.remedy) from error
    except OFFLINE as error:
        raise WeightsError(
            f"The weights could not be downloaded from {source.url}: {error}.",
            remedy=f"Connect to the internet and try again, put the file at {folder / name} by hand, or set "
            "engine.weights to original, which needs no download.",
        ) from error
    except NO_WEIGHTS as error:
        raise WeightsError(
            f"{source.url}: the download broke off, or its bytes are damaged ({error}).", remedy="Try again."
        ) from error
    except OSError as error:
        raise _unkept(folder, str(error), "Mend that, or set engine.weights to original.") from error


def _source() -> "VGG19_Weights":
    try:
        from torchvision.models import VGG19_Weights
    except (ImportError, RuntimeError, OSError) as error:  # RuntimeError: built for another torch
        raise WeightsError(
            f"torchvision cannot be loaded: {error}.",
            remedy="Run: pip install --upgrade torch torchvision, which belong together; or set "
            "engine.weights to original.",
        ) from error
    return VGG19_Weights.IMAGENET1K_V1


def _unkept(folder: Path, why: str, remedy: str) -> WeightsError:
    return WeightsError(f"The weights cannot be kept in {folder}: {why}", remedy=remedy)


def _clear(target: Path) -> None:
    """Remove the file if it is damaged, and what killed downloads left. Raises: ConditionError."""
    for entry in disk.entries_of(target.parent):
        if entry.path.name.startswith(f"{target.name}.") and entry.path.name.endswith(PART):
            disk.remove(entry.path)
    marked = torch.hub.HASH_REGEX.search(target.name)
    try:
        is_right = marked is not None and file_sha256(target).startswith(marked[1])
    except FileNotFoundError:
        return
    if not is_right:
        logger.warning("%s is damaged, and is downloaded anew", target)
        disk.remove(target)


@contextlib.contextmanager
def _dead_line_ends() -> Iterator[None]:
    """Give connections a deadline: torch.hub has none."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def _told_in_the_log() -> Iterator[None]:
    """Lead what torch.hub prints, its progress too, into the log: stdout belongs to the command's answer."""
    words = _Words()
    with contextlib.redirect_stdout(words), contextlib.redirect_stderr(words):
        yield


class _Words(io.TextIOBase):
    """Logs what is written to it, but seldom: the parent hears that we live, and no log is filled."""

    def __init__(self) -> None:
        self._due = float("-inf")

    def write(self, text: str) -> int:
        """Take a line, or a percentage."""
        if text.strip() and time.monotonic() >= self._due:
            self._due = time.monotonic() + WORD_SECONDS
            logger.info("torchvision's weights: %s", text.strip())
        return len(text)
