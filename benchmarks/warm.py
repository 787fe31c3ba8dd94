"""From the drop of a photo to its first step, with a cold and with a warm engine.

    python benchmarks/warm.py [PHOTO] [--size 128]

Runs the real daemon in a folder of its own, drops one photo after another, and reads the ledger. "settle" is
the quiet window that every photo waits for (watch.settle_seconds), no matter how fast the engine is.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState

SAMPLE = Path(__file__).parent.parent / "nst_daemon" / "bundled" / "sample" / "chelsea.jpg"
SETTLE_SECONDS = 0.5
CONFIG = """
inbox: inbox
outbox: outbox
state_dir: state
tray: off
watch: {{settle_seconds: {settle}, sidecar_seconds: 0}}
set: {{size: {size}, steps: 10}}
"""


def drop(photo: Path, home: Path, number: int, ledger: Ledger) -> dict[str, float]:
    """Drop a photo under a new name and content; return when what happened, in seconds after the drop."""
    target = home / "inbox" / f"photo{number}{photo.suffix}"
    # A trailing byte makes it another photo: the same one would be known.
    target.write_bytes(photo.read_bytes() + bytes([number]))
    dropped = time.time()
    times: dict[str, float] = {}
    while "done" not in times:
        jobs = ledger.jobs.all(limit=1)
        if jobs and jobs[0].photo == target.name:
            times.setdefault("queued", jobs[0].created.timestamp() - dropped)
            if jobs[0].started:
                times.setdefault("started", jobs[0].started.timestamp() - dropped)
            current = ledger.snapshot(running=True).current
            if current and current[0].progress:
                first = time.time() - current[0].progress.seconds - dropped
                times.setdefault("first step", first)
            if jobs[0].state in (JobState.FAILED, JobState.CANCELLED):
                raise SystemExit(f"{target.name}: {jobs[0].error}")
            if jobs[0].state is JobState.DONE:
                times["done"] = time.time() - dropped
        time.sleep(0.01)
    return times


def main() -> None:
    """Print one line a photo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("photo", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--size", type=int, default=128)
    arguments = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="nst-warm-"))
    (home / "inbox").mkdir()
    (home / "outbox").mkdir()
    (home / "config.yaml").write_text(CONFIG.format(settle=SETTLE_SECONDS, size=arguments.size))
    command = [sys.executable, "-m", "nst_daemon", "run", "--no-tray", "--config", str(home / "config.yaml")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        try:
            while not (home / "state" / "ledger.db").exists():
                time.sleep(0.05)
            with Ledger(home / "state" / "ledger.db") as ledger:
                for number, name in enumerate(("cold", "warm", "warm", "warm"), start=1):
                    times = drop(arguments.photo, home, number, ledger)
                    print(
                        f"{name}  ", "  ".join(f"{what} {seconds:6.2f} s" for what, seconds in times.items())
                    )
            print(f"settle  {SETTLE_SECONDS:.2f} s of each")
        finally:
            daemon.terminate()
    shutil.rmtree(home)


if __name__ == "__main__":
    main()
