"""Paths at which something happened, collected on watchdog's thread for the intake's."""

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from watchdog import events

from nst_daemon.folders.gate import is_hidden

MAX_HINTS: Final = 20_000  # paths kept between two ticks; beyond, the folder is read anew


@dataclass(frozen=True, slots=True)
class Hint:
    """A path at which something happened."""

    path: Path
    was_written: bool  # not only found below a folder that appeared


class Collector(events.FileSystemEventHandler):
    """What watchdog tells of one inbox. An exception in it would end the watching: it only fills a dict."""

    def __init__(self, probe: str) -> None:
        self.probe = probe
        self.was_probed = threading.Event()
        self.has_overflown = False
        self._lock = threading.Lock()
        self._paths: dict[str, None] = {}

    def dispatch(self, event: events.FileSystemEvent) -> None:
        """Take in what happened at one path, or at two."""
        for raw in (event.src_path, event.dest_path):
            if raw:
                self._put(os.fsdecode(raw))

    def _put(self, path: str) -> None:
        name = os.path.basename(path)  # noqa: PTH119  on every event: twenty times faster than a Path
        if name == self.probe:
            self.was_probed.set()
        if is_hidden(name):
            return
        with self._lock:
            if len(self._paths) < MAX_HINTS:
                self._paths[path] = None
            else:
                self.has_overflown = True

    def drain(self) -> list[str]:
        """Return the paths since the last call."""
        with self._lock:
            paths = list(self._paths)
            self._paths.clear()
        return paths
