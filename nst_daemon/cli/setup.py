"""The commands that set up and run: init, run, check."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from nst_daemon.cli.common import (
    ConfigOption,
    answer,
    indented,
    is_running,
    load_config,
    printable,
    say,
    snapshots_shown,
)
from nst_daemon.errors import ConfigError, ExitCode, MissingError, NstError

if TYPE_CHECKING:
    from nst_daemon.config import Config, Folder

LEAST_FREE: Final = 1_000_000_000  # bytes; copies, a checkpoint and a few pictures of camera size
INOTIFY: Final = Path("/proc/sys/fs/inotify/max_user_watches")


# ── init ────────────────────────────────────────────────────────────────────────────────────────────────


def init(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="One folder for all; else the platform's folders.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make inbox, outbox and styles folders and a commented config; never overwrites.

    Example: nst-daemon init ~/Pictures/paintings
    """
    source, home, changes = _places(folder, config)
    is_new = not source.exists()
    make(source, home, changes)
    loaded = load_config(source)
    first = loaded.folders[0]
    say(f"{'Wrote' if is_new else 'Kept'} {source}")
    say(f"Photos go into  {first.inbox}\nPictures come to {first.outbox}\nYour styles are in {loaded.styles}")
    option = "" if _is_default(source) else f" --config {source}"
    say(f"Now start it with `nst-daemon run{option}`, and drop a photo into the inbox.")


def _places(folder: Path | None, config: Path | None) -> tuple[Path, Path, dict[str, object]]:
    """Return where the config goes, where the folders go, and what the config says of them."""
    import platformdirs

    from nst_daemon.config import ENVIRONMENT, absolute, default_path

    if folder is not None:
        home = absolute(folder)
        return absolute(config) if config else home / "config.yaml", home, _named(home) if config else {}
    if config is not None or os.environ.get(ENVIRONMENT):
        source = absolute(config) if config else default_path()
        return source, source.parent, {}
    home = platformdirs.user_pictures_path() / "nst-daemon"
    return default_path(), home, _named(home)


def _named(home: Path) -> dict[str, object]:
    return {key: str(home / key) for key in ("inbox", "outbox", "styles")}


def _is_default(source: Path) -> bool:
    from nst_daemon.config import default_path

    return source == default_path()


def make(source: Path, home: Path, changes: Mapping[str, object]) -> Path:
    """Write a commented config unless there is one, and make the folders that it names; return it.

    Raises:
        MissingError: a folder cannot be made.
    """
    from nst_daemon.config import load
    from nst_daemon.config.example import example

    try:
        home.mkdir(parents=True, exist_ok=True)
        source.parent.mkdir(parents=True, exist_ok=True)
        if not source.exists():
            with source.open("x", encoding="utf-8") as file:
                file.write(example(changes))
        config = load(source)
        for folder in config.folders:
            folder.inbox.mkdir(parents=True, exist_ok=True)
            folder.outbox.mkdir(parents=True, exist_ok=True)
        config.styles.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MissingError(
            f"{error.filename}: cannot be made: {error.strerror}.", remedy="Name another folder."
        ) from error
    return source


def new_folder(wanted: Path) -> Path:
    """Return the wanted name, or the first with a number behind it that is free."""
    count = 1
    path = wanted
    while path.exists():
        count += 1
        path = wanted.with_name(f"{wanted.name}-{count}")
    return path


# ── run ─────────────────────────────────────────────────────────────────────────────────────────────────


def run(
    config: ConfigOption = None,
    once: Annotated[bool, typer.Option("--once", help="Work off what is there, then leave.")] = False,
    no_tray: Annotated[bool, typer.Option("--no-tray", help="Without an icon in the task bar.")] = False,
) -> None:
    """Run the daemon in the foreground. Ctrl-C stops it; what it was painting is painted again later.

    Example: nst-daemon run --once
    """
    from dataclasses import replace

    from nst_daemon.config import TrayMode
    from nst_daemon.daemon import Daemon

    loaded = load_config(config)
    if no_tray or once:
        loaded = replace(loaded, tray=TrayMode.OFF)
    with snapshots_shown() as show:
        code = Daemon(loaded, keeps_tray=no_tray or once).run(
            once=once, on_change=show if sys.stderr.isatty() else None
        )
    raise typer.Exit(int(code))


# ── check ───────────────────────────────────────────────────────────────────────────────────────────────


class Finding(NamedTuple):
    """One line of `check`."""

    is_ok: bool
    what: str
    fix: str = ""
    code: str = ""  # of a problem: its section in docs/errors.md


def check(config: ConfigOption = None) -> None:
    """Check config, folders, disk, watch limits, tray, device and weights; each problem with its fix.

    Example: nst-daemon check
    """
    try:
        loaded = load_config(config)
    except ConfigError as error:
        _show(Finding(False, f"config {error.message}", error.remedy, error.code))
        raise typer.Exit(error.exit_code) from error
    _show(Finding(True, f"config {loaded.source}"))
    count = 0
    for finding in findings(loaded):
        _show(finding)
        count += not finding.is_ok
    if count:
        say("One problem." if count == 1 else f"{count} problems.")
        raise typer.Exit(ExitCode.MISSING)
    say("All is well.")


def _show(finding: Finding) -> None:
    """Print a finding; green or red on a terminal."""
    from nst_daemon.report import remedy_text

    mark = typer.style("ok      ", "green") if finding.is_ok else typer.style("PROBLEM ", "red", bold=True)
    typer.echo(f"{mark} {printable(finding.what)}")
    if not finding.is_ok:
        answer(indented(remedy_text(finding.fix, finding.code), 9))


def findings(config: "Config") -> Iterator[Finding]:
    """Yield what is right and wrong on this machine, the quick checks first."""
    for folder in config.folders:
        yield from _folders(folder)
    yield _writable("state_dir", config.state_dir, may_be_made=True)
    yield from _styles(config)
    yield from _disks(config)
    yield from _watches(config)
    yield from _tray(config)
    yield from _engines(config)
    is_up = is_running(config)
    yield Finding(True, "daemon is running" if is_up else "daemon is not running (nst-daemon start)")


def _folders(folder: "Folder") -> Iterator[Finding]:
    yield _writable("inbox", folder.inbox)
    yield _writable("outbox", folder.outbox)
    yield _writable("archive", folder.archive, may_be_made=True)
    yield _writable("failed", folder.failed, may_be_made=True)


def _writable(key: str, folder: Path, *, may_be_made: bool = False) -> Finding:
    """Return whether a folder is there and can be written; `may_be_made`: we make it when we need it."""
    there = folder
    while may_be_made and not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        fix = f"Make it, or set {key} in config.yaml."
        return Finding(False, f"{key} {folder} is missing", fix, code=f"{key}_missing")
    try:
        with tempfile.TemporaryFile(prefix=".nst-", dir=there):
            return Finding(True, f"{key} {folder}")
    except OSError as error:
        what = f"{key} {folder} cannot be written: {error.strerror}"
        return Finding(False, what, f"Give yourself the right to write to {there}.", code="read_only")


def _styles(config: "Config") -> Iterator[Finding]:
    from nst_daemon.blends import blend_of, style_key
    from nst_daemon.library import Library

    library = Library(config.styles)
    known = {style_key(name) for name in library.names()}
    asked = [folder.style for folder in config.folders]
    for folder in config.folders:
        for rule in folder.rules:
            asked += [name for name, _ in blend_of(rule.style)] if rule.style is not None else []
    for name in dict.fromkeys(asked):
        if style_key(name) not in known:
            near = library.near(name)
            fix = f"Did you mean {' or '.join(near)}?" if near else f"Put a picture {name}.jpg there."
            what = f"style {name} is neither built in nor in {config.styles}"
            yield Finding(False, what, fix, code="style_missing")
    yield Finding(True, f"styles {len(known)} in the library")


def _disks(config: "Config") -> Iterator[Finding]:
    seen = set()
    for folder in (config.state_dir, *(folder.outbox for folder in config.folders)):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        device = there.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        free = shutil.disk_usage(there).free
        fix = "Free some space: a full disk stops the painting until there is some."
        yield Finding(free >= LEAST_FREE, f"disk {free / 1e9:.1f} GB free at {there}", fix, code="disk_full")


def _watches(config: "Config") -> Iterator[Finding]:
    """Yield whether inotify may watch every sub-folder (Linux only)."""
    try:
        limit = int(INOTIFY.read_text())
    except (OSError, ValueError):
        return
    needed = sum(1 for folder in config.folders for _ in os.walk(folder.inbox))
    fix = f"sudo sysctl fs.inotify.max_user_watches={max(524_288, 2 * needed)}; until then it polls."
    yield Finding(needed < limit, f"watch limit {limit} folders, {needed} needed", fix, code="watch_limit")


def _tray(config: "Config") -> Iterator[Finding]:
    """Yield whether the tray icon can be seen; a missing one is no fault unless `tray: on` asks for it."""
    from nst_daemon.config import TrayMode
    from nst_daemon.desktop import panels

    if config.tray is TrayMode.OFF:
        return
    if config.tray is TrayMode.AUTO and not panels.may_show_tray():
        yield Finding(True, "tray none here: this session has no desktop")
        return
    problems = panels.problems()
    for problem in problems:
        is_ok = config.tray is TrayMode.AUTO
        said = f"{problem.message} {problem.remedy}" if is_ok else problem.message
        yield Finding(is_ok, f"tray {said}", problem.remedy, problem.code)
    if not problems:
        yield Finding(True, "tray this desktop draws the icon")


def _engines(config: "Config") -> Iterator[Finding]:
    """Yield of each device whether an engine starts on it."""
    from nst_daemon.cli.common import engine_settings
    from nst_daemon.config import ALL
    from nst_daemon.engine.process import probe

    say("starting the engine once …")
    names = list(dict.fromkeys((config.engine.first_device, *config.engine.each_device[1:])))
    for name in names:
        try:
            facts = probe(engine_settings(config, name))
        except NstError as error:
            yield Finding(False, f"engine {error.message}", error.remedy, error.code)
            continue
        yield Finding(
            True, f"engine {facts.network} ({facts.weights}) on {facts.device} in {facts.precision}"
        )
        if config.engine.each_device == (ALL,) and name == "auto":
            names += facts.others  # which are the next to be started
