"""An inbox with everything around it, for tests of the left half: a real ledger, real files, real styles."""

import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nst_daemon import disk
from nst_daemon.config import Config, EngineConfig, Folder, Watch, WatchMode
from nst_daemon.errors import ConditionError
from nst_daemon.folders.drafts import draft_copy
from nst_daemon.folders.inboxes import Inboxes
from nst_daemon.folders.library import Library
from nst_daemon.intake.inspection import Inspection, Readable, Taken, Unreadable, is_to_copy
from nst_daemon.intake.intake import Intake
from nst_daemon.intake.shelf import Shelf
from nst_daemon.ledger import Ledger, Verdict
from nst_daemon.ledger.jobs import Job, JobState
from nst_daemon.painting.disposal import Disposal
from support.clock import FakeClock

STARRY = "starry_night"
SCREAM = "the_scream"


class FakeReader:
    """Takes every file for a picture, but for those whose bytes say otherwise."""

    def __init__(self) -> None:
        self.keywords: dict[str, tuple[str, ...]] = {}
        self.read: list[str] = []
        self.shown: list[str] = []  # as small pictures
        self.prepared = 0
        self.odd: set[str] = set()  # names of pictures that look as if somebody were still writing them
        self.on_read: Callable[[Path], None] = lambda path: None

    def prepare(self) -> None:
        self.prepared += 1

    def inspect(self, path: Path) -> Inspection:
        self.read.append(path.name)
        content = disk.read_bytes(path)
        self.on_read(path)
        if not content or content.startswith(b"half"):
            return Unreadable(reason=f"{path.name} breaks off.", remedy="Copy it again.", may_grow=True)
        if content.startswith(b"text"):
            return Unreadable(reason=f"{path.name} is no picture.", remedy="Export it as JPEG.")
        provenance = None
        if content.startswith(b"painting"):
            provenance = {"job_key": content.partition(b":")[2].decode()}
        return Readable(
            width=8,
            height=8,
            format="jpeg",
            keywords=self.keywords.get(path.name, ()),
            provenance=provenance,
            may_grow=path.name in self.odd,
        )

    def take(self, path: Path, draft: Path) -> Future[Taken]:
        """Do at once what the reading process does."""
        future = Future[Taken]()
        try:
            found = self.inspect(path)
            future.set_result(Taken(found, draft_copy(path, draft) if is_to_copy(found) else None))
        except (ConditionError, FileNotFoundError) as error:
            future.set_exception(error)
        return future

    def attend(self, seconds: float) -> None:
        pass

    def thumbnail(self, path: Path) -> bytes | None:
        self.shown.append(path.name)
        content = disk.read_bytes(path)
        return None if content.startswith(b"text") else b"small " + content

    def rest(self) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass
class Place:
    """An inbox with everything around it, and an intake that is ticked by hand."""

    base: Path
    clock: Callable[[], float]
    watch: Watch = field(default_factory=lambda: Watch(mode=WatchMode.POLLING))
    options: dict[str, Any] = field(default_factory=dict)
    weights: str = "original"

    def __post_init__(self) -> None:
        self.inbox, self.outbox = self.base / "inbox", self.base / "outbox"
        self.styles = self.base / "styles"
        for folder in (self.inbox, self.outbox, self.styles):
            folder.mkdir(parents=True, exist_ok=True)
        for name in (STARRY, SCREAM):
            self.put_style(f"{name}.jpg", name.encode())
        self.reader, self.style_reader = FakeReader(), FakeReader()
        self.folders = [
            Folder(
                inbox=self.inbox,
                outbox=self.outbox,
                archive=self.base / "archive",
                failed=self.base / "failed",
                style=STARRY,
            )
        ]
        self.open()

    def open(self) -> None:
        self.config = Config(
            source=self.base / "config.yaml",
            folders=tuple(self.folders),
            styles=self.styles,
            state_dir=self.base / "state",
            watch=self.watch,
            engine=EngineConfig(weights=self.weights),
        )
        now = self.clock if isinstance(self.clock, FakeClock) else time.time  # not the monotonic one
        self.ledger = Ledger(self.base / "state" / "ledger.db", clock=now)
        self.inboxes = Inboxes(self.config.folders, self.watch, clock=self.clock, **self.options)
        self.disposal = Disposal(self.ledger, self.config.folders, clock=now)
        self.intake = Intake(
            config=self.config,
            inboxes=self.inboxes,
            reader=self.reader,
            ledger=self.ledger,
            library=self.shelf(),
            clock=self.clock,
        )

    def shelf(self) -> Shelf:
        return Shelf(
            Library(self.styles, built_in=self.base / "none", memory=self.ledger.facts),
            copies=self.config.state_dir / "photos",
            reader=self.style_reader,
            settle_seconds=self.watch.settle_seconds,
            patience=self.watch.max_wait_seconds,
            clock=self.clock,
        )

    def put_style(self, name: str, content: bytes, *, age: float = 3600.0) -> Path:
        """Put a style into the library that was written so many seconds ago."""
        path = self.styles / name
        path.write_bytes(content)
        os.utime(path, (time.time() - age,) * 2)
        return path

    def close(self) -> None:
        self.inboxes.close()
        self.ledger.close()

    def restart(self) -> None:
        self.close()
        self.open()

    def drop(self, name: str, content: bytes = b"photo") -> Path:
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def run(self, seconds: float = 10.0, step: float = 0.5) -> None:
        """Let time pass in small steps, with a tick after each."""
        self.tick()
        for _ in range(round(seconds / step)):
            self.advance(step)
            self.tick()

    def advance(self, seconds: float) -> None:
        assert isinstance(self.clock, FakeClock)
        self.clock.advance(seconds)

    def tick(self) -> None:
        while self.intake.tick():
            pass
        self.disposal.sweep()  # the right half's: it alone moves a photo

    def jobs(self, state: JobState | None = None) -> list[Job]:
        return self.ledger.jobs.all(state=state, newest_first=False)

    def only_job(self) -> Job:
        (job,) = self.jobs()
        return job

    def states(self) -> list[JobState]:
        return [job.state for job in self.jobs()]

    def codes(self) -> list[str]:
        return [problem.code for problem in self.ledger.snapshot(running=True).problems]

    def verdict(self, path: Path) -> Verdict | None:
        seen = self.ledger.seen.get(path)
        return None if seen is None else seen.verdict

    def paint(self, job: Job) -> Path:
        """Do what the worker does: paint, publish, archive."""
        claimed = self.ledger.queue.claim()
        assert claimed is not None
        assert claimed.id == job.id
        result = self.outbox / f"{job.original.stem}.{job.style}.jpg"
        result.write_bytes(f"painting:{job.key}".encode())
        self.ledger.move(job.id, JobState.RUNNING, JobState.DONE, result=result)
        return result

    def archive(self, job: Job) -> Path:
        target = self.base / "archive" / job.original.name
        target.parent.mkdir(exist_ok=True)
        job.original.replace(target)
        self.ledger.mark_disposed(job.id, target)
        return target
