# ruff: noqa: F811  fixtures are imported by name
import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.commands import SAMPLE, Ask, ask, home, loaded  # noqa: F401
from support.faults import Faults
from support.progress import progress
from support.readers import ReaderHere

from nst_daemon.cli import paint as cli_paint
from nst_daemon.config import Config
from nst_daemon.config.orders import Order, Painting, Progress
from nst_daemon.errors import EngineError, MissingError
from nst_daemon.images.layout import ContactSheet
from nst_daemon.intake import reader

STYLES = ("etching", "mosaic", "woodcut")  # of `home`, all plain: white, red and black
NAMES = "mosaic,woodcut,etching"


class PlainEngine:
    """Paints every photo in the plain colour of its style; what `errors` has is raised instead."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.errors: dict[str, BaseException] = {}

    def paint(self, order: Order, *, on_progress: Callable[[Progress], None], **_: object) -> Painting:
        self.orders.append(order)
        name = order.styles[0].name
        if name in self.errors:
            raise self.errors[name]
        on_progress(progress(fraction=0.5))
        picture = order.result.with_name(f"{order.result.name}.png")
        with Image.open(order.styles[0].path) as style:
            style.resize((64, 43)).save(picture)
        return Painting(
            picture=picture, report=None, width=64, height=43, seconds=1.0, seconds_to_first_step=0.5,
            device="cpu", losses={},
        )  # fmt: skip


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> PlainEngine:
    engine = PlainEngine()

    @contextmanager
    def engine_of(_: Config | None) -> Iterator[PlainEngine]:
        yield engine

    monkeypatch.setattr(cli_paint, "engine_of", engine_of)
    monkeypatch.setattr(reader, "PhotoReader", ReaderHere)
    monkeypatch.setattr(ReaderHere, "drawn", [])
    return engine


def cells_of(sheet: ContactSheet) -> dict[str, str]:
    return {cell.name: "painted" if cell.picture else cell.words for cell in sheet.cells}


def test_a_sheet_has_the_photo_in_each_style_that_is_named(
    ask: Ask, engine: PlainEngine, tmp_path: Path
) -> None:
    target = tmp_path / "choice.png"
    answer = ask("sheet", SAMPLE, "--styles", NAMES, "--size", 64, "-o", target)
    assert (answer.code, answer.out) == (0, f"{target}\n"), answer.err
    assert sorted(order.styles[0].name for order in engine.orders) == sorted(STYLES)
    assert {(order.recipe.preset, order.recipe.size) for order in engine.orders} == {("draft", 64)}
    sheet = ReaderHere.drawn[-1]
    assert set(cells_of(sheet).values()) == {"painted"}
    assert [cell.name for cell in sheet.cells] == [order.styles[0].name for order in engine.orders]
    with Image.open(target) as page:
        assert page.size == (sheet.layout().width, sheet.layout().height)
    assert "3 of 3: " in answer.err


def test_without_names_every_style_of_the_library_is_on_it(
    ask: Ask, engine: PlainEngine, tmp_path: Path
) -> None:
    answer = ask("sheet", SAMPLE, "-o", tmp_path / "a.webp")
    listed = {entry["name"] for entry in ask("styles", "--json").json}
    assert (answer.code, {order.styles[0].name for order in engine.orders}) == (0, listed)
    assert set(STYLES) < listed


def test_a_sheet_is_called_after_its_photo_where_no_name_is_given(
    ask: Ask, engine: PlainEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ask("sheet", SAMPLE, "--styles", "mosaic").out == f"{SAMPLE.stem}.sheet.png\n"
    assert (tmp_path / f"{SAMPLE.stem}.sheet.png").is_file()


def test_the_page_is_there_with_its_first_picture(ask: Ask, engine: PlainEngine, tmp_path: Path) -> None:
    target, seen = tmp_path / "a.jpg", []
    paint = engine.paint

    def watched(order: Order, **more: Any) -> Painting:
        seen.append(target.is_file())
        return paint(order, **more)

    engine.paint = watched  # type: ignore[method-assign]
    assert ask("sheet", SAMPLE, "--styles", NAMES, "-o", target).code == 0
    assert seen == [False, True, True]
    assert list(cells_of(ReaderHere.drawn[0]).values()) == ["painted", "", ""]


def test_one_style_that_fails_does_not_lose_the_others(
    ask: Ask, engine: PlainEngine, home: Path, tmp_path: Path
) -> None:
    engine.errors["woodcut"] = EngineError("The driver broke.")
    (home / "styles" / "etching.jpg").unlink()
    (home / "styles" / "etching.jpg").symlink_to("nowhere")
    answer = ask("sheet", SAMPLE, "--styles", NAMES, "-o", tmp_path / "a.png")
    assert answer.code == 1
    assert "Without woodcut, etching: the page says why." in answer.err
    shown = cells_of(ReaderHere.drawn[-1])
    assert (shown["mosaic"], shown["woodcut"]) == ("painted", "The driver broke.")
    assert "leads to none" in shown["etching"]


def test_ctrl_c_leaves_what_is_there_and_says_so(ask: Ask, engine: PlainEngine, tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    first = ask("sheet", SAMPLE, "--styles", NAMES, "-o", target)
    assert first.code == 0
    last = engine.orders[-1].styles[0].name
    engine.errors[last] = KeyboardInterrupt()
    answer = ask("sheet", SAMPLE, "--styles", NAMES, "-o", target)
    assert (answer.code, answer.out) == (130, "")
    assert f"Stopped: 2 of 3 styles are on {target}." in answer.err
    assert cells_of(ReaderHere.drawn[-1])[last].startswith("Not painted")


def test_a_sheet_that_is_stopped_before_its_first_picture_touches_no_file(
    ask: Ask, engine: PlainEngine, tmp_path: Path
) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"an earlier one")
    engine.errors["mosaic"] = KeyboardInterrupt()
    answer = ask("sheet", SAMPLE, "--styles", "mosaic", "-o", target)
    assert (answer.code, target.read_bytes()) == (130, b"an earlier one")
    assert "no picture was painted" in answer.err


def test_an_engine_that_cannot_start_is_no_sketches_fault(
    ask: Ask, engine: PlainEngine, tmp_path: Path
) -> None:
    engine.errors["mosaic"] = MissingError("There is no such device.")
    answer = ask("sheet", SAMPLE, "--styles", "mosaic", "-o", tmp_path / "a.png")
    assert (answer.code, ReaderHere.drawn) == (3, [])
    assert "There is no such device." in answer.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-o", "a.gif"), "must end in one of .png"),
        (("--styles", "mosiac"), "Did you mean mosaic"),
        (("--styles", ","), "names no style"),
        (("--size", "7"), "64"),
        (("-o", "no/such/folder/a.png"), "folder"),
    ],
)
def test_what_cannot_be_made_is_said_before_anything_is_painted(
    ask: Ask, engine: PlainEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: Any, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = ask("sheet", SAMPLE, *words)
    assert answer.code in (2, 3)
    assert said in answer.err
    assert (engine.orders, list(tmp_path.glob("*.png"))) == ([], [])


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_a_photo_that_cannot_be_read_is_refused(
    ask: Ask, engine: PlainEngine, tmp_path: Path, content: bytes | None
) -> None:
    photo = tmp_path / "cat.jpg"
    if content is not None:
        photo.write_bytes(content)
    answer = ask("sheet", photo, "-o", tmp_path / "a.png")
    assert answer.code in (1, 2)
    assert "cat.jpg" in answer.err
    assert engine.orders == []


def test_a_disk_that_takes_nothing_is_named(
    ask: Ask, engine: PlainEngine, tmp_path: Path, faults: Faults
) -> None:
    faults.fail_for_ever("open", number=errno.EROFS, at=lambda path: path.parent == tmp_path)
    answer = ask("sheet", SAMPLE, "-o", tmp_path / "a.png")
    assert (answer.code, engine.orders) == (3, [])
    assert str(tmp_path) in answer.err


def test_too_many_pictures_for_one_page_are_refused(
    ask: Ask, engine: PlainEngine, home: Path, tmp_path: Path
) -> None:
    for number in range(200):
        (home / "styles" / f"s{number}.jpg").symlink_to("mosaic.jpg")
    answer = ask("sheet", SAMPLE, "--size", 1024, "-o", tmp_path / "a.png")
    assert answer.code == 2
    assert "fewer --styles" in answer.err


def test_a_sheet_is_painted_by_the_real_network(
    ask: Ask, loaded: Config, tmp_path: Path, cache: Callable[[Path], Path]
) -> None:
    cache(loaded.state_dir / "weights")
    target = tmp_path / "a.png"
    answer = ask("sheet", SAMPLE, "--styles", "marbled_paper", "--size", 64, "-o", target)
    assert (answer.code, answer.out) == (0, f"{target}\n"), answer.err
    with Image.open(target) as page:
        assert min(page.size) > 64
        assert len(page.getcolors(1 << 24) or []) > 1000
