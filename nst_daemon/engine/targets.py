"""Gram matrices of style pictures, kept: in memory for the next photo, on the disk for the next start."""

import hashlib
import logging
import pickle
import string
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from nst_daemon import disk
from nst_daemon.disk.files import written_whole
from nst_daemon.engine.vgg import Trunk
from nst_daemon.errors import NstError

logger = logging.getLogger(__name__)

Grams = Mapping[str, Tensor]  # layer -> (C, C)
Key = tuple[object, ...]  # a style's identity first, then all that its statistics depend on

KEPT: Final = 64  # in memory, of pairs of style and scale; 2.4 MB each
KEPT_FILES: Final = 128  # on the disk
SUFFIX: Final = ".style-targets"
OLD_SUFFIX: Final = ".targets"  # may be of other bytes than the hash in their key says
SHA256_DIGITS: Final = 64


class Targets:
    """Statistics by key, made when first asked for. Without a folder they are kept in memory only."""

    def __init__(self, trunk: Trunk, folder: Path | None = None) -> None:
        self.folder = folder
        self._network = fingerprint(trunk) if folder else ""
        self._kept: OrderedDict[Key, Grams] = OrderedDict()

    def get(self, key: Key, device: torch.device, make: Callable[[], Grams]) -> Grams:
        """Return the statistics of a key, from wherever they are."""
        if key not in self._kept:
            self._kept[key] = self._found(key, device) or self._made(key, make)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _made(self, key: Key, make: Callable[[], Grams]) -> Grams:
        grams = make()
        path = self._path(key)
        if path is not None:
            try:
                disk.make_folder(path.parent)
                with written_whole(path) as file:
                    torch.save({layer: each.cpu() for layer, each in grams.items()}, file)
                self._sweep(path.parent)
            except (NstError, OSError, RuntimeError) as error:
                logger.info("style targets were not kept: %s", error)
        return grams

    def _found(self, key: Key, device: torch.device) -> Grams | None:
        path = self._path(key)
        if path is None:
            return None
        try:
            with disk.opened(path) as file:
                grams: Grams = torch.load(file, map_location=device, weights_only=True)
        except FileNotFoundError:
            return None
        except (NstError, OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
            logger.info("style targets are made anew: %s", error)
            return None
        with suppress(FileNotFoundError, NstError):
            disk.touch(path)  # used: swept last
        return grams

    def _path(self, key: Key) -> Path | None:
        """Return the file of a key; None for a style that was recoloured for one photo."""
        identity = str(key[0])
        is_picture = len(identity) == SHA256_DIGITS and set(identity) <= set(string.hexdigits)
        if self.folder is None or not is_picture:
            return None
        digest = hashlib.sha256(repr((self._network, *key)).encode()).hexdigest()
        return self.folder / f"{digest[:40]}{SUFFIX}"

    def _sweep(self, folder: Path) -> None:
        """Keep the files that were used last."""
        used: list[tuple[float, Path]] = []
        for path in (entry.path for entry in disk.entries_of(folder)):
            facts = disk.facts_of(path)
            if path.suffix == OLD_SUFFIX:
                disk.remove(path)
            elif path.suffix == SUFFIX and facts is not None:
                used.append((facts.st_mtime, path))
        for _, path in sorted(used, reverse=True)[KEPT_FILES:]:
            disk.remove(path)


def fingerprint(trunk: Trunk) -> str:
    """Return a text that no other network has, nor the same one on another device, PyTorch or backend.

    What two backends compute differs by rounding: a painting whose targets were another's would be
    another one as soon as they are swept.
    """
    sums = [each.double().sum().item() for each in trunk.buffers()]
    backend = trunk.use_winograd, torch.get_float32_matmul_precision()
    facts = sums, torch.__version__, str(next(trunk.buffers()).device), backend
    return hashlib.sha256(repr(facts).encode()).hexdigest()
