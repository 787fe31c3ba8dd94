"""config.yaml -> `Config`, complete: defaults filled in, paths absolute; or an error that lists all faults.

Starts nothing and makes no folder.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import platformdirs
from pydantic import ValidationError

from nst_daemon import disk
from nst_daemon.config.blends import blend_of
from nst_daemon.config.model import (
    Config,
    ConfigText,
    EngineConfig,
    FarmConfig,
    Folder,
    FolderText,
    RuleText,
    keys_of,
)
from nst_daemon.config.overlaps import Place, overlaps
from nst_daemon.config.recipe import Rule
from nst_daemon.config.refusals import adapter, faults_of
from nst_daemon.config.settings import settings_and_faults
from nst_daemon.config.text import MAX_BYTES, Fault, KeyPath, nearest, read
from nst_daemon.errors import ConditionError, ConfigError

APP: Final = "nst-daemon"
ENVIRONMENT: Final = "NST_DAEMON_CONFIG"
UNREADABLE: Final = "config_unreadable"
AUTO: Final = "auto"
OFF: Final = "off"


def absolute(text: str | Path, base: Path | None = None) -> Path:
    """Return a path as a user wrote it, `~` and all, from a folder; links are kept as they are."""
    written = os.path.expanduser(text)  # noqa: PTH111  Path.expanduser raises where there is no such user
    return Path(os.path.abspath((base or Path()) / written))  # noqa: PTH100  resolve() would follow links


def default_path() -> Path:
    """Return the config that is read where no `--config` is given."""
    if named := os.environ.get(ENVIRONMENT):
        return absolute(named)
    return platformdirs.user_config_path(APP, appauthor=False) / "config.yaml"


def state_home() -> Path:
    """Return the platform's folder for what we keep, of whatever config."""
    return platformdirs.user_state_path(APP, appauthor=False)


def default_exchange() -> Path:
    """Return the folder that editors' plug-ins use where a config says `auto`: among the pictures."""
    return platformdirs.user_pictures_path() / APP / "editors"


def load(path: Path) -> Config:
    """Return the config of a file.

    Raises:
        ConfigError: there is none, or it cannot be used; lists all faults.
    """
    source = absolute(path)
    return parse(read_source(source), source)


def read_source(source: Path) -> bytes:
    """Return the bytes of a config.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    try:
        if disk.is_folder(source):
            raise ConfigError(
                f"{source} is a folder.", remedy=f"Name the file: --config {source / 'config.yaml'}"
            )
        return disk.read_bytes(source, at_most=MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no config at {source}.",
            remedy="Run `nst-daemon init`, or name one with --config.",
            code="config_missing",
        ) from error
    except ConditionError as error:
        raise ConfigError(error.message, remedy=error.remedy, code=UNREADABLE) from error


def parse(text: str | bytes, source: Path) -> Config:
    """Return the config of a text as if it stood in the file `source`.

    Raises:
        ConfigError: it cannot be used; lists all faults.
    """
    document = read(text, str(source))
    raw = _given({} if document.value is None else document.value)
    if not isinstance(raw, dict):
        raise ConfigError(f"{source}: has no keys.", remedy="See config.example.yaml.")
    faults = [fault for place in _free_places(raw) for fault in _free_faults(*place)]
    try:
        written: ConfigText = adapter(ConfigText).validate_python(raw)
    except ValidationError as error:
        found = faults_of(error, ConfigText, raw, unknown=_unknown_key)
        raise document.error([*found, *faults]) from error
    faults += _device_faults(written.engine, raw)
    if faults:
        raise document.error(faults)
    config = _complete(written, source)
    if faults := list(_folder_faults(config, raw)):
        raise document.error(faults)
    if written.exchange.lower() == AUTO and list(_exchange_faults(config)):
        return replace(config, exchange=None)  # all the pictures are an inbox: nobody asked for plug-ins
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
    for other in ("", "set", "watch", "engine", "page", "farm"):
        if key in keys_of(other):
            return f" here: it belongs under {other}:" if other else " here: it belongs to the left margin"
    everywhere = [
        f"{other}.{name}" for other in ("set", "watch", "engine", "page", "farm") for name in keys_of(other)
    ]
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
        farm=_farm(written.farm, base),
        tray=written.tray,
        notify=written.notify,
        exchange=_exchange(written.exchange, base),
        page=written.page,
        max_megapixels=written.max_megapixels,
    )


def _farm(farm: FarmConfig, base: Path) -> FarmConfig:
    return replace(
        farm, shared=tuple(replace(each, here=str(absolute(each.here, base))) for each in farm.shared)
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
    return Rule(match=rule.match, style=_named(rule.style), set=_settings(rule.set))


def _named(style: Any) -> Any:
    """Return a choice of style with its names as text: a style may be called 2024_05."""
    if isinstance(style, list):
        return tuple(_named(part) for part in style)
    return style if style is None or isinstance(style, (str, dict)) else str(style)


def _settings(raw: Any) -> dict[str, object]:
    return settings_and_faults(raw or {}, ())[0]


def _state_dir(source: Path) -> Path:
    """Return the platform's state folder; one of its own for each config that is not the default one."""
    state = state_home()
    if source == platformdirs.user_config_path(APP, appauthor=False) / "config.yaml":
        return state
    # Two configs may run side by side: neither may take the other's lock, nor paint the other's jobs.
    mark = hashlib.sha256(os.fsencode(source)).hexdigest()[:8]
    return state / "configs" / f"{source.parent.name or 'root'}-{mark}"


def _exchange(written: str, base: Path) -> Path | None:
    """Return the folder that editors' plug-ins use, there or not; `auto` is among the pictures."""
    if written.lower() == OFF:
        return None
    if written.lower() == AUTO:
        return default_exchange()
    return absolute(written, base)


def _device_faults(engine: EngineConfig, raw: Mapping[str, Any]) -> Iterator[Fault]:
    is_said = "device" in raw.get("engine", {})
    if is_said and engine.devices is not None and engine.devices != (engine.device,):
        yield Fault(("engine", "devices"), f"engine.device says {engine.device}: give one of the two")


def _exchange_faults(config: Config) -> Iterator[Fault]:
    if config.exchange is not None:
        inboxes: list[Place] = [(("inbox",), folder.inbox) for folder in config.folders]
        yield from overlaps(inboxes, [(("exchange",), config.exchange)])


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
    if raw.get("exchange", AUTO) != AUTO:
        yield from _exchange_faults(config)
