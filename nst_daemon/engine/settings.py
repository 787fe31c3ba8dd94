"""What an engine is started with. No torch here: the daemon reads it too."""

from dataclasses import dataclass
from pathlib import Path

from nst_daemon.config import Graphs, Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Which network runs where, and with how much memory."""

    weights: str = "original"
    device: str = "auto"
    share: int = 1  # of how many engines on this device it is one: each takes its part of memory and cores
    memory_limit: int | None = None  # bytes; None: what is free
    precision: Precision = Precision.AUTO  # of the convolutions
    graphs: Graphs = Graphs.AUTO  # of CUDA, for small scales
    cache_dir: Path  # downloaded weights, style targets, what the trial found
    max_megapixels: float = 200.0
