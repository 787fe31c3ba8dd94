"""The page in a browser: what it shows, and what its buttons do."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.browsers import (
    Tabs,
    chrome,  # noqa: F401
    drop,
    expect,
    new_failure,
    new_job,
    played,  # noqa: F401
    show,
    sideways,
    tabs,  # noqa: F401
)
from support.played_page import Played, paint, picture, reported, served
from support.waiting import wait_for

from nst_daemon.ledger.jobs import Job, JobState, Problem

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

# ruff: noqa: F811  fixtures are imported by name


def running(played: Played) -> Job:
    (job,) = played.ledger.jobs.all(state=JobState.RUNNING)
    return job


def row(page: "Page", name: str) -> "Locator":
    return page.locator(".queue .row").filter(has_text=name)


def state_of(played: Played, job: int) -> JobState:
    found = played.ledger.jobs.get(job)
    assert found is not None
    return found.state


# ── what it shows ───────────────────────────────────────────────────────────────────────────────────────


def test_it_shows_what_is_painted_what_waits_and_what_needs_somebody(played: Played, tabs: Tabs) -> None:
    page = tabs.open()
    expect(page.locator(".easel-percent")).to_contain_text("%")
    expect(page.locator(".easel-style")).to_contain_text(running(played).style)
    expect(row(page, "waits").first).to_be_visible()
    expect(page.locator(".needs .row").first).to_contain_text("did you mean starry_night?")
    expect(page.locator(".strip .tile").first).to_be_visible()
    expect(page.locator("nav .badge")).to_have_text("2")


def test_a_name_is_words_and_no_markup(played: Played, tabs: Tabs) -> None:
    page = tabs.open()
    expect(page.locator(".easels h2")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("img[src='x'], img[onerror]").count() == 0


def test_the_painting_grows_and_nothing_jumps(played: Played, tabs: Tabs) -> None:
    page = tabs.open()
    image = page.locator(".easels .easel-picture")
    expect(image).to_have_attribute("src", re.compile("/preview"))
    before = image.get_attribute("src")
    for percent in (30, 60, 90):
        paint(played.ledger, running(played), percent / 100)
        expect(page.locator(".easel-percent")).to_have_text(f"{percent} %")
        expect(page).to_have_title(re.compile(rf"^\(\d+\) {percent} % – nst-daemon$"))
    expect(image).not_to_have_attribute("src", before)
    assert page.evaluate("() => window.jumps") == []


def test_a_problem_is_said_with_its_remedy(played: Played, tabs: Tabs) -> None:
    page = tabs.open()
    full = Problem(code="disk_full", message="The disk is full.", remedy="Free 12 MB there.")
    played.ledger.problems.set("test", [full])
    expect(page.locator(".problem")).to_contain_text("Free 12 MB there.")
    played.ledger.problems.set("test", [])
    expect(page.locator(".problem")).to_have_count(0)


def test_the_next_photos_settings_are_said_in_words(played: Played, tabs: Tabs) -> None:
    page = tabs.open("settings")
    expect(page.locator(".sentences")).to_contain_text("2048 px")
    expect(page.locator(".folder")).to_contain_text(str(played.config.folders[0].inbox))


# ── before and after ────────────────────────────────────────────────────────────────────────────────────


def share(page: "Page") -> int:
    return int(page.locator(".ba-range").input_value())


def transforms(page: "Page") -> list[str]:
    script = "() => [...document.querySelectorAll('.ba-picture')].map((each) => each.style.transform)"
    return list(page.evaluate(script))


def compared(tabs: Tabs, **options: object) -> "Page":
    page = tabs.open("results", **options)
    page.locator(".results .tile-link").first.click()
    expect(page.locator("before-after[data-ready] .ba-range")).to_be_visible()
    return page


def test_the_slider_obeys_keys_by_one_and_by_ten_percent(played: Played, tabs: Tabs) -> None:
    page = compared(tabs)
    expect(page.locator(".ba-range")).to_be_focused()
    page.keyboard.press("ArrowRight")
    assert share(page) == 51
    page.keyboard.press("Shift+ArrowLeft")
    assert share(page) == 41
    label = page.locator(".ba-range").get_attribute("aria-valuetext")
    assert label == "41 % photo, 59 % painting"


def test_the_slider_follows_a_mouse(played: Played, tabs: Tabs) -> None:
    page = compared(tabs)
    box = page.locator(".ba-after").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 30)
    page.mouse.up()
    assert share(page) == pytest.approx(80, abs=1)


def test_the_slider_follows_a_finger(played: Played, tabs: Tabs) -> None:
    page = compared(tabs, has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    box = page.locator(".ba-after").bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + box["width"] * 0.2, box["y"] + 30)
    wait_for(lambda: abs(share(page) - 20) <= 1, what="the slider under the finger")


def test_a_held_key_shows_the_photo_alone(played: Played, tabs: Tabs) -> None:
    page = compared(tabs)
    clip = "() => getComputedStyle(document.querySelector('.ba-before')).clipPath"
    assert page.evaluate(clip) != "none"
    page.keyboard.down("p")
    assert page.evaluate(clip) == "none"
    page.keyboard.up("p")
    assert page.evaluate(clip) != "none"


def test_both_are_zoomed_in_step_to_one_pixel_for_one(played: Played, tabs: Tabs) -> None:
    page = compared(tabs, viewport={"width": 700, "height": 500})
    page.get_by_role("button", name="Side by side").click()
    page.get_by_role("button", name="100 %").click()
    width = "() => document.querySelector('.ba-after .ba-picture').style.width"
    wait_for(lambda: page.evaluate(width) == "480px", what="480 px of a picture of 480")
    page.locator(".ba-view").focus()
    before = transforms(page)
    page.keyboard.press("ArrowRight")
    after = transforms(page)
    assert after != before
    assert after[0] == after[1]


def test_newer_and_older_results_are_a_key_away(played: Played, tabs: Tabs) -> None:
    page = compared(tabs)
    first = page.locator("#job-name").inner_text()
    page.keyboard.press("PageDown")
    expect(page.locator("#job-name")).not_to_have_text(first)
    page.keyboard.press("PageUp")
    expect(page.locator("#job-name")).to_have_text(first)


def test_a_result_has_its_settings_and_is_downloaded_as_it_is(played: Played, tabs: Tabs) -> None:
    page = compared(tabs)
    page.locator(".settings-of summary").click()
    expect(page.locator(".settings-list")).to_contain_text("balanced")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    job = played.ledger.jobs.get(int(page.url.rpartition("/")[2]))
    assert job is not None
    assert job.result is not None
    assert download.value.suggested_filename == job.result.name
    assert Path(download.value.path()).read_bytes() == job.result.read_bytes()


def test_a_report_takes_the_place_of_the_pair_and_gives_it_back(played: Played, tabs: Tabs) -> None:
    job, report = reported(played, "reported.jpg")
    picture(report, 90, (800, 600))
    page = compared(tabs)
    button = page.get_by_role("button", name="Report", exact=True)
    page.goto(f"{page.url.rpartition('/')[0]}/{job.id}")
    expect(page.locator("#job-name")).to_have_text("reported.jpg")
    button.click()
    shown = page.locator(".ba-after .ba-picture")
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(shown).to_have_attribute("src", re.compile(f"^/jobs/{job.id}/report"))
    expect(page.locator(".ba-before")).to_be_hidden()
    wait_for(lambda: bool(shown.evaluate("image => image.naturalWidth === 800")))
    paint(played.ledger, running(played), 0.5)  # what comes from the daemon leaves it there
    expect(shown).to_have_attribute("src", re.compile("/report"))
    button.click()
    expect(shown).to_have_attribute("src", re.compile("/result"))
    expect(page.locator(".ba-before")).to_be_visible()
    page.keyboard.press("PageDown")
    expect(page.locator("#job-name")).not_to_have_text("reported.jpg")
    expect(button).to_be_hidden()


# ── what is asked of a job ──────────────────────────────────────────────────────────────────────────────


def test_what_one_tab_cancels_both_show(played: Played, tabs: Tabs) -> None:
    job = new_job(played, "unwanted.jpg")
    one = tabs.open()
    other = tabs.another(one)
    one.get_by_role("button", name="Cancel unwanted.jpg").click()
    for page in (one, other):
        expect(row(page, "unwanted")).to_have_count(0)
    expect(one.locator(".notice")).to_contain_text("unwanted.jpg is cancelled.")
    assert state_of(played, job) is JobState.CANCELLED


def test_the_painting_is_cancelled(played: Played, tabs: Tabs) -> None:
    page = tabs.open()
    page.locator(".easels").get_by_role("button", name="Cancel").click()
    wait_for(lambda: running(played).cancel_requested, what="a request in the ledger")


def test_a_photo_is_put_first(played: Played, tabs: Tabs) -> None:
    new_job(played, "urgent.jpg")
    page = tabs.open()
    page.get_by_role("button", name="Paint urgent.jpg next").click()
    expect(page.locator(".queue .row").first).to_contain_text("urgent")


def test_what_failed_is_tried_again(played: Played, tabs: Tabs) -> None:
    job = new_failure(played, "torn.jpg", "torn.jpg breaks off. (docs/errors.md#photo_incomplete)")
    page = tabs.open()
    torn = page.locator(".needs .row").filter(has_text="torn.jpg")
    expect(torn.locator(".reason")).to_have_text("torn.jpg breaks off.")
    torn.get_by_role("button", name="Try again").click()
    expect(torn).to_have_count(0)
    assert state_of(played, job) is JobState.QUEUED


def test_painting_pauses_and_goes_on(played: Played, tabs: Tabs) -> None:
    page = tabs.open()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".status")).to_have_text("Painting, then paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".status")).to_have_text(re.compile(r"^Painting, \d+ waiting$"))


def test_a_result_is_painted_again_in_another_style(played: Played, tabs: Tabs) -> None:
    page = compared(tabs)
    page.locator(".again .picker").click()
    page.locator(".again .choice").filter(has_text="woodcut").click()
    page.locator("#again-preset").select_option("draft")
    page.get_by_role("button", name="Paint again").click()
    expect(page.locator(".notice")).to_contain_text("is painted again in woodcut.")
    job = played.ledger.jobs.all(limit=1)[0]
    assert job.style == "woodcut"
    assert job.recipe is not None
    assert job.recipe.preset == "draft"


def test_a_sheet_fills_and_a_click_on_it_orders_the_painting(played: Played, tabs: Tabs) -> None:
    page = compared(tabs)
    page.get_by_role("button", name="Every style, small").click()
    sheet = page.locator(".sheet").first
    expect(sheet.locator(".tile")).to_have_count(11)
    expect(sheet.locator(".facts")).to_have_text("0 of 11 are painted, small")
    sketch = played.ledger.sheets.all()[0].sketches[0]
    assert sketch.job is not None
    played.ledger.queue.put_first(sketch.job)
    claimed = played.ledger.queue.claim()
    assert claimed is not None
    result = picture(claimed.outbox / "sketch.jpg", 3)
    played.ledger.move(claimed.id, JobState.RUNNING, JobState.DONE, result=result, seconds=1.0)
    expect(sheet.locator(".tile img[src]")).to_have_count(1)
    expect(page.locator(".strip")).not_to_contain_text("sketch")
    sheet.get_by_role("button", name=re.compile(f"^Paint .* in {sketch.style}$")).click()
    expect(page.locator(".notice")).to_contain_text(f"is painted in {sketch.style}.")
    painting = played.ledger.jobs.all(limit=1)[0]
    assert painting.style == sketch.style
    assert painting.outbox == played.config.folders[0].outbox


# ── what is dropped ─────────────────────────────────────────────────────────────────────────────────────


def test_a_photo_that_is_dropped_onto_a_style_goes_into_the_inbox_with_it(
    played: Played, tabs: Tabs, tmp_path: Path
) -> None:
    page = tabs.open("styles")
    show(page, "now")  # the styles are known by now
    photo = picture(tmp_path / "dropped.jpg", 7)
    drop(page, photo, ".drop [data-drop=mosaic]")
    expect(page.locator(".upload")).to_contain_text("Will be painted in mosaic")
    inbox = played.config.folders[0].inbox
    assert (inbox / "dropped.jpg").read_bytes() == photo.read_bytes()
    assert "mosaic" in "".join(each.read_text() for each in inbox.glob("dropped*.y*ml"))


def test_the_inbox_is_chosen_where_there_are_two_and_remembered(tabs: Tabs, tmp_path: Path) -> None:
    with served(tmp_path / "two", done=1, waiting=1) as two:
        tabs.played = two
        page = tabs.open(viewport={"width": 390, "height": 844})
        choice = page.get_by_label("Inbox for photos that you add")
        expect(choice).to_have_count(1)
        expect(choice).to_be_hidden()  # there is one alone
        base = two.config.source.parent
        for name in ("prints", "walls"):
            (base / name).mkdir()
        pairs = "[{inbox: inbox, outbox: outbox}, {inbox: prints, outbox: walls}]"
        text = two.config.source.read_text().replace("inbox: inbox\noutbox: outbox\n", f"folders: {pairs}\n")
        two.config.source.write_text(text)
        page.reload()
        expect(choice).to_have_value(re.compile("."))
        choice.select_option("prints")
        page.reload()
        expect(choice.locator("option:checked")).to_have_text("prints")
        drop(page, picture(tmp_path / "wall.jpg", 12))
        expect(page.locator(".upload")).to_contain_text("from prints")
        assert (base / "prints" / "wall.jpg").is_file()
        show(page, "settings")
        expect(page.locator(".folder h3")).to_have_text(["inbox", "prints"])
        assert sideways(page) <= 0
        page.close()


def test_a_photo_that_is_dropped_onto_every_style_is_a_sheet(
    played: Played, tabs: Tabs, tmp_path: Path
) -> None:
    page = tabs.open("results")
    drop(page, picture(tmp_path / "which.jpg", 11), ".drop [data-drop='*']")
    sheet = page.locator(".sheet").filter(has_text="which.jpg in every style")
    expect(sheet.locator(".tile").first).to_contain_text("waits")
    sheet.get_by_role("button", name="Cancel").click()
    expect(sheet.locator(".tile").first).to_contain_text("cancelled")
    assert not (played.config.folders[0].inbox / "which.jpg").exists()


def test_a_picture_that_is_pasted_goes_into_the_inbox(played: Played, tabs: Tabs, tmp_path: Path) -> None:
    page = tabs.open()
    data = list(picture(tmp_path / "image.png", 8).read_bytes())
    page.evaluate(
        """(bytes) => {
            const held = new DataTransfer();
            held.items.add(new File([Uint8Array.from(bytes)], "image.png", { type: "image/png" }));
            document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: held, bubbles: true }));
        }""",
        data,
    )
    expect(page.locator(".upload")).to_contain_text("Will be painted")
    assert [each.name[:6] for each in played.config.folders[0].inbox.glob("*.png")] == ["pasted"]


def test_a_picture_that_is_dropped_onto_the_styles_is_one(played: Played, tabs: Tabs, tmp_path: Path) -> None:
    page = tabs.open("styles")
    drop(page, picture(tmp_path / "my strokes.jpg", 9))
    expect(page.locator(".card").filter(has_text="my strokes")).to_be_visible()


def test_a_file_that_is_no_picture_is_refused_with_the_way_out(
    played: Played, tabs: Tabs, tmp_path: Path
) -> None:
    tabs.forgive("Failed to load resource")
    page = tabs.open()
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Ann")
    drop(page, letter)
    expect(page.locator(".upload.bad")).to_contain_text("letter.txt")
    page.locator(".upload.bad").get_by_role("button", name="Close").click()
    expect(page.locator(".upload")).to_have_count(0)
