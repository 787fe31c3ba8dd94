"""The state as tabs get it: whole, at once, on change; nothing is done while no tab is open."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.new_jobs import PROGRESS
from support.played_page import add, config_in, copy_done, job_of, paint, play

from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Current, JobState, Problem
from nst_daemon.ledger.sheets import Sketch
from nst_daemon.page import live, sheets, words
from nst_daemon.page.answers import RefusedError
from nst_daemon.page.live import Live
from nst_daemon.page.site import BEAT_SECONDS, Looker
from nst_daemon.page.words import Pace

SECONDS = 20.0


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.01)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def within_time() -> None:
        async with asyncio.timeout(SECONDS):
            await test()

    asyncio.run(within_time())


async def next_state(stream: AsyncIterator[bytes]) -> Any:
    async for message in stream:
        if message.startswith(b"event: state\ndata: "):
            assert message.endswith(b"\n\n") and message.count(b"\n") == 3
            return json.loads(message.partition(b"data: ")[2])
    raise AssertionError("the stream has ended")


def test_every_tab_gets_the_whole_state_at_once_and_again_when_it_changes() -> None:
    state = {"step": 1}

    async def test() -> None:
        source = Live(lambda: dict(state))
        async with aclosing(source.enter()) as one, aclosing(source.enter()) as other:
            assert await anext(one) == live.RETRY
            for stream in (one, other):
                assert (await next_state(stream))["step"] == 1
            state["step"] = 2
            for stream in (one, other):
                assert (await next_state(stream))["step"] == 2
        await source.close()

    run(test)


def test_what_does_not_change_is_not_sent_and_a_comment_keeps_the_stream_awake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "QUIET_SECONDS", 0.1)

    async def test() -> None:
        source = Live(lambda: {"step": 1})
        async with aclosing(source.enter()) as stream:
            await next_state(stream)
            assert [await anext(stream) for _ in range(2)] == [live.BEAT, live.BEAT]
            assert source.looks > 2
        await source.close()

    run(test)


def test_nothing_is_looked_at_while_no_tab_is_open_and_one_that_comes_back_sees_all() -> None:
    state = {"step": 1}

    async def test() -> None:
        source = Live(lambda: dict(state))
        async with aclosing(source.enter()) as stream:
            await next_state(stream)
        assert source._looking is not None
        await source._looking  # it ends by itself
        looks = source.looks
        state["step"] = 2
        assert (source.streams, source.looks) == (0, looks)
        async with aclosing(source.enter()) as stream:
            assert (await next_state(stream))["step"] == 2
        async with aclosing(source.enter()) as stream:  # before the look has ended
            assert (await next_state(stream))["step"] == 2
        await source.close()

    run(test)


def test_a_tab_beyond_the_limit_is_refused_and_room_comes_back() -> None:
    async def test() -> None:
        source = Live(dict)
        async with AsyncExitStack() as stack:
            for _ in range(live.MAX_STREAMS):
                stream = await stack.enter_async_context(aclosing(source.enter()))
                await anext(stream)
            with pytest.raises(RefusedError, match="64 tabs") as refused:
                source.enter()
            assert refused.value.status == 429
        assert source.streams == 0
        await source.close()

    run(test)


def test_a_ledger_that_cannot_be_read_for_a_while_ends_no_stream(tmp_path: Path) -> None:
    from nst_daemon.errors import ConditionError

    failing = [True]

    def look() -> dict[str, Any]:
        if failing[0]:
            raise ConditionError("busy", code="ledger_busy")
        return {"step": 1}

    async def test() -> None:
        source = Live(look)
        async with aclosing(source.enter()) as stream:
            await anext(stream)
            failing[0] = False
            assert (await next_state(stream))["step"] == 1
        await source.close()

    run(test)


def test_all_streams_end_at_once_when_the_page_does() -> None:
    async def test() -> None:
        source = Live(lambda: {"step": 1})
        stream = source.enter()
        await next_state(stream)
        ends = asyncio.create_task(next_state(stream))
        await asyncio.sleep(0)
        await source.close()
        with pytest.raises(AssertionError, match="has ended"):
            await ends

    run(test)


# ── what is told ────────────────────────────────────────────────────────────────────────────────────────


def test_the_state_tells_what_is_painted_what_waits_and_what_is_wrong(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with Ledger(config.state_dir / "ledger.db") as ledger:
        running = play(config, ledger)
        ledger.problems.set("x", [Problem(code="disk_full", message="Full.", remedy="Free some.")])
        look = Looker(ledger)
        state = look()
        assert (state["status"], state["is_running"], state["is_paused"]) == ("painting", True, False)
        (current,) = state["current"]
        assert (current["job"]["job"], current["step"], current["steps"]) == (running.id, 30, 300)
        assert (current["percent"], current["eta_seconds"]) == (10, 108.0)
        assert current["seconds_a_step"] is None  # one look does not tell
        paint(ledger, running, 0.2)
        assert look()["current"][0]["seconds_a_step"] == pytest.approx(0.4)
        assert [job["photo"] for job in state["waiting"]] == [f"waits {n}.jpg" for n in range(61, 65)]
        assert state["recent"][0]["photo"] == "trip/photo 5.jpg"
        assert "docs/errors.md" not in state["failed"][0]["error"]
        assert state["held"][0]["error"].endswith("did you mean starry_night?")
        assert [problem["code"] for problem in state["problems"]] == ["disk_full"]
        assert "settings" not in state["recent"][0] and "/" not in state["recent"][0]["result"]


def test_a_daemon_that_says_nothing_any_more_has_stopped(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    now = [1_000_000.0]
    with Ledger(config.state_dir / "ledger.db", clock=lambda: now[0]) as ledger:
        ledger.presence.set_daemon(1, "0.1.0")
        assert Looker(ledger)()["status"] == "idle"
        ledger.requests.pause()
        assert Looker(ledger)()["status"] == "paused"
        now[0] += BEAT_SECONDS + 1
        assert Looker(ledger)()["status"] == "stopped"


def test_a_state_stays_small_whatever_names_photos_have(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with Ledger(config.state_dir / "ledger.db") as ledger:
        base = job_of(config, "a.jpg", 1)
        for number in range(120):
            long = Path(f"{number}-{'ü' * 400}.jpg")
            place = JobState.HELD if number % 2 else JobState.QUEUED
            job = replace(base, key=f"k{number}", path=long, state=place, error="é" * 5000)
            add(ledger, job)
        state = Looker(ledger)()
    assert len(json.dumps(state)) <= words.MAX_BYTES
    assert state["waiting"] and state["held"]
    assert state["counts"]["queued"] == state["counts"]["held"] == 60


def test_the_pace_is_that_of_the_last_steps_and_is_forgotten_with_the_job() -> None:
    pace = Pace()

    def at(step: int, seconds: float) -> list[Current]:
        progress = replace(PROGRESS, step=step, seconds=seconds)
        return [Current(job=1, photo="", style="", progress=progress)]

    for step, seconds in ((10, 5.0), (20, 6.0), (20, 6.0)):
        pace.look(at(step, seconds))
    assert pace.seconds_a_step(1) == pytest.approx(0.1)
    pace.look(at(22, 7.0))
    assert pace.seconds_a_step(1) == pytest.approx(0.5)
    pace.look([])
    assert pace.seconds_a_step(1) is None


def test_ten_thousand_jobs_are_told_of_within_a_second(tmp_path: Path) -> None:
    import time

    config = config_in(tmp_path)
    with Ledger(config.state_dir / "ledger.db") as ledger:
        base = job_of(config, "trip/a photo of some length.jpg", 1)
        job = add(ledger, base)
        ledger.queue.claim()
        result = config.folders[0].outbox / "trip/a photo of some length.mosaic.jpg"
        ledger.move(job, JobState.RUNNING, JobState.DONE, result=result, seconds=1.0)
        copy_done(ledger, 9_999)
        look = Looker(ledger)
        began = time.process_time()  # whatever else the machine does
        state = look()
        took = time.process_time() - began
    assert state["counts"]["done"] == 10_000
    assert len(json.dumps(state)) < 64_000
    assert took < 1.0


def test_sheets_of_hundreds_of_styles_stay_small_too(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with Ledger(config.state_dir / "ledger.db") as ledger:
        for number in range(3):
            sketches = [Sketch(style=f"style {'ü' * 40} {n}", suits=0.5) for n in range(150)]
            ledger.sheets.add(f"{number}", "a.jpg", sketches)
        state = Looker(ledger, sheets.told)()
    assert len(json.dumps(state)) <= words.MAX_BYTES
    assert [len(sheet["tiles"]) for sheet in state["sheets"]] == [150]
