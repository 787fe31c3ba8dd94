"""What the routes share: the config as it is now, the ledger, the live state, the pictures."""

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request

from nst_daemon import __version__
from nst_daemon import config as configs
from nst_daemon.config import Config
from nst_daemon.errors import ConfigError
from nst_daemon.folders.library import Library
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Job, JobState
from nst_daemon.page import words
from nst_daemon.page.answers import RefusedError
from nst_daemon.page.live import Live
from nst_daemon.page.looks import Looks
from nst_daemon.page.thumbs import Thumbs
from nst_daemon.page.uploads import Untaken, Uploads

STATIC: Final = Path(__file__).parent / "static"
BEAT_SECONDS: Final = 15.0  # a daemon that lives says so every second


@dataclass(kw_only=True)
class Site:
    """One page of one daemon. Its parts are safe on any thread, but those of the event loop."""

    started_with: Config
    ledger: Ledger
    token: str
    live: Live
    thumbs: Thumbs
    looks: Looks
    library: Library
    uploads: Uploads
    untaken: Untaken

    def config(self) -> Config:
        """Return the config as it stands in its file; the one before where that cannot be used now."""
        with suppress(ConfigError):  # shown by the daemon, as a problem
            self.started_with = configs.load(self.started_with.source)
        return self.started_with

    def job(self, number: int) -> Job:
        """Return a job. Raises: RefusedError: there is none."""
        found = self.ledger.jobs.get(number) if number <= sys.maxsize else None
        if found is None:
            raise RefusedError(404, f"There is no job {number}.")
        return found


def site_of(request: Request) -> Site:
    """Return what the routes share."""
    site: Site = request.app.state.site
    return site


class Looker:
    """Looks at the whole state of a ledger, again and again. On one thread at a time."""

    def __init__(self, ledger: Ledger, sheets: Callable[[Ledger], list[words.Json]] = lambda _: []) -> None:
        self._ledger = ledger
        self._sheets = sheets
        self._pace = words.Pace()

    def __call__(self) -> words.Json:
        """Return the state as it is now."""
        ledger = self._ledger
        beat = ledger.presence.heartbeat()
        is_fresh = beat is not None and abs(ledger.file.clock() - beat) < BEAT_SECONDS
        is_running = is_fresh and ledger.facts.recall("pid") is not None  # one that was stopped leaves none
        snapshot = ledger.snapshot(running=is_running)
        jobs = {
            "running": ledger.jobs.all(state=JobState.RUNNING),
            "waiting": ledger.queue.next(words.WAITING),
            "held": ledger.jobs.all(state=JobState.HELD, limit=words.WAITING),
            "failed": ledger.jobs.latest(JobState.FAILED, words.WAITING),
            "recent": ledger.jobs.latest(JobState.DONE, words.SHOWN),
        }
        sheets = self._sheets(ledger)
        return words.state(
            snapshot,
            jobs,
            self._pace,
            version=__version__,
            sheets=sheets,
            sketches=ledger.sheets.counts(),
        )
