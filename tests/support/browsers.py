"""A browser for tests of the page: Debian's Chromium, driven by Playwright.

What it complains of fails the test.
"""

import importlib.util
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from nst_daemon.ledger.jobs import JobState
from support.played_page import Played, add, job_of, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, ViewportSize

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
SECONDS: Final = 20.0  # for anything that a page is to show, on a busy machine
DESK: Final["ViewportSize"] = {"width": 1280, "height": 800}
PHONE: Final["ViewportSize"] = {"width": 390, "height": 844}
# Without those of the network Chromium calls home at each start.
OPTIONS: Final = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

CONTENTS: Final = {
    "now": ".view.now",
    "results": ".results .tile, .results .empty",
    "styles": ".styles .card",
    "settings": ".settings .sentences li",
    "job": "dialog.compare[open] before-after[data-ready]",
}

# What a test looks at later: the streams of a tab, how long their messages were, and what jumped on the page.
WATCH: Final = """(() => {
    window.streams = []; window.longest = 0; window.jumps = [];
    const Original = window.EventSource;
    window.EventSource = class extends Original {
        constructor(...given) {
            super(...given);
            window.streams.push(this);
            this.addEventListener("state", (event) => {
                window.longest = Math.max(window.longest, event.data.length);
            });
        }
    };
    new PerformanceObserver((list) => {
        for (const jump of list.getEntries()) {
            for (const { node } of jump.sources) window.jumps.push((node?.parentElement ?? node)?.outerHTML);
        }
    }).observe({ type: "layout-shift", buffered: true });
})()"""


def chromium() -> str:
    """Return the program; skip, loudly, without one."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    missing = [] if program else ["chromium"]
    missing += [] if importlib.util.find_spec("playwright") else ["playwright"]
    if program is None or missing:
        pytest.skip(
            f"NOT TESTED, these are missing: {', '.join(missing)}. "
            "Debian: apt-get install chromium, and pip install 'nst-daemon[test]'"
        )
    return program


@contextmanager
def launched() -> Iterator["Browser"]:
    """Start a browser without a window."""
    program = chromium()
    from playwright.sync_api import sync_playwright

    alone = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*OPTIONS, *alone])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Tabs:
    """The tabs of one test. A message on a console, or an error of a script, fails it at its end."""

    browser: "Browser"
    played: Played
    complaints: list[str] = field(default_factory=list)
    _forgiven: tuple[str, ...] = ()
    _pages: list["Page"] = field(default_factory=list)

    def forgive(self, *parts: str) -> None:
        """Let a message pass that has one of these in it: a test that cuts the line is told so."""
        self._forgiven += parts

    def open(self, view: str = "now", **options: Any) -> "Page":
        """Open the page and wait for its first state; with options in a browser of its own."""
        context = self._context(options)
        page = self._listened(context)
        page.goto(self.played.address if context.cookies() else self.played.ticket())
        ready(page)
        if view != "now":
            show(page, view)
        return page

    def another(self, page: "Page") -> "Page":
        """Open one more tab of the same browser."""
        tab = self._listened(page.context)
        tab.goto(self.played.address)
        ready(tab)
        return tab

    def close(self) -> None:
        """Close them, but for the browser that the tests of a module share."""
        for page in self._pages:
            page.close()
        for context in self.browser.contexts[1:]:
            context.close()

    def heard(self) -> list[str]:
        """Return what was said and not forgiven."""
        return [each for each in self.complaints if not any(part in each for part in self._forgiven)]

    def _context(self, options: dict[str, Any]) -> "BrowserContext":
        """Return the browser that is shared, or one with its own cookies, connections and size."""
        if self.browser.contexts and not options:
            return self.browser.contexts[0]
        if not self.browser.contexts and options:
            self._context({})  # the first is the one that stays
        context = self.browser.new_context(**{"viewport": DESK, **options})
        context.set_default_timeout(1000 * SECONDS)
        context.add_init_script(WATCH)
        return context

    def _listened(self, context: "BrowserContext") -> "Page":
        page = context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self._pages.append(page)
        return page

    def _note(self, message: "ConsoleMessage") -> None:
        self.complaints.append(f"{message.type}: {message.text} {message.location.get('url', '')}")


def ready(page: "Page") -> None:
    page.locator("html[data-ready]").wait_for(state="attached")


def show(page: "Page", view: str) -> None:
    """Go to a view, or to a job: `results`, `job/3`; wait for what is in it."""
    page.evaluate("(view) => { location.hash = view }", view)
    page.locator(CONTENTS[view.partition("/")[0]]).first.wait_for()


def drop(page: "Page", path: Path, onto: str = "body") -> None:
    """Drop a file onto the page, as from a file manager."""
    held = page.evaluate_handle(
        """([bytes, name]) => {
            const held = new DataTransfer();
            held.items.add(new File([Uint8Array.from(bytes)], name));
            return held;
        }""",
        [list(path.read_bytes()), path.name],
    )
    page.dispatch_event("body", "dragover", {"dataTransfer": held})
    page.dispatch_event(onto, "drop", {"dataTransfer": held})


def hide(page: "Page", *, is_hidden: bool) -> None:
    """Let a tab believe that it is behind another, or in front: without a window none ever is."""
    page.evaluate(
        """(isHidden) => {
            Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )


def sideways(page: "Page") -> int:
    """Return by how many px the page is wider than its window."""
    return int(page.evaluate("() => document.documentElement.scrollWidth - innerWidth"))


def expect(subject: "Page | Locator") -> Any:
    """Return what is expected of a page or a part of it, sooner or later."""
    from playwright.sync_api import expect

    expect.set_options(timeout=1000 * SECONDS)
    return expect(subject)


# ── fixtures ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def chrome() -> Iterator["Browser"]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def played(chrome: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Serve one page for all tests of a module: each adds the jobs that it asks something of."""
    with served(tmp_path_factory.mktemp("page"), done=12) as played:
        yield played


@pytest.fixture
def tabs(chrome: "Browser", played: Played) -> Iterator[Tabs]:
    tabs = Tabs(chrome, played)
    yield tabs
    tabs.close()
    if heard := tabs.heard():
        pytest.fail("the browser complained: " + "\n".join(heard))


NUMBERS: Final = itertools.count(1000)  # of jobs that tests add


def new_job(played: Played, name: str) -> int:
    """Add a job that waits."""
    return add(played.ledger, job_of(played.config, name, next(NUMBERS)))


def new_failure(played: Played, name: str, error: str) -> int:
    """Add a job that has failed; the one that is painted goes on."""
    job = new_job(played, name)
    played.ledger.queue.put_first(job)
    claimed = played.ledger.queue.claim()
    assert claimed is not None
    assert claimed.id == job
    played.ledger.move(job, JobState.RUNNING, JobState.FAILED, error=error)
    return job
