# ruff: noqa: F811  fixtures are imported by name
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import Ask, ask, home, loaded  # noqa: F401

from nst_daemon.cli import farm as cli_farm
from nst_daemon.config import Config
from nst_daemon.errors import ExitCode
from nst_daemon.farm.keys import read_join
from nst_daemon.system import extras, machine

NAMES = [command.__name__ for command in cli_farm.COMMANDS]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_the_farm_has_help_with_an_example_and_takes_a_config(ask: Ask, name: str) -> None:
    answer = ask("farm", name, "--help")
    assert answer.code == ExitCode.FINE
    assert f"Example: nst-daemon farm {name}" in " ".join(answer.out.split())
    assert ("--config" in answer.out) is (name != "join")  # a machine that lends has none


def test_init_prints_where_the_join_file_is_and_that_it_is_a_key(ask: Ask, loaded: Config) -> None:
    answer = ask("farm", "init", "--host", "studio")
    assert answer.code == ExitCode.FINE
    path = Path(answer.out.strip())
    assert path == loaded.state_dir / "farm" / "join.json"
    assert read_join(path).address == "tls://studio:8786"
    assert "whoever holds it may run code on every machine of this farm" in answer.err
    assert "nst-daemon farm join join.json" in answer.err
    assert "farm: {listen: 'tls://studio:8786'}" in answer.err


def test_init_keeps_the_keys_unless_they_are_to_be_renewed(ask: Ask, loaded: Config) -> None:
    path = loaded.state_dir / "farm" / "join.json"
    assert "Made the keys" in ask("farm", "init", "--host", "studio").err
    first = read_join(path)
    assert "Kept the keys" in ask("farm", "init", "--host", "10.0.0.1:9000").err
    second = read_join(path)
    assert (second.address, second.key) == ("tls://10.0.0.1:9000", first.key)
    assert "Made the keys" in ask("farm", "init", "--host", "studio", "--renew").err
    assert read_join(path).ca != first.ca


def test_init_takes_the_address_that_this_machine_has(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "own_address", lambda: "10.1.2.3")
    assert "tls://10.1.2.3:8786" in ask("farm", "init").err
    monkeypatch.setattr(machine, "own_address", lambda: None)
    answer = ask("farm", "init")
    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert "--host NAME" in answer.err


@pytest.mark.parametrize("host", ["0.0.0.0", "a b", "studio:x"])
def test_a_host_that_nobody_could_dial_is_wrong_usage(ask: Ask, host: str, loaded: Config) -> None:
    answer = ask("farm", "init", "--host", host)
    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert not (loaded.state_dir / "farm").exists()


def test_init_says_which_extra_is_missing(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda package: package != "distributed")
    answer = ask("farm", "init", "--host", "studio")
    assert answer.code == ExitCode.MISSING
    assert "pip install 'nst-daemon[farm]'" in answer.err


def test_nothing_of_a_farm_is_imported_unless_it_is_used() -> None:
    words = "import sys; import nst_daemon.cli.app, nst_daemon.daemon.daemon; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert not {"cryptography", "distributed", "dask", "tornado", "nst_daemon.farm.link"} & set(
        done.stdout.split()
    )


def test_status_and_drain_say_what_to_do_where_there_is_nobody(ask: Ask, loaded: Config) -> None:
    answer = ask("farm", "status")
    assert (answer.code, answer.out) == (ExitCode.FINE, "")
    assert "nst-daemon start" in answer.err
    assert ask("farm", "status", "--json").json == []
    assert "nst-daemon farm status" in ask("farm", "drain", "gpu1").err
    assert ask("farm", "drain").code == ExitCode.USAGE
    assert ask("farm", "drain", "gpu1", "--all").code == ExitCode.USAGE


def test_join_refuses_what_it_cannot_use_with_the_promised_codes(ask: Ask, tmp_path: Path) -> None:
    assert ask("farm", "join", str(tmp_path / "nowhere.json")).code == ExitCode.USAGE
    join = tmp_path / "join.json"
    join.write_text('{"farm": 1, "address": "tcp://127.0.0.1:1"}')
    join.chmod(0o600)
    for words in (("--devices", "tpu"), ("--name", "a/b")):
        answer = ask("farm", "join", str(join), *words)
        assert answer.code == ExitCode.USAGE
        assert "Example" in answer.err or "gpu1" in answer.err
    assert ask("farm", "join", str(join), "--devices", "xpu").code == ExitCode.MISSING
