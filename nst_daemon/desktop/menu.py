"""What the tray says and offers: a View -> a look, a tooltip, the entries of its menu. Pure: no pystray."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from nst_daemon.desktop.icons import Look
from nst_daemon.ledger.jobs import Current, JobState, Problem, Snapshot
from nst_daemon.ledger.words import counts_text, duration, seats_text

MAX_NAME: Final = 40  # characters of a file's name in a menu
MAX_TOOLTIP: Final = 120  # characters; Windows cuts at 127
MAX_STYLES: Final = 30  # entries; a menu that is longer than the screen cannot be used
MAX_RESULTS: Final = 5
# What stops all painting, where other problems only ask for a look.
STOPPERS: Final = frozenset(
    {"condition", "disk_full", "disk_error", "read_only", "engine_missing", "ledger_busy"}
    | {f"{what}_{how}" for what in ("inbox", "outbox", "state_dir") for how in ("missing", "unreachable")}
    | {"state_missing"}
)


class Act(StrEnum):
    """What an entry of the menu does."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"  # the job of its argument
    RETRY_FAILED = "retry failed"
    SHOW_FAILED = "show failed"  # opens their folder; they ask for no attention any more
    OPEN_PAGE = "open page"  # in the browser
    OPEN_INBOX = "open inbox"
    OPEN_RESULTS = "open results"
    OPEN = "open"  # the path of its argument
    SET_STYLE = "set style"  # to its argument
    UNLOAD = "unload"
    OPEN_CONFIG = "open config"
    OPEN_LOG = "open log"
    LOGIN = "log-in"  # start at log-in, or no longer
    START = "start"
    QUIT = "quit"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that the tray shows, of one moment."""

    snapshot: Snapshot
    results: tuple[Path, ...] = ()  # the latest first
    preview: Path | None = None  # of the current job, once it is there
    new_failures: int = 0  # since the user last looked at them
    styles: tuple[str, ...] = ()
    style: str = ""  # the default one
    has_page: bool = True  # the config does not say that there is none
    starts_at_login: bool | None = None  # None: this system has no way we know

    @property
    def current(self) -> Current | None:
        """The job that is painted."""
        return next(iter(self.snapshot.current), None)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All but the tray's own: who reads this sees the icon."""
        return tuple(problem for problem in self.snapshot.alarms if not problem.code.startswith("tray_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the menu; without a label it is a separator, without an act it only says something."""

    label: str = ""
    act: Act | None = None
    argument: object = None
    is_checked: bool | None = None  # None: has no mark
    children: tuple["Entry", ...] = ()


SEPARATOR: Final = Entry()


def look_of(view: View) -> Look:
    """Return the look of the icon: a painting that goes on says more than a problem beside it."""
    snapshot = view.snapshot
    if not snapshot.running:
        return Look.CANNOT_WORK
    if snapshot.current:
        return Look.WORKING
    if any(_stops(problem, snapshot) for problem in view.problems):
        return Look.CANNOT_WORK
    if view.problems or snapshot.counts[JobState.HELD] or view.new_failures:
        return Look.ATTENTION
    return Look.PAUSED if snapshot.paused else Look.IDLE


def _stops(problem: Problem, snapshot: Snapshot) -> bool:
    """Return whether a problem stops all painting; one engine that is missing does not stop the others."""
    if problem.code == "engine_missing":
        return all(engine.state == "missing" for engine in snapshot.engines)
    return problem.code in STOPPERS


def progress_of(view: View) -> float:
    """Return how much of the current jobs is done."""
    done = [current.progress.fraction if current.progress else 0.0 for current in view.snapshot.current]
    return sum(done) / len(done) if done else 0.0


def tooltip(view: View) -> str:
    """Return what is shown under the mouse: photo, style, percent, time left, queue."""
    words = [_painting(view, _exactly(view.current)) if view.current else _standing(view)]
    return shortened(" · ".join([*words, *_waiting(view)]), MAX_TOOLTIP)


def menu(view: View) -> tuple[Entry, ...]:
    """Return the menu. It changes seldom: where it is redrawn while it is open, it closes."""
    groups = (_status(view), _work(view), _folders(view), _options(view), _ending(view))
    entries: list[Entry] = []
    for group in groups:
        entries += [*group, SEPARATOR]
    return tuple(entries[:-1])


def shortened(text: str, length: int = MAX_NAME) -> str:
    """Return a text in one printable line of at most a length, cut in its middle."""
    line = "".join(char if char.isprintable() else "·" for char in text)
    if len(line) <= length:
        return line
    head = (length - 1) // 2
    return f"{line[:head]}…{line[-(length - 1 - head) :]}"


# ── words ───────────────────────────────────────────────────────────────────────────────────────────────


def _painting(view: View, progress: str) -> str:
    """Return what is painted: the first of the current jobs, and how many more there are."""
    current, *more = view.snapshot.current
    others = f", and {len(more)} more" if more else ""
    return f"Painting {shortened(current.photo)} in {shortened(current.style)}{progress}{others}"


def _exactly(current: Current) -> str:
    if current.progress is None:
        return ", starting"
    return f", {current.progress.percent} %, {duration(current.progress.eta_seconds)} to go"


def _roughly(current: Current) -> str:
    """Return the progress in tens, for a menu that is not to change all the time."""
    tens = current.progress.percent // 10 * 10 if current.progress else 0
    return f", {tens} %" if tens else ", begun"


def _standing(view: View) -> str:
    """Return in a few words what it is doing while nothing is painted."""
    snapshot = view.snapshot
    if not snapshot.running:
        return "nst-daemon is not running"
    if view.problems:
        return view.problems[0].message
    return "Paused" if snapshot.paused else "Waiting for photos"


def _waiting(view: View) -> Iterator[str]:
    counts = view.snapshot.counts
    for state in (JobState.QUEUED, JobState.HELD):
        if counts[state]:
            yield counts_text({state: counts[state]})
    if view.new_failures:
        yield f"{view.new_failures} failed"


# ── the groups of the menu ──────────────────────────────────────────────────────────────────────────────


def _status(view: View) -> Iterator[Entry]:
    words = _painting(view, _roughly(view.current)) if view.current else _standing(view)
    paused = ["then paused"] if view.current and view.snapshot.paused else []
    yield Entry(label=shortened(" · ".join([words, *paused, *_waiting(view)]), MAX_TOOLTIP))
    if view.snapshot.seats:
        yield Entry(label=f"Farm: {seats_text(view.snapshot.seats)}")
    for problem in view.problems[0 if view.current else 1 : 3]:
        yield Entry(label=f"! {shortened(problem.message, 80)}")


def _work(view: View) -> Iterator[Entry]:
    snapshot = view.snapshot
    if not snapshot.running:
        yield Entry(label="Start", act=Act.START)
        return
    if snapshot.paused:
        yield Entry(label="Resume", act=Act.RESUME)
    else:
        yield Entry(label="Pause", act=Act.PAUSE)
    if view.preview is not None:
        yield Entry(label="Show what it is painting", act=Act.OPEN, argument=view.preview)
    for current in snapshot.current:
        yield Entry(label=f"Cancel {shortened(current.photo)}", act=Act.CANCEL, argument=current.job)
    if failed := snapshot.counts[JobState.FAILED]:
        yield Entry(label=f"Retry failed ({failed})", act=Act.RETRY_FAILED)
        if view.new_failures:
            yield Entry(label=f"Show what failed ({view.new_failures} new)", act=Act.SHOW_FAILED)


def _folders(view: View) -> Iterator[Entry]:
    if view.has_page and view.snapshot.running:
        yield Entry(label="Open page", act=Act.OPEN_PAGE)
    yield Entry(label="Open inbox", act=Act.OPEN_INBOX)
    yield Entry(label="Open results", act=Act.OPEN_RESULTS)
    for path in view.results[:MAX_RESULTS]:
        yield Entry(label=f"   {shortened(path.name)}", act=Act.OPEN, argument=path)


def _options(view: View) -> Iterator[Entry]:
    if view.styles:
        names = dict.fromkeys([*view.styles[:MAX_STYLES], view.style])
        styles = tuple(
            Entry(label=shortened(name), act=Act.SET_STYLE, argument=name, is_checked=name == view.style)
            for name in sorted(names)
        )
        yield Entry(label="Default style", children=styles)
    if any(engine.state == "warm" for engine in (view.snapshot.engine, *view.snapshot.engines)):
        yield Entry(label="Unload the model", act=Act.UNLOAD)
    yield Entry(label="Open config", act=Act.OPEN_CONFIG)
    yield Entry(label="Open log", act=Act.OPEN_LOG)
    if view.starts_at_login is not None:
        yield Entry(label="Start at log-in", act=Act.LOGIN, is_checked=view.starts_at_login)


def _ending(_: View) -> Iterator[Entry]:
    yield Entry(label="Quit", act=Act.QUIT)
