"""YAML text -> frozen Config; a typo is an error with file, line, key and the nearest valid key.

Reads no folder and starts nothing: what a config asks for is checked where it is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from annotated_types import Ge
from pydantic import ConfigDict

from nst_daemon.recipe import Rule

STRICT = ConfigDict(extra="forbid")


class Originals(StrEnum):
    """What becomes of a photo once its result is durable."""

    MOVE = "move"  # to the archive
    KEEP = "keep"
    DELETE = "delete"


class WatchMode(StrEnum):
    """How the inbox is watched."""

    AUTO = "auto"  # native where a probe file raises an event, else polling
    NATIVE = "native"
    POLLING = "polling"


class TrayMode(StrEnum):
    """Whether a tray icon is shown."""

    AUTO = "auto"  # where there is a desktop
    ON = "on"
    OFF = "off"


class Notify(StrEnum):
    """What a notification is shown for."""

    ALL = "all"
    FAILURES = "failures"
    OFF = "off"


Seconds = Annotated[float, Ge(0.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How the inbox is watched."""

    __pydantic_config__ = STRICT

    settle_seconds: Seconds = 2.0  # a file is finished when it stood still for this long
    rescan_seconds: Annotated[float, Ge(0.1)] = 60.0  # the folders are read anew this often
    sidecar_seconds: Seconds = 2.0  # how long a photo waits for a sidecar
    max_wait_seconds: Seconds = 600.0  # a file that never stands still is shown as a problem after this
    mode: WatchMode = WatchMode.AUTO
    recursive: bool = True
    ignore: tuple[str, ...] = ()  # globs beside the built-in ones


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Which network runs where."""

    __pydantic_config__ = STRICT

    weights: str = "original"  # original, torchvision, or a path to a .pth or .safetensors file
    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps, xpu
    keep_warm: str = "15m"  # how long the idle engine keeps its network: 30s, 15m, 2h, always, never
    memory_limit: str | None = None  # e.g. 4GB; None: what the machine has


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One inbox and what belongs to it, complete: every path absolute."""

    inbox: Path
    outbox: Path
    archive: Path
    failed: Path
    style: str
    originals: Originals = Originals.MOVE
    rules: tuple[Rule, ...] = ()
    set: Mapping[str, object] = field(default_factory=dict)  # `set` of the config, the folder's put over it


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole config, complete: defaults filled in, every path absolute."""

    source: Path  # the file that it was read from
    folders: tuple[Folder, ...]
    styles: Path  # the user's style pictures
    state_dir: Path  # ledger, log, private copies
    watch: Watch = field(default_factory=Watch)
    engine: EngineConfig = field(default_factory=EngineConfig)
    tray: TrayMode = TrayMode.AUTO
    notify: Notify = Notify.FAILURES
    max_megapixels: Annotated[float, Ge(0.01)] = 200.0  # larger photos fail with a clear error
