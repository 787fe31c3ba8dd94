"""What a picture looks like while it is painted: a small JPEG, for whoever wants to look.

It costs the painting nothing until it is due, and never ends it: a preview that cannot be written is
missed by nobody but the one who looks.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nst_daemon import disk
from nst_daemon.disk.files import discard, temporary_in
from nst_daemon.engine.pixels import resize, to_array
from nst_daemon.engine.schedule import fit
from nst_daemon.errors import NstError
from nst_daemon.images.saving import save_preview

logger = logging.getLogger(__name__)

EVERY_SECONDS: Final = 10.0  # within a scale
LONGEST: Final = 1280  # px, longer side: what fits on a screen

Picture = NDArray[np.float32]  # (H, W, 3), sRGB, 0..1


class Preview:
    """Writes the preview of one painting. Without a path it does nothing."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        finish: Callable[[Picture], Picture] = lambda picture: picture,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._finish = finish  # what is done with a painting when its steps are over, at any size
        self._clock = clock
        self._written = clock()
        self._was_reported = False

    def look(self, picture: Callable[[], Tensor], *, is_scale_over: bool = False) -> None:
        """Write the picture that `picture` returns, where that is due; it is asked for only then.

        Shapes: picture() -> (1, 3, H, W), sRGB, 0..1, on any device.
        """
        if self.path is None or not (is_scale_over or self._clock() - self._written >= EVERY_SECONDS):
            return
        try:
            self._write(picture(), self.path)
        except (NstError, OSError, RuntimeError, MemoryError, ValueError) as error:  # torch's: RuntimeErrors
            level = logging.DEBUG if self._was_reported else logging.INFO
            logger.log(level, "no preview was written: %s: %s", type(error).__name__, error)
            self._was_reported = True
        self._written = self._clock()  # a slow disk is asked no more often than a fast one

    @torch.no_grad()
    def _write(self, picture: Tensor, path: Path) -> None:
        """Write a picture, no larger than a preview is. Shapes: (1, 3, H, W)."""
        height, width = picture.shape[-2:]
        size = fit(width, height, min(LONGEST, max(width, height)))
        finished = self._finish(to_array(resize(picture, *size)))  # made smaller on the device
        if not disk.is_folder(path.parent.parent):  # the outbox is never made: its disk may not be mounted
            raise disk.missing(path.parent.parent)
        disk.make_folder(path.parent)
        draft = temporary_in(path.parent)
        try:
            save_preview(finished, draft)
            disk.replace(draft, path)
        finally:
            discard(draft)


NO_PREVIEW: Final = Preview()
