"""YAML text -> frozen Config, complete; a typo is an error with file, line, key and the nearest valid key.

Starts nothing and makes no folder: what a config asks for is checked where it is used. Settings and
sidecars are checked in `settings`, and are to be had from here as well.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import platformdirs
from annotated_types import Ge

from nst_daemon.config_text import Fault, KeyPath, nearest, read
from nst_daemon.errors import ConfigError
from nst_daemon.overlaps import overlaps
from nst_daemon.recipe import SETTINGS, Rule, blend_of
from nst_daemon.settings import (
    Device,
    KeepWarm,
    MemoryLimit,
    check_settings,
    idle_seconds,
    memory_bytes,
    parse_assignments,
    parse_sidecar,
    settings_and_faults,
)
from nst_daemon.shapes import conform

__all__ = [
    "Config",
    "check_settings",
    "load",
    "parse_assignments",
    "parse_sidecar",
]  # the last three: settings

APP: Final = "nst-daemon"
DEFAULT_STYLE: Final = "swirling_oil"  # a built-in
ENVIRONMENT: Final = "NST_DAEMON_CONFIG"


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

    weights: str = "original"  # original, torchvision, or a path to a .pth or .safetensors file
    device: Device = "auto"  # auto, cpu, cuda, cuda:1, mps, xpu
    keep_warm: KeepWarm = "15m"  # long it idles with its network
    memory_limit: MemoryLimit | None = None  # e.g. 4GB; None: what the machine has

    @property
    def idle_seconds(self) -> float:
        """How long the idle engine keeps its network; infinite for `always`, 0 for `never`."""
        return idle_seconds(self.keep_warm)

    @property
    def memory_bytes(self) -> int | None:
        """The memory that the engine may use; None is what the machine has."""
        return None if self.memory_limit is None else memory_bytes(self.memory_limit)


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
    originals: Originals | None = None
    archive: str | None = None
    failed: str | None = None


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
    originals: Originals = Originals.MOVE
    archive: str | None = None
    failed: str | None = None
    watch: Watch = field(default_factory=Watch)
    engine: EngineConfig = field(default_factory=EngineConfig)
    tray: TrayMode = TrayMode.AUTO
    notify: Notify = Notify.FAILURES
    state_dir: str | None = None
    max_megapixels: Annotated[float, Ge(0.01)] = 200.0


_SECTIONS: Final[Mapping[str, type]] = {
    "watch": Watch,
    "engine": EngineConfig,
    "folders": FolderText,
    "rules": RuleText,
}


def keys_of(section: str = "") -> tuple[str, ...]:
    """Return the valid keys at the top of a config, or of `watch`, `engine`, `folders`, `rules`, `set`."""
    if section == "set":
        return SETTINGS
    return tuple(f.name for f in fields(_SECTIONS.get(section, ConfigText)))


def absolute(text: str | Path, base: Path | None = None) -> Path:
    """Return a path as a user wrote it, `~` and all, from a folder; links are kept as they are."""
    written = os.path.expanduser(text)  # noqa: PTH111  Path.expanduser raises where there is no such user
    return Path(os.path.abspath((base or Path()) / written))  # noqa: PTH100  resolve() would follow links


def default_path() -> Path:
    """Return the config that is read where no `--config` is given."""
    if named := os.environ.get(ENVIRONMENT):
        return absolute(named)
    return platformdirs.user_config_path(APP, appauthor=False) / "config.yaml"


def load(path: Path) -> Config:
    """Return the config of a file.

    Raises:
        ConfigError: there is none, or it cannot be used; lists all faults.
    """
    source = absolute(path)
    try:
        text = source.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no config at {source}.", remedy="Run `nst-daemon init`, or name one with --config."
        ) from error
    except OSError as error:
        raise ConfigError(f"{source}: cannot be read: {error.strerror}.") from error
    return parse(text, source)


def parse(text: str | bytes, source: Path) -> Config:
    """Return the config of a text as if it stood in the file `source`.

    Raises:
        ConfigError: it cannot be used; lists all faults.
    """
    document = read(text, str(source))
    raw = _given({} if document.value is None else document.value)
    if not isinstance(raw, dict):
        raise ConfigError(f"{source}: has no keys.", remedy="See config.example.yaml.")
    faults: list[Fault] = []
    written = conform(ConfigText, raw, (), faults, unknown=_unknown_key)
    faults += [fault for place in _free_places(raw) for fault in _free_faults(*place)]
    if faults:
        raise document.error(faults)
    config = _complete(written, source)
    if faults := list(_folder_faults(config, raw)):
        raise document.error(faults)
    return config


def _given(value: object) -> object:
    """Return the value without empty keys: `rules:` with nothing behind it is not given."""
    if isinstance(value, dict):
        return {str(key): _given(part) for key, part in value.items() if part is not None}
    return [_given(part) for part in value] if isinstance(value, list) else value


def _unknown_key(path: KeyPath) -> str:
    section = next((part for part in reversed(path[:-1]) if isinstance(part, str)), "")
    return f"is no key{_home(str(path[-1]), section)}"


def _home(key: str, section: str) -> str:
    """Return where an unknown key may belong, or which key was meant."""
    if near := nearest(key, keys_of(section)):
        return f" here{near}"
    for other in ("", "set", "watch", "engine"):
        if key in keys_of(other):
            return f" here: it belongs under {other}:" if other else " here: it belongs to the left margin"
    everywhere = [f"{other}.{name}" for other in ("set", "watch", "engine") for name in keys_of(other)]
    return f" here{nearest(key, [name.partition('.')[2] for name in everywhere])}"


def _free_places(raw: Mapping[str, Any]) -> Iterator[tuple[KeyPath, object]]:
    """Yield every `set`, and every `style` of a rule: what is more than its annotation says."""
    folders = raw.get("folders")
    tops: list[tuple[KeyPath, Any]] = [((), raw)]
    tops += [(("folders", i), f) for i, f in enumerate(folders if isinstance(folders, list) else [])]
    for path, top in tops:
        rules = top.get("rules") if isinstance(top, dict) else None
        places: list[tuple[KeyPath, Any]] = [(path, top)]
        places += [((*path, "rules", i), r) for i, r in enumerate(rules if isinstance(rules, list) else [])]
        for place, part in places:
            if isinstance(part, dict):
                yield from (((*place, key), part[key]) for key in ("style", "set") if key in part)


def _free_faults(path: KeyPath, value: object) -> list[Fault]:
    if path[-1] == "set":
        return settings_and_faults(value, path)[1]
    try:
        blend_of(value)
    except ValueError as error:
        return [Fault(path, str(error))]
    return []


# ── complete ────────────────────────────────────────────────────────────────────────────────────────────


def _complete(written: ConfigText, source: Path) -> Config:
    base, engine = source.parent, written.engine
    if engine.weights not in ("original", "torchvision"):
        engine = replace(engine, weights=str(absolute(engine.weights, base)))
    return Config(
        source=source,
        folders=tuple(_folder(pair, written, base) for pair in _pairs(written)),
        styles=absolute(written.styles or "styles", base),
        state_dir=absolute(written.state_dir, base) if written.state_dir else _state_dir(source),
        watch=written.watch,
        engine=engine,
        tray=written.tray,
        notify=written.notify,
        max_megapixels=written.max_megapixels,
    )


def _pairs(written: ConfigText) -> Iterator[FolderText]:
    if written.inbox is not None and written.outbox is not None:
        yield FolderText(inbox=written.inbox, outbox=written.outbox)
    yield from written.folders


def _folder(pair: FolderText, top: ConfigText, base: Path) -> Folder:
    inbox = absolute(pair.inbox, base)
    archive, failed = pair.archive or top.archive, pair.failed or top.failed
    return Folder(
        inbox=inbox,
        outbox=absolute(pair.outbox, base),
        archive=absolute(archive, base) if archive else inbox.parent / "archive",
        failed=absolute(failed, base) if failed else inbox.parent / "failed",
        style=pair.style or top.style,
        originals=pair.originals or top.originals,
        rules=tuple(_rule(rule) for rule in (*pair.rules, *top.rules)),
        set=_settings(top.set) | _settings(pair.set),
    )


def _rule(rule: RuleText) -> Rule:
    style = tuple(rule.style) if isinstance(rule.style, list) else rule.style
    return Rule(match=rule.match, style=style, set=_settings(rule.set))


def _settings(raw: Any) -> dict[str, object]:
    return settings_and_faults(raw or {}, ())[0]


def _state_dir(source: Path) -> Path:
    """Return the platform's state folder; one of its own for each config that is not the default one."""
    state = platformdirs.user_state_path(APP, appauthor=False)
    if source == platformdirs.user_config_path(APP, appauthor=False) / "config.yaml":
        return state
    # Two configs may run side by side: neither may take the other's lock, nor paint the other's jobs.
    mark = hashlib.sha256(os.fsencode(source)).hexdigest()[:8]
    return state / "configs" / f"{source.parent.name or 'root'}-{mark}"


def _folder_faults(config: Config, raw: Mapping[str, Any]) -> Iterator[Fault]:
    if ("inbox" in raw) != ("outbox" in raw):
        yield Fault(("outbox" if "inbox" in raw else "inbox",), "is missing: they go together")
    elif not config.folders:
        yield Fault(("inbox",), "is missing: name a folder for photos, and an outbox for pictures")
    tops: list[KeyPath] = [()] if "inbox" in raw and "outbox" in raw else []
    tops += [("folders", index) for index in range(len(raw.get("folders", ())))]
    inboxes = [((*top, "inbox"), folder.inbox) for top, folder in zip(tops, config.folders, strict=True)]
    others: list[tuple[KeyPath, Path]] = [(("state_dir",), config.state_dir), (("styles",), config.styles)]
    for top, folder in zip(tops, config.folders, strict=True):
        others += [((*top, key), getattr(folder, key)) for key in ("outbox", "archive", "failed")]
    yield from overlaps(inboxes, others)
