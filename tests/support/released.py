"""Folders as released versions left them: each written once by its version, and opened by every later one.

A release writes its own, in a checkout of it: `cd tests && python -m support.released flow/released/VERSION`.
"""

import re
import shutil
import signal
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from nst_daemon import config
from nst_daemon.daemon.daemon import Daemon
from nst_daemon.disk import Stamp
from nst_daemon.errors import ExitCode
from nst_daemon.ledger import Ledger, Request
from support.real import end_in_the_middle, jobs_of, picture

HOME = "{home}"  # stands in the ledger's text for the folder that it lay in
DUMP = "ledger.sql"
OTHER_BOOT = "00000000-0000-0000-0000-000000000000"  # of another machine than any that runs the tests
SIZE = (16, 16)  # px; the checkpoint has five pictures of it
CONFIG = """\
folders:
  - {inbox: inbox, outbox: outbox, originals: move, style: stripes}
styles: styles
state_dir: state
rules: [{match: "masked*", set: {strength: 0.8}}]
set: {size: 16, steps: 40, pyramid: 0, optimizer: adam, learning_rate: 0.02, quality: 90}
watch: {settle_seconds: 0.2, sidecar_seconds: 0, rescan_seconds: 1, max_wait_seconds: 1}
engine: {weights: original, device: cpu, keep_warm: 15m}
tray: off
notify: off
max_megapixels: 50
"""


def restored(folder: Path, home: Path) -> Path:
    """Return a home with all that a release left, as if it had lain there from the beginning."""
    shutil.copytree(folder, home, dirs_exist_ok=True)
    for name in ("inbox", "outbox", "archive", "failed"):
        (home / name).mkdir(exist_ok=True)
    text = (home / "state" / DUMP).read_text()
    (home / "state" / DUMP).unlink()
    with closing(sqlite3.connect(home / "state" / "ledger.db")) as db:
        db.executescript(text.replace(HOME, str(home)))
        columns = {row[1] for row in db.execute("PRAGMA table_info(seen)")}
        for (path,) in db.execute("SELECT path FROM seen").fetchall():
            stamp = Stamp.of(Path(path).stat())  # a checkout has times and inodes of its own
            if "stamp" in columns:
                db.execute("UPDATE seen SET stamp = ? WHERE path = ?", (str(stamp), path))
                continue
            known = (stamp.mtime_ns, str(stamp.inode), path)
            db.execute("UPDATE seen SET mtime_ns = ?, inode = ? WHERE path = ?", known)
        db.commit()
    return home


def make(target: Path) -> None:
    """Write what this version leaves after it was killed with jobs in every state."""
    home = Path(tempfile.mkdtemp()) / "home"
    for name in ("inbox", "outbox"):
        (home / name).mkdir(parents=True)
    (home / "config.yaml").write_text(CONFIG)
    picture(home / "styles" / "stripes.png", seed=3, size=SIZE)
    inbox = home / "inbox"

    picture(inbox / "trip" / "done.png", seed=1, size=SIZE)
    (inbox / "failed.jpg").write_text("this is no picture at all")
    picture(inbox / "held.png", seed=2, size=SIZE)
    (inbox / "held.png.yaml").write_text("style: dots\n")
    assert Daemon(config.load(home / "config.yaml")).run(once=True) is ExitCode.JOB_FAILED

    for number, name in enumerate(("killed", "cancelled", "asked", "masked", "waiting"), start=4):
        picture(inbox / f"{name}.png", seed=number, size=SIZE)
        _taken_in(home, number)
        if number == 4:
            picture(inbox / "masked.mask.png", seed=0, size=SIZE)
    jobs = {photo: job.id for photo, job in jobs_of(home).items()}
    with Ledger(home / "state" / "ledger.db") as ledger:
        ledger.cancel(jobs["cancelled.png"])
        ledger.requests.resume()
    end_in_the_middle(home, signal.SIGTERM, at_step=15)
    end_in_the_middle(home, signal.SIGKILL, at_step=18)
    with Ledger(home / "state" / "ledger.db") as ledger:
        ledger.queue.claim()  # the next job, whose worker is killed before its engine has it …
        ledger.cancel(jobs["asked.png"])  # … and whose user does not want it any more
        ledger.requests.ask(Request.UNLOAD)
        ledger.requests.pause()
    _write(home, target)
    shutil.rmtree(home.parent)


def _taken_in(home: Path, jobs: int) -> None:
    """Let a daemon that paints nothing take in what lies in the inbox."""
    with Ledger(home / "state" / "ledger.db") as ledger:
        ledger.requests.pause()
    Daemon(config.load(home / "config.yaml")).run(once=True)
    assert len(jobs_of(home)) == jobs


def _write(home: Path, target: Path) -> None:
    """Write the folder down: the ledger as text, and of the rest what another start needs."""
    with closing(sqlite3.connect(home / "state" / "ledger.db")) as db:
        db.execute("UPDATE facts SET value = ? WHERE name = 'boot'", (OTHER_BOOT,))
        version = db.execute("PRAGMA user_version").fetchone()[0]
        lines = [*db.iterdump(), f"PRAGMA user_version = {version};"]
    leave = shutil.ignore_patterns("ledger.*", "*.log", "*.lock", "weights", "work", ".nst-lease", ".preview")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(home, target, ignore=leave)
    text = re.sub(re.escape(str(home)), HOME, "\n".join(lines))
    (target / "state" / DUMP).write_text(f"{text}\n")
    example = Path(__file__).parents[2] / "config.example.yaml"
    shutil.copy(example, target)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
