"""The command line: the program, and its commands over the ledger.

Words and exit codes only: every command hands on to a module below. Nothing heavy is imported before a
command needs it, so that `status` answers at once.
"""

import sys
import time
from dataclasses import replace
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from nst_daemon import __version__, disk
from nst_daemon.cli import bench as cli_bench
from nst_daemon.cli import checks as cli_checks
from nst_daemon.cli import editors as cli_editors
from nst_daemon.cli import explain as cli_explain
from nst_daemon.cli import farm as cli_farm
from nst_daemon.cli import page as cli_page
from nst_daemon.cli import paint as cli_paint
from nst_daemon.cli import service as cli_service
from nst_daemon.cli import setup as cli_setup
from nst_daemon.cli import sheet as cli_sheet
from nst_daemon.cli import submit as cli_submit
from nst_daemon.cli.common import (
    ConfigOption,
    JsonOption,
    answer,
    answer_json,
    guarded,
    is_running,
    ledger_of,
    load_config,
    no_job,
    say,
    table,
)
from nst_daemon.errors import ConfigError, MissingError
from nst_daemon.ledger.jobs import Job, JobState

if TYPE_CHECKING:
    from nst_daemon.config import Config
    from nst_daemon.ledger import Ledger

app = typer.Typer(
    name="nst-daemon",
    help="Photos dropped into a folder become paintings in another.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

JobArgument = Annotated[int, typer.Argument(metavar="JOB", help="The job's number.")]


def main() -> None:
    """Run the command line; leaves with an exit code of `errors.ExitCode`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a console that has no ← must not end us
    app(prog_name="nst-daemon")


def _show_version(is_asked: bool) -> None:
    if is_asked:
        answer(f"nst-daemon {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Photos dropped into a folder become paintings in another. Begin with `nst-daemon demo`."""


def status(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again each second, until Ctrl-C.")] = False,
) -> None:
    """Show what the daemon is doing; works too when it is not running.

    Example: nst-daemon status --json
    """
    from nst_daemon.ledger.words import status_json, status_text

    loaded = load_config(config)
    with ledger_of(loaded) as ledger:
        if sys.stdout.isatty() and not as_json:
            _show_page(ledger, loaded, watch=watch)
            return
        while True:
            snapshot = ledger.snapshot(running=is_running(loaded))
            snapshot = replace(snapshot, version=snapshot.version or __version__)
            if as_json:
                answer_json(status_json(snapshot))
            else:
                answer("\n".join(status_text(snapshot)))
            if not watch:
                return
            time.sleep(1)


def _show_page(ledger: "Ledger", config: "Config", *, watch: bool) -> None:
    from rich.console import Console

    from nst_daemon.cli import live

    looker = live.Looker(ledger, lambda: is_running(config), __version__)
    (live.watch if watch else live.show_once)(looker, Console())


def jobs(
    config: ConfigOption = None,
    state: Annotated[JobState | None, typer.Option("--state", help="Only jobs of this state.")] = None,
    style: Annotated[
        str | None, typer.Option("--style", help="Only jobs in this style, alone or in a blend.")
    ] = None,
    photo: Annotated[
        str | None, typer.Option("--photo", metavar="GLOB", help="Only photos such as 'trip/**'.")
    ] = None,
    last: Annotated[int | None, typer.Option("--last", min=1, help="No more than this many.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the jobs of the ledger, the newest first.

    Example: nst-daemon jobs --state failed --photo 'trip/**'
    """
    from nst_daemon.config.blends import style_key
    from nst_daemon.config.globs import matches
    from nst_daemon.ledger.words import job_json, job_row

    wanted = None if style is None else style_key(style)

    def is_wanted(job: Job) -> bool:
        is_in_style = wanted is None or wanted in {style_key(each.name) for each in job.styles}
        return is_in_style and (photo is None or matches(photo, PurePosixPath(job.photo.lstrip("/"))))

    with ledger_of(load_config(config)) as ledger:
        found = list(islice(filter(is_wanted, ledger.jobs.each(state=state)), last))
        for problem in ledger.jobs.problems():
            say(f"{problem.message} {problem.remedy}")
    if as_json:
        answer_json([job_json(job) for job in found])
    elif found:
        headings = ["job", "state", "photo", "style", "time", "result or error"]
        table("", headings, [list(job_row(job)) for job in found])
    else:
        is_filtered = state or style or photo
        say("No such jobs." if is_filtered else "No jobs yet: drop a photo into the inbox.")


def show(job: JobArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show all about one job.

    Example: nst-daemon show 12
    """
    from nst_daemon.ledger.words import job_json, job_text

    with ledger_of(load_config(config)) as ledger:
        found = ledger.jobs.get(job)
    if found is None:
        raise no_job(job, ledger)
    if as_json:
        answer_json(job_json(found))
    else:
        answer("\n".join(job_text(found)))


def pause(config: ConfigOption = None) -> None:
    """Begin no further job until `resume`; a request that survives a restart.

    Example: nst-daemon pause
    """
    with ledger_of(load_config(config)) as ledger:
        ledger.requests.pause()
    say("Paused: photos are taken in, and wait. `nst-daemon resume` goes on.")


def resume(config: ConfigOption = None) -> None:
    """Go on after `pause`.

    Example: nst-daemon resume
    """
    loaded = load_config(config)
    with ledger_of(loaded) as ledger:
        ledger.requests.resume()
    say("Resumed." if is_running(loaded) else "Resumed; the daemon is not running yet: `nst-daemon start`.")


def retry(
    job: Annotated[int | None, typer.Argument(metavar="[JOB]", help="The job's number.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that have failed.")] = False,
    config: ConfigOption = None,
) -> None:
    """Paint again what has ended: one job, or all that have failed.

    Example: nst-daemon retry --failed
    """
    if (job is None) is not failed:
        raise ConfigError("Name one job, or --failed.", remedy="Example: nst-daemon retry 12")
    with ledger_of(load_config(config)) as ledger:
        if job is None:
            count = ledger.retry_failed()
            say(f"{count} failed jobs wait again." if count != 1 else "1 failed job waits again.")
            return
        found = ledger.jobs.get(job)
        if found is None:
            raise no_job(job, ledger)
        if not ledger.retry(job):
            raise ConfigError(f"Job {job} is {found.state}: only a job that has ended can be retried.")
    say(f"Job {job} waits again.")


def cancel(job: JobArgument, config: ConfigOption = None) -> None:
    """Cancel a job that waits or runs.

    Example: nst-daemon cancel 12
    """
    with ledger_of(load_config(config)) as ledger:
        state = ledger.cancel(job)
    if state is None:
        raise no_job(job, ledger)
    if state is JobState.RUNNING:
        say(f"Job {job} will stop at its next step.")
    elif state is JobState.CANCELLED:
        say(f"Job {job} is cancelled.")
    else:
        raise ConfigError(f"Job {job} is {state} already.")


def logs(
    config: ConfigOption = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many of the last lines.")] = 100,
) -> None:
    """Show the log.

    Example: nst-daemon logs -f
    """
    from nst_daemon.disk.logs import follow as lines_to_come
    from nst_daemon.disk.logs import log_path, read_tail

    path = log_path(load_config(config).state_dir)
    if not disk.is_there(path) and not follow:
        raise MissingError(
            f"There is no log at {path} yet.", remedy="The daemon writes it: `nst-daemon run`."
        )
    for line in read_tail(path, lines):
        answer(line)
    if follow:
        for line in lines_to_come(path, wait=_half_a_second):
            answer(line)


def _half_a_second() -> bool:
    time.sleep(0.5)
    return True


COMMANDS = (
    cli_setup.init,
    cli_setup.run,
    cli_service.start,
    cli_service.stop,
    cli_service.restart,
    status,
    jobs,
    show,
    pause,
    resume,
    retry,
    cancel,
    cli_submit.submit,
    cli_paint.render,
    cli_sheet.sheet,
    cli_explain.styles,
    cli_explain.explain,
    cli_checks.check,
    cli_paint.demo,
    cli_page.page,
    cli_service.service,
    cli_editors.editors,
    logs,
    cli_bench.bench,
)
for _command in COMMANDS:
    app.command()(guarded(_command))
app.add_typer(cli_farm.farm, name="farm")
app.command(hidden=True)(guarded(cli_service.tray))  # for the desktop's autostart
