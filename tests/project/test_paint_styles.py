"""The program tools/paint_styles.py, and the style pictures that it left in the package."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
STYLES = ROOT / "nst_daemon" / "bundled" / "styles"
SHIPPED = sorted(STYLES.glob("*"))


@pytest.fixture(scope="module")
def program() -> Iterator[ModuleType]:
    """Return the program, loaded by its path: tools/ is no package of the wheel."""
    spec = importlib.util.spec_from_file_location("paint_styles", ROOT / "tools" / "paint_styles.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(ROOT / "tools"))


def _luma(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"), dtype=np.float32) / 255.0


def test_every_painter_has_its_shipped_picture_and_none_is_left_over(program: ModuleType) -> None:
    assert [path.name for path in SHIPPED] == [f"{name}.jpg" for name in sorted(program.PAINTERS)]


def test_there_are_at_least_nine_styles_named_as_files_are(program: ModuleType) -> None:
    assert len(program.PAINTERS) >= 9
    assert all(name.isidentifier() and name == name.lower() for name in program.PAINTERS)


def test_a_seed_paints_the_same_pixels_each_time(program: ModuleType) -> None:
    for name in program.PAINTERS:
        once, again = (np.asarray(program.paint(name, 32, seed=1)) for _ in range(2))
        assert np.array_equal(once, again), name


def test_another_seed_paints_another_picture(program: ModuleType) -> None:
    for name in ("swirling_oil", "woodcut", "marbled_paper"):
        one, other = (np.asarray(program.paint(name, 32, seed)) for seed in (1, 2))
        assert not np.array_equal(one, other), name


def test_the_program_saves_what_it_is_asked_for(program: ModuleType, tmp_path: Path) -> None:
    assert program.main(["--out", str(tmp_path), "--size", "48", "woodcut"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["woodcut.jpg"]


def test_a_name_that_is_no_style_is_refused(program: ModuleType) -> None:
    with pytest.raises(SystemExit):
        program.main(["wodcut"])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_picture_is_a_large_rgb_jpeg_of_moderate_weight(path: Path) -> None:
    with Image.open(path) as picture:
        assert picture.format == "JPEG"
        assert picture.mode == "RGB"
        assert picture.info.get("icc_profile") is None  # no profile means sRGB
        assert min(picture.size) >= 700
    assert path.stat().st_size < 450_000


def test_the_shipped_pictures_together_stay_below_3_2_megabytes() -> None:
    assert sum(path.stat().st_size for path in SHIPPED) < 3_200_000


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_picture_has_darks_lights_and_strokes(path: Path) -> None:
    luma = _luma(path)
    dark, light = np.quantile(luma, [0.05, 0.95])
    down, right = np.gradient(luma)
    assert light - dark > 0.4  # a flat picture paints a flat photo
    assert np.hypot(down, right).mean() > 0.03  # a photo's own texture has about 0.02


def test_no_two_shipped_pictures_share_a_palette() -> None:
    palettes = []
    for path in SHIPPED:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.resize((64, 64)), dtype=np.float32).reshape(-1, 3)
        palettes.append(np.quantile(pixels, [0.1, 0.3, 0.5, 0.7, 0.9], axis=0).ravel())
    apart = np.linalg.norm(np.array(palettes)[:, None] - np.array(palettes)[None], axis=-1)
    assert apart[np.triu_indices(len(palettes), 1)].min() > 30.0  # of 255 a channel, over five quantiles
