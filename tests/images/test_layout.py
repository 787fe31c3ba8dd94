from itertools import combinations
from pathlib import Path

import pytest

from nst_daemon.images.layout import Box, Cell, ContactSheet, fitted, laid_out, longer_side

SHAPES = [(256, 192), (192, 256), (256, 256), (1024, 128), (128, 512)]


def overlap(one: Box, other: Box) -> bool:
    return (
        one.left < other.left + other.width
        and other.left < one.left + one.width
        and one.top < other.top + other.height
        and other.top < one.top + one.height
    )


@pytest.mark.parametrize("picture", SHAPES)
@pytest.mark.parametrize("count", [2, 3, 8, 12, 61])
def test_no_picture_and_no_name_lies_over_another_or_beyond_the_page(
    count: int, picture: tuple[int, int]
) -> None:
    layout = laid_out(count, picture)
    boxes = [*layout.pictures, *map(layout.line_below, layout.pictures), layout.heading]
    assert len(layout.pictures) == count
    assert {(box.width, box.height) for box in layout.pictures} == {picture}
    assert not [pair for pair in combinations(boxes, 2) if overlap(*pair)]
    for box in boxes:
        assert box.left > 0
        assert box.top > 0
        assert box.left + box.width < layout.width
        assert box.top + box.height < layout.height


@pytest.mark.parametrize("picture", [(256, 192), (192, 256), (256, 256)])
@pytest.mark.parametrize("count", [4, 12, 20, 61])
def test_a_page_is_neither_a_tower_nor_a_strip(count: int, picture: tuple[int, int]) -> None:
    layout = laid_out(count, picture)
    assert 0.8 < layout.width / layout.height < 2.5


def test_the_eleven_built_in_styles_and_a_photo_fill_their_rows() -> None:
    layout = laid_out(12, (256, 192))
    assert (len({box.left for box in layout.pictures}), len({box.top for box in layout.pictures})) == (4, 3)


def test_the_photo_comes_first() -> None:
    first, *others = laid_out(12, (256, 192)).pictures
    assert all((first.top, first.left) < (box.top, box.left) for box in others)


@pytest.mark.parametrize(
    ("size", "longer"),
    [
        ((4000, 3000), 256),
        ((3000, 4000), 256),
        ((4000, 2000), 256),
        ((6000, 1000), 768),
        ((64_000, 1000), 1024),
    ],
)
def test_the_pictures_of_a_panorama_are_longer(size: tuple[int, int], longer: int) -> None:
    assert longer_side(*size, 256) == longer


def test_a_page_that_is_too_large_says_so() -> None:
    def sheet(count: int) -> ContactSheet:
        cells = tuple(Cell(name=str(number)) for number in range(count))
        return ContactSheet(title="a", note="", photo=Path("a"), size=(4, 3), side=1024, cells=cells)

    assert sheet(60).layout().fits
    assert not sheet(300).layout().fits


def test_fitted_keeps_the_shape_and_every_side() -> None:
    assert (fitted(4000, 3000, 256), fitted(6400, 100, 256)) == ((256, 192), (256, 4))
