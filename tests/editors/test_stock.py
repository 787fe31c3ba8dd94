from pathlib import Path

import pytest
from support.clock import FakeClock
from support.place import FakeReader

from nst_daemon.editors.stock import LOOK_SECONDS, Stock
from nst_daemon.folders.exchange import Exchange
from nst_daemon.folders.library import Library


class Shop:
    """An exchange folder, and the styles that it follows."""

    def __init__(self, base: Path, clock: FakeClock) -> None:
        self.exchange = Exchange(base / "editors")
        self.exchange.make()
        self.styles = base / "styles"
        self.styles.mkdir()
        self.clock = clock
        self.reader = FakeReader()
        library = Library(self.styles, built_in=base / "none")
        self.stock = Stock(self.exchange, library.entries, self.reader, clock=clock)

    def put(self, name: str, content: bytes = b"picture") -> None:
        (self.styles / name).write_bytes(content)

    def look(self) -> list[str]:
        self.clock.advance(LOOK_SECONDS)
        for _ in range(6):
            self.stock.look()
        self.clock.advance(LOOK_SECONDS)
        self.stock.look()
        return self.exchange.styles.read_text().splitlines()


@pytest.fixture
def shop(tmp_path: Path, clock: FakeClock) -> Shop:
    return Shop(tmp_path, clock)


def test_each_style_is_listed_with_a_small_picture(shop: Shop) -> None:
    shop.put("waves.jpg")
    shop.put("Grand'mère.png", b"other")
    lines = shop.look()
    assert [line.split("\t")[0] for line in lines] == ["Grand'mère", "waves"]
    pictures = [(shop.exchange.root / line.split("\t")[1]).read_bytes() for line in lines]
    assert pictures == [b"small other", b"small picture"]
    assert lines[0].split("\t")[1].isascii()


def test_the_list_follows_the_library(shop: Shop) -> None:
    shop.put("waves.jpg")
    assert len(shop.look()) == 1
    shop.put("night.jpg")
    assert [line.split("\t")[0] for line in shop.look()] == ["night", "waves"]
    (shop.styles / "waves.jpg").unlink()
    assert [line.split("\t")[0] for line in shop.look()] == ["night"]


def test_a_style_that_is_no_picture_is_asked_once(shop: Shop) -> None:
    shop.put("broken.jpg", b"text")
    assert shop.look() == ["broken\t"]
    read = len(shop.reader.shown)
    assert shop.look() == ["broken\t"]
    assert len(shop.reader.shown) == read == 1
    shop.put("broken.jpg", b"whole by now")
    assert shop.look() == ["broken\tthumbs/broken.jpg"]


def test_a_list_that_is_as_it_was_is_not_written_again(shop: Shop) -> None:
    shop.put("waves.jpg")
    shop.look()
    before = shop.exchange.styles.stat().st_ino
    shop.look()
    assert shop.exchange.styles.stat().st_ino == before
