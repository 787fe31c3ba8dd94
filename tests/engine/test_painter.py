"""Pictures painted with the real network, small."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nst_daemon.config.orders import Progress
from nst_daemon.config.recipe import Recipe, StyleLoss, resolve
from nst_daemon.engine import budget
from nst_daemon.engine import descent as descent_module
from nst_daemon.engine import styles as styles_module
from nst_daemon.engine.budget import FIXED_BYTES, Budget
from nst_daemon.engine.losses import StyleTarget, style_target
from nst_daemon.engine.painter import Painter
from nst_daemon.engine.regions import StyleSource
from nst_daemon.engine.schedule import pyramid_of
from nst_daemon.engine.vgg import Trunk
from nst_daemon.errors import CancelledError, EngineError

Picture = NDArray[np.float32]

SIZE = (64, 48)
FEW = {"steps": 3, "pyramid": 32, "content_weight": 2.0}


def _photo() -> Picture:
    """Return a scene of soft shapes, 64 x 48 px."""
    x, y = np.meshgrid(np.linspace(0, 1, 64), np.linspace(0, 1, 48))
    sun = np.exp(-((x - 0.7) ** 2 + (y - 0.3) ** 2) * 30)
    return np.stack([0.2 + 0.7 * sun, 0.4 * y + 0.3 * sun, 0.8 - 0.6 * y], axis=-1).astype(np.float32)


def _style(seed: int = 0) -> Picture:
    """Return coloured stripes, 96 px."""
    x, y = np.meshgrid(np.arange(96), np.arange(96))
    wave = np.sin((x + (2 + seed) * y) / 3)
    return np.stack([0.5 + 0.5 * wave, 0.5 - 0.4 * wave, 0.3 + 0.0 * x], axis=-1).astype(np.float32)


STRIPES = StyleSource(_style(), 1.0, "stripes")
OTHER = StyleSource(_style(3)[:, :, ::-1].copy(), 1.0, "other")


@pytest.fixture(scope="module")
def painter(trunk: Trunk) -> Painter:
    return Painter(trunk, torch.device("cpu"))


def _paint(painter: Painter, recipe: Recipe, *styles: StyleSource) -> Picture:
    return painter.paint(
        _photo(),
        styles or (STRIPES,),
        recipe,
        size=SIZE,
        on_progress=lambda _: None,
        should_stop=lambda: False,
    )


@pytest.fixture(scope="module")
def plain(painter: Painter) -> Picture:
    return _paint(painter, resolve(FEW))


def test_a_panorama_is_painted_though_its_coarsest_scales_would_be_too_low_for_the_network(
    painter: Painter,
) -> None:
    size = (170, 17)
    photo = np.random.default_rng(0).random((*size[::-1], 3), np.float32)
    recipe = resolve({"preset": "draft", "steps": 2})
    painted = painter.paint(
        photo, [STRIPES], recipe, size=size, on_progress=lambda _: None, should_stop=lambda: False
    )
    assert painted.shape == photo.shape


@pytest.mark.parametrize("preset", ["classic", "draft", "balanced", "fine"])
def test_every_preset_lowers_its_loss_and_paints_within_0_and_1(painter: Painter, preset: str) -> None:
    seen: list[Progress] = []
    painted = painter.paint(
        _photo(),
        [STRIPES],
        resolve({"preset": preset, "steps": 25, "pyramid": 0}),
        size=SIZE,
        on_progress=seen.append,
        should_stop=lambda: False,
    )
    assert painted.shape == (48, 64, 3)
    assert painted.dtype == np.float32
    assert 0 <= painted.min() < painted.max() <= 1
    assert seen[-1].losses["total"] < 0.8 * seen[0].losses["total"]
    assert painted.std() > 0.05  # no grey picture


@pytest.mark.parametrize(
    "setting",
    [
        {"content_weight": 20.0},
        {"style_weight": 0.05},
        {"tv_weight": 300.0},
        {"content_layers": ("relu2_2",)},
        {"style_layers": ("relu1_1",)},
        {"figures": "on"},
        {"style_loss": "gram"},
        {"style_loss": "whitened"},
        {"style_scale": 0.4},
        {"optimizer": "adam"},
        {"learning_rate": 0.01},
        {"steps": 5},
        {"pyramid": 0},
        {"init": "noise"},
        {"init": "style"},
        {"start_colors": "photo"},
        {"pooling": "average"},
        {"averaging": 0.3},
    ],
    ids=str,
)
def test_every_setting_of_the_painting_changes_the_picture(
    painter: Painter, plain: Picture, setting: dict[str, object]
) -> None:
    changed = _paint(painter, resolve({**FEW, **setting}))
    assert not np.array_equal(changed, plain)  # the same recipe gives the same bytes


def test_the_seed_decides_the_noise_and_nothing_else_does(painter: Painter) -> None:
    noise = {**FEW, "init": "noise"}
    first = _paint(painter, resolve(noise | {"seed": 1}))
    again = _paint(painter, resolve(noise | {"seed": 1}))
    other = _paint(painter, resolve(noise | {"seed": 2}))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_blend_lies_between_its_styles_and_depends_on_the_shares(painter: Painter, plain: Picture) -> None:
    half = _paint(painter, resolve(FEW), STRIPES, OTHER)
    mostly = _paint(painter, resolve(FEW), STRIPES, StyleSource(OTHER.rgb, 0.05, OTHER.identity))
    assert np.abs(mostly - plain).mean() < np.abs(half - plain).mean()
    assert np.abs(half - plain).mean() > 1e-3


def test_more_content_weight_keeps_more_of_the_photo(painter: Painter) -> None:
    def distance(weight: float) -> float:
        seen: list[Progress] = []
        painter.paint(
            _photo(),
            [STRIPES],
            resolve({**FEW, "steps": 15, "pyramid": 0, "content_weight": weight}),
            size=SIZE,
            on_progress=seen.append,
            should_stop=lambda: False,
        )
        return seen[-1].losses["content"] / weight

    assert distance(1e5) < 0.7 * distance(0.01)


def test_progress_counts_every_step_and_ends_at_one(painter: Painter) -> None:
    seen: list[Progress] = []
    painter.paint(
        _photo(), [STRIPES], resolve(FEW), size=SIZE, on_progress=seen.append, should_stop=lambda: False
    )
    assert [each.step for each in seen] == sorted({each.step for each in seen})
    assert seen[-1].step == seen[-1].steps == sum(scale.steps for scale in pyramid_of(*SIZE, resolve(FEW)))
    assert seen[-1].fraction == 1.0
    assert seen[-1].eta_seconds == 0.0
    assert (seen[0].scale, seen[-1].scale) == (1, seen[-1].scales)
    assert set(seen[-1].losses) == {"total", "content", "style", "tv"}
    assert seen[-1].losses["total"] == pytest.approx(
        sum(seen[-1].losses[name] for name in ("content", "style", "tv")), rel=1e-4
    )


def test_the_time_left_at_a_tenth_is_of_the_right_order(trunk: Trunk) -> None:
    painter, seen = Painter(trunk, torch.device("cpu")), list[Progress]()
    recipe = resolve({"preset": "draft", "steps": 40, "pyramid": 32})
    painter.paint(_photo(), [STRIPES], recipe, size=SIZE, on_progress=seen.append, should_stop=lambda: False)
    whole = seen[-1].seconds
    tenth = next(each for each in seen if each.seconds >= whole / 10)
    assert (whole - tenth.seconds) / 5 < tenth.eta_seconds < 5 * (whole - tenth.seconds)
    assert painter.speed.learned == pytest.approx(whole, rel=0.5)  # known to the next painting


def test_a_painting_that_is_stopped_teaches_the_machines_speed_too(trunk: Trunk) -> None:
    painter, seen = Painter(trunk, torch.device("cpu")), list[Progress]()
    with pytest.raises(CancelledError):
        painter.paint(
            _photo(),
            [STRIPES],
            resolve({}),
            size=SIZE,
            on_progress=seen.append,
            should_stop=lambda: len(seen) > 1,
        )
    assert painter.speed.learned > 0


def test_a_stop_is_obeyed_within_a_step(painter: Painter) -> None:
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    with pytest.raises(CancelledError):
        painter.paint(
            _photo(), [STRIPES], resolve(FEW), size=SIZE, on_progress=lambda _: None, should_stop=should_stop
        )
    assert asked == 4


def test_style_targets_are_computed_once_for_many_photos(trunk: Trunk) -> None:
    painter = Painter(trunk, torch.device("cpu"))
    passes = 0
    walk = trunk.walk

    class Counting(Trunk):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            self.precision = torch.float32

        def walk(self, *arguments: Any) -> Iterator[tuple[str, torch.Tensor]]:
            nonlocal passes
            passes += 1
            return walk(*arguments)

    painter.use(Counting(), captures=False)
    _paint(painter, resolve({"steps": 1, "pyramid": 0}))
    first, passes = passes, 0
    _paint(painter, resolve({"steps": 1, "pyramid": 0}))
    assert (first, passes) == (3, 2)  # style, photo, step; then photo and step


def test_style_targets_are_prepared_once_for_many_photos(
    trunk: Trunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter = Painter(trunk, torch.device("cpu"))
    prepared: list[StyleLoss] = []
    prepare = style_target

    def spy(statistics: torch.Tensor, kind: StyleLoss) -> StyleTarget:
        prepared.append(kind)
        return prepare(statistics, kind)

    monkeypatch.setattr(styles_module, "style_target", spy)
    settings = {"steps": 2, "pyramid": 0, "figures": "on"}
    first = _paint(painter, resolve(settings))
    again = _paint(painter, resolve(settings))
    assert len(prepared) == len(resolve({}).style_layers)
    assert np.array_equal(first, again)
    _paint(painter, resolve({**settings, "style_loss": "gram"}))
    assert len(prepared) == 2 * len(resolve({}).style_layers)


class _Listening(Trunk):
    """Notes which layers were asked of a picture of which size."""

    def __init__(self, trunk: Trunk) -> None:
        torch.nn.Module.__init__(self)
        self.precision = torch.float32
        self.inner = trunk
        self.asked: list[tuple[tuple[int, int], tuple[str, ...]]] = []

    def walk(
        self, picture: torch.Tensor, layers: Sequence[str], *how: Any
    ) -> Iterator[tuple[str, torch.Tensor]]:
        self.asked.append(((picture.shape[-1], picture.shape[-2]), tuple(layers)))
        return self.inner.walk(picture, layers, *how)


@pytest.mark.parametrize(
    ("figures", "style_scale", "depths"),
    [
        ("off", 1.0, {64: "relu2_1", 91: "relu2_1", 128: "relu3_1"}),
        ("off", 2.0, {64: "relu3_1", 91: "relu3_1", 128: "relu3_1"}),  # shown larger, a figure is larger
        ("on", 1.0, dict.fromkeys((64, 91, 128), "relu5_1")),
    ],
)
def test_a_style_layer_counts_where_it_sees_a_small_part_of_the_style_picture(
    trunk: Trunk, figures: str, style_scale: float, depths: dict[int, str]
) -> None:
    painter, listening = Painter(trunk, torch.device("cpu")), _Listening(trunk)
    painter.use(listening, captures=False)
    recipe = resolve({"steps": 1, "pyramid": 64, "figures": figures, "style_scale": style_scale})
    square = StyleSource(np.kron(_style(), np.ones((3, 3, 1), np.float32)), 1.0, "square")
    nothing = (lambda _: None), (lambda: False)
    painter.paint(_photo(), [square], recipe, size=(128, 96), on_progress=nothing[0], should_stop=nothing[1])
    shown = {size[0]: layers for size, layers in listening.asked if size[0] == size[1]}
    assert {round(side / style_scale): max(layers) for side, layers in shown.items()} == depths


@pytest.fixture(scope="module")
def faced() -> tuple[StyleSource, StyleSource]:
    """Return a style, and the same with something in it that occurs once."""
    plain = np.tile(_style(), (4, 4, 1))
    face = np.random.default_rng(0).random((20, 20, 3)).astype(np.float32).repeat(4, 0).repeat(4, 1)
    other = plain.copy()
    other[140:220, 140:220] = face
    return StyleSource(plain, 1.0, "plain"), StyleSource(other, 1.0, "faced")


def _statistics(trunk: Trunk, style: StyleSource, figures: str, memory: int | None = None) -> torch.Tensor:
    recipe = resolve({"figures": figures, "style_layers": ["relu3_1"], "averaging": 0.0, "pyramid": 0})
    (scale,) = pyramid_of(384, 384, recipe)
    painter = Painter(trunk, torch.device("cpu"))
    return painter.styles.grams_of(style, recipe, scale, Budget(recipe, memory))["relu3_1"]


def test_without_figures_what_occurs_once_leaves_the_style(
    trunk: Trunk, faced: tuple[StyleSource, StyleSource]
) -> None:
    def apart(figures: str) -> float:
        plain, other = (_statistics(trunk, style, figures) for style in faced)
        return float((plain - other).norm() / plain.norm())

    assert apart("off") < 0.35 * apart("on")


def test_a_style_picture_that_does_not_fit_is_guided_as_one_that_does(
    trunk: Trunk, faced: tuple[StyleSource, StyleSource]
) -> None:
    scarce = FIXED_BYTES + 300 * 300 * 1500
    budget = Budget(resolve({"style_layers": ["relu3_1"], "averaging": 0.0}), scarce)
    assert budget.tile_side(384, 384) is not None
    whole = _statistics(trunk, faced[1], "off")
    tiled = _statistics(trunk, faced[1], "off", scarce)
    unguided = _statistics(trunk, faced[1], "on")
    assert (tiled - whole).norm() < 0.5 * (unguided - whole).norm()


class _Faulty(Trunk):
    """Gives NaN features at chosen passes, as half-precision overflow does."""

    def __init__(self, trunk: Trunk, bad: set[int]) -> None:
        torch.nn.Module.__init__(self)
        self.precision = torch.float32
        self.trunk, self.bad, self.passes = trunk, bad, 0

    def walk(self, *arguments: Any) -> Iterator[tuple[str, torch.Tensor]]:
        self.passes += 1
        factor = float("nan") if self.passes in self.bad else 1.0
        for layer, maps in self.trunk.walk(*arguments):
            yield layer, maps * factor


def test_a_loss_that_is_not_a_number_is_taken_back_and_the_picture_is_good(
    trunk: Trunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descent_module, "READ_EVERY_STEPS", 1)
    faulty = _Faulty(trunk, bad={5})  # the style, the photo, two good steps, then this one
    seen: list[Progress] = []
    painted = Painter(faulty, torch.device("cpu")).paint(
        _photo(),
        [STRIPES],
        resolve({"steps": 6, "pyramid": 0}),
        size=SIZE,
        on_progress=seen.append,
        should_stop=lambda: False,
    )
    assert np.isfinite(painted).all()
    assert painted.std() > 0.05
    assert faulty.passes > 2 + 6  # steps were taken again …
    for told in ([each.step for each in seen], [each.fraction for each in seen]):
        assert told == sorted(told)  # … which nobody is told of
    assert (seen[-1].step, seen[-1].fraction) == (6, 1.0)


def test_a_loss_that_never_becomes_a_number_ends_the_job_with_a_reason(trunk: Trunk) -> None:
    faulty = _Faulty(trunk, bad=set(range(3, 1000)))
    with pytest.raises(EngineError, match="smaller steps did not help"):
        _paint(Painter(faulty, torch.device("cpu")), resolve({"steps": 6, "pyramid": 0}))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (16, 16), (37, 19)])
def test_odd_and_tiny_sizes_are_painted(painter: Painter, size: tuple[int, int]) -> None:
    width, height = max(size[0], 16), max(size[1], 16)
    painted = painter.paint(
        np.full((size[1], size[0], 3), 0.5, np.float32),
        [STRIPES],
        resolve({"steps": 2}),
        size=(width, height),
        on_progress=lambda _: None,
        should_stop=lambda: False,
    )
    assert painted.shape == (height, width, 3)
    assert np.isfinite(painted).all()


def test_a_scale_that_does_not_fit_into_memory_is_painted_in_tiles_and_looks_the_same(
    painter: Painter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(budget, "LEAST_TILE", 32)
    recipe = resolve({"optimizer": "adam", "steps": 2, "pyramid": 48, "size": 96, "figures": "on"})

    def paint(memory: int | None) -> Picture:
        return painter.paint(
            _photo(),
            [STRIPES],
            recipe,
            size=(96, 72),
            on_progress=lambda _: None,
            should_stop=lambda: False,
            memory=memory,
        )

    whole = paint(None)
    with caplog.at_level("INFO"):
        tiled = paint(FIXED_BYTES + 64 * 48 * 4000)
    assert "96 x 72 px are painted in tiles of 32 px" in caplog.text
    assert np.abs(tiled - whole).mean() < 2e-3  # Adam's first steps follow the gradient's sign


def test_an_only_scale_that_does_not_fit_into_memory_is_left_to_adam() -> None:
    budget = Budget(resolve({}), memory=2 * 2**30)
    assert 300_000 < budget.whole_pixels < 600_000
    for pyramid, optimizers in ((0, {"adam"}), (128, {"lbfgs"})):
        recipe = resolve({"pyramid": pyramid})
        scales = pyramid_of(4096, 4096, recipe, whole_pixels=budget.whole_pixels)
        assert {scale.optimizer for scale in scales} == optimizers


def test_tiles_of_24_megapixels_fit_into_4_gb() -> None:
    side = Budget(resolve({}), memory=4 * 10**9).tile_side(6000, 4000)
    assert side is not None
    outer = (side + 2 * 96) ** 2
    assert outer < 6000 * 4000 / 50
