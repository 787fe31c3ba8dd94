"""What the commands share: options, words on stdout and stderr, progress, and how a config is found.

Answers go to stdout, everything else to stderr; with `--json` stdout holds nothing but JSON.
"""

import functools
import json
import os
import shutil
import sys
import textwrap
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer

from nst_daemon import disk
from nst_daemon.errors import ConditionError, ConfigError, ExitCode, MissingError, NstError, where_to_read

if TYPE_CHECKING:
    from nst_daemon.config import Config
    from nst_daemon.config.orders import Progress
    from nst_daemon.ledger import Ledger
    from nst_daemon.ledger.jobs import Snapshot

P = ParamSpec("P")
SHORT = 14  # characters; a cell of a table that is never broken
SHOWN_BARS = 5  # of jobs that are done

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="PATH", help="The config. Else $NST_DAEMON_CONFIG, else the platform's."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON, alone on stdout.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting, e.g. size=2048. May be given several times."),
]


# ── words ───────────────────────────────────────────────────────────────────────────────────────────────


def printable(text: str) -> str:
    """Return a text without control characters: a file's name may hold any, and steer the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def answer(text: str) -> None:
    """Print what was asked for, to stdout."""
    typer.echo(printable(text))


def answer_json(value: object) -> None:
    """Print a value as JSON, to stdout."""
    typer.echo(json.dumps(value, indent=2))


def say(text: str) -> None:
    """Print a word on the side, to stderr."""
    typer.echo(printable(text), err=True)


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Return a command whose errors become words on stderr and the promised exit code."""

    @functools.wraps(command)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except NstError as error:
            say(f"Error: {error.message}")
            if error.remedy:
                say(error.remedy)
            if error.code:
                say(f"See {where_to_read(error.code)}.")
            code = ExitCode.MISSING if isinstance(error, ConditionError) else error.exit_code
            raise typer.Exit(code) from error
        except BrokenPipeError:
            raise  # whoever read our words has left, as `head` does: typer knows
        except OSError as error:  # the last net: what no module has put into words
            where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
            say(f"Error: {where}{error.strerror or error}.")
            say("Look at its rights and its disk; `nst-daemon check` looks at all of them.")
            say(f"See {where_to_read(MissingError.code)}.")
            raise typer.Exit(ExitCode.MISSING) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(130) from error  # as a shell reports SIGINT

    return call


# ── config and ledger ───────────────────────────────────────────────────────────────────────────────────


def load_config(path: Path | None) -> "Config":
    """Return the config that is named, or the one that is read by default."""
    from nst_daemon import config

    return config.load(path or config.default_path())


def config_if_any(path: Path | None) -> "Config | None":
    """Return the config, or None where none is named and there is none: some commands need none."""
    from nst_daemon import config

    if path is None and not disk.is_there(config.default_path()):
        return None
    return load_config(path)


@contextmanager
def ledger_of(config: "Config") -> Iterator["Ledger"]:
    """Open the ledger of a config."""
    from nst_daemon.ledger import Ledger

    with Ledger(ledger_path(config), is_view=True) as ledger:
        yield ledger


def ledger_path(config: "Config") -> Path:
    """Return where the ledger of a config is."""
    return config.state_dir / "ledger.db"


def is_running(config: "Config") -> bool:
    """Return whether a daemon holds the lock of this config."""
    from nst_daemon.disk.locks import holder

    return holder(config.state_dir) is not None


def no_job(job: int, ledger: "Ledger | None" = None) -> ConfigError:
    """Return the error for a job that the ledger does not know, or that it cannot read."""
    if ledger is not None and job in ledger.jobs.unreadable:
        problem = next(each for each in ledger.jobs.problems() if f"Job {job} " in each.message)
        return ConfigError(problem.message, remedy=problem.remedy, code=problem.code)
    return ConfigError(f"There is no job {job}.", remedy="`nst-daemon jobs` lists them.")


# ── progress ────────────────────────────────────────────────────────────────────────────────────────────


def indented(text: str, spaces: int) -> str:
    """Return a text in lines that begin with spaces, broken between words on a terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    room = max(20, width - spaces)
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    return textwrap.indent("\n".join(lines), " " * spaces)


@contextmanager
def progress_shown(title: str) -> Iterator[Callable[["Progress"], None]]:
    """Yield what to call with each progress: a bar on a terminal, else a line at each tenth."""
    if sys.stderr.isatty():
        with _bar() as bar:
            task = bar.add_task(printable(title), total=1.0)
            yield lambda progress: bar.update(task, completed=progress.fraction)
            bar.update(task, completed=1.0)
    else:
        yield _Lines(title).show


class _Lines:
    """Prints progress in lines, one for each tenth."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._shown = -1

    def show(self, progress: "Progress") -> None:
        from nst_daemon.ledger.words import duration

        if progress.percent // 10 > self._shown:
            self._shown = progress.percent // 10
            to_go = duration(progress.eta_seconds)
            say(
                f"{self._title}: {progress.percent} %, {progress.width} × {progress.height} px, {to_go} to go"
            )


@contextmanager
def snapshots_shown() -> Iterator[Callable[["Snapshot"], None]]:
    """Yield what to call with each snapshot of a daemon: a bar for each job on a terminal, else lines."""
    if sys.stderr.isatty():
        with _bar() as bar:
            yield _Bars(bar).show
    else:
        yield _JobLines().show


class _JobLines:
    """Prints the progress of the jobs that are painted, in lines."""

    def __init__(self) -> None:
        self._lines: dict[int, _Lines] = {}

    def show(self, snapshot: "Snapshot") -> None:
        titles = {current.job: f"{current.photo} in {current.style}" for current in snapshot.current}
        self._lines = {job: self._lines.get(job) or _Lines(title) for job, title in titles.items()}
        for current in snapshot.current:
            if current.progress is not None:
                self._lines[current.job].show(current.progress)


class _Bars:
    """Draws a bar for each job that is painted; the last few that are done stay."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._running: dict[int, Any] = {}
        self._done: deque[Any] = deque()

    def show(self, snapshot: "Snapshot") -> None:
        for current in snapshot.current:
            if current.job not in self._running:
                title = printable(f"{current.photo} in {current.style}")
                self._running[current.job] = self._bar.add_task(title, total=1.0)
            if current.progress is not None:
                self._bar.update(self._running[current.job], completed=current.progress.fraction)
        for job in self._running.keys() - {current.job for current in snapshot.current}:
            self._done.append(self._running.pop(job))
            self._bar.update(self._done[-1], completed=1.0)
        while len(self._done) > SHOWN_BARS:
            self._bar.remove_task(self._done.popleft())


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True))


def table(title: str, headings: list[str], rows: list[list[str]]) -> None:
    """Print a table to stdout: drawn on a terminal, else with tabs, for `cut` and `awk`."""
    if not sys.stdout.isatty():
        for row in [headings, *rows]:
            answer("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    drawn.padding = (0, 1, 0, 0)
    for heading, *cells in zip(headings, *rows, strict=True):
        is_short = max(map(len, (heading, *cells))) <= SHORT
        drawn.add_column(heading, overflow="fold", no_wrap=is_short)
    for row in rows:
        drawn.add_row(*(Text(printable(cell)) for cell in row))
    Console().print(drawn)
