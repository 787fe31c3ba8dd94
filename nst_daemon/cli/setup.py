"""The commands that set up and run: init, run."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from nst_daemon import disk
from nst_daemon.cli.common import ConfigOption, load_config, say, snapshots_shown
from nst_daemon.errors import ConditionError, MissingError, NameRefusedError

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
    is_new = not disk.is_there(source)
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
        disk.make_folder(home)
        disk.make_folder(source.parent)
        with suppress(FileExistsError), disk.created(source) as file:
            file.write(example(changes).encode())
        config = load(source)
        for folder in config.folders:
            disk.make_folder(folder.inbox)
            disk.make_folder(folder.outbox)
        disk.make_folder(config.styles)
    except (ConditionError, NameRefusedError) as error:
        raise MissingError(error.message, remedy="Name another folder.", code=error.code) from error
    return source


def new_folder(wanted: Path) -> Path:
    """Return the wanted name, or the first with a number behind it that is free."""
    count = 1
    path = wanted
    while disk.is_there(path):
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
    from nst_daemon.daemon.daemon import Daemon
    from nst_daemon.intake.first_look import words_before

    loaded = load_config(config)
    if no_tray or once:
        loaded = replace(loaded, tray=TrayMode.OFF)
    for line in words_before(loaded):
        say(line)
    words: list[str] = []
    with snapshots_shown() as show:
        code = Daemon(loaded, keeps_tray=no_tray or once).run(
            once=once, on_change=show if sys.stderr.isatty() else None, on_words=words.append
        )
    for each in words:
        say(each)
    raise typer.Exit(int(code))
