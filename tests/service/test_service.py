import os
import plistlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from nst_daemon import config
from nst_daemon.cli import setup as cli_setup
from nst_daemon.config import Config
from nst_daemon.service import files as service_files
from nst_daemon.service import installing as service
from nst_daemon.service.kinds import Kind

ODD = ("/opt/my apps/python", "-m", "nst_daemon", 'say "hi"', "100%", "$HOME", "back\\slash")
TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


@pytest.fixture
def loaded(tmp_path: Path) -> Config:
    home = tmp_path / "my pictures & co"
    cli_setup.make(home / "config.yaml", home, {"style": "mosaic"})
    return config.load(home / "config.yaml")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install as on Linux without systemd: nothing but files."""
    monkeypatch.setattr(service, "kind_here", lambda: Kind.AUTOSTART)


def section(text: str, name: str) -> dict[str, str]:
    body = text.split(f"[{name}]\n")[1].split("\n[")[0]
    return dict(line.split("=", 1) for line in body.splitlines() if "=" in line and line[0] != "#")


# ── systemd ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_unit_is_supervised_and_gives_up_on_a_wrong_config(loaded: Config) -> None:
    (_, content), *_ = service.plan(loaded, Kind.SYSTEMD).files
    keys = section(content.decode(), "Service")
    assert keys["Type"] == "notify"
    assert int(keys["WatchdogSec"]) >= 60
    assert keys["Restart"] == "on-failure"
    assert keys["RestartPreventExitStatus"].split() == ["2", "4"]
    assert shlex.split(keys["ExecStart"])[-2:] == ["--config", str(loaded.source)]
    assert "--no-tray" in keys["ExecStart"]


def test_systemd_has_nothing_to_say_about_the_unit(loaded: Config, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("NOT TESTED: systemd-analyze is missing. Debian: apt-get install systemd")
    Path(os.environ["XDG_RUNTIME_DIR"]).mkdir()  # without one it does not begin
    unit = tmp_path / "nst-daemon.service"
    unit.write_bytes(service.plan(loaded, Kind.SYSTEMD).files[0][1])
    command = ["systemd-analyze", "--user", "verify", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    # It exits 0 on a value that it does not understand: what counts is that it prints nothing about us.
    said = [line for line in (done.stdout + done.stderr).splitlines() if "nst-daemon" in line]
    assert (said, done.returncode) == ([], 0)


def test_systemd_reads_back_odd_words_as_they_were() -> None:
    line = section(service_files.systemd_unit(ODD), "Service")["ExecStart"]
    assert shlex.split(line.replace("%%", "%").replace("$$", "$")) == list(ODD)


def test_the_unit_is_enabled_by_a_link_and_the_tray_comes_with_the_desktop(loaded: Config) -> None:
    made = service.plan(loaded, Kind.SYSTEMD)
    (unit, _), (entry, content) = made.files
    assert made.links == ((unit.parent / "default.target.wants" / unit.name, unit),)
    assert entry.parent.name == "autostart"
    keys = section(content.decode(), "Desktop Entry")
    assert keys["Name"] == "nst-daemon"
    assert " tray --config " in keys["Exec"]
    assert "enable-linger" in made.hint


# ── the others ──────────────────────────────────────────────────────────────────────────────────────────


def test_launchd_reads_the_agent(loaded: Config) -> None:
    (path, content), *_ = service.plan(loaded, Kind.LAUNCHD).files
    agent = plistlib.loads(content)
    assert path.name == f"{agent['Label']}.plist"
    assert agent["ProgramArguments"][-2:] == ["--config", str(loaded.source)]
    assert agent["RunAtLoad"] is True
    assert agent["KeepAlive"] == {"SuccessfulExit": False}


def test_windows_reads_the_task(loaded: Config) -> None:
    (_, content), *_ = service.plan(loaded, Kind.WINDOWS).files
    assert content.startswith((b"\xff\xfe", b"\xfe\xff"))
    task = ET.fromstring(content)
    words = task.findtext(f".//{TASK}Arguments") or ""
    assert words.endswith(f'--config "{loaded.source}"')
    assert task.findtext(f".//{TASK}ExecutionTimeLimit") == "PT0S"
    assert task.findtext(f".//{TASK}StopIfGoingOnBatteries") == "false"
    assert task.findtext(f".//{TASK}LogonTrigger/{TASK}UserId")


def test_the_desktop_shows_the_entry_by_the_programs_name_whatever_the_config(loaded: Config) -> None:
    made = service.plan(loaded, Kind.AUTOSTART)
    ((path, content),) = made.files
    assert path.name == f"{made.name}.desktop" != "nst-daemon.desktop"
    assert section(content.decode(), "Desktop Entry")["Name"] == "nst-daemon"


def test_a_desktop_entry_escapes_what_a_shell_would_read() -> None:
    line = section(service_files.desktop_entry(ODD), "Desktop Entry")["Exec"]
    once = line.replace("\\\\", "\\")  # as a value of a key is read, before it is split
    assert shlex.split(once.replace("%%", "%").replace("\\$", "$")) == list(ODD)


def test_every_config_has_a_service_of_its_own(loaded: Config, no_home: Path) -> None:
    default = cli_setup.make(config.default_path(), no_home / "p", {})
    assert service.plan(config.load(default), Kind.SYSTEMD).name == "nst-daemon"
    assert service.plan(loaded, Kind.SYSTEMD).name.startswith("nst-daemon-")


# ── install and uninstall ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(sys.platform == "win32", reason="links want a right there")
@pytest.mark.parametrize("kind", [Kind.SYSTEMD, Kind.AUTOSTART])
def test_install_twice_and_uninstall_twice_leave_nothing(
    kind: Kind, loaded: Config, no_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "kind_here", lambda: kind)
    monkeypatch.setattr(service, "_must", lambda _: None)
    before = set(no_home.rglob("*.*"))
    first = service.install(loaded)
    files = {path: path.read_bytes() for path, _ in first.files}
    assert service.is_installed(loaded)
    service.install(loaded)
    assert {path: path.read_bytes() for path, _ in first.files} == files
    assert all(link.resolve() == target.resolve() for link, target in first.links)
    assert service.uninstall(loaded) is True
    assert service.uninstall(loaded) is False
    assert not service.is_installed(loaded)
    assert {path for path in no_home.rglob("*.*") if path.is_file()} == before


def test_status_tells_a_stale_installation(loaded: Config, here: None) -> None:
    assert "not there" in service.status(loaded)[1]
    made = service.install(loaded)
    assert "installed" in service.status(loaded)[1]
    made.files[0][0].write_text("an older one")
    assert "differs" in service.status(loaded)[1]
