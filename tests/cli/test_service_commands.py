# ruff: noqa: F811  fixtures are imported by name
import os
import plistlib
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import psutil
import pytest
from support.commands import Answer, Ask, ask, home, loaded  # noqa: F401
from support.desktops import WaitFor

from nst_daemon.cli import common as cli_common
from nst_daemon.config import Config
from nst_daemon.disk import locks
from nst_daemon.errors import ExitCode, NotRunningError
from nst_daemon.farm.keys import Join, write_join
from nst_daemon.ledger import Ledger
from nst_daemon.service import background
from nst_daemon.service import installing as service
from nst_daemon.service.kinds import Kind
from nst_daemon.system import extras


@pytest.fixture(autouse=True)
def only_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep these tests from this machine's own systemd."""
    monkeypatch.setattr(service, "kind_here", lambda: Kind.AUTOSTART)
    for variable in ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "NOTIFY_SOCKET"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def stopped(loaded: Config) -> Iterator[None]:
    """End what a test has started, also where it failed."""
    yield
    try:
        background.stop(loaded)
    except NotRunningError:
        return


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).wait(0) is not None
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False


def test_start_returns_when_the_daemon_watches_and_stop_when_it_has_ended(
    ask: Ask,
    loaded: Config,
    stopped: None,
    wait_for: WaitFor,
) -> None:
    started = ask("start")
    pid = locks.holder(loaded.state_dir)
    assert (started.code, started.out) == (0, "")
    assert pid is not None
    assert f"(process {pid})" in started.err
    if hasattr(os, "getsid"):
        assert os.getsid(pid) == pid  # it outlives the terminal
    with Ledger(cli_common.ledger_path(loaded)) as ledger:
        assert ledger.presence.ready_pid() == pid
    assert ask("status", "--json").json["running"] is True

    again = ask("start")
    assert again.code == 4
    assert str(pid) in again.err

    restarted = ask("restart")
    other = locks.holder(loaded.state_dir)
    assert restarted.code == 0
    assert other not in (None, pid)

    assert ask("stop").code == 0
    assert locks.holder(loaded.state_dir) is None
    assert ask("stop").code == 5
    assert other is not None
    for each in (pid, other):
        wait_for(lambda pid=each: _is_gone(pid), what="the daemon to be gone")


def test_start_says_why_the_daemon_ended_as_it_began(
    ask: Ask,
    loaded: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = loaded.source.with_name("broken.yaml")
    broken.write_text("inbox: in\noutbox: out\nsizee: 3\n")
    command = service.command_of(loaded, "run")
    monkeypatch.setattr(service, "command_of", lambda *_, **__: (*command[:-1], str(broken)))
    answer = ask("start")
    assert answer.code == 2
    assert "sizee" in answer.err


def test_a_dry_run_prints_the_files_and_writes_none(ask: Ask, no_home: Path) -> None:
    answer = ask("service", "install", "--dry-run")
    assert answer.code == 0
    assert "[Desktop Entry]" in answer.out
    assert not list(no_home.rglob("*.desktop"))


HERE = "pictures/config.yaml"  # of the config that every file is to name


def _files(answer: Answer) -> dict[str, str]:
    """Return what was printed, by the names of the files."""
    parts = [part.partition("\n") for part in re.split(r"^# (?=/)", answer.out, flags=re.M)[1:]]
    return {Path(path).name: text for path, _, text in parts}


@pytest.mark.parametrize("here", Kind)
@pytest.mark.parametrize("kind", Kind)
def test_a_dry_run_prints_the_files_of_any_platform_on_any_machine(
    ask: Ask, home: Path, no_home: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, here: Kind
) -> None:
    monkeypatch.setattr(service, "kind_here", lambda: here)
    before = {path: path.stat().st_mtime_ns for top in (home, no_home) for path in top.rglob("*")}
    answer = ask("service", "install", "--dry-run", "--for", kind)
    assert answer.code == 0
    assert {path: path.stat().st_mtime_ns for top in (home, no_home) for path in top.rglob("*")} == before
    endings = {
        Kind.SYSTEMD: [".service", ".desktop"],  # the tray comes with the desktop
        Kind.LAUNCHD: [".plist"],
        Kind.WINDOWS: [".xml"],
        Kind.AUTOSTART: [".desktop"],
    }
    files = _files(answer)
    assert [Path(name).suffix for name in files] == endings[kind]
    assert all(HERE in text for text in files.values())
    first = next(iter(files.values()))
    if kind is Kind.SYSTEMD:
        assert "[Service]\nType=notify\nExecStart=" in first
    elif kind is Kind.LAUNCHD:
        assert plistlib.loads(first.encode())["RunAtLoad"] is True
    elif kind is Kind.WINDOWS:
        assert ET.fromstring(first).tag.endswith("}Task")
        assert "\r" not in first
    else:
        assert "\nName=nst-daemon\n" in first


@pytest.mark.parametrize(
    "words",
    [("uninstall", "--dry-run"), ("status", "--dry-run"), ("install", "--for", "systemd")],
    ids=" ".join,
)
def test_a_dry_run_that_makes_no_sense_changes_nothing_and_is_refused(
    ask: Ask, no_home: Path, words: tuple[str, ...]
) -> None:
    answer = ask("service", *words)
    assert answer.code == 2
    assert "goes with" in answer.err
    assert not list(no_home.rglob("*.desktop"))


def test_service_is_installed_seen_and_removed(ask: Ask, no_home: Path) -> None:
    assert ask("service", "status").code == 3
    assert ask("service", "install").code == 0
    assert ask("service", "install").code == 0
    assert len(list(no_home.rglob("*.desktop"))) == 1
    status = ask("service", "status")
    assert (status.code, "installed:" in status.out) == (0, True)
    assert "Removed" in ask("service", "uninstall").err
    assert "nothing" in ask("service", "uninstall").err
    assert not list(no_home.rglob("*.desktop"))


# ── a seat of a farm ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def join(tmp_path: Path) -> Path:
    """Return a join file that is of use on this machine."""
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    write_join(folder / "join.json", Join("tcp://127.0.0.1:8786"))
    return folder / "join.json"


def test_a_seat_is_installed_seen_and_removed_without_a_config(
    ask: Ask, home: Path, join: Path, no_home: Path
) -> None:
    (home / "config.yaml").unlink()
    assert ask("service", "status", "--farm", join).code == ExitCode.MISSING
    installed = ask("service", "install", "--farm", join)
    assert (installed.code, installed.out) == (ExitCode.FINE, "")
    assert f"`nst-daemon farm join {join}` starts it now" in installed.err
    assert ask("service", "install", "--farm", join).code == ExitCode.FINE
    (entry,) = no_home.rglob("*.desktop")
    assert entry.name == "nst-daemon-farm.desktop"
    assert f"farm join {join}\n" in entry.read_text()
    status = ask("service", "status", "--farm", join)
    assert (status.code, f"installed: {entry}" in status.out) == (ExitCode.FINE, True)
    join.unlink()  # it may be gone by then
    assert "Removed" in ask("service", "uninstall", "--farm", join).err
    assert "nothing" in ask("service", "uninstall", "--farm", join).err
    assert not list(no_home.rglob("*.desktop"))


def test_a_seat_that_shares_folders_is_installed_seen_and_removed(
    ask: Ask, join: Path, tmp_path: Path, no_home: Path
) -> None:
    photos, styles = tmp_path / "my photos", tmp_path / "100%"
    photos.mkdir()
    styles.mkdir()
    shared = ("--shared", photos, "--shared", styles)
    installed = ask("service", "install", "--farm", join, *shared)
    assert installed.code == ExitCode.FINE
    assert f"farm join {join} --shared '{photos}' --shared {styles}` starts it now" in installed.err
    (entry,) = no_home.rglob("*.desktop")
    assert f'farm join {join} --shared "{photos}" --shared {styles}%\n' in entry.read_text()
    assert f"installed: {entry}" in ask("service", "status", "--farm", join, *shared).out
    assert "differs" in ask("service", "status", "--farm", join).out
    photos.rmdir()  # a share that is not mounted just now
    assert f"installed: {entry}" in ask("service", "status", "--farm", join, *shared).out
    assert "Removed" in ask("service", "uninstall", "--farm", join).err
    assert not list(no_home.rglob("*.desktop"))


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("install", "--farm", "JOIN", "--shared", "photos"), "from the root: --shared /"),
        (("install", "--farm", "JOIN", "--shared", "/nowhere/photos"), "Mount or make it"),
        (("install", "--farm", "JOIN", "--shared", "JOIN"), "Mount or make it"),
        (("install", "--farm", "JOIN", "--shared", "photos", "--dry-run"), "from the root"),
        (("install", "--shared", "/"), "service install --farm FILE"),
        (("uninstall", "--farm", "JOIN", "--shared", "/"), "service install --farm FILE"),
    ],
)
def test_a_folder_that_cannot_be_shared_is_refused_with_the_way_out(
    ask: Ask, join: Path, no_home: Path, words: tuple[str, ...], remedy: str
) -> None:
    answer = ask("service", *(str(join) if word == "JOIN" else word for word in words))
    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert remedy in answer.err
    assert not list(no_home.rglob("*.desktop"))


def test_a_seat_and_the_daemon_have_services_of_their_own(ask: Ask, join: Path, no_home: Path) -> None:
    assert ask("service", "install", "--farm", join).code == ExitCode.FINE
    assert ask("service", "status").code == ExitCode.MISSING
    assert "`nst-daemon start` starts it now" in ask("service", "install").err
    assert len(list(no_home.rglob("*.desktop"))) == 2
    assert ask("service", "uninstall").code == ExitCode.FINE
    assert ask("service", "status", "--farm", join).code == ExitCode.FINE


@pytest.mark.parametrize("words", [(), ("--dry-run",)], ids=["install", "dry run"])
def test_a_join_file_that_could_not_be_joined_by_is_refused_at_once(
    ask: Ask, join: Path, no_home: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    answer = ask("service", "install", "--farm", join.with_name("nowhere.json"), *words)
    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert "nst-daemon farm init" in answer.err
    write_join(join, Join("tcp://10.0.0.1:8786"))  # which would go in the clear
    assert ask("service", "install", "--farm", join, *words).code == ExitCode.USAGE
    join.write_text("{}")
    assert ask("service", "install", "--farm", join, *words).code == ExitCode.USAGE
    monkeypatch.setattr(extras, "is_installed", lambda package: package != "distributed")
    answer = ask("service", "install", "--farm", join, *words)
    assert answer.code == ExitCode.MISSING
    assert "pip install 'nst-daemon[farm]'" in answer.err
    assert not list(no_home.rglob("*.desktop"))


@pytest.mark.skipif(os.name != "posix", reason="rights as on POSIX")
def test_a_join_file_that_others_may_read_is_refused(ask: Ask, join: Path, no_home: Path) -> None:
    join.chmod(0o644)
    answer = ask("service", "install", "--farm", join)
    assert answer.code == ExitCode.USAGE
    assert "chmod 600" in answer.err
    assert not list(no_home.rglob("*.desktop"))


@pytest.mark.parametrize("kind", Kind)
def test_a_dry_run_prints_how_a_seat_is_started_on_any_platform(
    ask: Ask, join: Path, no_home: Path, kind: Kind
) -> None:
    answer = ask("service", "install", "--farm", join, "--dry-run", "--for", kind)
    assert answer.code == ExitCode.FINE
    ((name, text),) = _files(answer).items()
    assert "farm" in name
    assert str(join) in text
    assert not list(no_home.rglob("*farm*"))


def test_a_seat_has_no_config(ask: Ask, loaded: Config, join: Path, no_home: Path) -> None:
    answer = ask("service", "install", "--farm", join, "--config", loaded.source)
    assert answer.code == ExitCode.USAGE
    assert "--config" in answer.err
    assert not list(no_home.rglob("*.desktop"))
