import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import pytest
from support.clock import FakeClock
from support.desktops import new_job

from nst_daemon.config import Notify
from nst_daemon.config.orders import EngineFacts
from nst_daemon.config.recipe import Style
from nst_daemon.desktop import notify
from nst_daemon.desktop.notices import AGAIN_SECONDS, BATCH_SECONDS, QUIET_SECONDS, Notice, Notices
from nst_daemon.desktop.notify import AppleMessenger, DesktopMessenger
from nst_daemon.ledger.jobs import Current, Job, JobState, Problem, Snapshot

FOLDER = Path("/pictures/outbox")
FULL = Problem(code="disk_full", message="The disk is full.", remedy="Free some space.")


def job(number: int, state: JobState, error: str | None = None, style: str = "mosaic") -> Job:
    new = replace(
        new_job(Path("/pictures/inbox"), f"{number}.jpg"),
        path=PurePath(f"{number}.jpg"),
        state=state,
        error=error,
        styles=(Style(name=style, path=Path("/s.jpg"), sha256="1" * 64),),
    )
    return Job(
        **{each.name: getattr(new, each.name) for each in fields(new)},
        id=number,
        attempts=1,
        created=datetime.now(UTC),
        result=FOLDER / "trip" / f"{number}.png" if state is JobState.DONE else None,
    )


def snapshot(*problems: Problem, is_painting: bool = False, **counts: int) -> Snapshot:
    current = Current(job=1, photo="a.jpg", style="mosaic", progress=None)
    return Snapshot(
        running=True,
        pid=1,
        paused=False,
        version="",
        engine=EngineFacts(),
        counts={state: counts.get(state, 0) for state in JobState},
        current=(current,) if is_painting else (),
        problems=problems,
    )


def titles(notices: list[Notice]) -> list[str]:
    return [notice.title for notice in notices]


# ── what is worth a notice ──────────────────────────────────────────────────────────────────────────────


def test_twelve_pictures_are_one_notice_when_the_queue_is_empty(clock: FakeClock) -> None:
    notices = Notices(Notify.ALL, clock=clock)
    for number in range(1, 13):
        clock.advance(20)
        busy = snapshot(queued=12 - number, is_painting=number < 12)
        assert notices.look(busy, ended=[job(number, JobState.DONE)], held=[]) == []
    clock.advance(QUIET_SECONDS)
    (notice,) = notices.look(snapshot(), ended=[], held=[])
    assert (notice.title, notice.text) == ("12 pictures are done", "In mosaic.")
    assert notice.folder == FOLDER / "trip"
    assert notices.look(snapshot(), ended=[], held=[]) == []


def test_one_picture_is_named(clock: FakeClock) -> None:
    notices = Notices(Notify.ALL, clock=clock)
    notices.look(snapshot(), ended=[job(1, JobState.DONE)], held=[])
    clock.advance(QUIET_SECONDS)
    assert titles(notices.look(snapshot(), ended=[], held=[])) == ["1.jpg is painted"]


def test_a_batch_that_lasts_says_so_in_between(clock: FakeClock) -> None:
    notices = Notices(Notify.ALL, clock=clock)
    busy = snapshot(queued=90, is_painting=True)
    notices.look(busy, ended=[job(1, JobState.DONE), job(2, JobState.DONE)], held=[])
    clock.advance(BATCH_SECONDS)
    assert titles(notices.look(busy, ended=[], held=[])) == ["2 pictures are done"]


def test_a_failure_is_said_at_once_with_its_reason(clock: FakeClock) -> None:
    notices = Notices(Notify.FAILURES, clock=clock)
    busy = snapshot(queued=3, is_painting=True)
    (notice,) = notices.look(busy, ended=[job(7, JobState.FAILED, "7.jpg is no picture.")], held=[])
    assert (notice.title, notice.text) == ("7.jpg failed", "7.jpg is no picture.")
    assert notice.folder == Path("/pictures/inbox")


def test_many_failures_of_one_moment_are_one_notice(clock: FakeClock) -> None:
    notices = Notices(Notify.FAILURES, clock=clock)
    failed = [job(number, JobState.FAILED, "no picture") for number in range(30)]
    (notice,) = notices.look(snapshot(), ended=failed, held=[])
    assert (notice.title, notice.text) == ("30 photos failed", "The first: no picture")


def test_a_condition_is_said_once_however_its_words_change(clock: FakeClock) -> None:
    notices = Notices(Notify.FAILURES, clock=clock)
    assert titles(notices.look(snapshot(FULL), ended=[], held=[])) == [FULL.message]
    for _ in range(5):
        clock.advance(AGAIN_SECONDS / 2)
        worse = replace(FULL, message="The disk is fuller.")
        assert notices.look(snapshot(worse), ended=[], held=[]) == []
    notices.look(snapshot(), ended=[], held=[])
    clock.advance(AGAIN_SECONDS)
    assert titles(notices.look(snapshot(FULL), ended=[], held=[])) == [FULL.message]


def test_a_photo_that_becomes_held_is_said_and_one_that_was_held_is_not(clock: FakeClock) -> None:
    notices = Notices(Notify.FAILURES, clock=clock)
    old, new = job(1, JobState.HELD, "old"), job(2, JobState.HELD, "No style named mosiac.")
    assert notices.look(snapshot(held=1), ended=[], held=[old]) == []
    (notice,) = notices.look(snapshot(held=2), ended=[], held=[old, new])
    assert (notice.title, notice.text) == ("2.jpg waits", "No style named mosiac.")
    assert notices.look(snapshot(held=2), ended=[], held=[old, new]) == []


@pytest.mark.parametrize(("level", "said"), [(Notify.ALL, 3), (Notify.FAILURES, 2), (Notify.OFF, 0)])
def test_the_level_of_the_config_is_kept(level: Notify, said: int, clock: FakeClock) -> None:
    notices = Notices(level, clock=clock)
    ended = [job(1, JobState.DONE), job(2, JobState.FAILED, "broken")]
    found = notices.look(snapshot(FULL), ended=ended, held=[])
    clock.advance(QUIET_SECONDS)
    found += notices.look(snapshot(FULL), ended=[], held=[])
    assert len(found) == said


def test_apples_script_gets_a_photos_name_as_an_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []

    def run(command: list[str], **_: Any) -> None:
        calls.append(command)

    monkeypatch.setattr(subprocess, "run", run)
    name = '" & (do shell script "true") & "'
    AppleMessenger().show(Notice(title=name, text="x" * 1000))
    (command,) = calls
    assert command[-2] == name
    assert not any(name in word for word in command[:-2])
    assert len(command[-1]) == notify.MAX_TEXT


def test_without_the_extra_a_notice_is_dropped_with_a_word_that_names_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wait_for: Callable[..., None]
) -> None:
    monkeypatch.setitem(sys.modules, "desktop_notifier", None)
    caplog.set_level("INFO", logger=notify.__name__)
    messenger = DesktopMessenger(lambda folder: None)
    for _ in range(2):
        messenger.show(Notice(title="Done", text="a.jpg"))
    wait_for(lambda: "dropped" in caplog.text)
    messenger.close()
    (record,) = caplog.records  # the second one is for us alone
    assert "pip install 'nst-daemon[desktop]'" in record.getMessage()
