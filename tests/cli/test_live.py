import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import pytest
from rich.console import Console
from support.progress import progress

from nst_daemon.cli.live import FEW, Looker, View, page, scales_of, show_once
from nst_daemon.config.orders import EngineFacts
from nst_daemon.config.recipe import Style, resolve
from nst_daemon.errors import ConditionError
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Current, Job, JobState, Origin, Problem, Snapshot

NOW = datetime(2026, 8, 1, 12, 0, 0, tzinfo=UTC)
PROGRESS = progress(
    scale=2,
    scales=3,
    width=181,
    height=136,
    step=200,
    steps=300,
    fraction=0.414,
    seconds=20.0,
    eta_seconds=28,
)
PROBLEM = Problem(code="inbox_missing", message="The inbox /in is gone.", remedy="Bring it back.")


def job(number: int, state: JobState, **changes: Any) -> Job:
    known = Job(
        id=number,
        key=str(number),
        path=PurePath(f"trip/{number}.jpg"),
        original=Path(f"/in/trip/{number}.jpg"),
        copy=Path("/state/photos/a.jpg"),
        photo_sha256="1" * 64,
        inbox=Path("/in"),
        outbox=Path("/out"),
        origin=Origin.INBOX,
        styles=(Style(name="mosaic", path=Path("/s/mosaic.jpg"), sha256="0" * 64),),
        recipe=resolve({"size": 256, "steps": 136}),
        sidecar=None,
        state=state,
        attempts=1,
        created=NOW,
        finished=NOW,
        seconds=72.0,
        result=Path(f"/out/trip/{number}.mosaic.jpg"),
    )
    return replace(known, **changes)


def view(*, queued: int = 0, done: int = 0, current: bool = False, **changes: Any) -> View:
    painted = job(12, JobState.RUNNING)
    snapshot = Snapshot(
        running=True,
        pid=4711,
        paused=False,
        version="0.1.0",
        engine=EngineFacts(state="warm", device="cpu", weights="original"),
        counts={JobState.QUEUED: queued, JobState.DONE: done, JobState.RUNNING: int(current)},
        current=(Current(job=12, photo=painted.photo, style="mosaic", progress=PROGRESS),) * current,
    )
    return View(
        snapshot=replace(snapshot, **changes),
        jobs=(painted,) * current,
        pending=tuple(job(20 + number, JobState.QUEUED) for number in range(min(queued, 20))),
        ended=tuple(job(90 - number, JobState.DONE) for number in range(min(done, 20))),
        step_seconds={12: 0.0817},
    )


def drawn(shown: View, width: int = 80, height: int | None = 24) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, height=50).print(page(shown, width=width, height=height))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_page_has_state_bars_queue_results_and_problems() -> None:
    text = "\n".join(drawn(view(queued=2, done=1, current=True, problems=(PROBLEM,))))
    for words in (
        "nst-daemon 0.1.0  painting",
        "1 running, 2 queued, 1 done · engine warm, vgg19 (original) on cpu",
        "! The inbox /in is gone.\n  Bring it back. See docs/errors.md#inbox_missing.",
        "trip/12.jpg in mosaic",
        "41 %, 0.082 s a step, 28 s to go",
        "Waiting (2)",
        "trip/21.jpg",
        "90.mosaic.jpg, 1 min 12 s",
    ):
        assert words in text


def test_each_scale_has_a_bar() -> None:
    lines = drawn(view(current=True))
    bars = [line.split() for line in lines if " px" in line]
    assert [bar[0] for bar in bars] == ["128", "181", "256"]
    assert (bars[0][-1], bars[1][-2:]) == ("done", ["67", "%"])


@pytest.mark.parametrize("height", [10, 14, 24, 40])
@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize(
    "shown",
    [
        view(),
        view(queued=300, done=300, current=True),
        view(queued=300, current=True),
        view(done=300),
        view(queued=1, done=300, current=True, problems=(PROBLEM,)),
    ],
)
def test_the_page_fits_on_the_screen(shown: View, width: int, height: int) -> None:
    lines = drawn(shown, width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_a_queue_that_does_not_fit_says_how_much_is_hidden() -> None:
    lines = drawn(view(queued=300, done=20))
    shown = sum("queued  " in line for line in lines)
    assert f"and {300 - shown} more" in "\n".join(lines)


def test_a_queue_that_a_problem_holds_up_is_not_said_to_wait_for_photos() -> None:
    assert "held up" in drawn(view(queued=1, problems=(PROBLEM,)))[0]
    assert "waits for photos" in drawn(view(problems=(PROBLEM,)))[0]


def test_a_paused_daemon_says_how_it_goes_on() -> None:
    assert "paused (`nst-daemon resume` goes on)" in drawn(view(paused=True))[0]
    assert "painting, then paused" in drawn(view(paused=True, current=True))[0]


def test_a_long_path_keeps_the_name_of_its_file() -> None:
    long = job(1, JobState.QUEUED, path=PurePath(f"/home/ann/{'x' * 80}/cat.jpg"))
    assert any("…" in line and "cat.jpg" in line for line in drawn(replace(view(), pending=(long,))))


def test_a_daemon_that_does_not_run_says_how_to_start_it() -> None:
    text = "\n".join(drawn(view(running=False, pid=None)))
    assert "not running" in text
    assert "`nst-daemon start`" in text


def test_why_a_photo_waits_or_failed_is_on_the_page() -> None:
    held = job(1, JobState.HELD, error="No style named wodcut. (docs/errors.md#photo_held)")
    failed = job(2, JobState.FAILED, error="2.jpg breaks off.", result=None, seconds=None)
    text = "\n".join(drawn(replace(view(), pending=(held,), ended=(failed,))))
    assert "No style named wodcut.\n" in text
    assert "2.jpg breaks off." in text


def test_a_forged_name_does_not_steer_the_terminal() -> None:
    shown = replace(view(), pending=(job(1, JobState.QUEUED, path=PurePath("a\x1b[2J[bold]\n.jpg")),))
    lines = drawn(shown)
    assert "\x1b" not in "\n".join(lines)
    assert any("[bold]" in line for line in lines)


@pytest.mark.parametrize(
    ("settings", "sides"),
    [
        ({"size": 256}, [128, 181, 256]),
        ({"size": "original"}, [128, 181, 256]),
        ({"size": 1024}, []),  # another plan than the one that is painted: no bars are better than wrong ones
    ],
)
def test_the_scales_are_those_of_the_plan(settings: dict[str, object], sides: list[int]) -> None:
    painted = job(12, JobState.RUNNING, recipe=resolve(settings))
    assert [side for side, _ in scales_of(PROGRESS, painted)] == sides


# ── reading the ledger ──────────────────────────────────────────────────────────────────────────────────


def test_a_step_is_timed_within_its_scale(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        looker = Looker(ledger, lambda: True, "0.1.0")
        steps = ((1, 10, 1.0), (1, 20, 2.0), (2, 30, 7.0), (2, 40, 12.0))
        seen = [looker._paces(_at(*each))[12] for each in steps]
    assert seen == pytest.approx([0.1, 0.1, 7 / 30, 0.5])


def test_each_of_several_jobs_has_its_own_pace_and_bars() -> None:
    first = view(current=True)
    second = replace(first.snapshot.current[0], job=13, photo="b.jpg")
    engines = tuple(EngineFacts(state="painting", device=device) for device in ("cuda:0", "cuda:1"))
    snapshot = replace(first.snapshot, current=(*first.snapshot.current, second), engines=engines)
    both = replace(
        first,
        snapshot=snapshot,
        jobs=(*first.jobs, job(13, JobState.RUNNING)),
        step_seconds={12: 0.0817, 13: 2.5},
    )
    text = "\n".join(drawn(both, width=100))
    assert "0.082 s a step" in text
    assert "2.5 s a step" in text
    assert "engines painting on cuda:0, painting on cuda:1" in text
    for height in range(10, 24):
        assert len(drawn(both, height=height)) <= height


def test_the_pace_of_a_job_that_has_ended_is_forgotten(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        looker = Looker(ledger, lambda: True, "0.1.0")
        looker._paces(_at(1, 10, 1.0))
        assert looker._paces(replace(_at(1, 20, 3.0), current=())) == {}
        assert looker._paces(_at(1, 20, 3.0)) == {12: pytest.approx(0.15)}


def _at(scale: int, step: int, seconds: float) -> Snapshot:
    progress = replace(PROGRESS, scale=scale, step=step, seconds=seconds)
    snapshot = view(current=True).snapshot
    return replace(snapshot, current=(replace(snapshot.current[0], progress=progress),))


def test_a_ledger_that_cannot_be_read_shows_and_the_page_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> Snapshot:
        raise ConditionError("The ledger is busy.", remedy="Wait.", code="ledger_busy")

    with Ledger(tmp_path / "ledger.db") as ledger:
        looker = Looker(ledger, lambda: True, "0.1.0")
        assert looker.look().snapshot.problems == ()
        monkeypatch.setattr(ledger, "snapshot", refuse)
        assert [problem.code for problem in looker.look().snapshot.problems] == ["ledger_busy"]


def test_the_page_that_is_shown_once_is_short() -> None:
    out = io.StringIO()
    shown = view(queued=20, done=20)

    class Fixed(Looker):
        def __init__(self) -> None:
            pass

        def look(self) -> View:
            return shown

    show_once(Fixed(), Console(file=out, width=80))
    assert out.getvalue().count("mosaic.jpg") == FEW
    assert "and 15 more" in out.getvalue()
