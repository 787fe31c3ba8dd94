"""What tells the paintings of one network from those of another, for a job's key. Loads no network."""

import logging
from pathlib import Path

from nst_daemon import disk
from nst_daemon.disk import Stamp
from nst_daemon.disk.files import file_sha256
from nst_daemon.errors import ConditionError

logger = logging.getLogger(__name__)

_known: dict[Path, tuple[Stamp, str]] = {}  # half a gigabyte is not hashed for each photo


def network_of(weights: str) -> str:
    """Return the mark of the network that `engine.weights` names; empty for the original one.

    Of a file it is its bytes that count; where it cannot be read now, and no engine can start, its name.
    """
    if weights == "original":
        return ""
    if weights == "torchvision":
        return weights
    path = Path(weights).expanduser()
    try:
        return _hashed(path)
    except (FileNotFoundError, ConditionError) as error:
        logger.debug("the weights are known by their name: %s", error)
        return f"file {path}"


def _hashed(path: Path) -> str:
    stamp = disk.stamp_of(path, follow=True)
    known = _known.get(path)
    if known is None or known[0] != stamp:
        known = _known[path] = _stamped(path, stamp)
    return known[1]


def _stamped(path: Path, stamp: Stamp | None) -> tuple[Stamp, str]:
    if stamp is None:
        raise FileNotFoundError(str(path))
    return stamp, file_sha256(path)
