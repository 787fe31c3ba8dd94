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
from nst_daemon.farm import joining
from nst_daemon.service import files as service_files
from nst_daemon.service import installing as service
from nst_daemon.service.kinds import Kind

ODD = ("/opt/my apps/python", "-m", "nst_daemon", 'say "hi"', "100%", "$HOME", "back\\slash")
JOIN = Path("/keys of ours/join.json")
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


@pytest.mark.parametrize("of", ["the daemon", "a seat"])
def test_systemd_has_nothing_to_say_about_the_unit(loaded: Config, tmp_path: Path, of: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("NOT TESTED: systemd-analyze is missing. Debian: apt-get install systemd")
    Path(os.environ["XDG_RUNTIME_DIR"]).mkdir()  # without one it does not begin
    unit = tmp_path / "nst-daemon.service"
    made = service.farm_plan(JOIN, Kind.SYSTEMD) if of == "a seat" else service.plan(loaded, Kind.SYSTEMD)
    unit.write_bytes(made.files[0][1])
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
    made = service.plan(loaded)
    service.install(made)
    assert all(path.read_bytes() == content for path, content in made.files)
    assert service.is_installed(made)
    service.install(made)
    assert all(path.read_bytes() == content for path, content in made.files)
    assert all(link.resolve() == target.resolve() for link, target in made.links)
    assert service.uninstall(made) is True
    assert service.uninstall(made) is False
    assert not service.is_installed(made)
    assert {path for path in no_home.rglob("*.*") if path.is_file()} == before


def test_status_tells_a_stale_installation(loaded: Config, here: None) -> None:
    made = service.plan(loaded)
    assert "not there" in service.status(made)[1]
    service.install(made)
    assert "installed" in service.status(made)[1]
    made.files[0][0].write_text("an older one")
    assert "differs" in service.status(made)[1]


# ── a seat of a farm ────────────────────────────────────────────────────────────────────────────────────


def words_of(made: service.Plan) -> list[str]:
    """Return the command line that a plan's first file starts."""
    content = made.files[0][1]
    match made.kind:
        case Kind.LAUNCHD:
            return list(plistlib.loads(content)["ProgramArguments"])
        case Kind.WINDOWS:
            return shlex.split(ET.fromstring(content).findtext(f".//{TASK}Arguments") or "")
        case Kind.SYSTEMD:
            return shlex.split(section(content.decode(), "Service")["ExecStart"])
        case Kind.AUTOSTART:
            return shlex.split(section(content.decode(), "Desktop Entry")["Exec"])


@pytest.mark.parametrize("kind", Kind)
def test_a_seat_is_started_by_its_join_file_everywhere_and_beside_the_daemon(
    kind: Kind, loaded: Config
) -> None:
    made, daemon = service.farm_plan(JOIN, kind), service.plan(loaded, kind)
    assert words_of(made)[-5:] == ["-m", "nst_daemon", "farm", "join", str(JOIN)]
    assert made.name.endswith("-farm")
    assert not {path for path, _ in made.files} & {path for path, _ in daemon.files}
    assert not set(made.links) & set(daemon.links)
    if kind is not Kind.LAUNCHD:  # which starts it at once
        assert made.start
        assert made.start != daemon.start


@pytest.mark.parametrize("kind", Kind)
def test_a_seat_is_told_of_the_folders_that_it_shares_whatever_their_names(kind: Kind) -> None:
    shared = [Path("/mnt/my photos"), Path("/mnt/100%s & co")]
    made = service.farm_plan(JOIN, kind, shared=shared)
    percent = "%%" if kind in (Kind.SYSTEMD, Kind.AUTOSTART) else "%"  # where one alone would be a specifier
    wanted = ["--shared", str(shared[0]), "--shared", str(shared[1]).replace("%", percent)]
    assert words_of(made)[-7:] == ["farm", "join", str(JOIN), *wanted]
    assert made.files[0][0] == service.farm_plan(JOIN, kind).files[0][0]  # it is the same service


def test_a_join_file_is_named_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert words_of(service.farm_plan(Path("join.json"), Kind.SYSTEMD))[-1] == str(tmp_path / "join.json")


def test_systemd_lets_a_seat_end_what_it_has_in_hand_and_leaves_one_alone_that_was_drained() -> None:
    keys = section(service.farm_plan(JOIN, Kind.SYSTEMD).files[0][1].decode(), "Service")
    assert keys["KillMode"] == "mixed"  # SIGTERM to `farm join` alone, which tells its seats
    assert float(keys["TimeoutStopSec"]) > joining.END_SECONDS
    assert keys["Restart"] == "on-failure"
    assert keys["RestartPreventExitStatus"].split() == ["2", "4"]
    assert keys["Type"] == "exec"  # it sends no signs of life, and is not to be ended for that
    assert "WatchdogSec" not in keys


def test_launchd_lets_a_seat_end_what_it_has_in_hand() -> None:
    agent = plistlib.loads(service.farm_plan(JOIN, Kind.LAUNCHD).files[0][1])
    assert agent["ExitTimeOut"] > joining.END_SECONDS
    assert agent["KeepAlive"] == {"SuccessfulExit": False}


@pytest.mark.skipif(sys.platform == "win32", reason="links want a right there")
@pytest.mark.parametrize("kind", [Kind.SYSTEMD, Kind.AUTOSTART])
def test_daemon_and_seat_are_installed_and_removed_apart(
    kind: Kind, loaded: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_must", lambda _: None)
    daemon, seat = service.plan(loaded, kind), service.farm_plan(JOIN, kind)
    service.install(daemon)
    assert not service.is_installed(seat)
    service.install(seat)
    assert service.uninstall(daemon) is True
    assert [line.partition(":")[0] for line in service.status(seat)[1:]] == ["installed"]
    assert "differs" in service.status(service.farm_plan(Path("/other.json"), kind))[1]
    assert service.uninstall(seat) is True
    assert not service.is_installed(seat)
