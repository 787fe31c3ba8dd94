"""What a config says, as frozen values: complete (`Config`), and as users write it (`ConfigText`). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

from annotated_types import Ge
from pydantic import with_config

from nst_daemon.config.kinds import (
    ALL,
    OFF,
    RULES,
    WORD,
    AbsolutePath,
    Device,
    Devices,
    FileSize,
    HostName,
    KeepWarm,
    Listen,
    Megapixels,
    MemoryLimit,
    PageAddress,
    Seconds,
    host_and_port,
    idle_seconds,
    memory_bytes,
)
from nst_daemon.config.recipe import SETTINGS, Rule

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})  # hosts that this machine alone reaches
MAX_MEGAPIXELS: Final = 200.0  # of a photo or style, unless a config says otherwise
DEFAULT_STYLE: Final = "swirling_oil"  # a built-in


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


class Precision(StrEnum):
    """What the network's convolutions are computed in."""

    AUTO = "auto"  # the fastest that points the same way, found by autotuning
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Graphs(StrEnum):
    """Whether the kernels of small scales are recorded as CUDA graphs."""

    AUTO = "auto"  # where autotuning finds it faster
    OFF = "off"


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


class PageMode(StrEnum):
    """Whether the page for a browser is there."""

    AUTO = "auto"  # from the moment at which somebody asks for it, until nobody looks any more
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page that a browser on this machine may look at."""

    mode: Annotated[PageMode, WORD] = PageMode.AUTO
    listen: PageAddress = "127.0.0.1:8420"  # another free port where this one is taken
    hosts: tuple[HostName, ...] = ()  # by which a browser may call it, beside this machine's own
    max_upload: FileSize = "500MB"

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port to listen on."""
        return host_and_port(self.listen)

    @property
    def max_bytes(self) -> int:
        """The size of the largest file that is taken."""
        return memory_bytes(self.max_upload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How the inbox is watched."""

    settle_seconds: Seconds = 2.0  # a file is finished when it stood still for this long
    rescan_seconds: Annotated[float, Ge(0.1), WORD] = 60.0  # the folders are read anew this often
    sidecar_seconds: Seconds = 2.0  # how long a photo waits for a sidecar
    max_wait_seconds: Seconds = 600.0  # then a restless file is a problem, and half a picture fails
    mode: Annotated[WatchMode, WORD] = WatchMode.AUTO
    recursive: bool = True
    ignore: tuple[str, ...] = ()  # globs beside the built-in ones


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Which network runs where."""

    weights: str = "original"  # original, torchvision, or a path to a .pth or .safetensors file
    device: Device = "auto"  # auto, cpu, cuda, cuda:1, mps, xpu
    devices: Devices | None = None  # one engine on each; None: one engine, on `device`
    precision: Annotated[Precision, WORD] = Precision.AUTO
    graphs: Annotated[Graphs, WORD] = Graphs.AUTO
    keep_warm: KeepWarm = "15m"  # long it idles with its network
    memory_limit: MemoryLimit | None = None  # e.g. 4GB; None: what the machine has

    @property
    def idle_seconds(self) -> float:
        """How long the idle engine keeps its network; infinite for `always`, 0 for `never`."""
        return idle_seconds(self.keep_warm)

    @property
    def each_device(self) -> tuple[str, ...]:
        """The device of each engine; ("all",) for an engine on every accelerator."""
        return self.devices or (self.device,)

    @property
    def first_device(self) -> str:
        """The device for what needs one engine only."""
        return "auto" if self.each_device == (ALL,) else self.each_device[0]

    @property
    def memory_bytes(self) -> int | None:
        """The memory of a device that engines may use; None is what the machine has."""
        return None if self.memory_limit is None else memory_bytes(self.memory_limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFolder:
    """A folder that other machines see, too."""

    here: str
    there: AbsolutePath  # how they call it

    def parts_of(self, path: Path) -> tuple[str, ...] | None:
        """Return the way to a file from the folder; None: it is not in it."""
        return path.relative_to(self.here).parts if path.is_relative_to(self.here) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmConfig:
    """Whether other machines lend their devices, and what is expected of them."""

    listen: Listen = OFF  # where they find this daemon: tls://192.168.1.5:8786
    local: bool = True  # whether this machine's own engines paint too
    silence_seconds: Annotated[float, Ge(1.0), WORD] = 120.0  # then a seat that does not answer is given up
    lost_limit: Annotated[int, Ge(0), WORD] = 3  # how often a job may lose its seat at no cost
    shared: tuple[SharedFolder, ...] = ()  # whose files are read there, and not sent

    @property
    def is_on(self) -> bool:
        """Whether anything listens."""
        return self.listen != OFF


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
    farm: FarmConfig = field(default_factory=FarmConfig)
    tray: TrayMode = TrayMode.AUTO
    notify: Notify = Notify.FAILURES
    exchange: Path | None = None  # the folder that editors' plug-ins share with the daemon; None: off
    page: Page = field(default_factory=Page)
    max_megapixels: Megapixels = MAX_MEGAPIXELS  # larger photos fail with a clear error


# ── the text as users write it ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleText:
    """One entry of `rules`."""

    match: str
    style: Any = None
    set: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderText:
    """One entry of `folders`; what is None comes from the top of the config."""

    inbox: str
    outbox: str
    style: str | None = None
    rules: tuple[RuleText, ...] = ()
    set: Any = None
    originals: Annotated[Originals, WORD] | None = None
    archive: str | None = None
    failed: str | None = None


@with_config(RULES)  # its parts take them over
@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigText:
    """The keys of config.yaml. Their defaults stand in `Config` and its parts."""

    inbox: str | None = None
    outbox: str | None = None
    folders: tuple[FolderText, ...] = ()
    styles: str | None = None
    style: str = DEFAULT_STYLE
    rules: tuple[RuleText, ...] = ()
    set: Any = None
    originals: Annotated[Originals, WORD] = Originals.MOVE
    archive: str | None = None
    failed: str | None = None
    watch: Watch = field(default_factory=Watch)
    engine: EngineConfig = field(default_factory=EngineConfig)
    farm: FarmConfig = field(default_factory=FarmConfig)
    tray: Annotated[TrayMode, WORD] = TrayMode.AUTO
    notify: Annotated[Notify, WORD] = Notify.FAILURES
    state_dir: str | None = None
    exchange: str = "auto"
    page: Page = field(default_factory=Page)
    max_megapixels: Megapixels = MAX_MEGAPIXELS


_SECTIONS: Final[Mapping[str, type]] = {
    "watch": Watch,
    "engine": EngineConfig,
    "page": Page,
    "farm": FarmConfig,
    "shared": SharedFolder,
    "folders": FolderText,
    "rules": RuleText,
}


def keys_of(section: str = "") -> tuple[str, ...]:
    """Return the valid keys at the top of a config, or of one of its parts: `watch`, `folders`, `set`."""
    if section == "set":
        return SETTINGS
    return tuple(f.name for f in fields(_SECTIONS.get(section, ConfigText)))
