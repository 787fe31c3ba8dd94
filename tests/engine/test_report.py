"""The report opens, has the size of its layout, and shows every step."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.pictures import Picture, scene

from nst_daemon.config.orders import Progress
from nst_daemon.config.recipe import Recipe
from nst_daemon.engine.report import Box, compose, draw_report, layout, loss_curves, scale_starts

SETTINGS = Recipe().as_settings()


def history(*steps_of_scales: int) -> list[Progress]:
    """Return progress over scales of so many steps."""
    made: list[Progress] = []
    for scale, steps in enumerate(steps_of_scales, start=1):
        for _ in range(steps):
            step = len(made) + 1
            losses = {"total": 1.5 / step, "content": 0.5 / step, "style": 1.0 / step, "tv": 0.0}
            made.append(
                Progress(
                    scale=scale, scales=len(steps_of_scales), width=64 * scale, height=48 * scale, step=step,
                    steps=sum(steps_of_scales), fraction=0.5, losses=losses, seconds=1.0, eta_seconds=0.0,
                )
            )  # fmt: skip
    return made


def overlaps(one: Box, other: Box) -> bool:
    return (
        one.left < other.left + other.width - 0.5
        and other.left < one.left + one.width - 0.5
        and one.top < other.top + other.height - 0.5
        and other.top < one.top + one.height - 0.5
    )


def drawn(progress: Sequence[Progress], name: str) -> tuple[list[float], list[float]]:
    """Return the points of one curve, as they lie in the figure."""
    figure = compose(scene(), [("s", scene())], scene(), progress, title="t", settings={})
    lines = [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == name]
    steps = [float(x) for line in lines for x in np.asarray(line.get_xdata())]
    return steps, [float(y) for line in lines for y in np.asarray(line.get_ydata())]


def test_the_report_opens_and_has_the_size_of_its_layout(tmp_path: Path) -> None:
    path = tmp_path / "a.starry_night.report.png"
    draw_report(
        scene(),
        [("starry_night", scene(50, 70))],
        scene(),
        history(5, 3),
        title="a",
        settings=SETTINGS,
        path=path,
    )
    page = layout(64 / 48, 64 / 48, [50 / 70], len(SETTINGS))
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.size == (page.width, page.height)
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 500


@pytest.mark.parametrize("name", ["total", "content", "style"])
def test_each_curve_shows_every_step(name: str) -> None:
    progress = history(7, 5, 3)
    steps, values = drawn(progress, name)
    assert steps == [each.step for each in progress]
    assert values == pytest.approx([each.losses[name] for each in progress])


def test_a_curve_breaks_where_a_scale_begins() -> None:
    figure = compose(scene(), [("s", scene())], scene(), history(7, 5, 3), title="t", settings={})
    curves = [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == "total"]
    assert [len(np.asarray(line.get_xdata())) for line in curves] == [7, 5, 3]


def test_scales_begin_at_their_first_step() -> None:
    assert scale_starts(history(7, 5, 3)) == [(1, 64), (8, 128), (13, 192)]


def test_what_a_logarithm_cannot_show_is_left_out() -> None:
    good, *_ = history(1)
    bad = [
        replace(good, step=step, losses={"total": loss})
        for step, loss in ((2, 0.0), (3, np.nan), (4, np.inf))
    ]
    assert loss_curves([good, *bad])["total"] == ([1], [1.5])


@pytest.mark.parametrize("progress", [[], history(1), history(2, 1)])
def test_a_painting_of_no_or_few_steps_has_a_report(tmp_path: Path, progress: list[Progress]) -> None:
    path = tmp_path / "report.png"
    draw_report(scene(), [("s", scene())], scene(), progress, title="t", settings={}, path=path)
    with Image.open(path) as picture:
        picture.load()


@pytest.mark.parametrize("result", [0.2, 0.66, 1.0, 1.33, 1.78, 2.5, 5.0])
@pytest.mark.parametrize("styles", [[0.8], [1.3], [0.7, 1.0, 1.4], [1.0] * 6])
@pytest.mark.parametrize("settings", [0, 1, len(SETTINGS), 40])
def test_nothing_overlaps_or_leaves_the_page(result: float, styles: list[float], settings: int) -> None:
    page = layout(result, result, styles, settings)
    boxes = [page.result, *page.pictures, page.curves, *([page.settings] if settings else [])]
    assert len(page.pictures) == 1 + len(styles)
    for index, box in enumerate(boxes):
        assert box.width > 40
        assert box.left + box.width <= page.width - 70
        assert box.top + box.height <= page.height - 70
        assert not any(overlaps(box, other) for other in boxes[index + 1 :])


@pytest.mark.parametrize("aspect", [0.3, 0.75, 1.5, 3.0])
def test_pictures_keep_their_shape(aspect: float) -> None:
    page = layout(aspect, aspect, [1.25], 10)
    for box, expected in zip((page.result, *page.pictures), (aspect, aspect, 1.25), strict=True):
        assert box.width / box.height == pytest.approx(expected)


@pytest.mark.parametrize("count", [4, 5])
def test_all_styles_are_shown_in_one_height(count: int) -> None:
    _, *styles = layout(1.3, 1.3, [1.0, 0.8, 1.5, 1.0, 0.7][:count], 20).pictures
    assert len({box.height for box in styles}) == 1
    assert len({box.top for box in styles}) == 2


def test_many_styles_long_and_odd_names_and_huge_pictures_are_drawn(tmp_path: Path) -> None:
    big: Picture = np.repeat(np.repeat(scene(), 40, axis=0), 40, axis=1)
    styles = [(f"style {number}\n\x07" + "long" * 20, scene()) for number in range(9)]
    figure = compose(
        big, styles, big, history(3), title="a $x^2$ \x1b[31m_", settings={"a" * 50: ["b" * 90, "c", "d"]}
    )
    figure.savefig(tmp_path / "a.png")
    words = " ".join(text.get_text() for text in figure.texts)
    assert "and 3 more" in words or "…" in words
    assert words.isprintable()


def test_pyplot_is_never_loaded() -> None:
    code = "import sys, nst_daemon.engine.report; sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
