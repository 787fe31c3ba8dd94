"""`nst-daemon page`, with a real daemon and its page."""

# ruff: noqa: F811  fixtures are imported by name
import json
import os
import signal
import time
import webbrowser
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import psutil
import pytest
from support.asking import Browser
from support.commands import Ask, ask, home, loaded  # noqa: F401
from support.waiting import wait_for

from nst_daemon.cli import checks as cli_checks
from nst_daemon.cli import page as cli_page
from nst_daemon.config import Config, load
from nst_daemon.errors import NotRunningError
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState
from nst_daemon.service import background


@pytest.fixture
def running(loaded: Config) -> Iterator[Ledger]:
    """Start a daemon that paints nothing; return its ledger."""
    text = loaded.source.read_text().replace("page:  #", "page: {listen: '127.0.0.1:0'}  #")
    loaded.source.write_text(f"{text}\nnotify: off\ntray: off\n")
    with Ledger(loaded.state_dir / "ledger.db") as ledger:
        ledger.requests.pause()
        background.start(load(loaded.source))
        try:
            yield ledger
        finally:
            with suppress(NotRunningError):
                background.stop(loaded)


def browser_of(link: str) -> Browser:
    parts = urlsplit(link)
    answer = Browser(f"http://{parts.netloc}").ask(parts.path)
    assert answer.status == 200
    return Browser(f"http://{parts.netloc}", cookie=answer.headers["set-cookie"].partition(";")[0])


def test_without_a_daemon_it_says_how_to_start_one(ask: Ask) -> None:
    answer = ask("page")
    assert answer.code == 5
    assert "nst-daemon start" in answer.err


def test_a_page_that_the_config_turns_off_is_not_opened(ask: Ask, loaded: Config) -> None:
    text = loaded.source.read_text().replace("page:  #", "page: {mode: off}  #")
    loaded.source.write_text(text)
    assert load(loaded.source).page.mode == "off"
    answer = ask("page", "--url")
    assert (answer.code, answer.out) == (2, "")
    assert "page: {mode: auto}" in answer.err


def test_a_page_that_does_not_come_is_said(
    ask: Ask, running: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_page, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(cli_page, "_answers", lambda address: False)
    answer = ask("page")
    assert answer.code == 3
    assert "nst-daemon logs" in answer.err


def test_the_page_opens_takes_a_photo_and_goes_with_the_daemon(
    ask: Ask, running: Ledger, loaded: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_link(link: str) -> bool:
        opened.append(link)
        return True

    monkeypatch.setattr(webbrowser, "open", open_link)
    assert ask("page").code == 0
    browser = browser_of(opened[0])
    assert ask("page", "--no-open").err.startswith(f"The page is at {browser.address}.")
    assert ask("status", "--json").json["page"] == browser.address
    assert f"Page: {browser.address}" in ask("status").out
    second = ask("page", "--url").out.strip()
    assert browser_of(second).address == browser.address
    assert len(opened) == 1

    photo = (loaded.styles / "woodcut.jpg").read_bytes()
    sent = browser.ask("/photos?name=cat.jpg&style=etching&size=64", "POST", body=photo)
    assert json.loads(sent.body) == {"name": "cat.jpg"}
    wait_for(lambda: running.jobs.all(), what="the job")
    (job,) = running.jobs.all()
    assert job.recipe is not None
    assert (job.photo, job.style, job.recipe.size, job.state) == ("cat.jpg", "etching", 64, JobState.QUEUED)

    (page,) = (
        each for each in children(running) if any(c.status == "LISTEN" for c in each.net_connections())
    )
    page.send_signal(signal.SIGKILL)
    wait_for(lambda: browser_answers(browser), what="a page that begins anew")

    with browser.asking("/live") as stream:
        assert stream.readline()
        began = time.monotonic()
        background.stop(loaded)
        took = time.monotonic() - began
    assert took < 5.0  # the daemon's own end included
    assert running.snapshot(running=False).page == ""
    assert not page.is_running()


def children(ledger: Ledger) -> list[psutil.Process]:
    pid = ledger.snapshot(running=True).pid
    assert pid is not None and pid != os.getpid()
    return psutil.Process(pid).children()


def browser_answers(browser: Browser) -> bool:
    try:
        return browser.ask("/jobs").status == 200
    except OSError:
        return False


@pytest.mark.parametrize(
    ("page", "is_open"),
    [
        ("{listen: '127.0.0.1:0'}", False),
        ("{listen: '[::1]:8420'}", False),
        ("{listen: '0.0.0.0:8420'}", True),
        ("{listen: '192.168.1.5:8420'}", True),
        ("{listen: '0.0.0.0:8420', mode: off}", False),
    ],
)
def test_check_warns_of_a_page_that_others_reach(loaded: Config, page: str, is_open: bool) -> None:
    loaded.source.write_text(loaded.source.read_text().replace("page:  #", f"page: {page}  #"))
    codes = [finding.code for finding in cli_checks._page(load(loaded.source))]
    assert codes == (["page_open"] if is_open else [])
