"""What all plug-ins in Python share: the texts and files of an exchange folder."""

import os
from pathlib import Path

import pytest
import yaml

from nst_daemon.bundled.editors.shared.protocol import (
    Exchange,
    complaint,
    duration,
    parse_status,
    shown,
    sidecar,
)
from nst_daemon.config import parse_sidecar
from nst_daemon.folders import exchange as daemons

TITLES = [
    "sun.kra",
    'it\'s "so" \\ #1: ü',
    "a\nwhole: true\n",
    "\x00\x1b\x7f\x85\u2028",
    "🖌",
    "- [x] {a}: &b *c",
]


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    root = tmp_path / "it's ü"
    daemons.Exchange(root).make()
    return Exchange(str(root), "krita", ".png")


def files(exchange: Exchange) -> list[str]:
    return sorted(path.name for path in exchange.root.rglob("*") if path.is_file())


# ── texts ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("title", TITLES)
def test_any_title_and_style_come_back_from_a_sidecar(title: str) -> None:
    text = sidecar(title, title, comment="ours")
    said = yaml.safe_load(text)
    assert (said["title"], said["style"]) == (title, title)
    assert text.startswith("# ours\n")
    assert text.endswith("\nwhole: true\n")
    assert text.count("\nwhole: true") == 1


@pytest.mark.parametrize(
    ("size", "wanted"), [("", {}), ("original", {"size": "original"}), ("640", {"size": 640})]
)
def test_the_daemon_takes_what_is_asked(tmp_path: Path, size: str, wanted: dict[str, object]) -> None:
    text = sidecar("mosaic", "a", size=size, strength=85, colours="luminance", mask="a.png.mask.png")
    asked = parse_sidecar(text.encode(), tmp_path / "a.png.yaml")
    assert asked.fault is None, asked.fault
    assert asked.attended
    assert asked.mask == "a.png.mask.png"
    assert dict(asked.set) == {"strength": 0.85, "preserve_color": "luminance", **wanted}


def test_half_of_a_name_that_is_no_text_is_no_reason_to_fail() -> None:
    assert yaml.safe_load(sidecar("mosaic", "caf\udce9"))["title"] == "caf?"


def test_an_answer_is_read_line_by_line_and_what_is_none_is_skipped() -> None:
    answer = parse_status("nst=1\nnonsense\nstate=held\nerror=No style a=b.\nremedy=Add it.\n")
    assert answer == {"nst": "1", "state": "held", "error": "No style a=b.", "remedy": "Add it."}
    assert complaint(answer) == "No style a=b. Add it."
    assert complaint({}) == ""


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59, "59 s"), (75, "1 min 15 s"), (3600, "1 h 0 min")]
)
def test_a_time_in_words(seconds: int, words: str) -> None:
    assert duration(seconds) == words


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_is_committed_whole_and_found_again(exchange: Exchange) -> None:
    order = exchange.new_id()
    exchange.photo(order).write_bytes(b"photo")
    exchange.commit(order, sidecar("mosaic", "a"))
    assert files(exchange) == [f"{order}.png", f"{order}.png.yaml"]
    assert exchange.orders() == [order]
    assert exchange.asked(order) == sidecar("mosaic", "a")
    assert exchange.is_there(order)


def test_orders_of_one_second_are_found_as_they_were_placed(exchange: Exchange) -> None:
    placed = [f"20261129-120000-{tail}" for tail in ("xxxxxx", "aaaaaa", "mmmmmm")]
    for number, order in enumerate(placed):
        exchange.commit(order, sidecar("mosaic", "a"))
        os.utime(exchange.part(order, ".yaml"), ns=(0, 10**18 + number))
    assert exchange.orders() == placed


def test_the_daemon_knows_every_file_of_an_order(exchange: Exchange) -> None:
    order = exchange.new_id()
    exchange.photo(order).touch()
    exchange.part(order, ".mask.png").touch()
    exchange.commit(order, sidecar("mosaic", "a"))
    exchange.give_sign(order, 1)
    exchange.cancel(order)
    exchange.part(order, ".status").touch()
    (slip,) = daemons.Exchange(exchange.root).slips()
    assert (slip.photo, slip.parts) == (exchange.photo(order), frozenset(daemons.Part))
    exchange.tidy(order)
    assert files(exchange) == []


def test_an_order_takes_its_own_painting_along_and_no_other(exchange: Exchange) -> None:
    order = exchange.new_id()
    own, other = (exchange.selection(name).with_name(f"{name}.mosaic.png") for name in (order, "other"))
    for path in (own, other, exchange.selection(order)):
        path.touch()
    exchange.tidy(order, other)
    exchange.tidy(order, own)
    assert files(exchange) == [other.name]


def test_a_folder_that_is_gone_is_no_reason_to_fail(tmp_path: Path) -> None:
    exchange = Exchange(str(tmp_path / "gone"), "gimp", ".tif")
    exchange.prepare()
    exchange.sweep()
    exchange.give_sign("a", 1)
    exchange.tidy("a")
    assert not exchange.root.exists()
    assert (exchange.orders(), exchange.styles(), exchange.status("a")) == ([], [], {})
    assert exchange.asked("a") is None


def test_a_name_of_any_bytes_goes_to_the_system_and_to_people(tmp_path: Path) -> None:
    exchange = Exchange(f"{tmp_path}/caf\udce9 ü", "gimp", ".tif")
    exchange.root.mkdir()
    exchange.prepare()
    assert (exchange.root / "in" / "gimp").is_dir()
    assert shown(exchange.root) == f"{tmp_path}/caf\ufffd ü"


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/passwd.png", "../a.png", "out/krita/../../a.png", "out/gimp/a.png", "out/krita/a.exe"),
        *("out/krita/", "out\\krita\\a.png", "out/krita/a\\..\\b.png", "C:/a.png", "out/krita//a.png", ""),
        *("out/krita/./a.png", "out/krita", "out/kritab/a.png", "out/krita/a.png\0"),
    ],
)
def test_what_lies_elsewhere_is_not_loaded(exchange: Exchange, path: str) -> None:
    assert exchange.result({"result": path}) is None


def test_what_lies_in_our_folder_is_loaded(exchange: Exchange) -> None:
    for name in ("a.png", "a.TIF", "a.tiff", "a.jpg"):
        found = exchange.result({"result": f"out/krita/{name}"})
        assert found == exchange.root / "out" / "krita" / name
    assert exchange.preview({"preview": "out/krita/.preview/3.jpg"}) is not None
    assert exchange.preview({"preview": "out/krita/.preview/3.png"}) is None


def test_the_list_of_styles_is_read_anew_when_it_changes(exchange: Exchange) -> None:
    before = exchange.styles_stamp()
    assert exchange.styles() == []
    (exchange.root / "styles.txt").write_text(
        "mosaïc\tthumbs/mosaic.jpg\nbare\t\nbad\t../x.jpg\n\n", encoding="utf-8"
    )
    assert exchange.styles_stamp() != before
    assert [(style.name, style.thumb) for style in exchange.styles()] == [
        ("mosaïc", exchange.root / "thumbs" / "mosaic.jpg"),
        ("bare", None),
        ("bad", None),
    ]
