"""A painting keeps below `engine.memory_limit`, beside what Python, torch and the network take anyhow."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

LIMIT = 7 * 10**8  # bytes
SIZE = (1140, 760)  # whole, it takes 1 GB
SHALLOW = ("content_layers=relu2_2", "style_layers=relu1_1,relu2_1")  # the largest maps, and the fewest sums
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_of(folder: Path, size: tuple[int, int], limit: str) -> int:
    """Return the most memory in bytes that a process of a rendering had."""
    photo = folder / f"{size[0]}.png"
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(photo)
    config = folder / "config.yaml"
    config.write_text(f"inbox: inbox\noutbox: outbox\nstate_dir: state\nengine: {{{limit}}}\n")
    words = [sys.executable, "-m", "nst_daemon", "render", str(photo), "--style", "mosaic"]
    words += ["-o", str(folder / "out.png"), "--config", str(config)]
    words += [f"--set={each}" for each in ("size=original", "steps=1", "pyramid=0", *SHALLOW)]
    done = subprocess.run([sys.executable, "-c", PEAK, *words], capture_output=True, text=True, check=True)
    with Image.open(folder / "out.png") as painted:
        assert painted.size == size
    return int(done.stdout) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
def test_a_painting_keeps_below_its_limit_of_memory(tmp_path: Path, cache: Callable[[Path], Path]) -> None:
    cache(tmp_path / "state" / "weights")
    base = peak_of(tmp_path, (32, 32), "device: cpu")
    whole = peak_of(tmp_path, SIZE, "device: cpu") - base
    limited = peak_of(tmp_path, SIZE, f"device: cpu, memory_limit: {LIMIT}") - base
    assert limited < LIMIT < whole
