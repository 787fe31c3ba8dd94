"""A worker with everything around it, and an engine that paints by writing down what it was asked for."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from nst_daemon.config import Folder
from nst_daemon.config.orders import EngineFacts, Order, Painting, Progress
from nst_daemon.config.recipe import Style, resolve
from nst_daemon.disk.files import file_sha256
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import (
    CancelledError,
)
from nst_daemon.ledger import Added, Ledger
from nst_daemon.ledger.jobs import Job, NewJob
from nst_daemon.painting.attempt import Engine
from nst_daemon.painting.disposal import Disposal
from nst_daemon.painting.easel import Easel
from nst_daemon.painting.worker import Worker


@dataclass
class FakeEngine:
    """Answers each order with the next of `answers`; then paints."""

    answers: list[Exception] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    during: Callable[[Order], None] = lambda _: None
    report: bool = False
    steps: list[Progress] = field(default_factory=list)
    is_warm: bool = False
    ended: int = 0
    facts: EngineFacts = field(default_factory=EngineFacts)

    def warm_up(self, should_stop: Callable[[], bool]) -> None:
        self.is_warm = True

    def paint(
        self, order: Order, *, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> Painting:
        self.is_warm = True
        self.orders.append(order)
        self.during(order)
        for step in self.steps:
            on_progress(step)
        if should_stop():
            raise CancelledError("stopped")
        if self.answers:
            raise self.answers.pop(0)
        picture = order.result.with_suffix(".jpg")
        picture.write_bytes(b"painting of " + order.photo.read_bytes())
        report = order.result.with_suffix(".report.png") if self.report else None
        if report:
            report.write_bytes(b"report")
        return Painting(
            picture=picture,
            report=report,
            width=4,
            height=3,
            seconds=1.5,
            seconds_to_first_step=0.1,
            device="cpu",
            losses={"total": 0.1},
        )

    def end(self) -> None:
        self.ended += 1
        self.is_warm = False


def easel_with(engine: Engine, *, idle_seconds: float, clock: Callable[[], float] = time.time) -> Easel:
    """Return an easel with an engine that is there already."""
    settings = EngineSettings(device="played", cache_dir=Path())
    return Easel(settings, lambda _: engine, idle_seconds=idle_seconds, clock=clock)


class Desk:
    """A worker with everything around it."""

    def __init__(self, root: Path, ledger: Ledger, clock: Callable[[], float]) -> None:
        self.root, self.ledger, self.stop = root, ledger, False
        self.state_dir = root / "state"
        self.folder = Folder(
            inbox=root / "inbox",
            outbox=root / "outbox",
            archive=root / "archive",
            failed=root / "failed",
            style="dots",
        )
        for path in (self.folder.inbox, self.folder.outbox):
            path.mkdir()
        self.engine = FakeEngine()
        self.worker = self.make(clock)

    def make(self, clock: Callable[[], float], **changes: object) -> Worker:
        folder = self.folder if not changes else type(self.folder)(**{**_fields(self.folder), **changes})  # type: ignore[arg-type]
        return Worker(
            ledger=self.ledger,
            easel=easel_with(self.engine, idle_seconds=60.0, clock=clock),
            disposal=Disposal(self.ledger, (folder,), clock=clock),
            state_dir=self.state_dir,
            should_stop=lambda: self.stop,
            clock=clock,
        )

    def drop(self, name: str = "cat.jpg", style: str = "dots", content: bytes = b"cat") -> int:
        original = self.folder.inbox / name
        original.parent.mkdir(parents=True, exist_ok=True)
        original.write_bytes(content)
        copy = self.state_dir / "photos" / name.replace("/", "_")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
        added = self.ledger.add(
            NewJob(
                key=f"{name}:{style}:{content!r}",
                path=PurePath(name),
                original=original,
                copy=copy,
                photo_sha256=file_sha256(original),
                inbox=self.folder.inbox,
                outbox=self.folder.outbox,
                styles=(Style(name=style, path=original, sha256="s"),),
                recipe=resolve({}),
            )
        )
        assert isinstance(added, Added)
        return added.job

    def job(self, job: int) -> Job:
        found = self.ledger.jobs.get(job)
        assert found is not None
        return found


def _fields(folder: Folder) -> dict[str, object]:
    return {name: getattr(folder, name) for name in folder.__dataclass_fields__}
