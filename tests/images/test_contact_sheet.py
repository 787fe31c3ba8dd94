import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFont

from nst_daemon.errors import PhotoError
from nst_daemon.images import contact_sheet
from nst_daemon.images.contact_sheet import EMPTY, GROUND, drawn
from nst_daemon.images.labels import read_provenance
from nst_daemon.images.layout import Box, Cell, ContactSheet

RED, BLUE = (200, 30, 20), (20, 40, 200)


def plain(
    path: Path, color: tuple[int, int, int], size: tuple[int, int] = (64, 48), **options: object
) -> Path:
    Image.new("RGB", size, color).save(path, **options)  # type: ignore[arg-type]
    return path


def sheet_of(photo: Path, *cells: Cell, size: tuple[int, int] = (64, 48)) -> ContactSheet:
    return ContactSheet(title=photo.name, note="2 styles", photo=photo, size=size, side=64, cells=cells)


def page_of(sheet: ContactSheet, kind: str = "png") -> Image.Image:
    return Image.open(io.BytesIO(drawn(sheet, kind, max_megapixels=10)))


def inside(page: Image.Image, box: Box) -> Image.Image:
    return page.crop((box.left, box.top, box.left + box.width, box.top + box.height))


def colors_in(page: Image.Image, box: Box) -> set[object]:
    return {color for _, color in inside(page, box).getcolors(100_000) or []}


def test_each_picture_lies_in_its_place_pixel_by_pixel(tmp_path: Path) -> None:
    photo = plain(tmp_path / "a.png", RED)
    sheet = sheet_of(photo, Cell(name="b", picture=plain(tmp_path / "b.png", BLUE)), Cell(name="c"))
    page = page_of(sheet)
    first, second, third = sheet.layout().pictures
    assert page.size == (sheet.layout().width, sheet.layout().height)
    assert [colors_in(page, box) for box in (first, second, third)] == [{RED}, {BLUE}, {EMPTY}]
    assert page.getpixel((0, 0)) == GROUND


def test_every_name_is_written_below_its_picture(tmp_path: Path) -> None:
    sheet = sheet_of(plain(tmp_path / "a.png", RED), Cell(name="mosaic"), Cell(name="m" * 300))
    layout, page = sheet.layout(), page_of(sheet)
    for box in (*map(layout.line_below, layout.pictures), layout.heading):
        assert len(colors_in(page, box)) > 2
    beyond = Box(0, 0, layout.pictures[0].left - 1, layout.height)
    assert colors_in(page, beyond) == {GROUND}


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_a_page_says_that_it_is_srgb_and_ours_and_nothing_of_the_photo(tmp_path: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}  # where it was taken
    photo = plain(tmp_path / "a.jpg", RED, exif=exif)
    path = tmp_path / f"page.{kind}"
    path.write_bytes(drawn(sheet_of(photo, Cell(name="b")), kind, max_megapixels=10))
    with Image.open(path) as page:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(page.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        assert not page.getexif()
    assert read_provenance(path) == {"sheet": "a.jpg", "styles": "b"}


def test_a_photo_is_shown_upright_and_over_white(tmp_path: Path) -> None:
    halves = Image.new("RGB", (48, 64), RED)
    halves.paste(BLUE, (0, 32, 48, 64))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right: what is below comes to the left
    halves.save(tmp_path / "turned.png", exif=exif)
    sheet = sheet_of(tmp_path / "turned.png", Cell(name="b"))
    shown = inside(page_of(sheet), sheet.layout().pictures[0])
    assert (shown.getpixel((4, 24)), shown.getpixel((60, 24))) == (BLUE, RED)

    faint = Image.new("RGBA", (64, 48), (*RED, 255))
    faint.paste((0, 0, 0, 0), (0, 0, 32, 48))
    faint.save(tmp_path / "faint.png")
    sheet = sheet_of(tmp_path / "faint.png", Cell(name="b"))
    assert inside(page_of(sheet), sheet.layout().pictures[0]).getpixel((4, 24)) == (255, 255, 255)


def test_what_could_not_be_painted_says_why_and_nothing_else_suffers(tmp_path: Path) -> None:
    photo = plain(tmp_path / "a.png", RED, (640, 480))
    broken = tmp_path / "b.png"
    broken.write_bytes(b"no picture")
    cells = Cell(name="b", picture=broken), Cell(name="c", words="Style picture c is no file. " * 40)
    sheet = ContactSheet(title="a", note="", photo=photo, size=(640, 480), side=256, cells=cells)
    page, layout = page_of(sheet), sheet.layout()
    first, second, third = (colors_in(page, box) for box in layout.pictures)
    assert first == {RED}
    assert EMPTY in second
    assert EMPTY in third
    assert min(len(second), len(third)) > 5  # words
    edges = [np.asarray(inside(page, box))[[0, -1]] for box in layout.pictures[1:]]
    assert all((edge == EMPTY).all() for edge in edges)


def test_a_photo_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(PhotoError, match=r"a\.png"):
        drawn(sheet_of(tmp_path / "a.png"), "png", max_megapixels=10)


def test_of_a_long_name_both_ends_are_left() -> None:
    font = ImageFont.load_default(15)
    short = contact_sheet._shortened("van_gogh_" * 20 + "saint_remy", font, 200)
    assert font.getlength(short) <= 200
    assert short.startswith("van_gogh_")
    assert short.endswith("remy")
    assert contact_sheet._shortened("mosaic", font, 3) == "…"


def test_letters_that_the_own_font_lacks_are_those_of_the_systems_or_go_without_accents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert contact_sheet._set("mosaic 2", 15)[1].getname() == ImageFont.load_default(15).getname()  # type: ignore[union-attr]
    text, font = contact_sheet._set("Öl, łódź", 15)
    assert not contact_sheet._lacking(font, text)
    monkeypatch.setattr(contact_sheet, "OTHER_FONTS", ("no such font.ttf",))
    contact_sheet._others.cache_clear()
    assert contact_sheet._set("Éire\t星", 15)[0] == "Eire ?"
    contact_sheet._others.cache_clear()
