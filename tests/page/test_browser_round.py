"""One photo's whole way, seen from a browser: a real daemon, the real network, real files."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from support.browsers import Tabs, chrome, drop, expect  # noqa: F401
from support.played_page import Played
from support.real import made_home, picture
from support.waiting import WAIT_SECONDS, wait_for

from nst_daemon import config
from nst_daemon.ledger import Ledger
from nst_daemon.page import process
from nst_daemon.system.child import Child

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# ruff: noqa: F811  fixtures are imported by name

MORE = "tray: off\nnotify: off\npage: {mode: on, listen: '127.0.0.1:0'}\n"
SETTINGS = "set: {size: 64, steps: 40, pyramid: 24}\n"


@contextmanager
def daemon(home: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the real daemon, and kill it where it still runs at the end."""
    command = [sys.executable, "-m", "nst_daemon", "run", "--no-tray", "--config", str(home / "config.yaml")]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.terminate()
        running.wait(WAIT_SECONDS)


def made(base: Path, cache: Callable[[Path], Path]) -> Path:
    home = made_home(base, cache)
    file = home / "config.yaml"
    kept = [line for line in file.read_text().splitlines() if not line.startswith("set:")]
    file.write_text("\n".join(kept) + f"\n{MORE}{SETTINGS}")
    return home


def test_a_dropped_photo_grows_is_compared_and_fetched_and_the_daemon_may_die_meanwhile(
    chrome: "Browser", cache: Callable[[Path], Path], tmp_path: Path
) -> None:
    home = made(tmp_path, cache)
    loaded = config.load(home / "config.yaml")
    photo = picture(tmp_path / "elsewhere" / "cat.png", seed=5)
    with Ledger(loaded.state_dir / "ledger.db") as ledger:
        seen = Played(loaded, ledger, Child(process.serve, name="unused", words="Unused", has_children=True))
        tabs = Tabs(chrome, seen)
        tabs.forgive("ERR_", "404")  # the daemon is killed; a preview goes as it is asked for
        with daemon(home) as first:
            wait_for(lambda: seen.address, seconds=WAIT_SECONDS, what="the page's address")
            page = tabs.open(viewport={"width": 1000, "height": 700})
            expect(page.locator(".now .empty")).to_contain_text("Drop a photo here")
            drop(page, photo)
            expect(page.locator(".easels .easel-picture")).to_have_attribute(
                "src", re.compile("/preview"), timeout=1000 * WAIT_SECONDS
            )
            first.kill()
            first.wait(WAIT_SECONDS)
        expect(page.locator(".lost")).to_be_visible()
        with daemon(home):
            page.locator(".last .easel-link[href]").wait_for(timeout=1000 * WAIT_SECONDS)
            page.locator(".last .easel-link").click()
            expect(page.locator("before-after[data-ready] .ba-range")).to_be_visible()
            with page.expect_download() as download:
                page.get_by_role("link", name="Download").click()
            assert (
                Path(download.value.path()).read_bytes() == (home / "outbox" / "cat.stripes.png").read_bytes()
            )
        tabs.close()
    assert tabs.heard() == []
