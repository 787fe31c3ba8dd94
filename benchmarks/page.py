"""What the page costs: the memory of its process as a browser uses it, and its CPU while no tab is open.

    python benchmarks/page.py [--jobs 10000] [--idle 30]

Serves the page over a ledger with so many jobs that are done, and asks for what the views ask for: the state,
the page with all its parts, results page by page, styles with their pictures, a comparison. Prints megabytes
that are the process's alone (USS), and those of the process that reads pictures, which ends when it rests.
"""

import argparse
import http.client
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from urllib.parse import quote, urlsplit

import psutil

from nst_daemon import __version__
from nst_daemon.config import load
from nst_daemon.config.recipe import Style, resolve
from nst_daemon.disk.files import file_sha256
from nst_daemon.folders.library import BUILT_IN
from nst_daemon.ledger import Added, Ledger
from nst_daemon.ledger.jobs import JobState, NewJob, Origin
from nst_daemon.page import process
from nst_daemon.page.site import STATIC
from nst_daemon.system.child import Child

CONFIG = """
inbox: inbox
outbox: outbox
styles: styles
state_dir: state
exchange: off
page: {listen: '127.0.0.1:0'}
"""
SETTLES = 2.0  # seconds between what is asked and what is measured
PICTURES = 60  # that a browser shows of the results


def filled(home: Path, ledger: Ledger, count: int) -> None:
    """Put so many jobs that are done into a ledger, all of one photo."""
    # Here: a process that is spawned imports what its parent's main module does.
    import numpy as np
    from PIL import Image

    photo, result = home / "photo.jpg", home / "outbox" / "photo.woodcut.jpg"
    pixels = np.random.default_rng(1).integers(0, 256, (600, 800, 3), np.uint8)
    for path in (photo, result):
        Image.fromarray(pixels).save(path, quality=80)
    style = BUILT_IN / "woodcut.jpg"
    added = ledger.add(
        NewJob(
            key="key",
            path=PurePath("a trip/photo with a name.jpg"),
            original=photo,
            copy=photo,
            photo_sha256=file_sha256(photo),
            inbox=None,
            outbox=home / "outbox",
            origin=Origin.SUBMIT,
            styles=(Style(name="woodcut", path=style, sha256=file_sha256(style)),),
            recipe=resolve({}),
        )
    )
    assert isinstance(added, Added)
    assert ledger.queue.claim() is not None
    ledger.move(added.job, JobState.RUNNING, JobState.DONE, result=result, seconds=60.0)
    with ledger.file.write() as db:
        own = ("id", "key", "result_name")
        columns = [row["name"] for row in db.execute("PRAGMA table_info(jobs)") if row["name"] not in own]
        names = ", ".join(columns)
        db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            f"INSERT INTO jobs (key, {names}) SELECT 'key ' || i, {names} FROM jobs, n WHERE id = ?",
            (count - 1, added.job),
        )


class Browser:
    """One that was let in."""

    def __init__(self, address: str, ticket: str) -> None:
        self._host = urlsplit(address).netloc
        self._cookie = ""
        answer = self.ask(f"/open/{ticket}")
        self._cookie = (answer.getheader("set-cookie") or "").partition(";")[0]

    def ask(self, path: str) -> http.client.HTTPResponse:
        """Return an answer, whose body is still to come."""
        connection = http.client.HTTPConnection(self._host, timeout=120.0)
        connection.request("GET", path, headers={"cookie": self._cookie})
        answer = connection.getresponse()
        assert answer.status == 200, (path, answer.status)
        return answer

    def read(self, path: str) -> bytes:
        """Return what is there."""
        with self.ask(path) as answer:
            return answer.read()

    @contextmanager
    def tab(self) -> Iterator[None]:
        """Keep a tab open."""
        with self.ask("/live") as stream:
            while not stream.readline().startswith(b"data: "):
                pass
            yield

    def look_around(self) -> None:
        """Ask for what the views of the page ask for."""
        self.read("/")
        for part in STATIC.iterdir():
            self.read(f"/static/{part.name}")
        self.read("/settings")
        for style in json.loads(self.read("/styles"))["styles"]:
            self.read(f"/styles/{quote(style['name'])}/picture?size=320&v={style['version']}")
        before, shown = "", []
        while True:
            page = json.loads(self.read(f"/jobs?state=done{before}"))
            shown += page["jobs"]
            before = f"&before={shown[-1]['job']}"
            if not page["more"] or len(shown) >= 1000:
                break
        for job in shown[:PICTURES]:
            self.read(f"/jobs/{job['job']}/result?size=320&v={job['versions']['result']}")
        for size in ("1280", "full"):
            self.read(f"/jobs/{shown[0]['job']}/result?size={size}")
        self.read(f"/jobs/{shown[0]['job']}")
        self.read(f"/jobs/{shown[0]['job']}/file")


def told(what: str, page: psutil.Process) -> None:
    """Print what the processes hold now."""
    time.sleep(SETTLES)
    own = page.memory_full_info().uss / 1e6
    readers = [child.memory_full_info().uss / 1e6 for child in page.children(recursive=True)]
    beside = f", and its reader of pictures {sum(readers):.1f}" if readers else ""
    print(f"{what:40} {own:6.1f} MB{beside}", flush=True)


def measured(home: Path, count: int, idle: float) -> None:
    """Serve a page, use it, and print what it holds."""
    for name in ("inbox", "outbox", "styles"):
        (home / name).mkdir()
    (home / "config.yaml").write_text(CONFIG)
    config = load(home / "config.yaml")
    child = Child(process.serve, name="nst-page", words="The page", has_children=True)
    with Ledger(config.state_dir / "ledger.db") as ledger:
        filled(home, ledger, count)
        ledger.presence.set_daemon(1, __version__)
        child.start(config)
        try:
            while not ledger.presence.page():
                time.sleep(0.1)
            page = psutil.Process(child.pid)
            told("begun", page)
            browser = Browser(ledger.presence.page() or "", ledger.tickets.issue())
            with browser.tab():
                told("one tab", page)
                browser.look_around()
                told("one tab, all views looked at", page)
                for _ in range(3):
                    browser.look_around()
                told("three times more", page)
            told("the tab is closed", page)
            deadline = time.monotonic() + 60.0
            while page.children(recursive=True) and time.monotonic() < deadline:
                time.sleep(1.0)
            told("its reader rests", page)
            before = sum(page.cpu_times()[:2])
            time.sleep(idle)
            print(f"CPU in {idle:g} s without a tab {sum(page.cpu_times()[:2]) - before:14.2f} s")
        finally:
            child.end(seconds=3.0)


def main() -> None:
    """Measure with the jobs that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--idle", type=float, default=30.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nst-page-") as folder, suppress(KeyboardInterrupt):
        measured(Path(folder), options.jobs, options.idle)


if __name__ == "__main__":
    main()
