"""The pyramid of scales and how the steps are shared out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_daemon.config.recipe import Optimizer, resolve
from nst_daemon.engine.schedule import counting_at, fit, least_side, pyramid_of, style_size, target_size


@given(
    width=st.integers(16, 4000),
    height=st.integers(16, 4000),
    steps=st.integers(1, 2000),
    pyramid=st.integers(0, 3000),
)
def test_every_scale_has_steps_and_the_last_one_is_the_paintings_size(
    width: int, height: int, steps: int, pyramid: int
) -> None:
    scales = pyramid_of(width, height, resolve({"steps": steps, "pyramid": pyramid}))
    sizes = {(scale.width, scale.height) for scale in scales}
    if len(sizes) == 1:
        assert sum(scale.steps for scale in scales) == steps
    else:
        assert scales[0].steps == steps
        assert len(sizes) == len(scales)
    assert min(scale.steps for scale in scales) >= 1
    assert (scales[-1].width, scales[-1].height) == (width, height)
    assert [scale.number for scale in scales] == list(range(1, len(scales) + 1))
    longer = [max(scale.width, scale.height) for scale in scales]
    assert longer == sorted(longer)
    if pyramid and longer[0] < longer[-1]:
        assert longer[0] >= pyramid


def test_large_scales_are_twice_as_long_as_the_one_before() -> None:
    scales = pyramid_of(2048, 1536, resolve({"pyramid": 128}))
    assert [scale.width for scale in scales] == [128, 181, 256, 362, 512, 1024, 2048]
    assert [scale.width for scale in pyramid_of(700, 400, resolve({}))] == [175, 247, 350, 700]


def test_scales_beyond_200_px_start_with_detail() -> None:
    scales = pyramid_of(1024, 768, resolve({}))
    assert [scale.width for scale in scales if scale.is_detailed] == [256, 362, 512, 1024]
    assert not any(scale.is_detailed for scale in pyramid_of(1024, 768, resolve({"preset": "classic"})))
    assert not any(scale.is_detailed for scale in pyramid_of(1024, 768, resolve({"pyramid": 1024})))


def test_most_steps_are_taken_where_they_are_cheap() -> None:
    steps = [scale.steps for scale in pyramid_of(4096, 3072, resolve({"steps": 300}))]
    assert steps == sorted(steps, reverse=True)


def test_a_larger_painting_takes_as_many_steps_at_the_small_scales() -> None:
    small, large = (pyramid_of(size, size, resolve({"steps": 100})) for size in (256, 1024))
    assert [scale.steps for scale in small] == [100, 70, 35]
    assert [scale.steps for scale in large] == [100, 70, 35, 25, 18, 9]


def test_twice_as_large_a_scale_takes_half_as_many_steps_but_never_next_to_none() -> None:
    steps = {scale.width: scale.steps for scale in pyramid_of(8192, 8192, resolve({"steps": 1000}))}
    assert [steps[size] for size in (512, 1024, 2048, 4096, 8192)] == [176, 88, 44, 22, 20]


def test_the_deepest_style_layers_do_not_count_at_the_largest_scales() -> None:
    def counting(settings: dict[str, object]) -> list[tuple[int, str]]:
        recipe = resolve({"figures": "on", **settings})
        scales = pyramid_of(1024, 768, recipe)
        return [(each.width, counting_at(each, recipe, [(1024, 768)]).style_layers[-1]) for each in scales]

    assert counting({"pyramid": 256}) == [
        (256, "relu5_1"),
        (362, "relu5_1"),
        (512, "relu5_1"),
        (1024, "relu4_1"),
    ]
    assert counting({"pyramid": 0})[-1] == (1024, "relu5_1")  # an only scale
    assert counting({"style_layers": ["relu5_1"]})[-1] == (1024, "relu5_1")  # nothing else is left


def test_an_average_of_few_steps_forgets_the_first_ones() -> None:
    def averaging(size: int, steps: int) -> float:
        recipe = resolve({"steps": steps, "averaging": 0.95, "optimizer": "adam"})
        return pyramid_of(size, size, recipe)[-1].averaging

    assert averaging(180, 1) == 0.95
    assert averaging(1024, 1000) == 0.95
    assert 0.6 < averaging(1024, 110) < 0.8
    assert averaging(1024, 1) == 0


def test_a_panoramas_scales_begin_where_the_network_still_sees_something() -> None:
    scales = pyramid_of(1024, 102, resolve({"pyramid": 64}))
    assert [(scale.width, scale.height) for scale in scales][:2] == [(181, 18), (256, 26)]
    assert (least_side(("relu1_2",)), least_side(("conv5_1", "relu1_1")), least_side(())) == (1, 16, 1)


def test_without_a_pyramid_there_is_one_size() -> None:
    assert len(pyramid_of(512, 384, resolve({"preset": "classic"}))) == 1
    assert {scale.width for scale in pyramid_of(512, 384, resolve({"pyramid": 0}))} == {512}


def test_lbfgs_hands_a_last_scale_of_many_steps_to_adam_and_its_average() -> None:
    for size, steps, is_adams in ((180, 40, True), (512, 100, False), (512, 400, True)):
        recipe = resolve({"optimizer": "lbfgs", "averaging": 0.9, "steps": steps})
        *others, last = pyramid_of(size, size, recipe)
        assert {(scale.optimizer, scale.averaging) for scale in others} == {("lbfgs", 0.0)}
        assert (last.optimizer, last.averaging) == (("adam", 0.9) if is_adams else ("lbfgs", 0.0))


def test_without_averaging_one_optimiser_does_it_all() -> None:
    for optimizer in ("adam", "lbfgs"):
        scales = pyramid_of(512, 384, resolve({"optimizer": Optimizer(optimizer), "averaging": 0.0}))
        assert {scale.optimizer for scale in scales} == {optimizer}


def test_the_photo_counts_twice_at_most_where_the_picture_is_small() -> None:
    for figures, last in (("on", 0.1), ("off", 0.045)):
        recipe = resolve({"content_weight": 0.1, "figures": figures})
        weights = [scale.content_weight for scale in pyramid_of(2048, 1024, recipe)]
        assert weights == sorted(weights, reverse=True)
        assert (weights[0], weights[-1]) == pytest.approx((0.2, last))


def test_a_style_picture_is_shown_as_large_as_the_painting_and_never_enlarged() -> None:
    (scale,) = pyramid_of(512, 384, resolve({"preset": "classic"}))
    assert style_size(2000, 1000, resolve({}), scale) == (512, 256)
    assert style_size(2000, 1000, resolve({"style_scale": 2}), scale) == (1024, 512)
    assert style_size(300, 400, resolve({}), scale) == (300, 400)


def test_size_is_the_longer_side_and_original_is_the_photos_own() -> None:
    assert target_size(3000, 4000, resolve({"size": 1000})) == (750, 1000)
    assert target_size(3000, 4000, resolve({"size": "original"})) == (3000, 4000)
    assert fit(10_000, 1, 100) == (100, 1)
