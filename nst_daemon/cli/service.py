"""The commands that have the daemon run without a terminal: start, stop, restart, service, tray."""

import shlex
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nst_daemon.cli.common import ConfigOption, answer, load_config, say
from nst_daemon.errors import ConfigError, ExitCode, MissingError, NotRunningError
from nst_daemon.service.kinds import Kind

if TYPE_CHECKING:
    from nst_daemon.service.installing import Plan


class ServiceAction(StrEnum):
    """What can be done with the service."""

    INSTALL = "install"
    UNINSTALL = "uninstall"
    STATUS = "status"


def start(config: ConfigOption = None) -> None:
    """Start the daemon in the background; returns once it watches the inbox.

    Example: nst-daemon start
    """
    from nst_daemon.intake.first_look import words_before
    from nst_daemon.service import background

    loaded = load_config(config)
    for line in words_before(loaded):
        say(line)
    pid = background.start(loaded)
    say(f"It is running (process {pid}). `nst-daemon stop` ends it.")


def stop(config: ConfigOption = None) -> None:
    """End the daemon; what it is painting waits in the queue for the next start.

    Example: nst-daemon stop
    """
    from nst_daemon.service import background

    background.stop(load_config(config))
    say("It has stopped.")


def restart(config: ConfigOption = None) -> None:
    """End the daemon if it is running, and start it.

    Example: nst-daemon restart
    """
    from nst_daemon.service import background

    loaded = load_config(config)
    with suppress(NotRunningError):
        background.stop(loaded)
    say(f"It is running (process {background.start(loaded)}).")


def service(
    action: Annotated[ServiceAction, typer.Argument(help="What to do.")],
    config: ConfigOption = None,
    farm: Annotated[
        Path | None,
        typer.Option(
            "--farm", metavar="FILE", help="Of `farm join FILE` in place of the daemon; both may be."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With install: print the files, and change nothing.")
    ] = False,
    kind: Annotated[
        Kind | None, typer.Option("--for", help="With --dry-run: print those of another platform.")
    ] = None,
) -> None:
    """Have the daemon start when you log in: systemd, launchd, a Windows task or the desktop's autostart.

    Example: nst-daemon service install --dry-run --for systemd
    """
    from nst_daemon.service import installing as services

    if dry_run and action is not ServiceAction.INSTALL:
        raise ConfigError(f"--dry-run goes with `service install`, not with `service {action}`.")
    if kind is not None and not dry_run:
        raise ConfigError("--for goes with --dry-run: a service is installed on its own platform alone.")
    if farm is not None and config is not None:
        raise ConfigError("--farm goes without --config: a machine that lends its devices needs none.")
    if farm is None:
        made = services.plan(load_config(config), kind)
    else:
        if action is ServiceAction.INSTALL:
            from nst_daemon.cli.farm import join_of

            join_of(farm)  # what it would be refused for at each log-in
        made = services.farm_plan(farm, kind)
    if dry_run:
        _show_files(made)
    elif action is ServiceAction.INSTALL:
        _install(made)
    elif action is ServiceAction.UNINSTALL:
        say("Removed." if services.uninstall(made) else "There was nothing to remove.")
    else:
        for line in services.status(made):
            answer(line)
        if not services.is_installed(made):
            raise typer.Exit(ExitCode.MISSING)


def _show_files(made: "Plan") -> None:
    for path, content in made.files:
        encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
        text = content.decode(encoding).replace("\r\n", "\n")  # its lines end as they do here
        answer(f"# {path}\n{text}")


def _install(made: "Plan") -> None:
    from nst_daemon.service import installing as services

    services.install(made)
    for path, _ in made.files:
        say(f"Wrote {path}")
    say(made.hint)
    if made.start:
        say(f"`{shlex.join(made.start)}` starts it now.")


def tray(config: ConfigOption = None) -> None:
    """Show the tray icon for a daemon that runs elsewhere, as the service does; ends with Quit.

    Example: nst-daemon tray
    """
    from nst_daemon.desktop import panels
    from nst_daemon.desktop.process import DesktopKeeper
    from nst_daemon.system import extras
    from nst_daemon.system.extras import Extra

    loaded = load_config(config)
    if lack := extras.lacking(Extra.DESKTOP):
        problem = panels.not_installed(lack)
        raise MissingError(problem.message, remedy=problem.remedy, code=problem.code)
    with DesktopKeeper(loaded) as keeper:
        while keeper.tend():
            time.sleep(1)
