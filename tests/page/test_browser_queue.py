"""The order of the queue, changed on the page: by mouse, finger or keys, in two tabs, while jobs begin."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from support.browsers import PHONE, Tabs, chrome, expect, new_job, played, tabs  # noqa: F401
from support.played_page import Played
from support.waiting import wait_for

from nst_daemon.ledger.jobs import JobState

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

# ruff: noqa: F811  fixtures are imported by name


def waiting(played: Played) -> list[str]:
    return [job.path.name for job in played.ledger.queue.next(20)]


def shows(page: "Page", names: list[str]) -> None:
    """Wait until a page shows these, in this order."""
    expect(page.locator(".queue .row strong")).to_have_text(names)


def is_kept(played: Played, names: list[str]) -> None:
    """Wait until the ledger has them in this order: a page shows it before the request has arrived."""
    wait_for(lambda: waiting(played) == names, what="the order in the ledger")


def row(page: "Page", name: str) -> "Locator":
    return page.locator(".queue .row").filter(has=page.get_by_text(name, exact=True))


def middle(part: "Locator") -> tuple[float, float]:
    """Return where the middle of a part is in the window, once it stands still there."""
    part.scroll_into_view_if_needed()
    box = part.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@contextmanager
def dragged(page: "Page", name: str, onto: str) -> Iterator[None]:
    """Drag a row by a mouse below the middle of another, and drop it in the end."""
    x, y = middle(row(page, name).locator("strong"))
    page.mouse.move(x, y)
    page.mouse.down()
    _, end = middle(row(page, onto))
    page.mouse.move(x, end + 4, steps=4)
    expect(row(page, name)).to_have_attribute("data-dragged", "")
    yield
    page.mouse.up()


def test_a_row_is_dragged_by_a_mouse_and_both_tabs_show_it(played: Played, tabs: Tabs) -> None:
    one = tabs.open()
    other = tabs.another(one)
    first, second, *rest = waiting(played)
    shows(one, [first, second, *rest])
    with dragged(one, first, rest[0]):
        expect(row(one, rest[0])).to_have_attribute("data-gap", "below")
        assert waiting(played) == [first, second, *rest]
    order = [second, rest[0], first, *rest[1:]]
    for page in (one, other):
        shows(page, order)
    is_kept(played, order)
    with dragged(other, rest[0], second):  # not further than its own place: nothing is asked
        pass
    assert waiting(played) == order
    expect(one.locator(".queue [role=status]")).to_have_text(f"{first} is number 3 of {len(order)}.")


def test_a_row_is_dragged_to_the_front_and_escape_leaves_it_where_it_was(played: Played, tabs: Tabs) -> None:
    page = tabs.open()
    order = waiting(played)
    shows(page, order)
    with dragged(page, order[-1], order[0]):
        page.keyboard.press("Escape")
    expect(row(page, order[-1])).not_to_have_attribute("data-dragged", "")
    assert waiting(played) == order
    with dragged(page, order[-1], order[0]):
        x, top = middle(row(page, order[0]))
        page.mouse.move(x, top - 20, steps=2)
        expect(row(page, order[0])).to_have_attribute("data-gap", "above")
    shows(page, [order[-1], *order[:-1]])
    is_kept(played, [order[-1], *order[:-1]])


def test_a_row_is_dragged_by_a_finger_on_its_grip(played: Played, tabs: Tabs) -> None:
    page = tabs.open(viewport=PHONE, has_touch=True, is_mobile=True)
    first, second, *rest = waiting(played)
    shows(page, [first, second, *rest])
    finger = page.context.new_cdp_session(page)
    x, begin = middle(page.get_by_role("button", name=f"Move {first}"))
    _, end = middle(row(page, second))
    x, begin = middle(page.get_by_role("button", name=f"Move {first}"))  # the page may have been scrolled
    for kind, y in (("touchStart", begin), ("touchMove", (begin + end) / 2), ("touchMove", end + 4)):
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    shows(page, [second, first, *rest])
    is_kept(played, [second, first, *rest])


def test_a_row_is_moved_by_keys_which_say_where_it_is_and_keep_the_focus(played: Played, tabs: Tabs) -> None:
    page = tabs.open()
    first, second, *rest = waiting(played)
    shows(page, [first, second, *rest])
    grip = page.get_by_role("button", name=f"Move {first}")
    grip.focus()
    page.keyboard.press("ArrowUp")  # it is the first already
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")  # before the first answer
    order = [second, rest[0], first, *rest[1:]]
    shows(page, order)
    expect(grip).to_be_focused()
    expect(page.locator(".queue [role=status]")).to_have_text(f"{first} is number 3 of {len(order)}.")
    is_kept(played, order)
    cancel = page.get_by_role("button", name=f"Cancel {first}")
    cancel.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Alt+ArrowUp")
    shows(page, [second, first, *rest])
    is_kept(played, [second, first, *rest])


def test_a_job_that_begins_while_it_is_dragged_has_begun(played: Played, tabs: Tabs) -> None:
    page = tabs.open()
    first, second, *rest = waiting(played)
    shows(page, [first, second, *rest])
    with dragged(page, first, rest[0]):
        begun = played.ledger.queue.claim()
        assert begun is not None
        expect(row(page, first)).to_have_count(0)
        expect(page.locator("[data-gap], [data-dragged]")).to_have_count(0)
    shows(page, [second, *rest])
    is_kept(played, [second, *rest])
    assert page.locator(".notice").count() == 0
    assert played.ledger.move(begun.id, JobState.RUNNING, JobState.QUEUED, refund_attempt=True)


def test_a_row_that_is_dropped_behind_one_that_has_just_begun_is_the_first(
    played: Played, tabs: Tabs
) -> None:
    page = tabs.open()
    first, second, *rest = waiting(played)
    shows(page, [first, second, *rest])
    with dragged(page, rest[-1], first):
        begun = played.ledger.queue.claim()  # the page learns it within a second, or does not
        assert begun is not None
    shows(page, [rest[-1], second, *rest[:-1]])
    is_kept(played, [rest[-1], second, *rest[:-1]])
    assert played.ledger.move(begun.id, JobState.RUNNING, JobState.QUEUED, refund_attempt=True)


def test_what_was_called_off_before_it_was_dropped_is_refused_with_a_word(played: Played, tabs: Tabs) -> None:
    tabs.forgive("409")
    job = new_job(played, "called off.jpg")
    page = tabs.open()
    shows(page, waiting(played))
    page.get_by_role("button", name="Move called off.jpg").focus()
    with page.expect_request("**/behind?*"):
        played.ledger.cancel(job)  # sooner than the page can be told
        page.keyboard.press("ArrowUp")
    expect(page.locator(".notice.bad")).to_contain_text("only a queued job has a place")
    shows(page, waiting(played))
