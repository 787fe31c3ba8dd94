"""Krita's plug-in without Krita: what it asks for, and what it makes of answers."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nst_daemon.config import parse_sidecar
from nst_daemon.editors.plug_ins import SHARED, SOURCES
from nst_daemon.folders.exchange import Exchange

PACKAGE = "krita_plugin"
FOLDERS = (SOURCES / "krita" / "nst_daemon", SOURCES / SHARED)


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """Yield the modules that know no Krita, as a package of their own."""
    package = ModuleType(PACKAGE)
    package.__path__ = [str(folder) for folder in FOLDERS]
    monkeypatch.setitem(sys.modules, PACKAGE, package)
    found = {}
    for name in ("protocol", "choices", "orders"):
        found[name] = importlib.import_module(f"{PACKAGE}.{name}")
    yield found
    for name in found:
        del sys.modules[f"{PACKAGE}.{name}"]


@pytest.fixture
def desk(tmp_path: Path, plugin: dict[str, ModuleType]) -> "Desk":
    root = tmp_path / "it's ü"
    Exchange(root).make()
    return Desk(root, plugin)


class Desk:
    """Both sides of an exchange folder; the daemon's is played by hand."""

    def __init__(self, root: Path, plugin: dict[str, ModuleType]) -> None:
        self.plugin = plugin
        self.root = root
        self.exchange = plugin["choices"].exchange_of_krita(str(root))
        self.now = 100.0

    def order(self, *, attended: bool = True) -> Any:
        choices = self.plugin["choices"]
        note = choices.Note(style="mosaic", title="sun.kra", attended=attended)
        order = self.exchange.new_id()
        self.exchange.photo(order).write_bytes(b"photo")
        self.exchange.commit(order, choices.sidecar_text(choices.Choice(style="mosaic"), note))
        return self.plugin["orders"].Order(order, note, self.now)

    def say(self, order: Any, text: str) -> None:
        self.exchange.part(order.id, ".status").write_text(text, encoding="utf-8")

    def follow(self, order: Any, seconds: float = 0.0) -> None:
        self.now += seconds
        order.follow(self.exchange, self.now)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.root.rglob("*") if path.is_file())


# ── its texts ───────────────────────────────────────────────────────────────────────────────────────────


def test_our_own_memory_of_an_order_comes_back(plugin: dict[str, ModuleType]) -> None:
    choices = plugin["choices"]
    name = 'it\'s "so" \\ #1: ü\nwhole: true\n'
    note = choices.Note(style="mosaic", title=name, path=name, width=3, height=4, attended=False)
    assert choices.note_of(choices.sidecar_text(choices.Choice(style="mosaic"), note)) == note


def test_the_daemon_takes_every_choice(plugin: dict[str, ModuleType], tmp_path: Path) -> None:
    choices = plugin["choices"]
    for size in choices.SIZES:
        for colours in choices.COLOURS:
            choice = choices.Choice(style="mosaic", size=size, px=640, strength=85, colours=colours)
            text = choices.sidecar_text(choice, choices.Note(style="mosaic", title="a"), "a.png.mask.png")
            asked = parse_sidecar(text.encode(), tmp_path / "a.png.yaml")
            assert asked.fault is None, asked.fault
            assert asked.attended
            assert asked.mask == "a.png.mask.png"
            wanted = {"strength": 0.85, "preserve_color": colours}
            if size != "config":
                wanted["size"] = 640 if size == "px" else "original"
            assert dict(asked.set) == wanted


@pytest.mark.parametrize(
    "text",
    ["", "style: a\n", "# krita: {\n", "# krita: []\n", '# krita: {"style": 3, "width": "x", "other": 1}\n'],
)
def test_a_strange_note_is_none_or_harmless(plugin: dict[str, ModuleType], text: str) -> None:
    note = plugin["choices"].note_of(text)
    assert note is None or note == plugin["choices"].Note(style="", title="")


# ── what becomes of an order ────────────────────────────────────────────────────────────────────────────


def test_nobody_answers_for_three_seconds(desk: Desk) -> None:
    order = desk.order()
    desk.follow(order, 2.9)
    assert not order.is_stuck
    desk.follow(order, 0.2)
    assert order.is_stuck
    assert order.describe() == (
        'nst-daemon is not running: start it with "nst-daemon start". The picture waits, and will be painted.'
    )
    desk.say(order, "nst=1\nstate=taken\n")
    desk.follow(order)
    assert not order.is_stuck


@pytest.mark.parametrize(
    ("status", "words", "percent"),
    [
        ("state=taken", "nst-daemon has it.", None),
        ("state=queued\nahead=0", "Is the next.", None),
        ("state=queued\nahead=2", "Waits, 2 before it.", None),
        ("state=queued\nerror=Painting is paused.\nremedy=Go on.", "Painting is paused. Go on.", None),
        ("state=running\npercent=42\neta=75", "42 %, 1 min 15 s left", 42),
        ("state=running\npercent=nan\neta=inf", "0 %", 0),
        ("state=running\npercent=400", "100 %", 100),
        ("state=held\nerror=No style a=b.", "No style a=b.", None),
        ("nonsense\nstate=running\npercent=7\nodd=1", "7 %", 7),
    ],
)
def test_an_answer_in_words(desk: Desk, status: str, words: str, percent: int | None) -> None:
    order = desk.order()
    desk.say(order, f"nst=1\n{status}\n")
    desk.follow(order)
    assert (order.describe(), order.percent) == (words, percent)


def test_signs_of_life_are_given_every_two_seconds_where_somebody_waits(desk: Desk) -> None:
    order, other = desk.order(), desk.order(attended=False)
    signs = []
    for _ in range(5):
        desk.follow(order, 1.0)
        desk.follow(other)
        signs.append(desk.exchange.part(order.id, ".alive").read_text())
    assert signs == ["1\n", "1\n", "2\n", "2\n", "3\n"]
    assert not desk.exchange.part(other.id, ".alive").exists()


def test_a_failure_is_told_and_leaves_nothing(desk: Desk) -> None:
    order = desk.order()
    desk.say(order, "state=failed\nerror=It broke.\nremedy=Mend it.\n")
    desk.follow(order)
    assert order.is_over
    assert (order.words, order.is_fault) == ("It broke. Mend it.", True)
    assert desk.files() == []


def test_a_cancel_waits_for_its_answer(desk: Desk) -> None:
    order = desk.order()
    desk.say(order, "state=running\npercent=3\n")
    desk.follow(order)
    order.cancel(desk.exchange, desk.now)
    desk.follow(order, 1.0)
    assert order.describe() == "Is being cancelled …"
    assert f"{order.id}.png.cancel" in desk.files()
    desk.say(order, "state=cancelled\n")
    desk.follow(order, 1.0)
    assert (order.words, order.is_fault) == ("Cancelled.", False)
    assert desk.files() == []


def test_a_cancel_that_nobody_answers_takes_the_order_away(desk: Desk) -> None:
    order = desk.order()
    order.cancel(desk.exchange, desk.now)
    desk.follow(order, 14.0)
    assert not order.is_over
    desk.follow(order, 2.0)
    assert order.is_over
    assert desk.files() == []


def test_an_order_that_the_daemon_gave_up_is_told(desk: Desk) -> None:
    order = desk.order()
    desk.exchange.tidy(order.id)
    desk.follow(order, 1.0)
    assert order.is_over
    assert "10 s" in order.words


def test_a_painting_is_ready_stays_until_it_is_fetched_and_then_goes(desk: Desk) -> None:
    order = desk.order()
    painting = desk.root / "out" / "krita" / f"{order.id}.mosaic.png"
    painting.write_bytes(b"painting")
    desk.say(order, f"state=done\nresult=out/krita/{painting.name}\n")
    desk.follow(order)
    assert order.is_ready
    desk.follow(order, 60.0)
    assert painting.exists()
    order.fetched(desk.exchange, "Layer added.")
    assert order.describe() == "Layer added."
    assert desk.files() == []


def test_a_painting_from_elsewhere_is_refused_and_left_alone(desk: Desk, tmp_path: Path) -> None:
    other = tmp_path / "mine.png"
    other.write_bytes(b"mine")
    order = desk.order()
    desk.say(order, "state=done\nresult=../mine.png\n")
    desk.follow(order)
    assert order.is_fault
    assert other.exists()
