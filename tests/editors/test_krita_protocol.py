"""Krita's plug-in without Krita: its texts, what it makes of answers, and that it is harmless."""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from support.krita import SOURCES, calls_of, plugin_for

from nst_daemon.config import parse_sidecar
from nst_daemon.folders.exchange import Exchange

PACKAGE = "krita_plugin"
FILES = sorted((SOURCES / "nst_daemon").glob("*.py"))
FORBIDDEN = {
    "execute",
    "subprocess",
    "system",
    "popen",
    "QProcess",
    "socket",
    "eval",
    "exec",
    "exec_",
}
FORBIDDEN |= {"__import__", "importlib", "runpy", "ctypes", "pickle", "urllib", "http", "QtNetwork", "spawnv"}
WAITING = {"sleep", "processEvents", "Thread", "threading", "QThread"}


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """Yield the modules that know no Krita, as a package of their own."""
    package = ModuleType(PACKAGE)
    package.__path__ = [str(SOURCES / "nst_daemon")]
    monkeypatch.setitem(sys.modules, PACKAGE, package)
    found = {}
    for name in ("protocol", "orders"):
        path = SOURCES / "nst_daemon" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"{PACKAGE}.{name}", path)
        assert spec is not None
        assert spec.loader is not None
        found[name] = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, f"{PACKAGE}.{name}", found[name])
        spec.loader.exec_module(found[name])
    yield found


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
        self.exchange = plugin["protocol"].Exchange(str(root))
        self.now = 100.0

    def order(self, *, attended: bool = True) -> Any:
        protocol = self.plugin["protocol"]
        note = protocol.Note(style="mosaic", title="sun.kra", attended=attended)
        order = self.exchange.new_id()
        self.exchange.photo(order).write_bytes(b"photo")
        self.exchange.commit(order, protocol.sidecar_text(protocol.Choice(style="mosaic"), note))
        return self.plugin["orders"].Order(order, note, self.now)

    def say(self, order: Any, text: str) -> None:
        self.exchange.part(order.id, ".status").write_text(text, encoding="utf-8")

    def follow(self, order: Any, seconds: float = 0.0) -> None:
        self.now += seconds
        order.follow(self.exchange, self.now)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.root.rglob("*") if path.is_file())


# ── its sources ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_source_is_python_of_3_8_marked_and_harmless(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.startswith("# nst-daemon plug-in @VERSION@\n")
    ast.parse(source, feature_version=(3, 8))
    assert calls_of(source) & (FORBIDDEN | WAITING) == set()


@pytest.mark.parametrize("name", ["protocol.py", "orders.py"])
def test_what_is_told_apart_from_krita_knows_it_not(name: str) -> None:
    source = (SOURCES / "nst_daemon" / name).read_text(encoding="utf-8")
    assert calls_of(source) & {"krita", "qt", "PyQt5", "PyQt6"} == set()


def test_every_file_has_the_mark_in_its_first_line() -> None:
    files = [path for path in SOURCES.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert {path.suffix for path in files} == {".desktop", ".html", ".py"}
    for path in files:
        assert "nst-daemon plug-in @VERSION@" in path.read_text(encoding="utf-8").split("\n")[0], path


def test_the_exchange_folder_stands_in_one_place_and_takes_any_path() -> None:
    sources = [path.read_text(encoding="utf-8") for path in FILES]
    assert sum(source.count('"@EXCHANGE@"') for source in sources) == 1
    path = Path('/home/ü/it\'s "mine" \\ here')
    source = plugin_for((SOURCES / "nst_daemon" / "protocol.py").read_text(encoding="utf-8"), path)
    (value,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXCHANGE"
    )
    assert value == str(path)


# ── its texts ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "title",
    [
        "sun.kra",
        'it\'s "so" \\ #1: ü',
        "a\nwhole: true\n",
        "\x00\x1b\x7f\x85\u2028",
        "🖌",
        "- [x] {a}: &b *c",
    ],
)
def test_any_title_comes_back_from_a_sidecar(plugin: dict[str, ModuleType], title: str) -> None:
    protocol = plugin["protocol"]
    note = protocol.Note(style="mosaic", title=title, path=title, width=3, height=4, attended=False)
    text = protocol.sidecar_text(protocol.Choice(style="mosaic"), note)
    assert yaml.safe_load(text)["title"] == title
    assert text.endswith("\nwhole: true\n")
    assert text.count("\nwhole: true") == 1
    assert protocol.note_of(text) == note


def test_the_daemon_takes_every_choice(plugin: dict[str, ModuleType], tmp_path: Path) -> None:
    protocol = plugin["protocol"]
    for size in protocol.SIZES:
        for colours in protocol.COLOURS:
            choice = protocol.Choice(style="mosaic", size=size, px=640, strength=85, colours=colours)
            text = protocol.sidecar_text(choice, protocol.Note(style="mosaic", title="a"), "a.png.mask.png")
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
    note = plugin["protocol"].note_of(text)
    assert note is None or note == plugin["protocol"].Note(style="", title="")


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/passwd.png", "../a.png", "out/krita/../../a.png", "out/gimp/a.png", "out/krita/a.exe"),
        *("out/krita/", "out\\krita\\a.png", "out/krita/a\\..\\b.png", "C:/a.png", "out/krita//a.png", ""),
        *("out/krita/./a.png", "out/krita", "out/kritab/a.png", "out/krita/a.png\0"),
    ],
)
def test_what_lies_elsewhere_is_not_loaded(desk: Desk, path: str) -> None:
    assert desk.exchange.result({"result": path}) is None


def test_what_lies_in_our_folder_is_loaded(desk: Desk) -> None:
    for name in ("a.png", "a.TIF", "a.tiff", "a.jpg"):
        found = desk.exchange.result({"result": f"out/krita/{name}"})
        assert found == desk.root / "out" / "krita" / name
    assert desk.exchange.preview({"preview": "out/krita/.preview/3.jpg"}) is not None
    assert desk.exchange.preview({"preview": "out/krita/.preview/3.png"}) is None


def test_the_list_of_styles_is_read_anew_when_it_changes(desk: Desk) -> None:
    before = desk.exchange.styles_stamp()
    assert desk.exchange.styles() == []
    (desk.root / "styles.txt").write_text(
        "mosaïc\tthumbs/mosaic.jpg\nbare\t\nbad\t../x.jpg\n\n", encoding="utf-8"
    )
    assert desk.exchange.styles_stamp() != before
    assert [(style.name, style.thumb) for style in desk.exchange.styles()] == [
        ("mosaïc", desk.root / "thumbs" / "mosaic.jpg"),
        ("bare", None),
        ("bad", None),
    ]


# ── what becomes of an order ────────────────────────────────────────────────────────────────────────────


def test_an_order_is_committed_whole_and_named_for_no_file(desk: Desk) -> None:
    order = desk.order()
    names = [name for name in desk.files() if name.startswith(order.id)]
    assert names == [f"{order.id}.png", f"{order.id}.png.yaml"]
    assert desk.exchange.orders() == [order.id]


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
