"""Whether the system tells what happens in a folder: asked of watchdog, proven by a probe, begun anew.

Where it does not tell, somebody has to read the folder; what is in it is not known here.
"""

import contextlib
import errno
import logging
import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from watchdog import events
from watchdog.observers import Observer

from nst_daemon import disk
from nst_daemon.config import Watch, WatchMode
from nst_daemon.errors import ConditionError, NameRefusedError
from nst_daemon.folders import mounts
from nst_daemon.folders.hints import Collector
from nst_daemon.ledger.jobs import Problem

logger = logging.getLogger(__name__)

PROBE: Final = ".nst-probe-"
PROBE_SECONDS: Final = 3.0  # a native event comes within milliseconds; a loaded machine gets its time
BACK_OFF: Final = (1.0, 60.0)  # seconds before watching is begun again: first, and at most
WATCHED: Final = [
    events.FileCreatedEvent,
    events.FileModifiedEvent,
    events.FileMovedEvent,
    events.FileClosedEvent,
    events.FileDeletedEvent,
    events.DirCreatedEvent,  # without it watchdog would not watch new sub-folders
    events.DirMovedEvent,
    events.DirDeletedEvent,
]  # not opened, not closed unwritten: our own reading would flood the queue
SYSCTL: Final = (
    "sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=1024"
    " (put both into /etc/sysctl.d/ to keep them)"
)


class Watching(StrEnum):
    """How an inbox is watched at this moment."""

    OFF = "off"  # it is not there, or the watching broke
    PROBING = "probing"  # events are on; a probe file shows whether they arrive
    NATIVE = "native"
    POLLING = "polling"


class Watcher:
    """Watches one folder. Lives on the intake's thread; watchdog's threads only fill the set of paths."""

    def __init__(
        self,
        path: Path,
        watch: Watch,
        *,
        clock: Callable[[], float],
        make_observer: Callable[[], Any] = Observer,
        is_silent: Callable[[Path], bool] = mounts.is_silent,
    ) -> None:
        self.state = Watching.OFF
        self.since = 0.0  # when it began
        self.problem: Problem | None = None  # the system has no watches left
        self.collector = Collector("")
        self._path = path
        self._mode = watch.mode
        self._recursive = watch.recursive
        self._clock = clock
        self._make_observer = make_observer
        self._is_silent = is_silent
        self._observer: Any = None
        self._identity: tuple[int, int] | None = None
        self._retry = 0.0  # when it may begin again
        self._failures = 0

    def judge_probe(self) -> None:
        """See whether the probe's event has come; where it does not, the folder is to be polled. Cheap."""
        if self.state is not Watching.PROBING:
            return
        if self.collector.was_probed.is_set():
            self.state = Watching.NATIVE
            self._failures = 0
            logger.debug("%s is watched natively", self._path)
        elif self._clock() - self.since >= PROBE_SECONDS:
            self._end_observer()
            self._poll("no event came from a probe")

    def tend(self) -> bool:
        """Begin to watch, or anew where it broke; return whether something may have been missed."""
        now = self._clock()
        if self.state is Watching.OFF:
            if now < self._retry:
                return False
            self._begin(now)
            return True
        if self.state is Watching.POLLING or self._is_healthy():
            return False
        self._break(now, "the watching ended")
        return True

    def _begin(self, now: float) -> None:
        self.since = now
        self._identity = self._current_identity()
        if self._mode is WatchMode.POLLING:
            return self._poll("the config says so")
        if self._mode is WatchMode.AUTO and self._is_silent(self._path):
            return self._poll("it is on a network share")
        self.collector = Collector(f"{PROBE}{os.getpid()}-{id(self):x}")
        self._observer = self._make_observer()
        try:
            self._observer.schedule(
                self.collector, str(self._path), recursive=self._recursive, event_filter=WATCHED
            )
            self._observer.start()
        except (OSError, RuntimeError) as error:  # RuntimeError: the system has no thread to give
            return self._observer_failed(error, now)
        self.state = Watching.NATIVE
        if self._mode is WatchMode.AUTO:
            self._probe()
        return None

    def _observer_failed(self, error: OSError | RuntimeError, now: float) -> None:
        self._end_observer()
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EMFILE, errno.ENFILE):
            self.problem = Problem(
                code="watch_limit",
                message=f"The system has no watches left for {self._path}: it is read at intervals instead.",
                remedy=SYSCTL,
            )
            self._poll("the system has no watches left")
        else:
            self._break(now, str(error))

    def _probe(self) -> None:
        """Write a file whose event shows that events arrive here at all."""
        self.state = Watching.PROBING
        probe = self._path / self.collector.probe
        try:
            with disk.created(probe):
                pass
        except (ConditionError, FileExistsError, NameRefusedError) as error:
            logger.debug("No probe in %s: %s", self._path, error)
            self._end_observer()
            self._poll("it cannot be probed")
        finally:
            with contextlib.suppress(ConditionError):  # swept at the next start
                disk.remove(probe)

    def _poll(self, why: str) -> None:
        self.state = Watching.POLLING
        logger.info("%s is read every few seconds: %s", self._path, why)

    def _is_healthy(self) -> bool:
        """Return whether all of watchdog's threads live, and watch the folder that has this name now."""
        observer = self._observer
        return (
            observer is not None
            and observer.is_alive()
            and all(emitter.is_alive() for emitter in observer.emitters)
            and self._identity == self._current_identity()
        )

    def _break(self, now: float, why: str) -> None:
        self.stop()
        first, most = BACK_OFF
        pause = min(most, first * 2**self._failures)
        self._failures += 1
        self._retry = now + pause
        logger.warning("The watching of %s begins anew in %g s: %s", self._path, pause, why)

    def stop(self) -> None:
        """Watch no more; the next `tend` begins anew."""
        self._end_observer()
        self.state = Watching.OFF
        self.problem = None

    def _end_observer(self) -> None:
        if self._observer is None:
            return
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()
        else:  # it never began, or died: its emitters may live
            self._observer.unschedule_all()
        self._observer = None

    def _current_identity(self) -> tuple[int, int] | None:
        try:
            facts = disk.facts_of(self._path, follow=True)
        except ConditionError:
            return self._identity  # nobody knows: `Inbox.is_present` shows it
        return None if facts is None else (facts.st_dev, facts.st_ino)
