from itertools import combinations

import pytest
from PIL import ImageChops, ImageStat

from nst_daemon.desktop.icons import COLORS, STEPS, Color, Look, Picture, draw, flattened, step_of

SIDES = (16, 22, 24, 32, 64)
LIGHT, DARK = (240, 240, 240), (46, 52, 54)  # panels of today's desktops


def luminance(color: Color) -> float:
    """Return the relative luminance of WCAG 2.1."""
    parts = [c / 255 for c in color]
    red, green, blue = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def difference(one: Picture, other: Picture) -> float:
    """Return the part of the pixels' outline in which two icons differ, whatever their colours."""
    gap = ImageChops.difference(one.getchannel("A"), other.getchannel("A"))
    return ImageStat.Stat(gap).mean[0] / 255


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("one", "other"), list(combinations(Look, 2)))
def test_two_looks_differ_in_outline_at_every_size(one: Look, other: Look, side: int) -> None:
    assert difference(draw(one, side, 0.4), draw(other, side, 0.4)) > 0.05


@pytest.mark.parametrize("ground", [LIGHT, DARK])
@pytest.mark.parametrize("look", Look)
def test_every_look_stands_out_from_light_and_dark_panels(look: Look, ground: Color) -> None:
    assert contrast(COLORS[look], ground) >= 3.0  # WCAG 2.1, 1.4.11: graphical objects


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("look", Look)
def test_an_icon_fills_its_size_and_no_more(look: Look, side: int) -> None:
    icon = draw(look, side, 0.5)
    assert (icon.size, icon.mode) == ((side, side), "RGBA")
    box = icon.getchannel("A").getbbox()
    assert box is not None
    assert max(box[2] - box[0], box[3] - box[1]) >= side * 0.8


@pytest.mark.parametrize("side", SIDES)
def test_the_bars_of_pause_have_edges_on_whole_pixels(side: int) -> None:
    icon = draw(Look.PAUSED, side)
    row = [icon.getpixel((x, side // 2)) for x in range(side)]
    assert {pixel[3] for pixel in row if isinstance(pixel, tuple)} == {0, 255}


def test_transparent_pixels_do_not_grey_the_edges() -> None:
    icon = draw(Look.CANNOT_WORK, 64)
    left = [icon.getpixel((x, y)) for y in range(64) for x in range(12)]
    edges = [pixel for pixel in left if isinstance(pixel, tuple) and 100 < pixel[3] < 255]
    assert edges
    assert all(abs(pixel[0] - COLORS[Look.CANNOT_WORK][0]) <= 2 for pixel in edges)


def test_the_arc_grows_with_the_progress_and_only_in_steps() -> None:
    arcs = [draw(Look.WORKING, 24, step / STEPS) for step in range(STEPS + 1)]
    inks = [ImageStat.Stat(arc.getchannel("A")).sum[0] for arc in arcs]
    assert inks == sorted(inks)
    assert len(set(inks)) == STEPS + 1
    assert draw(Look.WORKING, 24, 0.001).tobytes() == arcs[0].tobytes()
    assert [step_of(part) for part in (-1.0, 0.0, 0.999, 1.0, 7.0)] == [0, 0, STEPS - 1, STEPS, STEPS]


def test_a_ground_has_the_icon_in_its_middle_and_no_transparency() -> None:
    icon = draw(Look.CANNOT_WORK, 24)
    flat = flattened(icon, DARK, (24, 30))
    assert flat.size == (24, 30)
    assert flat.getchannel("A").getextrema() == (255, 255)
    assert flat.getpixel((0, 0)) == (*DARK, 255)
    assert flat.getpixel((4, 15)) == (*COLORS[Look.CANNOT_WORK], 255)
