"""Small paintings that are stopped, and gone on with."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nst_daemon.config.orders import Progress
from nst_daemon.engine import checkpoint, descent
from nst_daemon.engine.painter import Painter
from nst_daemon.errors import CancelledError

Picture = NDArray[np.float32]


def painted_until(
    stop_after: int | None, painter: Painter, *what: Any, seen: list[Progress], **how: Any
) -> tuple[Picture, list[Progress]]:
    """Paint, and note the progress in `seen`; an empty picture where it was stopped after so many steps."""
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return stop_after is not None and asked > stop_after

    try:
        return painter.paint(*what, on_progress=seen.append, should_stop=should_stop, **how), seen
    except CancelledError:
        return np.zeros((0, 0, 3), np.float32), seen


def keep_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the losses at each step, and write a checkpoint as often."""
    monkeypatch.setattr(descent, "READ_EVERY_STEPS", 1)
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE_OF_TIME", 1e9)
