"""Where the state folder lies, and who may read it."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nst_daemon.cli.app import app
from nst_daemon.daemon import state_dir
from nst_daemon.ledger import Ledger
from nst_daemon.ledger import file as ledger_file


def test_a_local_and_private_folder_has_no_problem(tmp_path: Path) -> None:
    with Ledger(tmp_path / "state" / "ledger.db") as ledger:
        assert state_dir.problems(ledger.file) == []
    assert state_dir.place_problems(tmp_path / "none yet") == []


@pytest.mark.parametrize(("mode", "is_remote"), [("wal", True), ("delete", False)])
def test_a_network_disk_is_told_by_its_kind_and_by_the_journal_that_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, is_remote: bool
) -> None:
    monkeypatch.setattr(state_dir, "is_silent", lambda folder: is_remote)
    monkeypatch.setattr(ledger_file, "_switch_to_wal", lambda db: mode)
    with Ledger(tmp_path / "state" / "ledger.db") as ledger:
        (problem,) = state_dir.problems(ledger.file)
    assert problem.code == "state_dir_remote"
    assert "local disk" in problem.remedy


def test_check_names_a_network_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_dir, "is_silent", lambda folder: folder.name == "state")
    for name in ("inbox", "outbox", "styles"):
        (tmp_path / name).mkdir()
    (tmp_path / "config.yaml").write_text(
        "inbox: inbox\noutbox: outbox\nstate_dir: state\ntray: off\nengine: {device: xpu}\n"
    )
    result = CliRunner().invoke(app, ["check", "--config", str(tmp_path / "config.yaml")])
    assert result.exit_code == 3
    assert "lies on a network disk" in result.output
    assert "state_dir_remote" in result.output


@pytest.mark.skipif(os.name == "nt", reason="no rights as on POSIX")
def test_a_folder_that_cannot_be_closed_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nst_daemon.disk.private._close", lambda path: False)
    (tmp_path / "state").mkdir(mode=0o755)
    with Ledger(tmp_path / "state" / "ledger.db") as ledger:
        (problem,) = state_dir.problems(ledger.file)
    assert problem.code == "state_dir_open"
