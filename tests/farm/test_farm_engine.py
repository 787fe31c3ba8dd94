"""An engine at a seat, over a wire that is played: what is sent, what comes back, and what if it does not."""

import asyncio
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.daemons import progress_at, serve_played
from support.waiting import wait_for

from nst_daemon.config import FarmConfig
from nst_daemon.config.model import SharedFolder
from nst_daemon.config.orders import Order, Progress
from nst_daemon.config.recipe import Areas, Mask, Region, Style, resolve
from nst_daemon.disk.files import file_sha256
from nst_daemon.engine import process as engine_process
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import (
    CancelledError,
    ConditionError,
    ConfigError,
    CopyError,
    EngineError,
    MissingError,
    SeatLostError,
    StyleError,
)
from nst_daemon.farm import freight, talk
from nst_daemon.farm.answers import Peek, Sight, StrangerError, UnreachableError
from nst_daemon.farm.contact import Hint
from nst_daemon.farm.engine import FarmEngine
from nst_daemon.farm.parcel import CHUNK, Blob, packed, plain, unpacked, wishes_of
from nst_daemon.farm.seat import Seat

THREADS = 4


class PlayedWire:
    """The way to one seat, which lives on an event loop of its own. What is asked can be made to fail."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.faults: list[tuple[str, Callable[[Any], object]]] = []  # of the next call of that name
        self.asked: list[str] = []
        self.counts = {"painted": 0, "lost": 0}
        self.gone = False
        self.last: dict[str, str | None] = {}
        self.hint: Hint | None = None
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(pool := ThreadPoolExecutor(THREADS))
        all_of_them = threading.Barrier(THREADS + 1)
        for _ in range(THREADS):  # begun here, and not by the first test that needs one
            pool.submit(all_of_them.wait)
        all_of_them.wait()
        self._pool = pool
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def ask(self, name: str, what: str, /, *, seconds: float = 5.0, **words: Any) -> "Future[Any]":
        self.asked.append(what)

        async def answer() -> Any:
            for number, (call, fault) in enumerate(self.faults):
                if call == what:
                    del self.faults[number]
                    return fault(await getattr(self.seat, what)(**words))
            return await getattr(self.seat, what)(**words)

        return asyncio.run_coroutine_threadsafe(answer(), self._loop)

    def is_gone(self, name: str) -> bool:
        return self.gone

    def wait_for_news(self, seconds: float) -> None:
        wait_for(lambda: True)

    def use(self, count: int) -> None:
        pass

    def note(self, name: str, **changes: Any) -> None:
        pass

    def last_seat_of(self, key: str) -> str | None:
        return self.last.get(key)

    def set_last_seat(self, key: str, name: str | None) -> None:
        self.last[key] = name

    def look_ahead(self, name: str, styles: Collection[str]) -> Hint | None:
        return self.hint

    def count_painted(self, name: str) -> None:
        self.counts["painted"] += 1

    def count_lost(self, name: str) -> None:
        self.counts["lost"] += 1

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.seat.close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._pool.shutdown()
        self._loop.close()


def silent(_: object) -> object:
    """Play a link on which the answer got lost."""
    raise UnreachableError("no answer")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("machine")


@pytest.fixture(scope="module")
def warm_wire(machine: Path) -> Iterator[PlayedWire]:
    """Yield one seat for all tests, whose engine stays warm."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_process, "START_METHOD", "forkserver")
        settings = EngineSettings(device="cpu", cache_dir=machine / "weights")
        seat = Seat(settings, machine / "cpu", serve=serve_played)
        seat.prepare()
        wire = PlayedWire(seat)
        yield wire
        wire.close()


@pytest.fixture
def wire(warm_wire: PlayedWire) -> PlayedWire:
    warm_wire.faults.clear()
    warm_wire.asked.clear()
    warm_wire.counts = {"painted": 0, "lost": 0}
    warm_wire.gone = False
    warm_wire.last.clear()
    warm_wire.hint = None
    return warm_wire


@pytest.fixture
def engine(wire: PlayedWire, tmp_path: Path) -> FarmEngine:
    settings = EngineSettings(device="farm:gpu1/cpu", cache_dir=tmp_path)
    return FarmEngine(settings, "gpu1/cpu", wire, terms=lambda: FarmConfig(silence_seconds=3.0))


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return order_of(tmp_path, b"a photo")


def order_of(base: Path, content: bytes, *, name: str = "zwei\nZeilen ü.jpg") -> Order:
    photo = base / "photo.JPG"
    photo.write_bytes(content)
    style = base / "stripes.png"
    style.write_bytes(b"a style")
    scratch = base / "work"
    scratch.mkdir(exist_ok=True)
    return Order(
        job=7,
        photo=photo,
        photo_name=name,
        photo_sha256=file_sha256(photo),
        styles=(Style(name="stripes", path=style, sha256=file_sha256(style)),),
        recipe=resolve({"report": True}),
        result=scratch / "painting",
        key="k" * 64,
        preview=base / "outbox" / ".preview" / "7.jpg",
    )


def never() -> bool:
    return False


def painted(engine: FarmEngine, order: Order, should_stop: Callable[[], bool] = never) -> bytes:
    steps: list[Progress] = []
    painting = engine.paint(order, on_progress=steps.append, should_stop=should_stop)
    assert painting.picture.parent == order.result.parent
    assert painting.report is not None
    assert painting.report.read_bytes() == b"report:" + order.key.encode()
    assert steps == [progress_at(1)]
    return painting.picture.read_bytes()


# ── parcels ─────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_travels_by_content_and_comes_to_paths_of_the_seats_own(tmp_path: Path) -> None:
    plain_order = order_of(tmp_path, b"a photo")
    mask_file = tmp_path / "m.png"
    mask_file.write_bytes(b"a mask")
    mask = Mask(name="süß.mask.png", path=mask_file, sha256=file_sha256(mask_file))
    areas = Areas(mask=mask, regions=(Region(mask=mask, styles=plain_order.styles),))
    order = replace(plain_order, areas=areas)
    packing, files = packed(order)
    assert str(tmp_path) not in repr(packing)
    assert {path.read_bytes() for path in files.values()} == {b"a photo", b"a style", b"a mask"}
    assert set(packing.blobs) == set(files)
    there = unpacked(packing, blobs=Path("/b"), scratch=Path("/s"), checkpoint=Path("/c"))
    assert there.photo == Path("/b") / f"{order.photo_sha256}.jpg"
    assert there.areas.mask is not None
    assert there.areas.mask.path == Path("/b") / f"{mask.sha256}.png"
    same = {"job", "photo_name", "photo_sha256", "recipe", "key"}
    assert all(getattr(there, name) == getattr(order, name) for name in same)


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a\\b", "/etc/passwd", ".h", "a\x00b", "x" * 200])
def test_no_name_leads_out_of_a_seats_folder(name: str) -> None:
    with pytest.raises(ConfigError):
        plain(name)


# ── painting ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_painting_comes_home_and_its_style_travels_once(
    engine: FarmEngine, wire: PlayedWire, order: Order
) -> None:
    assert painted(engine, order) == b"painting:" + order.key.encode() + b":a photo"
    wire.asked.clear()
    assert painted(engine, order) == b"painting:" + order.key.encode() + b":a photo"
    assert wire.asked.count("put") == 1  # the photo alone
    assert wire.counts == {"painted": 2, "lost": 0}
    assert engine.facts.state == "warm"


@pytest.mark.parametrize("call", ["lacks", "put", "begin", "peek", "fetch", "forget"])
def test_an_answer_that_gets_lost_is_asked_for_again(
    engine: FarmEngine, wire: PlayedWire, tmp_path: Path, call: str
) -> None:
    order = order_of(tmp_path, bytes(2 * CHUNK + 5))
    wire.faults = [(call, silent)] * 2
    assert painted(engine, order).endswith(bytes(2 * CHUNK + 5))
    assert wire.counts == {"painted": 1, "lost": 0}


def test_what_arrives_damaged_is_sent_and_fetched_anew(
    engine: FarmEngine, wire: PlayedWire, order: Order
) -> None:
    wire.faults = [("put", lambda _: False), ("fetch", lambda data: b"!" + data[1:])]
    assert painted(engine, order) == b"painting:" + order.key.encode() + b":a photo"


def test_a_seat_whose_files_have_rotted_gets_them_anew(
    engine: FarmEngine, wire: PlayedWire, order: Order, machine: Path
) -> None:
    painted(engine, order)
    kept = machine / "cpu" / "files" / Blob(order.styles[0].sha256, ".png").name
    kept.write_bytes(b"rotten")
    painted(engine, order)
    assert kept.read_bytes() == b"a style"


def test_a_seat_that_has_gone_is_lost_at_once_and_a_silent_one_after_a_while(
    engine: FarmEngine, wire: PlayedWire, order: Order
) -> None:
    wire.faults = [("peek", silent)]
    wire.gone = True
    with pytest.raises(SeatLostError, match="has gone"):
        painted(engine, order)
    wire.gone = False
    wire.faults = [("peek", silent)] * 100_000
    with pytest.raises(SeatLostError, match="has not answered"):
        painted(engine, order)
    assert wire.counts == {"painted": 0, "lost": 2}


def test_a_seat_that_was_begun_anew_is_lost(engine: FarmEngine, wire: PlayedWire, order: Order) -> None:
    def begun_anew(_: object) -> object:
        raise StrangerError("none is in hand")

    wire.faults = [("peek", begun_anew)]
    with pytest.raises(SeatLostError, match="was started anew"):
        painted(engine, order)


def test_a_seat_leaves_off_what_a_coordinator_that_is_no_more_gave_it(
    engine: FarmEngine, wire: PlayedWire, order: Order, machine: Path
) -> None:
    (machine / "pauses").write_text("0 600")
    wire.ask("gpu1/cpu", "rest").result(30)  # an engine reads its pauses when it begins
    stop = threading.Event()
    thread = threading.Thread(target=lambda: _expect_end(engine, order, stop))
    thread.start()
    wait_for(lambda: wire.seat.hand is not None and wire.seat.hand.progress is not None, seconds=60)
    stranger = FarmEngine(
        EngineSettings(device="farm:gpu1/cpu", cache_dir=machine),
        "gpu1/cpu",
        wire,
        terms=lambda: FarmConfig(silence_seconds=30.0),
    )
    (machine / "pauses").unlink()
    assert painted(stranger, order) == b"painting:" + order.key.encode() + b":a photo"
    thread.join(30)  # the first one, thawed, is told that it is a stranger
    assert not thread.is_alive()
    assert wire.counts["painted"] == 1


def _expect_end(engine: FarmEngine, order: Order, stop: threading.Event) -> None:
    with pytest.raises((SeatLostError, CancelledError)):
        engine.paint(order, on_progress=lambda _: None, should_stop=stop.is_set)


def test_a_stop_comes_at_once_though_the_seat_is_frozen(
    engine: FarmEngine, wire: PlayedWire, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talk, "STOP_SECONDS", 0.2)
    frozen: Future[Any] = Future()
    real = wire.ask

    def ask(name: str, what: str, /, **words: Any) -> "Future[Any]":
        return frozen if what == "peek" else real(name, what, **words)

    monkeypatch.setattr(wire, "ask", ask)
    answers = iter([False] * 8)
    with pytest.raises(CancelledError):
        engine.paint(order, on_progress=lambda _: None, should_stop=lambda: next(answers, True))
    assert wire.asked[-2:] == ["stop", "forget"]


def test_a_checkpoint_comes_back_and_goes_along_to_another_seat(
    engine: FarmEngine, wire: PlayedWire, order: Order, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freight, "PULL_SECONDS", 0.0)
    reached = bytes(CHUNK + 3)
    checkpoint = order.result.parent.parent / "checkpoints" / "job.checkpoint"
    order = replace(order, checkpoint=checkpoint)
    (machine / "pauses").write_text("0 600")
    wire.ask("gpu1/cpu", "rest").result(30)
    stop = threading.Event()
    thread = threading.Thread(target=_expect_end, args=(engine, order, stop))
    thread.start()
    wait_for(lambda: wire.seat.hand is not None and wire.seat.hand.progress is not None, seconds=60)
    assert wire.seat.hand is not None
    at_seat = wire.seat.hand.checkpoint
    at_seat.write_bytes(reached)  # as its engine does
    wait_for(lambda: checkpoint.exists(), seconds=60)
    assert checkpoint.read_bytes() == reached
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    (machine / "pauses").unlink()
    wire.ask("gpu1/cpu", "rest").result(30)
    at_seat.unlink()  # as at another machine, which never had it
    wire.last[order.key] = "gpu2/cpu"
    order.result.parent.mkdir(exist_ok=True)
    seen: list[bytes] = []

    def look(peek: Peek) -> Peek:
        seen.append(at_seat.read_bytes() if at_seat.exists() else b"")
        return peek

    wire.faults = [("peek", look)] * 100
    painted(engine, order)
    assert reached in seen
    assert not at_seat.exists()  # nobody needs it any more


def test_a_file_that_is_at_fault_here_is_no_seats_fault(
    engine: FarmEngine, wire: PlayedWire, order: Order
) -> None:
    style = order.styles[0].path
    order.photo.write_bytes(b"another photo")
    with pytest.raises(CopyError):
        painted(engine, order)
    order = order_of(order.photo.parent, b"a photo")
    changed = replace(order.styles[0], sha256="0" * 64)
    style.unlink()
    with pytest.raises(StyleError, match="stripes is gone or has changed"):
        painted(engine, replace(order, styles=(changed,)))
    assert wire.counts == {"painted": 0, "lost": 0}


def test_weights_of_the_users_own_are_compared_by_their_hash(
    wire: PlayedWire, order: Order, tmp_path: Path
) -> None:
    weights = tmp_path / "own.pth"
    settings = EngineSettings(device="farm:gpu1/cpu", cache_dir=tmp_path, weights=str(weights))
    engine = FarmEngine(settings, "gpu1/cpu", wire, terms=lambda: FarmConfig(silence_seconds=3.0))
    with pytest.raises(MissingError, match="no weights at"):
        painted(engine, order)
    weights.write_bytes(b"weights")
    painted(engine, order)
    wishes = wishes_of(settings)
    weights.write_bytes(b"yet others")
    with pytest.raises(MissingError, match="lacks the weights"):
        wire.seat._engine_for(wishes)


# ── sent ahead ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def next_order(tmp_path: Path) -> Order:
    (tmp_path / "next").mkdir()
    return replace(order_of(tmp_path / "next", b"n" * (CHUNK + 3)), job=8, key="n" * 64)


def hint_of(order: Order) -> Hint:
    packing, files = packed(order)
    return Hint(packing.photo, files)


def test_what_is_needed_next_is_sent_while_a_seat_paints(
    engine: FarmEngine, wire: PlayedWire, order: Order, next_order: Order
) -> None:
    painted(engine, order)  # its style is there
    wire.hint, wire.asked[:] = hint_of(next_order), []
    painted(engine, order)
    wire.hint = None
    assert painted(engine, next_order).endswith(b":" + b"n" * (CHUNK + 3))
    assert wire.asked.count("put") == 3  # a photo, and one that takes two messages
    assert "drop" not in wire.asked


def test_what_another_seat_paints_is_not_kept(
    engine: FarmEngine, wire: PlayedWire, order: Order, next_order: Order
) -> None:
    wire.hint = hint_of(next_order)
    painted(engine, order)
    wire.hint = None
    painted(engine, order)
    assert wire.asked.count("drop") == 1
    assert wire.ask("gpu1/cpu", "lacks", blobs=(hint_of(next_order).photo,)).result(10)


@pytest.mark.parametrize("fault", ["lost", "damaged", "gone"])
def test_what_fails_ahead_fails_nothing(
    engine: FarmEngine, wire: PlayedWire, order: Order, next_order: Order, fault: str
) -> None:
    painted(engine, order)
    wire.hint = hint_of(next_order)
    content = next_order.photo.read_bytes()
    if fault == "gone":
        next_order.photo.unlink()
    else:
        wire.faults = [("put", lambda answer: answer)]  # of the photo in hand
        wire.faults += [("put", silent if fault == "lost" else lambda _: False)]
    painted(engine, order)
    wire.hint = None
    next_order.photo.write_bytes(content)
    assert painted(engine, next_order).endswith(content)
    assert wire.counts == {"painted": 3, "lost": 0}


# ── a folder that both see ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def seen(wire: PlayedWire, order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Order:
    """Return an order whose photo is a copy of one that lies in a folder which the seat may read."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (tmp_path / "there").symlink_to(folder)  # as another machine calls it
    monkeypatch.setattr(wire.seat._store, "_shared", (tmp_path / "there",))
    original = folder / "trip" / "zwei\nZeilen ü.jpg"
    original.parent.mkdir()
    original.write_bytes(b"a photo")
    return replace(order, original=original)


@pytest.fixture
def sharing(wire: PlayedWire, tmp_path: Path) -> FarmEngine:
    folder = SharedFolder(here=str(tmp_path / "photos"), there=str(tmp_path / "there"))
    settings = EngineSettings(device="farm:gpu1/cpu", cache_dir=tmp_path)
    return FarmEngine(
        settings, "gpu1/cpu", wire, terms=lambda: FarmConfig(silence_seconds=3.0, shared=(folder,))
    )


def sent(wire: PlayedWire, engine: FarmEngine, order: Order) -> int:
    """Paint; return how many files were sent, the style apart: it travels once."""
    painted(engine, order)
    wire.asked.clear()
    assert painted(engine, order) == b"painting:" + order.key.encode() + b":a photo"
    return wire.asked.count("put")


def test_a_photo_in_a_folder_that_both_see_is_read_there(
    sharing: FarmEngine, wire: PlayedWire, seen: Order
) -> None:
    assert sent(wire, sharing, seen) == 0
    assert wire.asked.count("borrow") == 1
    assert seen.original is not None
    assert seen.original.read_bytes() == b"a photo"
    assert [path.suffix for path in wire.seat._store.folder.iterdir()] == [".png"]  # the style alone is kept


@pytest.mark.parametrize("content", [None, b"b photo", b"another one"])
def test_a_folder_that_has_another_file_or_none_costs_nothing_but_the_sending(
    sharing: FarmEngine,
    wire: PlayedWire,
    seen: Order,
    caplog: pytest.LogCaptureFixture,
    content: bytes | None,
) -> None:
    assert seen.original is not None
    seen.original.unlink() if content is None else seen.original.write_bytes(content)
    with caplog.at_level("INFO"):
        assert sent(wire, sharing, seen) == 1
    words = "is not there" if content is None else "is another file there"
    assert f"{words}; it is sent" in caplog.text
    assert wire.counts == {"painted": 2, "lost": 0}


@pytest.mark.parametrize(
    "failure", [UnreachableError("no answer"), ConditionError("The disk hangs.", code="disk_sick")]
)
def test_a_folder_that_cannot_be_read_now_costs_nothing_but_the_sending(
    sharing: FarmEngine, wire: PlayedWire, seen: Order, failure: Exception
) -> None:
    def fail(_: object) -> object:
        raise failure

    wire.faults = [("borrow", fail)] * 2
    seen.original.unlink()  # type: ignore[union-attr]
    assert sent(wire, sharing, seen) == 1


def test_a_seat_reads_where_it_was_told_to_alone(
    sharing: FarmEngine, wire: PlayedWire, seen: Order, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"a photo")
    (tmp_path / "photos" / "link").symlink_to(secret)
    blob = Blob(seen.photo_sha256, ".jpg")

    def look(root: Path, *parts: str) -> Sight:
        sight: Sight = wire.ask("gpu1/cpu", "borrow", blob=blob, root=str(root), parts=parts, size=7).result(
            10
        )
        return sight

    there = tmp_path / "there"
    for place in ((tmp_path, "secret"), (there, "..", "secret"), (there, str(secret)), (there, "link")):
        assert look(*place) is Sight.FORBIDDEN
    assert look(there, "trip") is Sight.ABSENT  # a folder
    assert look(there, "trip", "zwei\nZeilen ü.jpg") is Sight.TAKEN
    wire.seat._store.drop([blob])
    wire.seat._store._shared = ()
    assert sent(wire, sharing, seen) == 1


# ── what goes wrong there ───────────────────────────────────────────────────────────────────────────────


def test_an_engine_that_breaks_there_is_an_engine_that_breaks(
    engine: FarmEngine, wire: PlayedWire, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match="CUDA error") as caught:
        painted(engine, order_of(tmp_path, b"driver"))
    assert not isinstance(caught.value, SeatLostError)
    assert wire.counts == {"painted": 0, "lost": 0}


def test_a_full_disk_there_is_the_seats_trouble_and_not_ours(
    engine: FarmEngine, wire: PlayedWire, order: Order
) -> None:
    def full(peek: Peek) -> Peek:
        return replace(peek, error=ConditionError("The disk is full.", code="disk_full"), is_over=True)

    wire.faults = [("peek", full)]
    with pytest.raises(MissingError, match="gpu1/cpu: The disk is full") as caught:
        painted(engine, order)
    assert caught.value.code == "disk_full"


def test_a_seat_asks_for_nothing_that_nobody_sent_and_keeps_to_its_token(wire: PlayedWire) -> None:
    with pytest.raises(StrangerError):
        wire.ask("gpu1/cpu", "fetch", token="other", name="painting.jpg", offset=0).result(10)
    with pytest.raises(StrangerError):
        wire.ask("gpu1/cpu", "stop", token="other").result(10)
    assert list(wire.seat._work.iterdir()) == []
