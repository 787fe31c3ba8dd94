"""At full resolution each copy of a picture counts: what is let go of, and when."""

import weakref
from typing import Any

import numpy as np
import pytest
import torch
from support.live import Live

from nst_daemon.config.recipe import resolve
from nst_daemon.engine import optimise
from nst_daemon.engine.descent import Losses
from nst_daemon.engine.figures import AT_ONCE, paint_guide
from nst_daemon.engine.optimise import Lbfgs
from nst_daemon.engine.painter import Painter
from nst_daemon.engine.pixels import to_array
from nst_daemon.engine.regions import StyleSource
from nst_daemon.engine.vgg import Trunk


def test_a_frugal_step_of_lbfgs_makes_no_further_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimise, "BAND", 1 << 12)
    entries = 1 << 18
    picture = 2 * entries  # bytes in bfloat16
    lbfgs = Lbfgs(torch.zeros(entries), learning_rate=0.1, history=2, kept=torch.bfloat16)
    for step in range(4):
        gradient = torch.full((entries,), 1.0 - 0.1 * step)
        with Live() as live:
            lbfgs.step(gradient)
        # Step, gradient and its change are kept; bands are a 64th of a picture each.
        assert 2 * picture <= live.peak < 3.2 * picture


def test_likenesses_within_a_style_picture_are_looked_at_a_few_rows_at_a_time() -> None:
    maps = torch.rand(1, 16, 64, 64, generator=torch.Generator().manual_seed(0))
    with Live() as live:
        paint_guide(maps, "relu3_1")
    assert live.peak < 3 * 4 * AT_ONCE  # of its 64 MB


def test_a_painting_is_handed_over_in_one_copy() -> None:
    picture = torch.full((1, 3, 48, 64), 1.5)
    with Live() as live:
        rows = to_array(picture)
    assert (rows == 1).all()
    assert rows.flags.c_contiguous
    assert live.peak == live.bytes == rows.nbytes


def test_a_scale_is_let_go_of_before_the_next_makes_its_own(
    trunk: Trunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[Losses]] = []
    left: list[bool] = []
    make = Painter._losses

    def making(*arguments: Any) -> Losses:
        left.append(any(each() is not None for each in made))
        losses = make(*arguments)
        made.append(weakref.ref(losses))
        return losses

    monkeypatch.setattr(Painter, "_losses", making)
    grey = np.full((48, 64, 3), 0.5, dtype=np.float32)
    Painter(trunk, torch.device("cpu")).paint(
        grey,
        [StyleSource(grey, 1.0, "grey")],
        resolve({"steps": 1, "pyramid": 16}),
        size=(64, 48),
        on_progress=lambda _: None,
        should_stop=lambda: False,
    )
    assert left == [False] * 4
