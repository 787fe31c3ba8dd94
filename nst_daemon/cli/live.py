"""The page of `status` on a terminal, once or again each second: a View in, rich's shapes out.

What does not fit on the screen gives way in this order: the queue, the last results, the scales' bars.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group, JustifyMethod, OverflowMethod, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nst_daemon.cli.common import printable
from nst_daemon.config.orders import Progress
from nst_daemon.config.recipe import Recipe
from nst_daemon.desktop.menu import shortened
from nst_daemon.engine.schedule import RATIO, Scale, fit, pyramid_of
from nst_daemon.errors import ConditionError, without_section
from nst_daemon.ledger.jobs import Current, Job, JobState, Problem, Snapshot
from nst_daemon.ledger.words import counts_text, duration, engines_text, remedy_text, seats_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from nst_daemon.ledger import Ledger

EVERY_SECONDS: Final = 1.0
FEW: Final = 5  # jobs of each kind on the page that is shown once
MANY: Final = 20  # jobs of each kind that are asked for; a screen shows fewer
LEAST_ROWS: Final = 2  # of queue and results, before the bars of the scales give way
NUMBER, STATE, GAP, LEAST_PHOTO = 6, 9, 2, 13  # characters, of the columns of a list
MAX_WORDS: Final = 160  # characters of a reason; `show` has all of it
COLORS: Final = {
    JobState.RUNNING: "blue",
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.HELD: "yellow",
    JobState.CANCELLED: "dim",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that the page shows, of one moment."""

    snapshot: Snapshot
    jobs: tuple[Job, ...] = ()  # those that are painted
    pending: tuple[Job, ...] = ()  # held and queued, in the order of their turn
    ended: tuple[Job, ...] = ()  # done and failed, the latest first
    step_seconds: Mapping[int, float] = field(default_factory=dict)  # of each job's current scale


class Looker:
    """Reads views from a ledger, and remembers how long a step takes."""

    def __init__(self, ledger: "Ledger", is_running: "Callable[[], bool]", version: str) -> None:
        self._ledger = ledger
        self._is_running = is_running
        self._version = version
        self._begin: dict[int, Progress] = {}  # of each job what was first seen of its scale
        self._last: View | None = None

    def look(self) -> View:
        """Return what there is now; where the ledger cannot be read, the last view and why."""
        try:
            self._last = self._read()
        except ConditionError as error:
            if self._last is None:
                raise
            problem = Problem(code=error.code, message=error.message, remedy=error.remedy)
            return replace(self._last, snapshot=replace(self._last.snapshot, problems=(problem,)))
        return self._last

    def _read(self) -> View:
        ledger = self._ledger
        snapshot = ledger.snapshot(running=self._is_running())
        held = ledger.jobs.all(state=JobState.HELD, newest_first=False, limit=MANY)
        queued = ledger.queue.next(MANY)
        ended = [job for state in (JobState.DONE, JobState.FAILED) for job in ledger.jobs.latest(state, MANY)]
        found = [ledger.jobs.get(current.job) for current in snapshot.current]
        return View(
            snapshot=replace(snapshot, version=snapshot.version or self._version),
            jobs=tuple(job for job in found if job is not None),
            pending=(*held, *queued),
            ended=tuple(sorted(ended, key=_end_of, reverse=True)),
            step_seconds=self._paces(snapshot),
        )

    def _paces(self, snapshot: Snapshot) -> dict[int, float]:
        """Return how long a step of each job takes, measured since its scale was first seen."""
        progresses = {each.job: each.progress for each in snapshot.current if each.progress is not None}
        paces, before, self._begin = {}, self._begin, {}
        for job, now in progresses.items():
            known = before.get(job, now)
            first = self._begin[job] = known if known.scale == now.scale else now
            if now.step > first.step:
                paces[job] = (now.seconds - first.seconds) / (now.step - first.step)
            elif now.step:
                paces[job] = now.seconds / now.step
        return paces


def _end_of(job: Job) -> float:
    return job.finished.timestamp() if job.finished else 0.0


def show_once(looker: Looker, console: Console) -> None:
    """Print the page."""
    view = looker.look()
    few = replace(view, pending=view.pending[:FEW], ended=view.ended[:FEW])
    console.print(page(few, width=console.width))


def watch(looker: Looker, console: Console) -> None:
    """Show the page, anew each second, until Ctrl-C."""
    with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            now = datetime.now().astimezone()
            shown = page(looker.look(), width=console.width, height=console.height, now=now)
            live.update(shown, refresh=True)
            time.sleep(EVERY_SECONDS)


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────


def page(view: View, *, width: int, height: int | None = None, now: datetime | None = None) -> RenderableType:
    """Return the page, of at most `height` lines where that is possible."""
    rows = 2 * MANY if height is None else height
    head = [_headline(view.snapshot, now), _second_line(view.snapshot)]
    problems = [shape for problem in view.snapshot.problems for shape in _problem(problem)]
    rows -= 2 + sum(lines_of(shape, width) for shape in problems)
    counts = view.snapshot.counts
    pending = _Listing(
        f"Waiting ({counts.get(JobState.HELD, 0) + counts.get(JobState.QUEUED, 0)})",
        [_pending(job) for job in view.pending],
        width,
        total=counts.get(JobState.HELD, 0) + counts.get(JobState.QUEUED, 0),
    )
    ended = _Listing("Last results", [_ended(job) for job in view.ended], width)
    least = sum(2 + min(LEAST_ROWS, each.lines) for each in (pending, ended) if each.lines)
    current = list(_current(view, room=rows - least))
    rows -= len(current) + 2 * (pending.lines > 0) + 2 * (ended.lines > 0)
    ended_rows = min(ended.lines, max(rows - pending.lines, rows // 2))
    pending_rows = min(pending.lines, rows - ended_rows)
    return Group(*head, *problems, *current, *pending.shapes(pending_rows), *ended.shapes(ended_rows))


def lines_of(shape: RenderableType, width: int) -> int:
    """Return how many lines a shape takes at a width."""
    return len(_MEASURE.render_lines(shape, _MEASURE.options.update(width=width)))


_MEASURE: Final = Console()  # prints nothing


def _headline(snapshot: Snapshot, now: datetime | None) -> RenderableType:
    name = f"nst-daemon {snapshot.version}"
    if not snapshot.running:
        state = Text("not running", "bold red")
    elif snapshot.paused:
        state = Text("painting, then paused" if snapshot.current else "paused", "bold yellow")
        state.append(" (`nst-daemon resume` goes on)", "not bold")
    elif snapshot.current:
        state = Text("painting", "bold blue")
    elif snapshot.alarms and snapshot.counts.get(JobState.QUEUED):
        state = Text("held up", "bold yellow")
    else:
        state = Text("waits for photos", "bold green")
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True)
    line.add_column(justify="right", no_wrap=True)
    aside = f"process {snapshot.pid}" if snapshot.pid else ""
    clock = now.strftime("%H:%M:%S") if now else ""
    line.add_row(Text.assemble((name, "bold"), "  ", state), Text(f"{aside}  {clock}".strip(), "dim"))
    return line


def _second_line(snapshot: Snapshot) -> Text:
    if not snapshot.running:
        hint = "`nst-daemon resume` and `nst-daemon start`" if snapshot.paused else "`nst-daemon start`"
        return Text(f"{counts_text(snapshot.counts)}; {hint} to begin", no_wrap=True, overflow="ellipsis")
    engines = f"engine{'s' * (len(snapshot.engines) > 1)} {engines_text(snapshot)}"
    lent = f" · farm {seats_text(snapshot.seats)}" if snapshot.seats else ""
    words = f"{counts_text(snapshot.counts)} · {engines}{lent}"
    return Text(words, no_wrap=True, overflow="ellipsis")


def _problem(problem: Problem) -> Iterator[RenderableType]:
    yield Text()
    if problem.is_quiet:
        yield Text(printable(problem.message), "dim")
        return
    yield Text(f"! {printable(problem.message)}", "bold yellow")
    yield Padding(Text(printable(remedy_text(problem.remedy, problem.code))), (0, 0, 0, 2))


def _current(view: View, *, room: int) -> Iterator[RenderableType]:
    """Yield the jobs that are painted, in shapes of one line."""
    room //= max(1, len(view.snapshot.current))
    for current in view.snapshot.current:
        job = next((job for job in view.jobs if job.id == current.job), None)
        title = Table.grid(expand=True)
        title.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        title.add_column(justify="right", no_wrap=True)
        what = Text.assemble((printable(current.photo), "bold"), f" in {printable(current.style)}")
        title.add_row(what, Text(f"  job {current.job}", "dim"))
        yield Text()
        yield title
        bars = list(_bars(current, job, view.step_seconds.get(current.job)))
        for label, fraction, words in bars if len(bars) + 2 <= room else bars[-1:]:
            yield _bar(label, fraction, words)


def _bars(current: Current, job: Job | None, step_seconds: float | None) -> Iterator[tuple[str, float, str]]:
    """Yield a bar for each scale and one for all: what it is of, how full, and words behind it."""
    progress = current.progress
    if progress is None:
        yield "", 0.0, "starting"
        return
    for number, (side, fraction) in enumerate(scales_of(progress, job), start=1):
        words = "done" if fraction >= 1 else f"{int(100 * fraction)} %" if number == progress.scale else ""
        yield f"{side} px", fraction, words
    pace = "" if step_seconds is None else f"{_exactly(step_seconds)} a step, "
    yield "all", progress.fraction, f"{progress.percent} %, {pace}{duration(progress.eta_seconds)} to go"


def _exactly(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 1 else duration(seconds)


def scales_of(progress: Progress, job: Job | None) -> list[tuple[int, float]]:
    """Return of each scale its longer side in px, and how much of its steps is done."""
    recipe = None if job is None else job.recipe
    if recipe is None or progress.scales == 1:
        return []
    scales = next(filter(partial(_has_come_to, progress), _pyramids(progress, recipe)), ())
    found, before = [], 0
    for scale in scales:
        done = (progress.step - before) / scale.steps
        found.append((max(scale.width, scale.height), min(1.0, max(0.0, done))))
        before += scale.steps
    return found


def _pyramids(progress: Progress, recipe: Recipe) -> Iterator[tuple[Scale, ...]]:
    """Yield the pyramids that a painting may be in: of a photo's own size only the scale in hand is known."""
    here, more = max(progress.width, progress.height), progress.scales - progress.scale
    guesses = [round(here * 2**octaves * RATIO ** (more - octaves)) for octaves in range(more, -1, -1)]
    for size in [recipe.size] if isinstance(recipe.size, int) else guesses:
        yield pyramid_of(*fit(progress.width, progress.height, size), recipe)


def _has_come_to(progress: Progress, scales: Sequence[Scale]) -> bool:
    here = scales[progress.scale - 1] if len(scales) == progress.scales else None
    return here is not None and abs(max(here.width, here.height) - max(progress.width, progress.height)) <= 1


def _bar(label: str, fraction: float, words: str) -> RenderableType:
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(width=9, justify="right", no_wrap=True)
    line.add_column(ratio=1)
    line.add_column(width=37, no_wrap=True)
    shape = ProgressBar(total=1.0, completed=fraction, complete_style="blue", finished_style="green")
    line.add_row(Text(label, "dim"), shape, words)
    return line


class _Listing:
    """A titled list of jobs that shrinks to the lines that it gets."""

    def __init__(self, title: str, rows: list[list[Text]], width: int, *, total: int = 0) -> None:
        self._title = title
        self._rows = rows
        self._total = max(total, len(rows)) if total else 0  # where the rows that are not shown count
        photo = max((row[2].cell_len for row in rows), default=0)
        photo = max(LEAST_PHOTO, min(photo, width * 2 // 5))
        words = max(1, width - sum((NUMBER, STATE, photo)) - 3 * GAP)
        self._widths = (NUMBER, STATE, photo, words)
        self._lines = [max(1, len(row[3].wrap(_MEASURE, words))) for row in rows]
        self.lines = self._lines_of(len(rows))  # without the title and the line above it

    def shapes(self, room: int) -> Iterator[RenderableType]:
        """Yield as many rows as there is room for, under the title."""
        counts = range(len(self._rows), 0, -1)
        count = next((count for count in counts if self._lines_of(count) <= room), 0)
        if count:
            yield from (Text(), Text(self._title, "bold"), self._table(count))

    def _lines_of(self, count: int) -> int:
        return sum(self._lines[:count]) + (self._total > count)

    def _table(self, count: int) -> Table:
        table = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
        for number, width in enumerate(self._widths):
            is_last = number == len(self._widths) - 1
            justify: JustifyMethod = "left" if number else "right"
            overflow: OverflowMethod = "fold" if is_last else "ellipsis"
            table.add_column(width=width, justify=justify, no_wrap=not is_last, overflow=overflow)
        for job, state, photo, words in self._rows[:count]:
            name = shortened(photo.plain, self._widths[2])  # in its middle: the file's name is at the end
            table.add_row(job, state, Text(name), words)
        if (hidden := self._total - count) > 0:
            table.add_row("", "", Text(f"and {hidden} more", "dim"), "")
        return table


def _pending(job: Job) -> list[Text]:
    what = job.style if job.state is JobState.QUEUED else without_section(job.error or "")
    return [Text(str(job.id), "dim"), _state(job), Text(_line(job.photo)), _few_words(what)]


def _ended(job: Job) -> list[Text]:
    if job.state is JobState.FAILED:
        what = without_section(job.error or "the log says more")
    else:
        took = f", {duration(job.seconds)}" if job.seconds is not None else ""
        what = f"{job.result.name if job.result else job.style}{took}"
    return [Text(str(job.id), "dim"), _state(job), Text(_line(job.photo)), _few_words(what)]


def _line(text: str) -> str:
    return " ".join(printable(text).splitlines())


def _few_words(what: str) -> Text:
    text = Text(_line(what))
    text.truncate(MAX_WORDS, overflow="ellipsis")
    return text


def _state(job: Job) -> Text:
    return Text(job.state.value, COLORS.get(job.state, ""))
