"""One painting of ours in a fresh process, measured from inside; `compare.py` runs it.

    python benchmarks/paint.py PHOTO STYLE RESULT.png --settings '{"preset": "balanced", "size": 256}'

The last line of its output is JSON: seconds and CPU seconds from the order to the saved file, by the route of
every painting (decode, paint, encode), in a process that has the network loaded, and its backend chosen.
"""

import argparse
import hashlib
import json
import time
from dataclasses import asdict
from pathlib import Path

from nst_daemon.config import Precision
from nst_daemon.config.orders import Order, Progress
from nst_daemon.config.recipe import Style, resolve
from nst_daemon.engine import autotune
from nst_daemon.engine.devices import choose_device
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.engine.studio import Studio
from nst_daemon.engine.weights import load_original


def main() -> None:
    """Paint, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("photo", type=Path)
    parser.add_argument("style", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--settings", type=json.loads, default={}, metavar="JSON")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", type=Precision, default=Precision.AUTO)
    arguments = parser.parse_args()
    digest = hashlib.sha256(arguments.style.read_bytes()).hexdigest()
    order = Order(
        job=0,
        photo=arguments.photo,
        photo_name=arguments.photo.name,
        styles=(Style(name=arguments.style.stem, path=arguments.style, sha256=digest),),
        recipe=resolve({**arguments.settings, "format": "png"}),
        result=arguments.result.with_suffix(""),
    )
    settings = EngineSettings(
        device=arguments.device, precision=arguments.precision, cache_dir=arguments.result.parent
    )
    asked = autotune.Asked(precision=arguments.precision)
    autotune.choose(load_original(), choose_device(arguments.device), asked, settings.cache_dir)
    studio = Studio(settings)
    history: list[Progress] = []
    began, cpu_began = time.perf_counter(), time.process_time()
    painting = studio.fulfil(order, history.append, lambda: False)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    if painting.picture != arguments.result:
        painting.picture.replace(arguments.result)
    measured = {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "steps": history[-1].steps,
        "losses": dict(painting.losses),
        "device": painting.device,
        "backend": asdict(studio.trial.backend),
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
