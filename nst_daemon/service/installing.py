"""Starts the daemon at log-in: installs, removes and judges what the platform wants for that.

systemd user units where systemd runs, else the desktop's autostart folder; launchd agents; Windows tasks.
All of it is the user's own: nothing asks for an administrator.
"""

import getpass
import hashlib
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

from nst_daemon.config import APP, Config, TrayMode
from nst_daemon.errors import MissingError
from nst_daemon.service import files as service_files
from nst_daemon.service.kinds import TITLES, Kind

logger = logging.getLogger(__name__)

TOOL_SECONDS: Final = 30.0  # systemctl, launchctl and schtasks answer in less
LABEL: Final = "io.github.nst-daemon"
LINGER_HINT: Final = (
    "It starts when you log in, and ends when you log out. To keep it from boot to shutdown: "
    "loginctl enable-linger"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that an installation is made of."""

    kind: Kind
    name: str
    files: tuple[tuple[Path, bytes], ...]
    links: tuple[tuple[Path, Path], ...] = ()  # link, target
    after_install: tuple[tuple[str, ...], ...] = ()  # commands that must succeed
    before_install: tuple[tuple[str, ...], ...] = ()  # these, and those below, may fail
    after_removal: tuple[tuple[str, ...], ...] = ()
    hint: str = ""


def kind_here() -> Kind:
    """Return what starts programs at log-in on this machine."""
    if sys.platform == "win32":
        return Kind.WINDOWS
    if sys.platform == "darwin":
        return Kind.LAUNCHD
    return Kind.SYSTEMD if Path("/run/systemd/system").is_dir() else Kind.AUTOSTART


def plan(config: Config, kind: Kind | None = None) -> Plan:
    """Return what `install` would do here; for another kind, what it would do there with our paths."""
    kind = kind or kind_here()
    return {
        Kind.SYSTEMD: _systemd,
        Kind.AUTOSTART: _autostart,
        Kind.LAUNCHD: _launchd,
        Kind.WINDOWS: _windows,
    }[kind](config)


def install(config: Config) -> Plan:
    """Make the daemon start at log-in; a second call mends what is amiss, and changes nothing else.

    Raises:
        MissingError: a file cannot be written, or the system's own tool refuses.
    """
    made = plan(config)
    try:
        for path, content in made.files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for link, target in made.links:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(target)
    except OSError as error:
        raise MissingError(f"{error.filename}: cannot be written: {error.strerror}.") from error
    for command in made.before_install:
        _try(command)
    for command in made.after_install:
        _must(command)
    return made


def uninstall(config: Config) -> bool:
    """Take it all away; return whether there was anything. A daemon that runs goes on.

    Raises:
        MissingError: a file cannot be removed.
    """
    made = plan(config)
    paths = [path for path, _ in (*made.links, *made.files)]
    there = [path for path in paths if path.exists() or path.is_symlink()]
    try:
        for path in there:
            path.unlink()
    except OSError as error:
        raise MissingError(f"{error.filename}: cannot be removed: {error.strerror}.") from error
    if there:
        for command in made.after_removal:
            _try(command)
    return bool(there)


def is_installed(config: Config) -> bool:
    """Return whether the daemon starts at log-in."""
    return plan(config).files[0][0].exists()


def status(config: Config) -> list[str]:
    """Return in words what is installed."""
    made = plan(config)
    lines = []
    for path, content in made.files:
        if not path.exists():
            lines.append(f"not there: {path}")
        elif path.read_bytes() != content:
            lines.append(f"differs from what `service install` would write: {path}")
        else:
            lines.append(f"installed: {path}")
    return [f"{TITLES[made.kind]} {made.name}", *lines]


def start_supervised(config: Config) -> bool:
    """Start the installed service by the system that supervises it; False if there is none."""
    made = plan(config)
    if made.kind is not Kind.SYSTEMD or not is_installed(config):
        return False
    return _try(("systemctl", "--user", "start", f"{made.name}.service"))


def command_of(config: Config, *words: str, is_windowless: bool = False) -> tuple[str, ...]:
    """Return the command line that runs this program with this Python, whatever the PATH will be."""
    python = Path(sys.executable)
    if is_windowless and sys.platform == "win32":
        python = python.with_name("pythonw.exe")
    # -P: a folder `nst_daemon` that lies where we are started is not ours.
    return str(python), "-P", "-m", "nst_daemon", *words, "--config", str(config.source)


# ── the platforms ───────────────────────────────────────────────────────────────────────────────────────


def _name(config: Config) -> str:
    """Return the service's name; one of its own for each config that is not the default one."""
    if config.source == platformdirs.user_config_path(APP, appauthor=False) / "config.yaml":
        return APP
    return f"{APP}-{hashlib.sha256(os.fsencode(config.source)).hexdigest()[:8]}"


def _systemd(config: Config) -> Plan:
    name = _name(config)
    folder = _config_home() / "systemd" / "user"
    unit = folder / f"{name}.service"
    # default.target has no DISPLAY: the tray comes with the desktop, by an entry of its own.
    files = [(unit, service_files.systemd_unit(command_of(config, "run", "--no-tray")).encode())]
    if config.tray is not TrayMode.OFF:
        files.append(_entry(f"{name}-tray", command_of(config, "tray")))
    return Plan(
        kind=Kind.SYSTEMD,
        name=name,
        files=tuple(files),
        # What `systemctl enable` makes; by hand, because that wants a bus.
        links=((folder / "default.target.wants" / unit.name, unit),),
        before_install=(("systemctl", "--user", "daemon-reload"),),
        after_removal=(("systemctl", "--user", "daemon-reload"),),
        hint=LINGER_HINT,
    )


def _autostart(config: Config) -> Plan:
    name = _name(config)
    entry = _entry(name, command_of(config, "run"))
    return Plan(kind=Kind.AUTOSTART, name=name, files=(entry,), hint="It starts with your desktop.")


def _entry(name: str, command: Sequence[str]) -> tuple[Path, bytes]:
    path = _config_home() / "autostart" / f"{name}.desktop"
    return path, service_files.desktop_entry(command).encode()


def _launchd(config: Config) -> Plan:
    name = LABEL + _name(config).removeprefix(APP)
    path = Path.home() / "Library" / "LaunchAgents" / f"{name}.plist"
    agent = service_files.launchd_agent(name, command_of(config, "run"), config.state_dir / "daemon.out")
    domain = f"gui/{os.getuid() if hasattr(os, 'getuid') else 0}"
    return Plan(
        kind=Kind.LAUNCHD,
        name=name,
        files=((path, agent),),
        before_install=(("launchctl", "bootout", f"{domain}/{name}"),),
        after_install=(("launchctl", "bootstrap", domain, str(path)),),
        after_removal=(("launchctl", "bootout", f"{domain}/{name}"),),
        hint="It runs now, and whenever you log in.",
    )


def _windows(config: Config) -> Plan:
    name = _name(config)
    path = config.state_dir / f"{name}.task.xml"
    user = f"{os.environ.get('USERDOMAIN', '.')}\\{getpass.getuser()}"
    task = service_files.windows_task(user, command_of(config, "run", is_windowless=True))
    return Plan(
        kind=Kind.WINDOWS,
        name=name,
        files=((path, task),),
        after_install=(("schtasks", "/Create", "/TN", name, "/XML", str(path), "/F"),),
        after_removal=(("schtasks", "/Delete", "/TN", name, "/F"),),
        hint="It starts when you log on.",
    )


def _config_home() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _try(command: tuple[str, ...]) -> bool:
    try:
        _must(command)
    except MissingError as error:
        logger.debug("%s", error)
        return False
    return True


def _must(command: tuple[str, ...]) -> None:
    program = shutil.which(command[0])
    if program is None:
        raise MissingError(f"{command[0]} is not on this machine.")
    try:
        done = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, timeout=TOOL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingError(f"{command[0]} did not answer: {error}.") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise MissingError(f"`{' '.join(command)}` failed: {said}", remedy="Try it by hand.")
