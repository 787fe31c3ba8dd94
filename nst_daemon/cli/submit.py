"""The command that hands one photo to the daemon, and waits for its result where asked to: submit.

It is what a program calls that wants a picture painted: what it is answered, and with which exit code, is in
docs/editors/others.md.
"""

import itertools
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from nst_daemon import disk
from nst_daemon.cli import paint as cli_paint
from nst_daemon.cli.common import (
    ConfigOption,
    SetOption,
    answer,
    is_running,
    ledger_of,
    load_config,
    say,
    snapshots_shown,
)
from nst_daemon.config.blends import Blend
from nst_daemon.config.recipe import Format
from nst_daemon.disk.files import copy_whole, discard, takes_name, temporary_in
from nst_daemon.errors import (
    ConditionError,
    ConfigError,
    ExitCode,
    FileConditionError,
    JobError,
    NotRunningError,
    PhotoError,
)
from nst_daemon.folders.outbox import report_target
from nst_daemon.images.endings import ending_of
from nst_daemon.ledger.jobs import ENDS, Job, JobState, Snapshot

if TYPE_CHECKING:
    from nst_daemon.config import Config
    from nst_daemon.intake.submission import Submitted
    from nst_daemon.ledger import Ledger

LOOK_SECONDS: Final = 0.2  # between looks at a job that is waited for
ROUNDS: Final = 4  # paintings, where each result but the last is gone before it could be taken
HELD_SECONDS: Final = 10.0  # what is held for longer waits for a person, and nobody waits for that


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How a result is waited for: since when, how long at most, and where it is to be then."""

    timeout: float | None = None  # s; None: for ever
    output: Path | None = None  # None: in the outbox
    began: float = 0.0  # by the monotonic clock

    @property
    def seconds_left(self) -> float:
        """How long to wait yet."""
        if self.timeout is None:
            return float("inf")
        return self.began + self.timeout - time.monotonic()


def submit(
    photo: cli_paint.PhotoArgument,
    style: Annotated[
        str | None, typer.Option("--style", help="A style, instead of the one it would get.")
    ] = None,
    settings: SetOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait, and print the result's path.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="OUT", help="Wait, and have it there; the ending decides the format."
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", help="Wait no longer; the job goes on, code 6."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Hand one photo to the daemon; prints the job's number. The photo stays where it is.

    Example: nst-daemon submit cat.jpg --style mosaic --set size=2048 --wait
    Example: nst-daemon submit cat.jpg --output cat.mosaic.png --timeout 600
    """
    from nst_daemon.config import parse_assignments

    waiting = Waiting(timeout=timeout, output=output, began=time.monotonic())
    is_waiting = wait or output is not None
    if timeout is not None and not (is_waiting and timeout >= 0):
        raise ConfigError(
            f"--timeout {timeout:g}: it takes seconds, 0 or more, together with --wait or --output."
        )
    over, blend = parse_assignments(settings or []), cli_paint.style_blend(style)
    if output is not None:
        over["format"] = form_of(output)
    loaded = load_config(config)
    photo = cli_paint.existing(photo)
    if output is not None:
        examine(output)
    with ledger_of(loaded) as ledger:
        submitted = hand_over(photo, blend, over, loaded, ledger, is_one=output is not None)
        if is_waiting:
            wait_for(submitted, waiting, loaded, ledger)
            return
    for one in submitted:
        answer(str(one.job))
    if not is_running(loaded):
        say("The daemon is not running: the job waits for `nst-daemon start`.")


def form_of(output: Path) -> Format:
    """Return the format that a result's name asks for.

    Raises:
        ConfigError: none that is written, or there is a folder of this name.
    """
    form = cli_paint.FORMATS.get(ending_of(output.name))
    if form is None or disk.is_folder(output):
        raise ConfigError(f"{output}: the name must end in one of {', '.join(cli_paint.FORMATS)}.")
    return form


def examine(output: Path) -> None:
    """Make sure that a result could be written there now.

    Raises:
        ConfigError: the disk takes no file of this name.
        ConditionError: its folder is not there, or takes nothing.
    """
    folder = output.absolute().parent
    if not disk.is_folder(folder):
        raise disk.missing(folder)
    trial = temporary_in(folder)
    try:
        with disk.created(trial):
            pass
    except FileConditionError as error:
        raise error.about(folder) from error
    finally:
        discard(trial)
    if not takes_name(folder, output.name):
        raise ConfigError(f"{output}: the disk takes no file of this name.", remedy="Choose a plainer one.")


def hand_over(
    photo: Path,
    blend: Blend | None,
    over: dict[str, object],
    config: "Config",
    ledger: "Ledger",
    *,
    is_one: bool,
) -> list["Submitted"]:
    """Make the jobs of a photo, or find those that do the work already; `is_one`: there must be one alone.

    Raises:
        PhotoError: it cannot be read, or is a painting of ours.
        ConfigError: it has no style, or several where there must be one.
    """
    from nst_daemon.folders.library import Library
    from nst_daemon.intake import submission
    from nst_daemon.intake.reader import PhotoReader
    from nst_daemon.intake.shelf import Shelf

    readable = cli_paint.readable_photo(photo, config)
    if readable.provenance is not None:
        raise PhotoError(f"{photo.name} is a painting of ours.", remedy="Hand over the photo itself.")
    with PhotoReader(max_megapixels=config.max_megapixels) as reader:
        library = Shelf(
            Library(config.styles, memory=ledger.facts),
            copies=config.state_dir / "photos",
            reader=reader,
            settle_seconds=0.0,  # somebody waits; what breaks off is refused all the same
            patience=0.0,
        )
        words = readable.keywords
        proposal = submission.proposal_for(photo, config=config, library=library, keywords=words)
        choices = submission.choices_of(proposal, style=blend, settings=over)
        if is_one and len(choices) > 1:
            raise ConfigError(
                f"{photo.name} asks for {len(choices)} styles, and --output is one file.",
                remedy="Name one with --style.",
            )
        submitted = submission.submit(
            photo, choices, proposal=proposal, config=config, library=library, ledger=ledger
        )
    for one in submitted:
        if not one.is_new:
            say(f"Job {one.job} does this already.")
    return submitted


# ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────


def wait_for(submitted: list["Submitted"], waiting: Waiting, config: "Config", ledger: "Ledger") -> None:
    """Print where the result of each job is as it ends; the number of each that is waited for no longer.

    Raises:
        typer.Exit: one of them failed, or is waited for no longer.
        NotRunningError: one waits, and no daemon is running.
        ConfigError: one is gone from the ledger.
    """
    code = ExitCode.FINE
    with snapshots_shown() as show, _signals_end_the_waiting():
        for one in submitted:
            try:
                job = _result_of(one, waiting, config, ledger, show)
            except (KeyboardInterrupt, SystemExit):
                say(_goes_on(ledger.jobs.get(one.job)))
                raise
            if job.state is JobState.DONE:
                answer(str(waiting.output or job.result))
            elif job.state in ENDS or waiting.seconds_left > 0:  # failed, or held for too long
                say(f"Job {job.id} {job.state}: {job.error or 'no reason given'}")
                code = ExitCode.JOB_FAILED
            else:
                answer(str(job.id))
                say(f"Waited {waiting.timeout:g} s. {_goes_on(job)}")
                code = code or ExitCode.WAITED
    if code:
        raise typer.Exit(code)


@contextmanager
def _signals_end_the_waiting() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does: nothing half written stays."""

    def leave(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)  # as a shell reports it

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _goes_on(job: Job | None) -> str:
    """Return what becomes of a job that nobody waits for any more."""
    if job is None:
        return ""
    if job.state in ENDS:
        return f"Job {job.id} is {job.state}: `nst-daemon show {job.id}`."
    why = f" ({job.error})" if job.state is JobState.HELD and job.error else ""
    return (
        f"Job {job.id} is {job.state}{why} and goes on; its result will lie in {job.outbox}. "
        f"`nst-daemon show {job.id}` says how it stands."
    )


def _result_of(
    one: "Submitted", waiting: Waiting, config: "Config", ledger: "Ledger", show: Callable[[Snapshot], None]
) -> Job:
    """Return a job that has ended, its result where it was asked for; or one that is waited for no longer.

    Raises:
        JobError: its result could not be had in the format that was asked for, or is gone.
        ConditionError: the result cannot be written there now.
    """
    is_ours = one.is_new or one.is_again
    for _ in range(ROUNDS):
        job = _ended(one.job, waiting, config, ledger, show)
        if waiting.output is None or job.state is not JobState.DONE:
            return job
        try:
            deliver(job, waiting.output, is_ours=is_ours)
        except FileNotFoundError:  # another, who had asked for the same, was given it
            ledger.retry(job.id)
            is_ours = False  # and more of them may wait for what is painted anew
        else:
            return job
    raise JobError(f"Job {job.id} is done, but {job.result} is gone.", remedy="Submit the photo again.")


def _ended(
    number: int, waiting: Waiting, config: "Config", ledger: "Ledger", show: Callable[[Snapshot], None]
) -> Job:
    """Return a job once it has ended, is held for too long, or is to be waited for no longer."""
    held = 0  # looks, one after another
    for look in itertools.count():
        job = ledger.jobs.get(number)
        if job is None:
            break
        held = held + 1 if job.state is JobState.HELD else 0
        if job.state in ENDS or held * LOOK_SECONDS > HELD_SECONDS:
            return job
        if look % 10 == 0 and not is_running(config):
            raise NotRunningError(
                f"Job {number} is {job.state}, and no daemon is running.",
                remedy="`nst-daemon start` does what is there; `nst-daemon run --once` too, then leaves.",
            )
        if (left := waiting.seconds_left) <= 0:
            return job
        show(only(ledger.snapshot(running=True), number))
        time.sleep(min(LOOK_SECONDS, left))
    raise ConfigError(f"Job {number} is gone from the ledger.")


def only(snapshot: Snapshot, job: int) -> Snapshot:
    """Return a snapshot that shows one job alone."""
    from dataclasses import replace

    return replace(snapshot, current=tuple(current for current in snapshot.current if current.job == job))


def deliver(job: Job, output: Path, *, is_ours: bool) -> None:
    """Put a result where it was asked for, whole or not at all, and the page beside it.

    `is_ours`: it was painted for this alone, and is taken out of the outbox. What others had asked for stays.

    Raises:
        JobError: it has another format than the name says.
        FileNotFoundError: it is gone from the outbox.
        ConditionError: it cannot be written there now.
    """
    result = job.result
    assert result is not None  # of a job that is done
    if cli_paint.FORMATS.get(ending_of(result.name)) is not form_of(output):
        raise JobError(
            f"The painting could not be written as {form_of(output)}: its result is {result}.",
            remedy=f"Take it from there, or name a file that ends in {result.suffix}.",
        )
    if disk.is_same_file(result, output):
        return
    pairs = [(report_target(result), report_target(output)), (result, output)]  # what counts comes last
    pairs = [pair for pair in pairs if pair[0] == result or disk.is_there(pair[0])]
    try:
        for source, target in pairs:
            copy_whole(source, target, replace=True)
    except ConditionError:
        say(f"The result of job {job.id} is {result}.")
        raise
    if is_ours:
        for source, _ in pairs:
            discard(source)
