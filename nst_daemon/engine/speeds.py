"""How fast the devices of this machine paint, remembered between paintings. Imports no torch.

Without it the first moments of each painting would tell little of the rest, and nobody could say before a
painting how long it will take.
"""

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from nst_daemon import disk
from nst_daemon.disk.files import written_whole
from nst_daemon.engine.costs import Speed
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import NstError

logger = logging.getLogger(__name__)

FILE: Final = "speeds.json"
VERSION: Final = 1  # of what is written; another one's numbers may mean something else
MOST_DEVICES: Final = 32  # with each driver, backend and version of PyTorch counted anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the last painting on a device told of it."""

    asked: str  # what the config has of it: `auto` is a device that is known only once torch is loaded
    device: str  # for people, e.g. "cuda:0 (NVIDIA H200)"
    memory: int  # bytes that a painting could take
    entry: int  # bytes of an entry of a feature map
    speed: Speed

    @property
    def is_on_cpu(self) -> bool:
        """Whether its memory is that of the machine."""
        return self.device.startswith("cpu")


def asked_of(settings: EngineSettings) -> str:
    """Return what a config asks of a device, as a text to find it by."""
    return f"{settings.device}, precision {settings.precision}, graphs {settings.graphs}"


def known_of(folder: Path, key: str) -> Known | None:
    """Return what is known of the device with a key; None: nothing."""
    return _known(_read(folder / FILE).get(key))


def last_known(folder: Path, asked: str) -> Known | None:
    """Return what is known of the device that last painted where a config asked for this; None: nothing."""
    known = (_known(each) for each in reversed(_read(folder / FILE).values()))
    return next((each for each in known if each is not None and each.asked == asked), None)


def remember(folder: Path, key: str, known: Known) -> None:
    """Write down what is known of a device now. What fails costs a forecast, and no painting."""
    path = folder / FILE
    kept = {other: each for other, each in _read(path).items() if other != key}
    kept[key] = asdict(known)
    newest = dict(list(kept.items())[-MOST_DEVICES:])
    try:
        disk.make_folder(folder)
        with written_whole(path) as file:
            file.write(json.dumps({"version": VERSION, "devices": newest}, indent=1).encode())
    except (NstError, OSError) as error:
        logger.info("the speed of this device was not kept: %s", error)


def _read(path: Path) -> dict[str, Any]:
    """Return what was written, by key, the newest last."""
    try:
        kept = json.loads(disk.read_bytes(path))
    except (FileNotFoundError, NstError, ValueError):
        return {}
    if not isinstance(kept, dict) or kept.get("version") != VERSION:
        return {}
    devices = kept.get("devices")
    return devices if isinstance(devices, dict) else {}


def _known(entry: object) -> Known | None:
    """Return an entry as what it was; None if it is none."""
    if not isinstance(entry, Mapping):
        return None
    try:
        speed = Speed(**entry["speed"])
        known = Known(**{**entry, "speed": speed})
        numbers = (speed.convolutions, speed.roots, speed.steps, speed.learned, known.memory, known.entry)
        is_sound = all(math.isfinite(each) and each > 0 for each in numbers)
    except (KeyError, TypeError):
        return None
    return known if is_sound else None
