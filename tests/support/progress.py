"""Progress of a painting, as an engine reports it."""

from dataclasses import replace
from typing import Any, Final

from nst_daemon.config.orders import Progress

BEGUN: Final = Progress(
    scale=1,
    scales=1,
    width=64,
    height=48,
    step=1,
    steps=10,
    fraction=0.1,
    losses={},
    seconds=1.0,
    eta_seconds=3.0,
)


def progress(**changes: Any) -> Progress:
    """Return the progress of a small painting that has just begun, with these changes."""
    return replace(BEGUN, **changes)
