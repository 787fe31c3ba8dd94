"""One picture that tells a painting's story: photo, style, result, loss curves and settings.

Only import of matplotlib, which is the extra `report`: import this module where a report is drawn. Nothing
global is touched: no pyplot, no rcParams; it needs no display.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from nst_daemon.config.orders import Progress

Picture = NDArray[np.float32]

# All lengths are px; one px of the page is one px of the file.
DPI: Final = 100  # matplotlib counts in inches: a round number leaves whole px
MARGIN, GAP, GUTTER = 72, 20, 56
TITLE_BAND: Final = 104
RESULT_BOX: Final = (1240, 1000)
WIDE: Final = 2.2  # width by height, from which a result takes the page's whole width
COLUMN: Final = 520  # width of the column at the right
MAX_ROW: Final = 400  # height of a row of pictures in it
CAPTION: Final = 28  # height of a line under a picture
CURVES: Final = (280, 480)  # height, from and to
CURVES_FOOT: Final = 46  # the numbers of its axis
SETTING_ROW, SETTING_WIDTH, SETTING_VALUE, SETTING_CHARS = 25, 260, 118, 19
STYLES_A_ROW, MAX_STYLES = 3, 6  # more would be too small to be known again

PAPER, INK, SOFT, FAINT = "#fbfaf7", "#26241f", "#8a857b", "#e4dfd5"
SANS, SERIF = "DejaVu Sans", "STIXGeneral"  # both come with matplotlib
CURVE_COLORS: Final = {"total": INK, "style": "#2f5f8a", "content": "#c4762b"}


@dataclass(frozen=True, slots=True)
class Box:
    """A place on the page, from its top left corner."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Page:
    """Where everything goes."""

    width: int
    height: int
    result: Box
    pictures: tuple[Box, ...]  # the photo, then the styles
    curves: Box
    settings: Box


def draw_report(
    photo: Picture,
    styles: Sequence[tuple[str, Picture]],
    result: Picture,
    history: Sequence[Progress],
    *,
    title: str,
    settings: Mapping[str, object],
    path: Path,
) -> None:
    """Write the report as PNG. Pictures are (H, W, 3), 0..1, of any size; the history may be empty.

    Raises:
        OSError: it cannot be written.
    """
    figure = compose(photo, styles, result, history, title=title, settings=settings)
    figure.savefig(path, format="png", metadata={"Software": None})


def compose(
    photo: Picture,
    styles: Sequence[tuple[str, Picture]],
    result: Picture,
    history: Sequence[Progress],
    *,
    title: str,
    settings: Mapping[str, object],
) -> Figure:
    """Return the report as a figure. Shapes: (H, W, 3), of any size."""
    shown = styles[:MAX_STYLES]
    page = layout(_aspect(result), _aspect(photo), [_aspect(rgb) for _, rgb in shown], len(settings))
    figure = Figure(figsize=(page.width / DPI, page.height / DPI), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    _text(figure, page, MARGIN, MARGIN + 30, _plain(title), size=38, family=SERIF)
    _picture(figure, page, page.result, result)
    captions = ["photo", *(name for name, _ in shown)]
    if len(styles) > MAX_STYLES:
        captions[-1] += f", and {len(styles) - MAX_STYLES} more"
    for box, rgb, caption in zip(page.pictures, [photo, *(rgb for _, rgb in shown)], captions, strict=True):
        _picture(figure, page, box, rgb)
        _text(figure, page, box.left, box.top + box.height + 21, _cut(caption, int(box.width / 7.5)))
    _curves(figure, page, history)
    _settings(figure, page, settings)
    return figure


# ── layout ───────────────────────────────────────────────────────────────


def layout(result: float, photo: float, styles: Sequence[float], settings: int) -> Page:
    """Return the page for pictures of these aspects (width by height) and a number of settings.

    The result is at the left, the rest in a column at its right. Settings stand below a broad result, else at
    the column's end. A panorama takes the whole width, and all else stands below it.
    """
    if result >= WIDE:
        return _wide_page(result, photo, styles, settings)
    width, height = _fitted(result, *RESULT_BOX)
    top, right = MARGIN + TITLE_BAND, MARGIN + width + GUTTER
    pictures, below = _rows(photo, styles, right, top)
    is_broad = width >= 3 * SETTING_WIDTH
    table = Box(MARGIN, top + height + GUTTER, width, _table_height(settings, width))
    beside = GUTTER + _table_height(settings, COLUMN) if settings and not is_broad else 0.0
    left_end = table.top + table.height if is_broad and settings else top + height
    room = left_end - below - GAP - CURVES_FOOT - beside
    curves = Box(right, below + GAP, COLUMN, float(np.clip(room, *CURVES)))
    right_end = curves.top + curves.height + CURVES_FOOT
    if not is_broad:
        table = Box(right, right_end + GUTTER - CAPTION, COLUMN, _table_height(settings, COLUMN))
        right_end = table.top + table.height if settings else right_end
    size = (round(right + COLUMN + MARGIN), round(max(left_end, right_end) + MARGIN))
    return Page(*size, Box(MARGIN, top, width, height), tuple(pictures), curves, table)


def _wide_page(result: float, photo: float, styles: Sequence[float], settings: int) -> Page:
    width = RESULT_BOX[0] + GUTTER + COLUMN
    top, height = MARGIN + TITLE_BAND, width / result
    row = top + height + GUTTER
    pictures, below = _rows(photo, styles, MARGIN, row)
    third = MARGIN + width - COLUMN
    curves_left = MARGIN + COLUMN + GUTTER
    table = Box(third, row, COLUMN, _table_height(settings, COLUMN))
    room = max(below - CAPTION, table.top + table.height) - row - CURVES_FOOT
    curves = Box(curves_left, row - GAP, third - GUTTER - curves_left, float(np.clip(room, *CURVES)))
    end = max(below, table.top + table.height, curves.top + curves.height + CURVES_FOOT)
    return Page(
        width + 2 * MARGIN,
        round(end + MARGIN),
        Box(MARGIN, top, width, height),
        tuple(pictures),
        curves,
        table,
    )


def _table_height(settings: int, width: float) -> float:
    return -(-settings // max(1, int(width // SETTING_WIDTH))) * SETTING_ROW


def _rows(photo: float, styles: Sequence[float], left: float, top: float) -> tuple[list[Box], float]:
    """Return boxes for the photo and the styles in rows of the column's width, and where they end.

    Rows of styles are all of one height: a last one that is short must not look like the main one.
    """
    is_tall = photo < 1 and len(styles) == 1
    rows = [[photo, *styles]] if is_tall else [[photo]]
    if not is_tall:
        rows += [list(styles[at : at + STYLES_A_ROW]) for at in range(0, len(styles), STYLES_A_ROW)]
    heights = [min(MAX_ROW, (COLUMN - GAP * (len(row) - 1)) / sum(row)) for row in rows]
    heights[1:] = [min(heights[1:], default=0.0)] * (len(rows) - 1)
    boxes = []
    for row, height in zip(rows, heights, strict=True):
        at = left
        for aspect in row:
            boxes.append(Box(at, top, aspect * height, height))
            at += aspect * height + GAP
        top += height + CAPTION + GAP
    return boxes, top


def _aspect(rgb: Picture) -> float:
    """Return width by height, within what a page can show. Shapes: (H, W, 3)."""
    return float(np.clip(rgb.shape[1] / rgb.shape[0], 0.2, 5.0))


def _fitted(aspect: float, width: float, height: float) -> tuple[float, float]:
    return (width, width / aspect) if width / aspect <= height else (height * aspect, height)


# ── drawing ──────────────────────────────────────────────────────────────


def _axes(figure: Figure, page: Page, box: Box) -> Axes:
    bottom = page.height - box.top - box.height
    return figure.add_axes(
        (box.left / page.width, bottom / page.height, box.width / page.width, box.height / page.height)
    )


def _text(
    figure: Figure,
    page: Page,
    left: float,
    baseline: float,
    words: str,
    *,
    size: float = 14,
    color: str = INK,
    family: str = SANS,
) -> None:
    figure.text(
        left / page.width,
        1 - baseline / page.height,
        words,
        fontsize=_points(size),
        color=color,
        family=family,
        verticalalignment="baseline",
        parse_math=False,
    )


def _points(px: float) -> float:
    return px * 72 / DPI


def _picture(figure: Figure, page: Page, box: Box, rgb: Picture) -> None:
    axes = _axes(figure, page, box)
    axes.set_axis_off()
    smooth = "bicubic" if rgb.shape[1] < box.width else "antialiased"  # which shows blocks when it enlarges
    axes.imshow(_reduced(rgb, box), aspect="auto", interpolation=smooth)


def _reduced(rgb: Picture, box: Box) -> Picture:
    """Return means of at most about twice its box: matplotlib copies in float64. Shapes: (H, W, 3)."""
    step = int(min(rgb.shape[0] // max(1.0, 2 * box.height), rgb.shape[1] // max(1.0, 2 * box.width)))
    if step > 1:
        height, width = rgb.shape[0] // step, rgb.shape[1] // step
        whole = rgb[: height * step, : width * step]
        rgb = whole.reshape(height, step, width, step, 3).mean(axis=(1, 3), dtype=np.float32)
    return np.clip(np.nan_to_num(rgb), 0.0, 1.0)


def loss_curves(history: Sequence[Progress]) -> dict[str, tuple[list[int], list[float]]]:
    """Return steps and values of each loss that is drawn; what a logarithm cannot show is left out."""
    curves = {}
    for name in CURVE_COLORS:
        points = [(each.step, each.losses.get(name, 0.0)) for each in history]
        good = [(step, value) for step, value in points if np.isfinite(value) and value > 0]
        if good:
            curves[name] = ([step for step, _ in good], [value for _, value in good])
    return curves


def scale_starts(history: Sequence[Progress]) -> list[tuple[int, int]]:
    """Return the first step of each scale, and the scale's longer side in px."""
    starts: dict[int, tuple[int, int]] = {}
    for each in history:
        starts.setdefault(each.scale, (each.step, max(each.width, each.height)))
    return [starts[scale] for scale in sorted(starts)]


def _curves(figure: Figure, page: Page, history: Sequence[Progress]) -> None:
    curves = loss_curves(history)
    if not curves:
        _text(figure, page, page.curves.left, page.curves.top + 20, "no steps", color=SOFT)
        return
    axes = _axes(figure, page, _without_names(page.curves))
    axes.set_facecolor(PAPER)
    axes.set_yscale("log")
    starts = scale_starts(history)
    for name, (steps, values) in curves.items():
        _line(axes, name, steps, values, [step for step, _ in starts])
    axes.set_xlim(min(each.step for each in history) - 0.5, max(each.step for each in history) + 0.5)
    _dress(axes)
    _mark_scales(axes, starts)
    _name_curves(axes, curves)


def _line(axes: Axes, name: str, steps: list[int], values: list[float], starts: list[int]) -> None:
    """Draw one loss, anew for each scale: the losses of two scales are not of one kind."""
    ends = [*starts[1:], np.inf]
    for start, end in zip(starts, ends, strict=True):
        part = [(step, value) for step, value in zip(steps, values, strict=True) if start <= step < end]
        if part:
            axes.plot(
                *zip(*part, strict=True),
                color=CURVE_COLORS[name],
                linewidth=2.0 if name == "total" else 1.6,
                marker="o" if len(part) == 1 else None,
                markersize=3,
                solid_capstyle="round",
                gid=name,
            )


def _without_names(box: Box) -> Box:
    """Return the box of the curves less what is written around them."""
    return Box(box.left + 46, box.top + 22, box.width - 46 - 74, box.height - 22)


def _dress(axes: Axes) -> None:
    """Leave of the axes what is read: few numbers, pale lines."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    low, high = axes.get_ylim()
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high > 30 * low else (1.0, 2.0, 5.0), numticks=6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="both", length=0, labelsize=_points(13), labelcolor=SOFT, pad=7)
    axes.tick_params(labelfontfamily=SANS)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.annotate(
        "steps",
        (1.025, 0.0),
        xytext=(14, -7 * DPI / 72),
        xycoords="axes fraction",
        textcoords="offset pixels",
        verticalalignment="top",
        fontsize=_points(13),
        color=SOFT,
        family=SANS,
    )


def _mark_scales(axes: Axes, starts: Sequence[tuple[int, int]]) -> None:
    """Draw a line where each scale begins, with its size above where there is room."""
    first, last = axes.get_xlim()
    free_from = -np.inf
    for step, side in starts:
        if len(starts) > 1 and step != starts[0][0]:
            axes.axvline(step - 0.5, color=FAINT, linewidth=1.2, zorder=0)
        place = (step - 0.5 - first) / (last - first) if step != starts[0][0] else 0.0
        if place >= free_from:
            words = axes.text(place, 1.02, f"{side} px", transform=axes.transAxes, family=SANS)
            words.set(fontsize=_points(12), color=SOFT)
            free_from = place + 0.17


def _name_curves(axes: Axes, curves: Mapping[str, tuple[list[int], list[float]]]) -> None:
    """Write each curve's name at its end, moved apart where they would touch."""
    low, high = np.log10(axes.get_ylim())
    ends = {name: (np.log10(values[-1]) - low) / (high - low) for name, (_, values) in curves.items()}
    height = 0.075
    below = -np.inf
    for name in sorted(ends, key=lambda name: (ends[name], name == "total")):
        place = max(ends[name], below + height)
        below = place
        axes.text(
            1.025,
            place,
            name,
            transform=axes.transAxes,
            color=CURVE_COLORS[name],
            fontsize=_points(14),
            family=SANS,
            verticalalignment="center",
        )


def _settings(figure: Figure, page: Page, settings: Mapping[str, object]) -> None:
    """Write the settings in columns, read downwards."""
    box = page.settings
    columns = max(1, int(box.width // SETTING_WIDTH))
    rows = -(-len(settings) // columns)
    width = box.width / columns
    for index, (key, value) in enumerate(settings.items()):
        column, row = divmod(index, rows)
        left, baseline = box.left + column * width, box.top + row * SETTING_ROW + 14
        _text(figure, page, left, baseline, _cut(key.replace("_", " "), 16), size=13, color=SOFT)
        _text(figure, page, left + SETTING_VALUE, baseline, _cut(_words(value), SETTING_CHARS), size=13)


def _words(value: object) -> str:
    """Return a setting's value in few words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        words = [_words(each) for each in value]
        return ", ".join(words) if len(words) < 3 else f"{words[0]} … {words[-1]}"
    return str(value)


def _cut(words: str, length: int) -> str:
    words = _plain(words)
    return words if len(words) <= length else words[: max(1, length - 1)].rstrip() + "…"


def _plain(words: str) -> str:
    """Return words without control characters, which the font would draw as boxes."""
    return "".join(letter if letter.isprintable() else " " for letter in words)
