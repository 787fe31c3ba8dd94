"""Starts the daemon, or a seat of a farm, at log-in: installs, removes and judges what that takes.

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

from nst_daemon.config import APP, Config, TrayMode, state_home
from nst_daemon.errors import MissingError
from nst_daemon.service import files as service_files
from nst_daemon.service.kinds import TITLES, Kind

logger = logging.getLogger(__name__)

TOOL_SECONDS: Final = 30.0  # systemctl, launchctl and schtasks answer in less
LABEL: Final = "io.github.nst-daemon"
FARM: Final = f"{APP}-farm"  # one a machine: two would lend the same devices
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
    start: tuple[str, ...] = ()  # the command that starts it now; none: it has begun, or has to wait


def kind_here() -> Kind:
    """Return what starts programs at log-in on this machine."""
    if sys.platform == "win32":
        return Kind.WINDOWS
    if sys.platform == "darwin":
        return Kind.LAUNCHD
    return Kind.SYSTEMD if Path("/run/systemd/system").is_dir() else Kind.AUTOSTART


def plan(config: Config, kind: Kind | None = None) -> Plan:
    """Return what starts the daemon at log-in here; for another kind, what would there with our paths."""
    name = _name(config)
    start = (APP, "start")
    match kind or kind_here():
        case Kind.SYSTEMD:
            unit = service_files.systemd_unit(command_of(config, "run", "--no-tray"))
            # default.target has no DISPLAY: the tray comes with the desktop, by an entry of its own.
            entry = service_files.desktop_entry(command_of(config, "tray"))
            trays = [] if config.tray is TrayMode.OFF else [_entry(f"{name}-tray", entry)]
            return _systemd(name, unit, *trays, start=start)
        case Kind.AUTOSTART:
            return _autostart(name, service_files.desktop_entry(command_of(config, "run")), start=start)
        case Kind.LAUNCHD:
            return _launchd(name, command_of(config, "run"), config.state_dir / "daemon.out")
        case Kind.WINDOWS:
            command = command_of(config, "run", is_windowless=True)
            task = service_files.windows_task(_user(), command)
            return _windows(name, config.state_dir, task, start=start)


def farm_plan(join: Path, kind: Kind | None = None, *, shared: Sequence[Path] = ()) -> Plan:
    """Return what starts `farm join` at log-in, beside a daemon or without one.

    `shared`: the folders, from the root, that the coordinator sees, too.
    """
    # A link stays a link: keys are renewed behind it.
    words = ("farm", "join", str(join.absolute()), *_shared(shared))
    purpose = service_files.SEAT
    match kind or kind_here():
        case Kind.SYSTEMD:
            unit = service_files.systemd_unit(_command(*words), purpose=purpose, is_watched=False)
            return _systemd(FARM, unit, start=("systemctl", "--user", "restart", FARM))
        case Kind.AUTOSTART:
            entry = service_files.desktop_entry(_command(*words), title="nst-daemon farm", purpose=purpose)
            return _autostart(FARM, entry, start=(APP, *words))
        case Kind.LAUNCHD:
            # There for every account, where no state folder is before the first seat.
            return _launchd(FARM, _command(*words), Path.home() / "Library" / "Logs" / f"{FARM}.log")
        case Kind.WINDOWS:
            command = _command(*words, is_windowless=True)
            task = service_files.windows_task(_user(), command, purpose=purpose)
            return _windows(FARM, state_home(), task, start=("schtasks", "/Run", "/TN", FARM))


def _shared(folders: Sequence[Path]) -> tuple[str, ...]:
    return tuple(word for folder in folders for word in ("--shared", str(folder)))


def install(made: Plan) -> None:
    """Have it start at log-in; a second call mends what is amiss, and changes nothing else.

    Raises:
        MissingError: a file cannot be written, or the system's own tool refuses.
    """
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


def uninstall(made: Plan) -> bool:
    """Take it all away; return whether there was anything. What runs goes on.

    Raises:
        MissingError: a file cannot be removed.
    """
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


def is_installed(made: Plan) -> bool:
    """Return whether it starts at log-in."""
    return made.files[0][0].exists()


def status(made: Plan) -> list[str]:
    """Return in words what is installed."""
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
    """Start the daemon's installed service by the system that supervises it; False if there is none."""
    made = plan(config)
    if made.kind is not Kind.SYSTEMD or not is_installed(made):
        return False
    return _try(("systemctl", "--user", "start", f"{made.name}.service"))


def command_of(config: Config, *words: str, is_windowless: bool = False) -> tuple[str, ...]:
    """Return the command line that runs this program with this Python, whatever the PATH will be."""
    return _command(*words, "--config", str(config.source), is_windowless=is_windowless)


def _command(*words: str, is_windowless: bool = False) -> tuple[str, ...]:
    python = Path(sys.executable)
    if is_windowless and sys.platform == "win32":
        python = python.with_name("pythonw.exe")
    # -P: a folder `nst_daemon` that lies where we are started is not ours.
    return str(python), "-P", "-m", "nst_daemon", *words


# ── the platforms ───────────────────────────────────────────────────────────────────────────────────────


def _name(config: Config) -> str:
    """Return the service's name; one of its own for each config that is not the default one."""
    if config.source == platformdirs.user_config_path(APP, appauthor=False) / "config.yaml":
        return APP
    return f"{APP}-{hashlib.sha256(os.fsencode(config.source)).hexdigest()[:8]}"


def _systemd(name: str, content: str, *more: tuple[Path, bytes], start: tuple[str, ...]) -> Plan:
    folder = _config_home() / "systemd" / "user"
    unit = folder / f"{name}.service"
    return Plan(
        kind=Kind.SYSTEMD,
        name=name,
        files=((unit, content.encode()), *more),
        # What `systemctl enable` makes; by hand, because that wants a bus.
        links=((folder / "default.target.wants" / unit.name, unit),),
        before_install=(("systemctl", "--user", "daemon-reload"),),
        after_removal=(("systemctl", "--user", "daemon-reload"),),
        hint=LINGER_HINT,
        start=start,
    )


def _autostart(name: str, content: str, *, start: tuple[str, ...]) -> Plan:
    return Plan(
        kind=Kind.AUTOSTART,
        name=name,
        files=(_entry(name, content),),
        hint="It starts with your desktop.",
        start=start,
    )


def _entry(name: str, content: str) -> tuple[Path, bytes]:
    return _config_home() / "autostart" / f"{name}.desktop", content.encode()


def _launchd(name: str, command: Sequence[str], output: Path) -> Plan:
    label = LABEL + name.removeprefix(APP)
    path = Path.home() / "Library" / "LaunchAgents" / f"{label}.plist"
    domain = f"gui/{os.getuid() if hasattr(os, 'getuid') else 0}"
    return Plan(
        kind=Kind.LAUNCHD,
        name=label,
        files=((path, service_files.launchd_agent(label, command, output)),),
        before_install=(("launchctl", "bootout", f"{domain}/{label}"),),
        after_install=(("launchctl", "bootstrap", domain, str(path)),),
        after_removal=(("launchctl", "bootout", f"{domain}/{label}"),),
        hint="It runs now, and whenever you log in.",
    )


def _windows(name: str, folder: Path, task: bytes, *, start: tuple[str, ...]) -> Plan:
    path = folder / f"{name}.task.xml"
    return Plan(
        kind=Kind.WINDOWS,
        name=name,
        files=((path, task),),
        after_install=(("schtasks", "/Create", "/TN", name, "/XML", str(path), "/F"),),
        after_removal=(("schtasks", "/Delete", "/TN", name, "/F"),),
        hint="It starts when you log on.",
        start=start,
    )


def _user() -> str:
    """Return who logs on, as Windows names him."""
    return f"{os.environ.get('USERDOMAIN', '.')}\\{getpass.getuser()}"


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
