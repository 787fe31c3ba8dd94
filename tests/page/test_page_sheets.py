"""Sheets ordered by the page: sketches behind all other work, seen as they are done, swept after a week."""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.asking import Browser, let_in, styles_of, told
from support.played_page import Played, picture
from support.waiting import wait_for

from nst_daemon.config.recipe import Preset
from nst_daemon.folders.outbox import free_target
from nst_daemon.intake.arrivals import as_new
from nst_daemon.ledger.jobs import Job, JobState, Origin
from nst_daemon.ledger.sheets import Sheet
from nst_daemon.page import sheets


@pytest.fixture(scope="module")
def browser(played: Played) -> Browser:
    return let_in(played)


@pytest.fixture(scope="module")
def sheet(played: Played, browser: Browser) -> Sheet:
    """Order the sheet of a photo that was painted."""
    done = played.ledger.jobs.all(state=JobState.DONE)[-1]
    name = told(browser.ask(f"/sheets?job={done.id}", "POST"))["id"]
    found = played.ledger.sheets.get(name)
    assert found is not None
    return found


def state(browser: Browser) -> Any:
    with browser.asking("/live") as stream:
        while not (line := stream.readline()).startswith(b"data: "):
            pass
    return json.loads(line.removeprefix(b"data: "))


def jobs_of(played: Played, sheet: Sheet) -> list[Job]:
    found = [played.ledger.jobs.get(each.job) for each in sheet.sketches if each.job is not None]
    return [job for job in found if job is not None]


def tile_of(shown: Any, sheet: Sheet, sketch: Job) -> Any:
    (known,) = (each for each in shown["sheets"] if each["id"] == sheet.name)
    (tile,) = (each for each in known["tiles"] if each["job"] == sketch.id)
    return tile


def test_a_sheet_has_every_style_the_best_first_behind_all_that_waits(
    played: Played, browser: Browser, sheet: Sheet
) -> None:
    styles = [style["name"] for style in styles_of(browser)]
    assert sorted(sketch.style for sketch in sheet.sketches) == sorted(styles)
    suits = [sketch.suits for sketch in sheet.sketches]
    assert all(suit is not None for suit in suits)
    assert suits == sorted(suits, key=lambda suit: -(suit or 0))
    waiting = played.ledger.queue.next(99)
    for job in jobs_of(played, sheet):
        assert job.recipe is not None
        assert (job.origin, job.state, job.recipe.preset) == (Origin.SHEET, JobState.QUEUED, Preset.DRAFT)
        assert job.id not in {each.id for each in waiting}
        assert played.ledger.queue.before(job.id) >= len(waiting)
        assert job.outbox.is_relative_to(played.config.state_dir)


def test_a_sheet_has_no_say_in_what_becomes_of_its_photo(
    played: Played, browser: Browser, sheet: Sheet
) -> None:
    """Else one that waits would keep the original in its inbox, and one that fails would move it."""
    done = played.ledger.jobs.all(state=JobState.DONE)[-1]
    sketches = {job.id for job in jobs_of(played, sheet)}
    assert sketches
    assert not sketches & {job.id for job in played.ledger.jobs.of_photo(done.original)}


def test_two_sheets_of_one_photo_stay_two_with_another_network(
    played: Played, browser: Browser, sheet: Sheet
) -> None:
    done = played.ledger.jobs.all(state=JobState.DONE)[-1]
    name = told(browser.ask(f"/sheets?job={done.id}", "POST"))["id"]
    other = played.ledger.sheets.get(name)
    assert other is not None
    jobs = [*jobs_of(played, sheet), *jobs_of(played, other)]
    assert len({as_new(job, "another network").key for job in jobs}) == len(jobs)
    told(browser.ask(f"/sheets/{name}/cancel", "POST"))


def test_a_sketch_is_seen_as_soon_as_it_is_done_and_in_no_list_of_results(
    played: Played, browser: Browser, sheet: Sheet
) -> None:
    (first, *_) = jobs_of(played, sheet)
    with played.ledger.file.write() as db:
        db.execute("UPDATE jobs SET state = 'running' WHERE id = ?", (first.id,))
    result = picture(first.outbox / "sketch.jpg", 7, (64, 48))
    assert played.ledger.move(first.id, JobState.RUNNING, JobState.DONE, result=result, seconds=1.0)
    shown = state(browser)
    (known,) = (each for each in shown["sheets"] if each["id"] == sheet.name)
    (tile,) = (each for each in known["tiles"] if each["job"] == first.id)
    assert (tile["state"], tile["style"]) == ("done", first.style)
    assert first.id not in [job["job"] for job in shown["recent"]]
    assert shown["counts"]["done"] == len(shown["recent"])
    assert shown["counts"]["queued"] == len(played.ledger.queue.next(99))
    assert first.id not in [job["job"] for job in told(browser.ask("/jobs"))["jobs"]]
    answer = browser.ask(f"/jobs/{first.id}/result?v={tile['version']}")
    with Image.open(io.BytesIO(answer.body)) as image:
        assert image.size == (64, 48)


def test_a_sketch_that_fails_says_so_on_its_tile_and_nowhere_else(
    played: Played, browser: Browser, sheet: Sheet
) -> None:
    sketch = jobs_of(played, sheet)[-1]
    before = state(browser)
    with played.ledger.file.write() as db:
        db.execute("UPDATE jobs SET state = 'running' WHERE id = ?", (sketch.id,))
    assert played.ledger.move(sketch.id, JobState.RUNNING, JobState.FAILED, error="It could not be.")
    wait_for(lambda: tile_of(state(browser), sheet, sketch)["state"] == "failed")  # told each second
    shown = state(browser)
    assert (shown["failed"], shown["problems"]) == (before["failed"], before["problems"])
    assert shown["counts"]["failed"] == before["counts"]["failed"] == len(before["failed"])
    told(browser.ask("/retry-failed", "POST"))
    found = played.ledger.jobs.get(sketch.id)
    assert found is not None and found.state is JobState.FAILED


def test_a_style_of_a_sheet_is_painted_large(played: Played, browser: Browser, sheet: Sheet) -> None:
    number = told(browser.ask(f"/sheets/{sheet.name}/paint?style=woodcut&size=512", "POST"))["job"]
    made = played.ledger.jobs.get(number)
    assert made is not None and made.recipe is not None
    assert (made.style, made.recipe.size, made.recipe.preset) == ("woodcut", 512, Preset.BALANCED)
    assert (made.outbox, made.origin) == (played.config.folders[0].outbox, Origin.SUBMIT)
    assert number in [job.id for job in played.ledger.queue.next(99)]
    assert browser.ask(f"/sheets/{sheet.name}/paint?style=none", "POST").status == 400
    assert browser.ask("/sheets/none/paint?style=woodcut", "POST").status == 404


def test_a_photo_that_is_sent_gets_a_sheet_and_goes_into_no_inbox(played: Played, browser: Browser) -> None:
    inbox = played.config.folders[0].inbox
    before = sorted(inbox.iterdir())
    stream = io.BytesIO()
    Image.new("RGB", (96, 64), "teal").save(stream, "PNG")
    name = told(browser.ask("/sheets?name=sea.png", "POST", body=stream.getvalue()))["id"]
    sheet = played.ledger.sheets.get(name)
    assert sheet is not None and sheet.photo == "sea.png"
    (job, *_) = jobs_of(played, sheet)
    assert job.copy.read_bytes() == stream.getvalue()
    assert job.copy.suffix == ".png"
    number = told(browser.ask(f"/sheets/{name}/paint?style=mosaic", "POST"))["job"]
    made = played.ledger.jobs.get(number)
    assert made is not None
    assert free_target(made.as_new(), ".jpg").name == "sea.mosaic.jpg"
    assert sorted(inbox.iterdir()) == before
    assert browser.ask("/sheets?name=sea.png", "POST", body=b"no picture").status == 415
    assert browser.ask("/sheets?name=sea.svg", "POST", body=b"<svg/>").status == 415
    assert browser.ask("/sheets?job=99999", "POST").status == 404
    assert browser.ask("/sheets?job=x", "POST").status == 400


def test_a_sheet_is_cancelled_as_one(played: Played, browser: Browser) -> None:
    done = played.ledger.jobs.all(state=JobState.DONE)[-1]
    name = told(browser.ask(f"/sheets?job={done.id}", "POST"))["id"]
    told(browser.ask(f"/sheets/{name}/cancel", "POST"))
    sheet = played.ledger.sheets.get(name)
    assert sheet is not None
    assert {job.state for job in jobs_of(played, sheet)} == {JobState.CANCELLED}
    assert browser.ask("/sheets/none/cancel", "POST").status == 404


@pytest.fixture
def aged(played: Played, browser: Browser) -> Iterator[tuple[Sheet, Path]]:
    """Return a sheet that was ordered two weeks ago, and its folder."""
    done = played.ledger.jobs.all(state=JobState.DONE)[-1]
    name = told(browser.ask(f"/sheets?job={done.id}", "POST"))["id"]
    clock = played.ledger.file.clock
    try:
        sheet = played.ledger.sheets.get(name)
        assert sheet is not None
        played.ledger.file.clock = lambda: clock() - 2 * sheets.KEPT_SECONDS
        played.ledger.sheets.add(name, sheet.photo, sheet.sketches)
    finally:
        played.ledger.file.clock = clock
    folder = sheets.folder_of(played.config, name)
    os.utime(folder, (1_000_000,) * 2)
    yield sheet, folder


def test_a_sheet_is_swept_after_a_week_and_never_while_it_is_painted(
    played: Played, browser: Browser, sheet: Sheet, aged: tuple[Sheet, Path]
) -> None:
    old, folder = aged
    sheets.sweep(played.config, played.ledger)
    assert played.ledger.sheets.get(old.name) is not None  # its sketches still wait
    told(browser.ask(f"/sheets/{old.name}/cancel", "POST"))
    sheets.sweep(played.config, played.ledger)
    assert played.ledger.sheets.get(old.name) is None
    assert not folder.exists()
    assert played.ledger.sheets.get(sheet.name) is not None
    assert sheets.folder_of(played.config, sheet.name).exists()
