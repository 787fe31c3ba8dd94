"""What a step costs grows with pixels, layers, channels, tiles and regions."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nst_daemon.config.recipe import resolve
from nst_daemon.engine.budget import FIXED_BYTES, Budget, Plan
from nst_daemon.engine.costs import DETAIL, Cost, Speed, costs_of, multiplications, step_cost
from nst_daemon.engine.detail import COMPONENTS, ENTRIES, STRIDE
from nst_daemon.engine.vgg import Trunk

BALANCED = resolve({})
GRAM = resolve({"style_loss": "gram"})


def test_the_multiplications_are_those_of_the_network(trunk: Trunk) -> None:
    plain = Trunk.__new__(Trunk)
    plain.__dict__ |= trunk.__dict__
    plain.use_winograd = False
    for layers in (("relu1_1",), ("relu3_1", "conv2_2"), ("relu4_2",), ("relu5_1",)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            plain(torch.rand(1, 3, 32, 64), layers)
        assert counter.get_total_flops() == 2 * multiplications(layers, 64, 32)
    assert multiplications(("relu5_1",), 10, 10) == 100 * 361_152
    assert multiplications((), 10, 10) == 0


def test_convolutions_cost_by_the_pixels_and_roots_by_the_channels() -> None:
    small, large = step_cost(256, 256, BALANCED), step_cost(512, 512, BALANCED)
    assert large.convolutions == pytest.approx(4 * small.convolutions, rel=0.01)
    # 64, 128, 256 and 512 channels; relu5_1 of 256 px has 16 x 16 entries, fewer than channels.
    assert small.roots == (64**2 + 128**2 + 256**2 + 512**2 + 256**2) / 1e6
    assert large.roots == (64**2 + 128**2 + 256**2 + 512**2 + 512**2) / 1e6
    assert small.steps == large.steps == 1


def test_gram_matrices_alone_take_no_roots() -> None:
    assert step_cost(256, 256, GRAM).roots == 0


def test_layers_that_do_not_count_cost_nothing() -> None:
    shallow = replace(BALANCED, style_layers=BALANCED.style_layers[:3])
    assert step_cost(256, 256, shallow).roots < step_cost(256, 256, BALANCED).roots
    assert step_cost(256, 256, shallow).convolutions < step_cost(256, 256, BALANCED).convolutions


def test_tiles_cost_their_halos_and_one_pass_more() -> None:
    whole = step_cost(1024, 1024, BALANCED).convolutions
    one_tile = step_cost(1024, 1024, BALANCED, side=1024).convolutions
    many = step_cost(1024, 1024, BALANCED, side=256).convolutions
    assert 1.3 * whole < one_tile < 1.7 * whole
    # Four tiles along each axis, six halos between them: of 96 px in blocks 1 and 2, of 64 in 3 and 4.
    assert one_tile * (1408 / 1024) ** 2 < many < one_tile * (1600 / 1024) ** 2


def test_each_region_has_statistics_of_its_own() -> None:
    assert step_cost(256, 256, BALANCED, regions=2).roots == 3 * step_cost(256, 256, BALANCED).roots


def test_a_plan_costs_less_where_deep_layers_do_not_count_and_more_in_tiles() -> None:
    plan = Plan.of((512, 384), BALANCED, Budget(BALANCED, None))
    off, on = (
        costs_of(plan, replace(BALANCED, figures=figures), [(700, 700)])  # type: ignore[arg-type]
        for figures in ("off", "on")
    )
    assert [each.steps for each in off] == [scale.steps for scale in plan.scales]
    assert all(less.step.roots < more.step.roots for less, more in zip(off, on, strict=True))
    scarce = Budget(BALANCED, FIXED_BYTES + 300 * 300 * 1000)
    tiled = costs_of(Plan(scarce, plan.scales, (*plan.sides[:-1], 128)), BALANCED, [(700, 700)])
    assert tiled[:-1] == off[:-1]
    assert tiled[-1].setup.convolutions > off[-1].setup.convolutions
    assert tiled[-1].step.convolutions > 2 * off[-1].step.convolutions


def test_before_its_first_step_a_scale_looks_at_the_photo_and_each_style_once_and_finds_its_detail() -> None:
    plan = Plan.of((512, 384), BALANCED, Budget(BALANCED, None))
    costs = costs_of(plan, GRAM, [(128, 128)])
    twice = costs_of(plan, GRAM, [(128, 128)] * 2)
    first, last = plan.scales[0], plan.scales[-1]
    assert (first.is_detailed, last.is_detailed) == (False, True)
    for cost, more, scale in ((costs[0], twice[0], first), (costs[-1], twice[-1], last)):
        of_photo = multiplications(GRAM.content_layers, scale.width, scale.height)
        of_style = (more.setup.convolutions - cost.setup.convolutions) * 1e9
        detail = DETAIL * scale.width * scale.height if scale.is_detailed else 0
        assert cost.setup.convolutions * 1e9 == pytest.approx(of_photo + of_style + detail)
        assert 0 < of_style <= multiplications(GRAM.style_layers, 128, 128) * 1.001
    assert DETAIL == ENTRIES * COMPONENTS / STRIDE**2


def test_a_speed_turns_costs_into_seconds() -> None:
    speed = Speed(convolutions=2.0, roots=3.0, steps=5.0)
    assert speed.seconds(Cost(1.0, 1.0, 1.0) * 2 + Cost(steps=1.0)) == 25.0
