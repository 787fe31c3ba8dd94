from pathlib import Path

import pytest

from nst_daemon.config.recipe import Format, Preset
from nst_daemon.errors import ConditionError, ConfigError
from nst_daemon.folders.library import BUILT_IN, Library
from nst_daemon.images.likeness import Descriptor
from nst_daemon.intake import sheets

PHOTO = Path("photo.jpg")


class TableReader:
    """Knows pictures by their stems: of how many colours they are away from the photo."""

    def __init__(self, **away: float | Exception | None) -> None:
        self.away = {"photo": 0.0, **away}

    def descriptor(self, path: Path) -> Descriptor | None:
        found = self.away[path.stem]
        if isinstance(found, Exception):
            raise found
        return None if found is None else Descriptor(colors=(found,), contrasts=(0.0,), chroma=0.0, plain=0.0)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    for name in ("oil", "ink", "chalk", "a,b"):
        (tmp_path / f"{name}.jpg").write_bytes(name.encode())
    return Library(tmp_path, built_in=tmp_path / "none")


def test_all_styles_are_meant_where_none_is_named(library: Library) -> None:
    assert sheets.named_styles([], library) == ("a,b", "chalk", "ink", "oil")
    assert len(sheets.named_styles([], Library(None))) == len(list(BUILT_IN.glob("*.jpg")))


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (["ink,oil"], ("ink", "oil")),
        (["oil", "ink"], ("oil", "ink")),
        ([" INK , ink,"], ("ink",)),
        (["a,b"], ("a,b",)),
    ],
)
def test_styles_are_named_together_or_one_by_one(
    library: Library, asked: list[str], named: tuple[str, ...]
) -> None:
    assert sheets.named_styles(asked, library) == named


@pytest.mark.parametrize(
    ("asked", "said"), [(["oil,inc"], "no style inc. Did you mean ink"), ([","], "names no style")]
)
def test_a_style_that_nobody_knows_is_an_error(library: Library, asked: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        sheets.named_styles(asked, library)
    assert said in str(raised.value)


def test_without_any_style_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no style") as raised:
        sheets.named_styles([], Library(tmp_path, built_in=tmp_path / "none"))
    assert "Put a picture" in raised.value.remedy


def test_the_style_that_suits_best_comes_first(library: Library) -> None:
    reader = TableReader(oil=0.1, ink=0.0, chalk=0.3)
    found = sheets.ordered(PHOTO, ["oil", "chalk", "ink"], library, reader)
    assert [sketch.name for sketch in found] == ["ink", "oil", "chalk"]
    values = [sketch.suits for sketch in found if sketch.suits is not None]
    assert values[0] == 1.0
    assert values == sorted(values, reverse=True)


def test_styles_that_cannot_be_had_come_last_and_say_why(library: Library, tmp_path: Path) -> None:
    lost = ConditionError("the disk does not answer.")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    names = ["gone", "oil", "chalk", "ink"]
    found = sheets.ordered(PHOTO, names, library, TableReader(oil=0.1, ink=None, chalk=lost))
    assert [sketch.name for sketch in found] == ["oil", "ink", "chalk", "gone"]
    assert [sketch.suits is None for sketch in found] == [False, True, True, True]
    assert found[1].style is not None  # the engine will say what is wrong with it
    assert [bool(sketch.error) for sketch in found] == [False, False, True, True]
    assert "does not answer" in found[2].error


def test_a_sketch_is_painted_as_the_user_has_it_but_small_and_soon() -> None:
    settings = {
        "preset": "fine",
        "size": "original",
        "steps": 900,
        "preserve_color": "luminance",
        "report": True,
    }
    recipe = sheets.sketch_recipe((4000, 3000), settings)
    draft = sheets.sketch_recipe((4000, 3000), {})
    assert (recipe.preset, recipe.size, recipe.format) == (Preset.DRAFT, 256, Format.PNG)
    assert (recipe.preserve_color, recipe.steps, recipe.report) == ("luminance", draft.steps, False)
    assert sheets.sketch_recipe((6000, 1000), {}, side=128).size == 384
