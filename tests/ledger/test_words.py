import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import pytest
from support.progress import progress

from nst_daemon.config.orders import EngineFacts, SeatFacts, busiest
from nst_daemon.config.recipe import Areas, Mask, Preset, Region, Style, resolve
from nst_daemon.ledger import words
from nst_daemon.ledger.jobs import Current, Job, JobState, Origin, Problem, Snapshot

STYLE = Style(name="starry_night", path=Path("/s/starry_night.jpg"), sha256="0" * 64)
PROGRESS = progress(step=40, steps=100, fraction=0.414, eta_seconds=18.21)
SNAPSHOT = Snapshot(
    running=True,
    pid=4711,
    paused=False,
    version="0.1.0",
    engine=EngineFacts(state="warm", device="cpu", weights="original"),
    engines=(EngineFacts(state="warm", device="cpu", weights="original"),),
    counts={JobState.QUEUED: 2, JobState.RUNNING: 1, JobState.DONE: 9},
    current=(Current(job=12, photo="trip/a.jpg", style="starry_night", progress=PROGRESS),),
    problems=(Problem(code="inbox_missing", message="The inbox is gone.", remedy="Bring it back."),),
)


def job(**changes: Any) -> Job:
    known = Job(
        id=12,
        key="k",
        path=PurePath("trip/a.jpg"),
        original=Path("/in/trip/a.jpg"),
        copy=Path("/state/photos/a.jpg"),
        photo_sha256="1" * 64,
        inbox=Path("/in"),
        outbox=Path("/out"),
        origin=Origin.INBOX,
        styles=(STYLE,),
        recipe=resolve({"preset": Preset.DRAFT, "size": 64}),
        sidecar=None,
        state=JobState.DONE,
        attempts=1,
        created=datetime(2026, 8, 1, 12, 0, 0, tzinfo=UTC),
        started=datetime(2026, 8, 1, 12, 0, 1, 500_000, tzinfo=UTC),
        finished=datetime(2026, 8, 1, 12, 1, 13, tzinfo=UTC),
        seconds=71.4999,
        result=Path("/out/trip/a.starry_night.jpg"),
    )
    return replace(known, **changes)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.42, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (18.2, "18 s"),
        (59.7, "1 min"),
        (72, "1 min 12 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (90_061, "1 d 1 h"),
        (-3, "0 s"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_status_json_has_the_promised_shape() -> None:
    assert words.status_json(SNAPSHOT) == {
        "running": True,
        "pid": 4711,
        "paused": False,
        "version": "0.1.0",
        "engine": {"state": "warm", "device": "cpu", "network": "vgg19", "weights": "original"},
        "engines": [{"state": "warm", "device": "cpu", "network": "vgg19", "weights": "original"}],
        "seats": [],
        "counts": {"held": 0, "queued": 2, "running": 1, "done": 9, "failed": 0, "cancelled": 0},
        "current": [
            {
                "job": 12,
                "photo": "trip/a.jpg",
                "style": "starry_night",
                "progress": 0.414,
                "eta_seconds": 18.2,
            }
        ],
        "problems": [{"code": "inbox_missing", "message": "The inbox is gone.", "remedy": "Bring it back."}],
        "page": None,
    }


def test_a_job_that_has_not_made_a_step_has_no_eta() -> None:
    starting = replace(SNAPSHOT, current=(replace(SNAPSHOT.current[0], progress=None),))
    current: Any = words.status_json(starting)["current"]
    assert (current[0]["progress"], current[0]["eta_seconds"]) == (0.0, None)
    assert "starting" in "\n".join(words.status_text(starting))


def test_job_json_has_the_promised_keys_and_plain_values() -> None:
    value = json.loads(json.dumps(words.job_json(job())))
    settings = value.pop("settings")
    assert value.pop("losses") is None  # of a job that has not painted
    assert value == {
        "job": 12,
        "photo": "trip/a.jpg",
        "style": "starry_night",
        "state": "done",
        "seat": None,
        "attempts": 1,
        "created": "2026-08-01T12:00:00.000Z",
        "started": "2026-08-01T12:00:01.500Z",
        "finished": "2026-08-01T12:01:13.000Z",
        "seconds": 71.5,
        "result": str(Path("/out/trip/a.starry_night.jpg")),
        "error": None,
    }
    assert (settings["preset"], settings["size"], settings["style_layers"][0]) == ("draft", 64, "relu1_1")


def test_a_held_job_has_neither_style_nor_settings() -> None:
    held = job(styles=(), recipe=None, state=JobState.HELD, started=None, result=None, error="No style.")
    value = words.job_json(held)
    assert (value["style"], value["settings"], value["started"]) == (None, None, None)
    assert "No style." in "\n".join(words.job_text(held))


def test_the_words_of_the_status_say_what_is_done_and_what_is_wrong() -> None:
    assert words.status_text(SNAPSHOT) == [
        "nst-daemon 0.1.0 is running (process 4711).",
        "Jobs: 1 running, 2 queued, 9 done.",
        "  job 12: trip/a.jpg in starry_night, 41 %, 18 s to go",
        "Engine: warm, vgg19 (original) on cpu.",
        "! The inbox is gone.",
        "  Bring it back. See docs/errors.md#inbox_missing.",
    ]


def test_of_several_engines_each_is_said_to_be_where_it_is() -> None:
    engines = (
        EngineFacts(state="painting", device="cuda:0"),
        EngineFacts(state="missing", device="cuda:1"),
        EngineFacts(),
    )
    several = replace(SNAPSHOT, engines=engines, engine=busiest(engines))
    assert "Engines: painting on cuda:0, missing on cuda:1, cold." in words.status_text(several)
    assert words.status_json(several)["engine"] == words.status_json(several)["engines"][0]  # type: ignore[index]


def test_a_daemon_that_is_not_running_has_no_engine() -> None:
    lines = words.status_text(
        replace(SNAPSHOT, running=False, pid=None, current=(), problems=(), paused=True)
    )
    assert lines == ["nst-daemon 0.1.0 is not running (and paused).", "Jobs: 1 running, 2 queued, 9 done."]


def test_a_paused_daemon_says_so() -> None:
    assert words.headline(replace(SNAPSHOT, paused=True)) == "nst-daemon 0.1.0 is paused (process 4711)."


def test_a_row_shows_the_result_or_the_error() -> None:
    assert words.job_row(job()) == (
        "12",
        "done",
        "trip/a.jpg",
        "starry_night",
        "1 min 11 s",
        "a.starry_night.jpg",
    )
    failed = job(state=JobState.FAILED, error="Too large.", result=None, seconds=None)
    assert words.job_row(failed)[4:] == ("", "Too large.")


def test_a_jobs_masks_and_regions_are_shown() -> None:
    sky = Mask(name="sky.png", path=Path("x"), sha256="x")
    styles = (Style(name="mosaic", path=Path("m.jpg"), sha256="m"),)
    areas = Areas(mask=sky, regions=(Region(mask=sky, styles=styles),))
    text = "\n".join(words.job_text(job(areas=areas)))
    assert "mask             sky.png" in text
    assert "region           sky.png: mosaic" in text


def test_everything_about_a_job_is_shown() -> None:
    text = "\n".join(words.job_text(job(cancel_requested=True, state=JobState.RUNNING)))
    assert str(Path("/out/.preview/12.jpg")) in text
    for word in ("job 12", "running, to be cancelled", "/in/trip/a.jpg", "relu1_1, relu2_1", "1 min 11 s"):
        assert word in text


def test_a_finished_job_tells_its_losses() -> None:
    losses = {"total": 0.25, "content": 0.2, "style": 0.05, "tv": 0.0}
    last = progress(scale=2, scales=2, step=12, steps=12, fraction=1.0, losses=losses)
    done = job(state=JobState.DONE, progress=last)
    text = "\n".join(words.job_text(done))
    assert "step 12 of 12, scale 2 of 2, 64 × 48 px" in text
    assert re.search(r"style loss +0\.05\n", text)
    assert words.job_json(done)["losses"] == losses


def test_seats_are_counted_in_words_and_listed_as_json() -> None:
    one = SeatFacts(name="gpu1/cuda:0", device="cuda:0", state="painting", job=7, painted=3, heard=1000.0)
    seats = (one, SeatFacts(name="gpu2/cpu", device="cpu", state="silent", lost=1, version="0.1.0"))
    lent = replace(SNAPSHOT, seats=seats)
    assert "Farm: 2 seats, 1 painting, 1 silent." in words.status_text(lent)
    assert words.seats_text(seats[:1]) == "1 seat, 1 painting"
    assert words.status_json(lent)["seats"] == [words.seat_json(one), words.seat_json(seats[1])]
    assert words.seat_json(one) == {
        "seat": "gpu1/cuda:0",
        "device": "cuda:0",
        "state": "painting",
        "job": 7,
        "painted": 3,
        "lost": 0,
        "version": "",
        "heard": "1970-01-01T00:16:40.000Z",
    }
    assert words.seat_row(one, 1002.0) == ("gpu1/cuda:0", "painting", "7", "3", "0", "–", "2 s ago")
    assert words.seat_row(seats[1], 1002.0)[-2:] == ("0.1.0", "–")
