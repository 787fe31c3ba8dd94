"""The commands that have the daemon run without a terminal: start, stop, restart, service, tray."""

import shlex
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nst_daemon import disk
from nst_daemon.cli.common import ConfigOption, answer, load_config, say
from nst_daemon.errors import ConfigError, ExitCode, MissingError, NotRunningError
from nst_daemon.service.kinds import Kind

if TYPE_CHECKING:
    from nst_daemon.service.installing import Plan

SharedOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--shared",
        metavar="DIR",
        help="With --farm: a folder that the coordinator sees, too. Several times: several.",
    ),
]
SHARED_GOES_WITH: Final = "--shared goes with `service install --farm FILE`, and with its status."


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
    shared: SharedOption = None,
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
    if farm is None:
        if shared:
            raise ConfigError(SHARED_GOES_WITH)
        made = services.plan(load_config(config), kind)
    else:
        if config is not None:
            raise ConfigError("--farm goes without --config: a machine that lends its devices needs none.")
        made = _farm_plan(action, farm, shared or [], kind)
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


def _farm_plan(action: ServiceAction, farm: Path, shared: list[Path], kind: Kind | None) -> "Plan":
    """Return what starts a seat at log-in; with install, refuse what it would be refused for there."""
    from nst_daemon.cli.farm import join_of
    from nst_daemon.service import installing as services

    if shared and action is ServiceAction.UNINSTALL:
        raise ConfigError(SHARED_GOES_WITH)
    if action is ServiceAction.INSTALL:
        join_of(farm)
        for folder in shared:
            _check_shared(folder)
    return services.farm_plan(farm, kind, shared=shared)


def _check_shared(folder: Path) -> None:
    """Refuse a folder that would be another at log-in, or of which nobody would miss that it is not there.

    Raises:
        ConfigError: it is not named from the root, or is not there.
        ConditionError: nobody knows whether it is there.
    """
    if not folder.is_absolute():
        raise ConfigError(
            f"--shared {folder}: at log-in nobody knows from where that is meant.",
            remedy=f"Name it from the root: --shared {shlex.quote(str(folder.absolute()))}",
        )
    if not disk.is_folder(folder):
        raise ConfigError(
            f"--shared {folder}: there is no such folder, so that every file would be sent.",
            remedy="Mount or make it first, and install again.",
        )


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
