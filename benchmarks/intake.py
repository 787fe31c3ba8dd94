"""Photos dropped at once, read by one process and by several: what an intake feeds.

    python benchmarks/intake.py [--kinds jpeg tiff] [--photos 40] [--readers 1 2] [--rounds 2]

Intake, reading processes, ledger and files are the real ones; nothing is painted. Makes its photos itself, of
24 megapixels: JPEGs of 6.6 MB, and TIFFs of 72 MB. The same photos go through once for each number of
readers, in turns, in one run, so that what else the machine does is the same for all. In the daemon further
readers begin while painters are short of photos (nst_daemon/intake/taking.py); here they are at work from the
start. Writes benchmarks/results/intake.json.
"""

import argparse
import io
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from nst_daemon.config import load
from nst_daemon.folders.inboxes import Inboxes
from nst_daemon.folders.library import Library
from nst_daemon.intake import taking
from nst_daemon.intake.intake import Intake
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.intake.readers import Readers
from nst_daemon.intake.shelf import Shelf
from nst_daemon.ledger import Ledger

RESULTS = Path(__file__).parent / "results" / "intake.json"
SIZE = (6000, 4000)  # px
LINE = (
    "{kind:5} {readers:8} {photos_a_second:16.2f} {cpu_seconds_a_photo:19.3f} {daemon_cpu:18.4f} {gpus:14.0f}"
)
GPU_SECONDS = 8.0  # that a GPU is taken to paint; nobody has measured one
CONFIG = """
inbox: inbox
outbox: outbox
state_dir: state
tray: off
notify: off
watch: {mode: polling, settle_seconds: 0.1, sidecar_seconds: 0, rescan_seconds: 1}
"""


def encoded(kind: str) -> bytes:
    """Return a photo of 24 megapixels: soft shapes with the grain of a sensor."""
    shapes = Image.radial_gradient("L").resize(SIZE).convert("RGB")
    grain = np.random.default_rng(0).integers(0, 24, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    picture = Image.fromarray(np.asarray(shapes) // 2 + grain)
    file = io.BytesIO()
    picture.save(file, kind, **({"quality": 92} if kind == "jpeg" else {}))
    return file.getvalue()


def dropped(inbox: Path, kind: str, photo: bytes, count: int) -> None:
    """Put photos into an inbox; a few bytes behind the last make each another one."""
    inbox.mkdir()
    for number in range(count):
        path = inbox / f"{number:04}.{kind}"
        path.write_bytes(photo + b"photo %8d" % number)


def cpu_of(processes: list[psutil.Process]) -> float:
    """Return the seconds of CPU that living processes have taken."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def measured(home: Path, readers: int, count: int) -> dict[str, float]:
    """Let an intake take all photos in; return what that costs, with its processes there from the start."""
    config = load(home / "config.yaml")
    inboxes = Inboxes(config.folders, config.watch)
    with Ledger(config.state_dir / "ledger.db") as ledger, Readers(PhotoReader()) as reader:
        shelf = Shelf(
            Library(config.styles, memory=ledger.facts),
            copies=config.state_dir / "photos",
            reader=reader,
            settle_seconds=0.1,
            patience=600.0,
        )
        intake = Intake(config=config, inboxes=inboxes, reader=reader, ledger=ledger, library=shelf)
        intake._taking = taking.Taking(
            reader=reader, ledger=ledger, folder=config.state_dir / "photos", most=readers
        )
        intake._taking._is_short = lambda: True  # type: ignore[method-assign]
        warmed(reader, home / "inbox", readers)
        processes = [psutil.Process(), *map(psutil.Process, reader.pids())]
        began, cpu, own = time.perf_counter(), cpu_of(processes), cpu_of(processes[:1])
        while sum(ledger.snapshot(running=True).counts.values()) < count:
            if not intake.tick():
                time.sleep(0.01)
        seconds = time.perf_counter() - began
        cpu, own = cpu_of(processes) - cpu, cpu_of(processes[:1]) - own
        inboxes.close()
    intake.close()
    return {"seconds": seconds, "cpu": cpu, "own": own}


def warmed(reader: Readers, inbox: Path, readers: int) -> None:
    """Have as many processes as there are to be, each with its decoders loaded."""
    photo = next(inbox.iterdir())
    drafts = [inbox.parent / f"{number}.draft" for number in range(readers)]
    futures = [reader.take(photo, draft) for draft in drafts]
    while not all(future.done() for future in futures):
        reader.attend(0.1)
    for draft in drafts:
        draft.unlink()


def main() -> None:
    """Print one line for each kind of photo and number of readers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kinds", nargs="+", default=["jpeg", "tiff"], choices=["jpeg", "tiff"])
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--readers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="on the disk that is to be measured")
    asked = parser.parse_args()
    print(f"{os.cpu_count()} processors, a load of {os.getloadavg()[0]:.1f} at the start")
    print("kind   readers  photos a second  CPU seconds a photo  of them the intake  feeds GPUs")
    rows = []
    for kind in asked.kinds:
        photo = encoded(kind)
        sums = {readers: {"seconds": 0.0, "cpu": 0.0, "own": 0.0} for readers in asked.readers}
        for _ in range(asked.rounds):
            for readers, total in sums.items():
                with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
                    home = Path(folder)
                    (home / "config.yaml").write_text(CONFIG)
                    (home / "outbox").mkdir()
                    dropped(home / "inbox", kind, photo, asked.photos)
                    for key, value in measured(home, readers, asked.photos).items():
                        total[key] += value
        count = asked.rounds * asked.photos
        for readers, total in sums.items():
            row = {
                "kind": kind,
                "megabytes": len(photo) / 1e6,
                "readers": readers,
                "photos_a_second": count / total["seconds"],
                "cpu_seconds_a_photo": total["cpu"] / count,
                "daemon_cpu": total["own"] / count,
                "gpus": GPU_SECONDS * count / total["seconds"],
            }
            rows.append(row)
            print(LINE.format(**row), flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"load": os.getloadavg()[0], "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
