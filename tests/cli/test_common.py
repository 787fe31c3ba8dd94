import errno
import io
import sys
from collections.abc import Mapping

import pytest
import typer
from support.progress import progress
from typer.testing import CliRunner

from nst_daemon.cli import common as cli_common
from nst_daemon.cli.common import guarded
from nst_daemon.config.orders import EngineFacts
from nst_daemon.errors import ExitCode
from nst_daemon.ledger.jobs import Current, Snapshot


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return what is written to both streams from now on; call it in the test: pytest swaps them before."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return terminal


def snapshot(fractions: Mapping[int, float | None]) -> Snapshot:
    return Snapshot(
        running=True,
        pid=1,
        paused=False,
        version="0",
        engine=EngineFacts(),
        counts={},
        current=tuple(
            Current(
                job=job, photo=f"{job}.jpg", style="mosaic", progress=f if f is None else progress(fraction=f)
            )
            for job, f in fractions.items()
        ),
    )


def test_progress_is_a_line_at_each_tenth_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with cli_common.progress_shown("a.jpg") as show:
        for fraction in (0.01, 0.05, 0.11, 0.12, 0.55, 1.0):
            show(progress(fraction=fraction))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["1", "11", "55", "100"]
    assert lines[0] == "a.jpg: 1 %, 64 × 48 px, 3 s to go"


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    with cli_common.progress_shown("[a].jpg\x1b") as show:
        show(progress(fraction=0.5))
    assert "[a].jpg\\x1b" in screen.getvalue()
    assert "100%" in screen.getvalue()


def test_each_job_has_lines_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with cli_common.snapshots_shown() as show:
        show(snapshot({1: None}))
        show(snapshot({1: 0.2}))
        show(snapshot({1: 0.25, 2: 0.9}))
        show(snapshot({}))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["1.jpg in mosaic: 20 %", "2.jpg in mosaic: 90 %"]


def test_each_job_has_a_bar_and_only_the_last_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    with cli_common.snapshots_shown() as show:
        for job in range(1, 12):
            show(snapshot({job: 0.5}))
        show(snapshot({}))
    last_frame = screen.getvalue().rpartition("11.jpg in mosaic")[0][-600:]
    assert "10.jpg in mosaic" in last_frame
    assert "5.jpg in mosaic" not in last_frame


def test_a_table_has_tabs_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    cli_common.table("", ["a", "b"], [["1\t1", "2\n2"]])
    assert capsys.readouterr().out == "a\tb\n1 1\t2 2\n"


def test_a_table_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    cli_common.table("Numbers", ["a", "b"], [["[red]1", "2"]])
    assert "[red]1" in screen.getvalue()
    assert "───" in screen.getvalue()


def test_what_no_module_has_put_into_words_is_no_traceback_either() -> None:
    runner = CliRunner()
    app = typer.Typer()

    @app.command()
    @guarded
    def fail() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/srv/photos")

    result = runner.invoke(app, [])
    assert result.exit_code == ExitCode.MISSING
    assert "Error: /srv/photos: Permission denied." in result.output
    assert "Traceback" not in result.output
