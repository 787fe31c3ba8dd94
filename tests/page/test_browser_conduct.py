"""The page over time: a line that is cut, a daemon that stops, many tabs, many jobs."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from support.browsers import Tabs, chrome, expect, hide, new_job, played, ready, show, tabs  # noqa: F401
from support.played_page import Played, beginning, config_in, copy_done, paint, served
from support.waiting import wait_for

from nst_daemon import __version__
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState
from nst_daemon.page import process
from nst_daemon.system.child import Child

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

# ruff: noqa: F811  fixtures are imported by name

CUT = "net::ERR_"  # a browser has a word for each moment at which a line can be cut


def painted(played: Played, percent: int) -> None:
    (job,) = played.ledger.jobs.all(state=JobState.RUNNING)
    paint(played.ledger, job, percent / 100)


def open_streams(page: "Page") -> int:
    return int(page.evaluate("() => window.streams.filter((each) => each.readyState !== 2).length"))


# ── a line that is cut ──────────────────────────────────────────────────────────────────────────────────


def test_a_page_whose_server_was_killed_says_so_and_comes_back(tabs: Tabs, tmp_path: Path) -> None:
    tabs.forgive(CUT)
    with served(tmp_path, done=2) as mortal:
        tabs.played = mortal
        page = tabs.open(viewport={"width": 1000, "height": 700})
        mortal.child.end(seconds=0.0)
        expect(page.locator(".lost")).to_contain_text("nst-daemon start")
        expect(page).to_have_title("Not connected – nst-daemon")
        painted(mortal, 77)
        mortal.begin()
        expect(page.locator(".easel-percent")).to_have_text("77 %")
        expect(page.locator(".lost")).to_be_hidden()
        page.close()


def test_a_daemon_that_has_stopped_is_said_and_its_start_seen(played: Played, tabs: Tabs) -> None:
    page = tabs.open()
    played.ledger.presence.set_daemon(None, __version__)
    expect(page.locator(".lost")).to_contain_text("nst-daemon is not running.")
    expect(page.locator(".status")).to_have_text("Not running")
    expect(page.get_by_role("button", name="Pause")).to_be_disabled()
    played.ledger.presence.set_daemon(os.getpid(), __version__)
    expect(page.locator(".lost")).to_be_hidden()


def test_a_page_that_is_not_let_in_any_more_says_how_to_get_in(played: Played, tabs: Tabs) -> None:
    tabs.forgive("401")
    page = tabs.open(viewport={"width": 1000, "height": 700})
    page.context.clear_cookies()
    page.evaluate("() => { dispatchEvent(new Event('online')) }")
    expect(page.locator(".lost")).to_contain_text("nst-daemon page")
    expect(page.locator(".status")).to_have_text("Locked")


def test_a_laptop_that_slept_shows_what_is_now(played: Played, tabs: Tabs) -> None:
    tabs.forgive(CUT)
    page = tabs.open(viewport={"width": 1000, "height": 700})
    page.context.set_offline(True)
    hide(page, is_hidden=True)
    painted(played, 88)
    page.context.set_offline(False)
    hide(page, is_hidden=False)
    expect(page.locator(".easel-percent")).to_have_text("88 %")


def test_styles_that_are_not_read_yet_are_named_and_asked_for_again(played: Played, tabs: Tabs) -> None:
    tabs.forgive(CUT, "Failed to load resource")
    named = {"name": "slow scan", "version": "0", "width": None, "height": None, "words": "", "used": 0}
    asked: list[str] = []

    def answer(route: "Route") -> None:
        asked.append(route.request.url)
        route.fulfill(json={"styles": [named], "unread": 1}) if len(asked) == 1 else route.continue_()

    page = tabs.open(viewport={"width": 1000, "height": 700})
    page.route("**/styles", answer)
    page.clock.install()
    show(page, "styles")
    expect(page.locator(".card")).to_have_text(re.compile("slow scan"))
    hide(page, is_hidden=True)
    page.clock.run_for(10_000)
    page.evaluate("() => fetch('/settings').then((answer) => answer.ok)")  # what was asked before is known
    assert len(asked) == 1  # a tab that is hidden asks for nothing
    hide(page, is_hidden=False)
    page.clock.run_for(1_000)
    expect(page.locator(".card").filter(has_text="mosaic")).to_contain_text("strong strokes")
    expect(page.locator(".card").filter(has_text="slow scan")).to_have_count(0)


def test_a_line_that_is_silent_is_a_line_that_is_lost(played: Played, tabs: Tabs) -> None:
    tabs.forgive(CUT)
    page = tabs.open(viewport={"width": 1000, "height": 700})
    page.clock.install()
    hide(page, is_hidden=True)
    hide(page, is_hidden=False)  # a stream whose silence is counted by the test's clock
    expect(page.locator(".status")).to_contain_text("Painting")
    page.context.set_offline(True)
    page.clock.run_for(45_000)
    expect(page.locator(".lost")).to_contain_text("is lost")
    page.context.set_offline(False)
    page.clock.run_for(10_000)
    expect(page.locator(".lost")).to_be_hidden()


# ── many tabs ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_hidden_tab_listens_to_nothing_and_catches_up(played: Played, tabs: Tabs) -> None:
    page = tabs.open()
    assert open_streams(page) == 1
    hide(page, is_hidden=True)
    assert open_streams(page) == 0
    painted(played, 55)
    hide(page, is_hidden=False)
    expect(page.locator(".easel-percent")).to_have_text("55 %")
    assert open_streams(page) == 1


def test_the_seventh_tab_opens_too(played: Played, tabs: Tabs) -> None:
    # A browser keeps six connections to a host: six streams would leave none.
    first = tabs.open(viewport={"width": 600, "height": 500})
    behind = first
    for _ in range(6):
        hide(behind, is_hidden=True)
        behind = tabs.another(behind)
    new_job(played, "seventh.jpg")
    expect(behind.locator(".queue")).to_contain_text("seventh.jpg")
    hide(behind, is_hidden=True)
    hide(first, is_hidden=False)
    expect(first.locator(".queue")).to_contain_text("seventh.jpg")


# ── what is read aloud, and where the focus is ──────────────────────────────────────────────────────────


def test_percents_are_not_read_aloud_but_what_happens_is(played: Played, tabs: Tabs) -> None:
    page = tabs.open()
    voice = page.locator("[aria-live=polite]")
    painted(played, 41)
    expect(page.locator(".easel-percent")).to_have_text("41 %")
    expect(voice).to_have_text("")
    new_job(played, "heard.jpg")
    expect(voice).to_have_text(re.compile(r"^Painting, \d+ waiting\.$"))


def test_two_sentences_are_ten_seconds_apart(played: Played, tabs: Tabs) -> None:
    page = tabs.open()
    page.clock.install(time=datetime(2030, 1, 1, 12, 0, tzinfo=UTC))
    page.clock.pause_at(datetime(2030, 1, 1, 12, 1, tzinfo=UTC))  # moves by the test alone
    voice = page.locator("[aria-live=polite]")
    new_job(played, "first.jpg")
    expect(page.locator(".queue")).to_contain_text("first.jpg")
    page.clock.run_for(100)
    said = voice.inner_text()
    assert said.startswith("Painting")
    new_job(played, "second.jpg")
    expect(page.locator(".queue")).to_contain_text("second.jpg")
    page.clock.run_for(9_000)
    assert voice.inner_text() == said
    page.clock.run_for(1_500)
    assert voice.inner_text() != said


def test_a_button_keeps_the_focus_while_the_page_is_renewed(played: Played, tabs: Tabs) -> None:
    job, other = new_job(played, "focused.jpg"), new_job(played, "neighbour.jpg")
    page = tabs.open()
    cancel = page.get_by_role("button", name="Cancel focused.jpg")
    cancel.focus()
    painted(played, 62)
    expect(page.locator(".easel-percent")).to_have_text("62 %")
    expect(cancel).to_be_focused()
    played.ledger.cancel(job)
    expect(cancel).to_have_count(0)
    expect(
        page.locator(".queue .row").filter(has_text="neighbour.jpg").locator("button:focus")
    ).to_have_count(1)
    played.ledger.cancel(other)


# ── none and many ───────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def empty(base: Path) -> Iterator[Played]:
    """Serve the page of a daemon that has seen no photo yet."""
    config = config_in(base)
    child = Child(process.serve, name="nst-page", words="The page", has_children=True)
    with Ledger(config.state_dir / "ledger.db") as ledger:
        ledger.presence.set_daemon(os.getpid(), __version__)
        with beginning(Played(config, ledger, child)) as played:
            yield played


def test_a_page_without_a_photo_says_what_to_do(chrome: "Browser", tabs: Tabs, tmp_path: Path) -> None:
    with empty(tmp_path) as fresh:
        tabs.played = fresh
        page = tabs.open(viewport={"width": 1000, "height": 700})
        expect(page.locator(".now .empty")).to_contain_text("Drop a photo here")
        expect(page.locator(".now .empty")).to_contain_text(str(fresh.config.folders[0].inbox))
        show(page, "results")
        expect(page.locator(".results .empty")).to_contain_text("Nothing painted yet")
        page.close()


def test_ten_thousand_results_are_shown_as_fast_as_ten(tabs: Tabs, tmp_path: Path) -> None:
    with served(tmp_path, done=1) as full:
        copy_done(full.ledger, 10_000)
        tabs.played = full
        page = tabs.open("results", viewport={"width": 700, "height": 500})
        expect(page.locator(".results .facts").first).to_have_text("10,001 paintings")
        paints = "() => performance.getEntriesByName('first-contentful-paint').map((each) => each.startTime)"
        (first,) = page.evaluate(paints)
        assert first < 10_000  # ms, on a machine that does much else as well
        assert page.evaluate("() => window.longest") < 64_000
        tiles = page.locator(".results .tile")
        asked = (
            "() => performance.getEntriesByType('resource').filter((each) => /result/.test(each.name)).length"
        )
        wait_for(lambda: page.evaluate(asked), what="a picture")
        assert page.evaluate(asked) < 0.8 * tiles.count()  # those that are near
        page.mouse.move(350, 300)
        wait_for(lambda: _scrolled(page) and tiles.count() >= 300, seconds=60.0, what="300 tiles")
        page.close()


def _scrolled(page: "Page") -> bool:
    page.mouse.wheel(0, 4000)
    return True
