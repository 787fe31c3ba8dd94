"""What tray and notices show, out of the ledger; what is clicked, into the ledger. Knows no pystray."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import psutil

from nst_daemon import config as configs
from nst_daemon import disk
from nst_daemon.config import Config, Folder, PageMode
from nst_daemon.config.orders import EngineFacts
from nst_daemon.desktop.menu import MAX_RESULTS, Act, Entry, View
from nst_daemon.desktop.notices import Notice, Notices
from nst_daemon.desktop.notify import Messenger
from nst_daemon.desktop.style_edit import with_style
from nst_daemon.disk import files, logs
from nst_daemon.errors import ConditionError, NstError
from nst_daemon.folders.library import Library
from nst_daemon.ledger import Ledger, Request
from nst_daemon.ledger.jobs import Job, JobState, Snapshot
from nst_daemon.service import installing as service
from nst_daemon.system.opener import open_address

logger = logging.getLogger(__name__)

SLOW_SECONDS: Final = 10.0  # between two looks at styles, config and log-in entry
BEAT_SECONDS: Final = 30.0  # a daemon that did not beat for this long does not run
OVERLAP_SECONDS: Final = 60.0  # what ended in this time is read again, and known
PAGE_SECONDS: Final = 30.0  # within which the page is there that was asked for
FAILURES_SEEN: Final = "failures seen"  # the fact that holds until when the user knows of them

UNKNOWN: Final = Snapshot(
    running=False,
    pid=None,
    paused=False,
    version="",
    engine=EngineFacts(),
    counts=dict.fromkeys(JobState, 0),
)  # before the ledger could be read once

Open = Callable[[Path], None]


class TrayModel:
    """One ledger, looked at once a second. `tick` is called by one thread, `act` by another."""

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        *,
        messages: Messenger,
        open_path: Open,
        open_address: Callable[[str], None] = open_address,
        start: Callable[[Config], object],
        may_notify: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self.ledger = ledger
        self.was_quit = False
        self._messages = messages
        self._open = open_path
        self._open_address = open_address
        self._start = start
        self._may_notify = may_notify
        self._clock = clock
        self._notices = Notices(config.notify, clock=clock)
        self._since = clock()  # what ended before is no news
        self._told: set[tuple[int, datetime | None]] = set()  # what ended since, and was said
        self._slow_due = float("-inf")
        self._page_until: float | None = None  # somebody waits for the page to be opened, so long
        self._view: View | None = None
        self._previewed: tuple[int, Path] | None = None  # a job that is painted, and its preview

    def tick(self) -> View:
        """Return what is to be shown now, and say what is new; the last view where nothing can be read."""
        try:
            self._look()
        except NstError as error:
            logger.debug("the ledger cannot be read: %s", error)
        return self._view or View(snapshot=UNKNOWN)

    def act(self, entry: Entry) -> None:
        """Do what an entry of the menu says."""
        try:
            self._act(entry)
        except (NstError, OSError) as error:
            logger.warning("%s: %s", entry.label, error)
            self._messages.show(Notice(title=f"{entry.label}: not done", text=str(error)))
        self._slow_due = float("-inf")

    # What is there.

    def _look(self) -> None:
        snapshot = self.ledger.snapshot(running=self._is_running())
        before = self._view or View(snapshot=replace(snapshot, counts={}))
        changed = snapshot.counts != before.snapshot.counts
        is_slow = self._clock() >= self._slow_due
        view = replace(before, snapshot=snapshot)
        if changed or is_slow:
            view = self._with_jobs(view)
        if is_slow:
            self._slow_due = self._clock() + SLOW_SECONDS
            view = self._with_choices(view)
        self._view = replace(view, preview=self._preview(snapshot))
        self._say(snapshot, has_changed=changed)
        if self._page_until is not None:
            self._open_page(snapshot, self._page_until)

    def _open_page(self, snapshot: Snapshot, until: float) -> None:
        """Open the page that was asked for, as soon as it is there."""
        if snapshot.page:
            self._page_until = None
            self._open_address(f"{snapshot.page}/open/{self.ledger.tickets.issue()}")
        elif self._clock() > until:
            self._page_until = None
            text = "The page did not come. `nst-daemon logs` says more."
            self._messages.show(Notice(title="Open page: not done", text=text))

    def _is_running(self) -> bool:
        """Return whether the daemon lives. Not by its lock: to try that would keep a new daemon from it."""
        pid, beat = self.ledger.facts.recall("pid"), self.ledger.presence.heartbeat()
        is_fresh = beat is not None and abs(self._clock() - beat) < BEAT_SECONDS
        return pid is not None and is_fresh and psutil.pid_exists(int(pid))

    def _with_jobs(self, view: View) -> View:
        done = self.ledger.jobs.latest(JobState.DONE, MAX_RESULTS)
        seen = float(self.ledger.facts.recall(FAILURES_SEEN) or 0)
        failed = self.ledger.jobs.latest(JobState.FAILED)
        return replace(
            view,
            results=tuple(job.result for job in done if job.result is not None),
            new_failures=sum(1 for job in failed if job.finished and job.finished.timestamp() > seen),
        )

    def _preview(self, snapshot: Snapshot) -> Path | None:
        """Return where the picture of the painting so far is; looked for until it is found."""
        job = next((current.job for current in snapshot.current), None)
        if self._previewed is None or self._previewed[0] != job:
            found = None if job is None else self.ledger.jobs.get(job)
            self._previewed = None
            if found is not None and _is_there(found.preview):
                self._previewed = found.id, found.preview
        return None if self._previewed is None else self._previewed[1]

    def _with_choices(self, view: View) -> View:
        try:
            self.config = configs.load(self.config.source)
        except NstError as error:
            logger.debug("the config was left as it was: %s", error)
        styles = view.styles
        with suppress(ConditionError):  # a share that does not answer: those of before
            styles = Library(self.config.styles, memory=self.ledger.facts).names()
        return replace(
            view,
            styles=styles,
            style=self._first.style,
            has_page=self.config.page.mode is not PageMode.OFF,
            starts_at_login=service.is_installed(service.plan(self.config)),
        )

    def _say(self, snapshot: Snapshot, *, has_changed: bool) -> None:
        if not self._may_notify():
            self._since = self._clock()
            return
        ended = self._newly_ended() if has_changed else []
        held = self.ledger.jobs.all(state=JobState.HELD) if snapshot.counts[JobState.HELD] else []
        for notice in self._notices.look(snapshot, ended=ended, held=held):
            self._messages.show(notice)

    def _newly_ended(self) -> list[Job]:
        """Return what was done or failed and was not said; two may end in the same moment."""
        ended = self.ledger.jobs.ended_since(self._since)
        news = [job for job in ended if (job.id, job.finished) not in self._told]
        self._told = {(job.id, job.finished) for job in ended}
        self._since = max(self._since, self._clock() - OVERLAP_SECONDS)
        return news

    @property
    def _first(self) -> Folder:
        return self.config.folders[0]

    # What is clicked.

    def _act(self, entry: Entry) -> None:
        match entry.act:
            case Act.PAUSE:
                self.ledger.requests.pause()
            case Act.RESUME:
                self.ledger.requests.resume()
            case Act.CANCEL if isinstance(entry.argument, int):
                self.ledger.cancel(entry.argument)
            case Act.RETRY_FAILED:
                self.ledger.retry_failed()
            case Act.UNLOAD:
                self.ledger.requests.ask(Request.UNLOAD)
            case Act.OPEN_PAGE:
                self.ledger.requests.ask(Request.PAGE)
                self._page_until = self._clock() + PAGE_SECONDS
            case Act.QUIT:
                self.ledger.requests.ask(Request.QUIT)
                self.was_quit = True
            case Act.START:
                self._start(self.config)
            case Act.LOGIN:
                self._toggle_login()
            case Act.SET_STYLE:
                self._set_style(str(entry.argument))
            case _:
                self._open_what(entry)

    def _open_what(self, entry: Entry) -> None:
        match entry.act:
            case Act.OPEN_INBOX:
                self._open(self._first.inbox)
            case Act.OPEN_RESULTS:
                self._open(self._first.outbox)
            case Act.OPEN_CONFIG:
                self._open(self.config.source)
            case Act.OPEN_LOG:
                self._open(logs.log_path(self.config.state_dir))
            case Act.OPEN if isinstance(entry.argument, Path):
                if not disk.is_there(entry.argument):
                    raise FileNotFoundError(f"{entry.argument} is not there any more.")
                self._open(entry.argument)
            case Act.SHOW_FAILED:
                self.ledger.facts.remember(FAILURES_SEEN, repr(self._clock()))
                self._open(self._first.failed)

    def _toggle_login(self) -> None:
        plan = service.plan(self.config)
        if service.is_installed(plan):
            service.uninstall(plan)
        else:
            service.install(plan)

    def _set_style(self, style: str) -> None:
        source = disk.real_path(self.config.source)  # a link stays a link
        text, encoding = configs.decoded(configs.read_source(source), str(source))
        raw = with_style(text, style, self.config.source).encode(encoding)
        draft = files.temporary_in(source.parent)
        try:
            with disk.created(draft) as file:
                file.write(raw)
            disk.copy_facts(source, draft)
            disk.touch(draft)
            disk.replace(draft, source)
        finally:
            with suppress(ConditionError):  # a hidden file, at worst
                disk.remove(draft)


def _is_there(preview: Path) -> bool:
    """Return whether there is a preview; it is looked for again."""
    try:
        return disk.is_file(preview)
    except ConditionError:
        return False
