import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nst_daemon.cli.app import app
from nst_daemon.editors import profiles as found_in
from nst_daemon.errors import ExitCode
from nst_daemon.folders.exchange import Editor
from nst_daemon.system import machine


@pytest.fixture(autouse=True)
def no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found_in, "PROGRAMS", dict.fromkeys(Editor, ()))


@pytest.fixture
def darktable(no_home: Path) -> Path:
    folder = no_home / ".config" / "darktable"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def krita(no_home: Path) -> Path:
    folder = no_home / ".local" / "share" / "krita"
    folder.mkdir(parents=True)
    return folder


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["editors", *words])
    return result.exit_code, result.output


def test_install_makes_all_that_a_plug_in_needs_and_says_what_to_do(darktable: Path, no_home: Path) -> None:
    code, output = run("install")
    assert code == ExitCode.FINE
    assert "export module" in output
    exchange = no_home / "Pictures" / "nst-daemon" / "editors"
    lines = (exchange / "styles.txt").read_text().splitlines()
    assert len(lines) > 5
    for line in lines:
        assert (exchange / line.split("\t")[1]).read_bytes().startswith(b"\xff\xd8")
    assert (darktable / "lua" / "nst_daemon.lua").is_file()
    code, output = run("install", "darktable")
    assert (code, "installed already" in output) == (ExitCode.FINE, True)


def test_status_says_how_each_is_and_what_is_wrong(darktable: Path) -> None:
    run("install")
    code, output = run("status", "--json")
    found = json.loads(output)
    assert code == ExitCode.FINE
    assert [(each["editor"], each["state"]) for each in found["profiles"]] == [("darktable", "well")]
    assert any("no config" in line for line in found["troubles"])


def test_an_open_exchange_folder_is_told(darktable: Path, no_home: Path) -> None:
    run("install")
    (no_home / "Pictures" / "nst-daemon" / "editors").chmod(0o755)
    assert "chmod 700" in run("status")[1]


def test_uninstall_takes_the_plug_in_away(darktable: Path) -> None:
    run("install")
    code, _ = run("uninstall", "darktable")
    assert code == ExitCode.FINE
    assert list(darktable.rglob("*.lua")) == []


@pytest.mark.usefixtures("no_home")
def test_an_editor_that_was_named_and_is_not_there_is_missing() -> None:
    code, output = run("status", "krita")
    assert (code, "There is no krita" in output) == (ExitCode.MISSING, True)


@pytest.mark.usefixtures("no_home")
def test_without_any_editor_the_command_says_so() -> None:
    assert run("install")[0] == ExitCode.MISSING


@pytest.mark.usefixtures("darktable")
def test_a_name_that_is_no_editor_is_refused_with_those_that_are() -> None:
    code, output = run("install", "photoshop")
    assert (code, "krita" in output) == (ExitCode.USAGE, True)


def test_krita_is_to_be_closed_first(krita: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "runs", lambda program: program == "krita")
    code, output = run("install", "krita")
    assert (code, "Close Krita" in output) == (ExitCode.MISSING, True)
    assert not (krita / "pykrita").exists()


def test_a_config_without_an_exchange_folder_says_what_to_set(darktable: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("inbox: in\noutbox: out\nexchange: off\n")
    code, output = run("install", "--config", str(config))
    assert (code, "exchange" in output) == (ExitCode.USAGE, True)
    assert not (darktable / "lua").exists()
