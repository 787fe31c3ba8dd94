"""The page for everybody: by keyboard, by ear, on any screen, in light and dark, in either direction."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.browsers import DESK, PHONE, Tabs, chrome, drop, expect, played, show, sideways, tabs  # noqa: F401
from support.played_page import Played

from nst_daemon.ledger.jobs import JobState

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

# ruff: noqa: F811  fixtures are imported by name

VIEWS = ("now", "results", "styles", "settings", "job/12")
LARGE: "ViewportSize" = {"width": 3840, "height": 2160}
SMALL: "ViewportSize" = {"width": 360, "height": 640}
TARGET = 44  # px


def axe() -> str:
    """Return the script that knows the rules; of its package no code is run."""
    spec = importlib.util.find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        pytest.skip("NOT TESTED, these are missing: axe-playwright-python")
    return (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def violations(page: "Page") -> list[str]:
    """Return what axe-core finds, each with the elements that it is about."""
    found: list[dict[str, Any]] = page.evaluate(
        "() => axe.run(document, { resultTypes: ['violations'] }).then((results) => results.violations)"
    )
    return [f"{each['id']}: {[node['html'][:160] for node in each['nodes']]}" for each in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_view(tabs: Tabs, scheme: str) -> None:
    page = tabs.open(color_scheme=scheme)
    page.evaluate(axe())
    for view in VIEWS:
        show(page, view)
        assert violations(page) == [], view


def test_axe_finds_nothing_in_what_opens_above_a_view(tabs: Tabs, tmp_path: Path) -> None:
    tabs.forgive("Failed to load resource")
    page = tabs.open("styles", color_scheme="dark")
    page.evaluate(axe())
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Ann")
    drop(page, letter)
    expect(page.locator(".upload.bad")).to_be_visible()
    page.get_by_role("button", name="Use mosaic for the next photos").click()
    expect(page.locator(".notice")).to_be_visible()
    assert violations(page) == []
    page.locator(".tools .picker").click()
    expect(page.locator(".choose[open] .choice").nth(5)).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize("size", [SMALL, PHONE, DESK, LARGE], ids=lambda size: str(size["width"]))
def test_no_view_is_wider_than_its_window_in_either_direction(tabs: Tabs, size: "ViewportSize") -> None:
    page = tabs.open(viewport=size)
    for direction in ("ltr", "rtl"):
        page.evaluate("(direction) => { document.documentElement.dir = direction }", direction)
        for view in VIEWS:
            show(page, view)
            assert sideways(page) <= 0, (view, direction)


def test_what_is_touched_is_large_enough_for_a_finger(tabs: Tabs) -> None:
    page = tabs.open(viewport=PHONE, has_touch=True, is_mobile=True)
    for view in VIEWS:
        show(page, view)
        small = page.evaluate(
            """(least) => [...document.querySelectorAll("button, a[href], select, summary")]
                .filter((each) => each.checkVisibility() && !each.matches(".skip"))
                .map((each) => [each.outerHTML.slice(0, 120), each.getBoundingClientRect()])
                .filter(([, box]) => box.width > 0 && Math.min(box.width, box.height) < least)
                .map(([html]) => html)""",
            TARGET - 0.5,
        )
        assert small == [], view


def test_pictures_are_not_mirrored_where_words_run_from_the_right(tabs: Tabs) -> None:
    page = tabs.open("job/12")
    page.evaluate("() => { document.documentElement.dir = 'rtl' }")
    expect(page.locator("before-after[data-ready] .ba-range")).to_be_visible()
    page.locator(".ba-range").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".ba-range").input_value() == "51"
    photo = page.locator(".ba-before .ba-label").bounding_box()
    painting = page.locator(".ba-after .ba-label").bounding_box()
    assert photo is not None
    assert painting is not None
    assert photo["x"] < painting["x"]


def test_everything_is_reached_by_keyboard_alone(tabs: Tabs, played: Played) -> None:
    page = tabs.open()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    expect(focused).to_have_attribute("href", "#settings")
    page.locator("nav a[href='#results']").focus()
    page.keyboard.press("Enter")
    tile = page.locator(".results .tile-link").first
    expect(tile).to_be_visible()
    tile.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".ba-range")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.compare")).to_be_hidden()
    expect(tile).to_be_focused()
    page.locator(".tools .picker").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".choose[open] [aria-pressed=true]")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".tools .picker-text")).not_to_have_text("As the settings say")
    assert played.ledger.jobs.all(state=JobState.RUNNING)


def test_nothing_moves_for_who_asked_for_no_motion(tabs: Tabs) -> None:
    page = tabs.open(reduced_motion="reduce")
    moving = page.evaluate(
        """() => [...document.querySelectorAll("*")].filter((each) => {
            const { transitionDuration, animationName } = getComputedStyle(each);
            return parseFloat(transitionDuration) > 0 || animationName !== "none";
        }).length"""
    )
    assert moving == 0
