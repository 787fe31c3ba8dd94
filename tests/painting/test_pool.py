"""The easels of the right half: as many as the config asks for, and which of them takes a job."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nst_daemon.config import Config, EngineConfig, Folder
from nst_daemon.config.orders import EngineFacts, Order, Painting, Progress
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import ConditionError, MissingError
from nst_daemon.ledger import Ledger
from nst_daemon.painting.pool import RightHalf
from nst_daemon.painting.worker import Worker


@dataclass
class FakeEngine:
    """An engine that is whatever a test says."""

    settings: EngineSettings
    on_facts: Callable[[EngineFacts], None]
    facts: EngineFacts = field(default_factory=EngineFacts)
    ended: int = 0

    @property
    def is_warm(self) -> bool:
        return self.facts.state == "warm"

    def be(self, state: str, others: tuple[str, ...] = ()) -> None:
        self.facts = EngineFacts(state=state, device=self.settings.device, others=others)
        self.on_facts(self.facts)

    def warm_up(self, should_stop: Callable[[], bool]) -> None:
        raise AssertionError("nothing is painted here")

    def paint(
        self, order: Order, *, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> Painting:
        raise AssertionError("nothing is painted here")

    def end(self) -> None:
        self.ended += 1
        self.be("cold")


class Studio:
    """A right half whose threads are played by hand."""

    def __init__(self, root: Path, ledger: Ledger) -> None:
        self.ledger = ledger
        self.made: list[FakeEngine] = []
        folder = Folder(
            inbox=root / "in", outbox=root / "out", archive=root / "a", failed=root / "f", style="dots"
        )
        self.config = Config(
            source=root / "config.yaml", folders=(folder,), styles=root, state_dir=root / "state"
        )
        self.right = RightHalf(self.config, ledger, self._make, should_stop=lambda name: False)

    def _make(self, settings: EngineSettings, on_facts: Callable[[EngineFacts], None]) -> FakeEngine:
        self.made.append(FakeEngine(settings, on_facts))
        return self.made[-1]

    def ask_for(self, *devices: str, **engine: object) -> list[Worker]:
        """Return the easels that a config with these devices begins."""
        self.right.follow(replace(self.config, engine=EngineConfig(devices=devices, **engine)))  # type: ignore[arg-type]
        return self.right.tend()

    def end_of_jobs(self) -> None:
        """Let every thread look whether its easel is to leave, and do the rest of a tick."""
        for worker in self.right._workers:
            if worker.is_leaving:
                worker.leave()
            else:
                worker.tick()

    @property
    def devices(self) -> list[str]:
        return [worker.easel.device for worker in self.right._workers if not worker.is_leaving]


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with Ledger(tmp_path / "ledger.db") as ledger:
        yield Studio(tmp_path, ledger)


def engine_of(worker: Worker) -> FakeEngine:
    engine = worker.easel.engine
    assert isinstance(engine, FakeEngine)
    return engine


def test_without_devices_there_is_one_easel_on_the_one_device(studio: Studio) -> None:
    (worker,) = studio.right.tend()
    assert (worker.name, worker.easel.device) == ("worker 1", "auto")
    assert studio.right.tend() == []
    assert engine_of(worker).settings.share == 1


def test_each_device_has_an_easel_and_one_that_two_share_is_shared(studio: Studio) -> None:
    workers = studio.ask_for("cuda:0", "cuda", "cuda:1")
    assert [worker.name for worker in workers] == ["worker 1", "worker 2", "worker 3"]
    assert [engine_of(worker).settings.share for worker in workers] == [2, 2, 1]


def test_an_easel_whose_device_stays_keeps_its_engine(studio: Studio) -> None:
    (first, second) = studio.ask_for("cuda:0", "cuda:1")
    (third,) = studio.ask_for("cuda:1", "cuda:2")
    studio.end_of_jobs()
    assert (first.has_left, second.has_left, third.easel.device) == (True, False, "cuda:2")
    assert len(studio.made) == 3
    assert engine_of(second).ended == 0
    assert engine_of(first).ended == 1


def test_an_easel_that_shares_its_device_from_now_on_begins_a_smaller_engine(studio: Studio) -> None:
    (first,) = studio.ask_for("cpu")
    before = engine_of(first)
    studio.ask_for("cpu", "cpu")
    assert engine_of(first) is before  # until its job is done
    studio.end_of_jobs()
    assert before.ended == 1
    assert engine_of(first).settings.share == 2


def test_a_device_is_given_to_another_only_when_its_easel_has_left(studio: Studio) -> None:
    (first,) = studio.ask_for("cuda:0")
    studio.ask_for("cuda:1")
    assert first.is_leaving
    assert studio.ask_for("cuda:0", "cuda:1") == []  # it still paints
    studio.end_of_jobs()
    (again,) = studio.right.tend()
    assert (again.easel.device, again.name) == ("cuda:0", "worker 1")
    assert sorted(studio.devices) == ["cuda:0", "cuda:1"]


def test_all_devices_are_known_as_soon_as_the_first_engine_says_so(studio: Studio) -> None:
    (first,) = studio.ask_for("all")
    assert first.easel.device == "auto"
    engine_of(first).be("starting", others=("cuda:1", "cuda:2"))
    assert [worker.easel.device for worker in studio.right.tend()] == ["cuda:1", "cuda:2"]
    studio.ask_for("all", weights="torchvision")  # a new first engine, which has said nothing yet
    studio.end_of_jobs()
    assert studio.right.tend() == []
    assert studio.devices == ["auto", "cuda:1", "cuda:2"]


def test_the_views_are_told_of_every_engine(studio: Studio) -> None:
    first, second = studio.ask_for("cuda:0", "cuda:1")
    engine_of(second).be("painting")
    first.easel.missing = MissingError("broken")
    studio.right.tend()
    snapshot = studio.ledger.snapshot(running=True)
    assert [(each.device, each.state) for each in snapshot.engines] == [
        ("", "missing"),
        ("cuda:1", "painting"),
    ]
    assert snapshot.engine.device == "cuda:1"
    studio.ask_for("cuda:1")
    studio.end_of_jobs()
    studio.right.tend()
    assert len(studio.ledger.snapshot(running=True).engines) == 1


def test_a_cold_engine_leaves_a_job_to_a_warm_one_that_is_idle(studio: Studio) -> None:
    first, second = studio.ask_for("cuda:0", "cuda:1")
    may_claim = first.may_claim
    assert may_claim()
    engine_of(second).be("warm")
    assert not may_claim()
    assert second.may_claim()
    for busy in ("painting", "cold", "starting"):
        engine_of(second).be(busy)
        assert may_claim()
    engine_of(second).be("warm")
    second.blocked = ConditionError("full")
    assert may_claim()
    second.blocked, second.is_leaving = None, True
    assert may_claim()


def test_unload_reaches_every_engine_that_idles(studio: Studio) -> None:
    workers = studio.ask_for("cuda:0", "cuda:1", keep_warm="always")
    for worker in workers:
        engine_of(worker).be("warm")
    studio.end_of_jobs()
    assert [engine_of(worker).ended for worker in workers] == [0, 0]
    studio.right.unload()
    studio.end_of_jobs()
    studio.end_of_jobs()
    assert [engine_of(worker).ended for worker in workers] == [1, 1]


def test_nothing_can_be_painted_only_when_all_engines_are_missing(studio: Studio) -> None:
    assert studio.right.missing is None
    first, second = studio.ask_for("cuda:0", "cuda:1")
    first.easel.missing = MissingError("one")
    assert studio.right.missing is None
    second.easel.missing = MissingError("two")
    assert str(studio.right.missing) == "one"


def test_an_engine_that_is_wanted_no_more_takes_its_problem_along(studio: Studio) -> None:
    first, _ = studio.ask_for("xpu", "cpu")
    first.easel.missing = MissingError("broken")
    first._show(first.name, first.easel.missing, "engine_missing")
    assert studio.ledger.snapshot(running=True).problems
    studio.ask_for("cpu")
    studio.end_of_jobs()
    assert studio.ledger.snapshot(running=True).problems == ()
