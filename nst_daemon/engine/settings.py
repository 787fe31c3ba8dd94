"""What an engine is started with. No torch here: the daemon reads it too."""

from dataclasses import dataclass
from pathlib import Path

from nst_daemon.config import MAX_MEGAPIXELS, Config, EngineConfig, Graphs, Precision, state_home


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Which network runs where, and with how much memory."""

    weights: str = "original"
    device: str = "auto"
    share: int = 1  # of how many engines on this device it is one: each takes its part of memory and cores
    memory_limit: int | None = None  # bytes; None: what is free
    precision: Precision = Precision.AUTO  # of the convolutions
    graphs: Graphs = Graphs.AUTO  # of CUDA, for small scales
    cache_dir: Path  # downloaded weights, style targets, what autotuning found
    max_megapixels: float = MAX_MEGAPIXELS


def settings_of(config: Config | None, device: str | None = None, share: int = 1) -> EngineSettings:
    """Return what a config says of an engine; without one the defaults.

    `device`: one of its devices, else its first; `share`: how many engines are on it.
    """
    engine = config.engine if config else EngineConfig()
    state_dir = config.state_dir if config else state_home()
    return EngineSettings(
        weights=engine.weights,
        device=device or engine.first_device,
        share=share,
        memory_limit=engine.memory_bytes,
        precision=engine.precision,
        graphs=engine.graphs,
        cache_dir=state_dir / "weights",
        max_megapixels=config.max_megapixels if config else MAX_MEGAPIXELS,
    )
