from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from conftest import FakeClock
from desktops import new_job

from nst_daemon import config, logs
from nst_daemon.cli import setup as cli_setup
from nst_daemon.config import Config
from nst_daemon.desktop.desk import Desk
from nst_daemon.desktop.menu import Act, Entry
from nst_daemon.desktop.notices import Notice
from nst_daemon.desktop.style_edit import with_style
from nst_daemon.errors import ConfigError
from nst_daemon.jobs import JobState
from nst_daemon.ledger import Ledger, Wish


class Messages:
    def __init__(self) -> None:
        self.shown: list[Notice] = []

    def show(self, notice: Notice) -> None:
        self.shown.append(notice)

    def close(self) -> None:
        raise AssertionError("the desk does not close what it was given")


@pytest.fixture
def loaded(tmp_path: Path) -> Config:
    home = tmp_path / "pictures"
    cli_setup.make(home / "config.yaml", home, {"style": "mosaic", "notify": "all"})
    return config.load(home / "config.yaml")


@pytest.fixture
def ledger(loaded: Config, clock: FakeClock) -> Iterator[Ledger]:
    with Ledger(loaded.state_dir / "ledger.db", clock=clock) as ledger:
        ledger.set_daemon(psutil.Process().pid, "0.1.0")
        yield ledger


@pytest.fixture
def messages() -> Messages:
    return Messages()


@pytest.fixture
def opened() -> list[Path]:
    return []


@pytest.fixture
def started() -> list[Config]:
    return []


@pytest.fixture
def desk(
    loaded: Config,
    ledger: Ledger,
    messages: Messages,
    opened: list[Path],
    started: list[Config],
    clock: FakeClock,
) -> Desk:
    return Desk(loaded, ledger, messages=messages, open_path=opened.append, start=started.append, clock=clock)


def finish(ledger: Ledger, folder: Path, name: str, state: JobState) -> int:
    ledger.add(new_job(folder, name))
    job = ledger.claim()
    assert job is not None
    result = folder / f"{name}.png" if state is JobState.DONE else None
    error = "broken" if state is JobState.FAILED else None
    ledger.move(job.id, JobState.RUNNING, state, result=result, error=error)
    return job.id


def test_a_daemon_runs_while_its_heart_beats(desk: Desk, ledger: Ledger, clock: FakeClock) -> None:
    assert desk.tick().snapshot.running
    clock.advance(60)
    assert not desk.tick().snapshot.running
    ledger.beat()
    assert desk.tick().snapshot.running
    ledger.set_daemon(None, "0.1.0")
    assert not desk.tick().snapshot.running


def test_the_view_has_the_latest_results_and_the_styles(desk: Desk, ledger: Ledger, tmp_path: Path) -> None:
    for number in range(7):
        finish(ledger, tmp_path, str(number), JobState.DONE)
    view = desk.tick()
    assert [path.name for path in view.results] == [f"{number}.png" for number in (6, 5, 4, 3, 2)]
    assert view.style == "mosaic"
    assert view.styles
    assert view.starts_at_login is False


def test_the_view_has_the_preview_of_the_job_that_is_painted(
    desk: Desk, ledger: Ledger, tmp_path: Path
) -> None:
    ledger.add(new_job(tmp_path, "a"))
    job = ledger.claim()
    assert job is not None
    assert desk.tick().preview is None
    job.preview.parent.mkdir()
    job.preview.touch()
    assert desk.tick().preview == job.preview
    ledger.move(job.id, JobState.RUNNING, JobState.DONE)
    assert desk.tick().preview is None
    ledger.add(new_job(tmp_path, "b"))
    ledger.claim()
    assert desk.tick().preview is None  # the next has none yet


def test_failures_are_new_until_they_are_looked_at(
    desk: Desk, ledger: Ledger, tmp_path: Path, loaded: Config, opened: list[Path], clock: FakeClock
) -> None:
    finish(ledger, tmp_path, "a", JobState.FAILED)
    assert desk.tick().new_failures == 1
    clock.advance(1)
    desk.act(Entry(label="Show", act=Act.SHOW_FAILED))
    assert opened == [loaded.folders[0].failed]
    assert desk.tick().new_failures == 0
    clock.advance(1)
    finish(ledger, tmp_path, "b", JobState.FAILED)
    assert desk.tick().new_failures == 1


def test_what_ends_is_said_and_what_had_ended_before_is_not(
    loaded: Config, ledger: Ledger, messages: Messages, tmp_path: Path, clock: FakeClock
) -> None:
    finish(ledger, tmp_path, "old", JobState.FAILED)
    clock.advance(1)
    desk = Desk(loaded, ledger, messages=messages, open_path=print, start=print, clock=clock)
    desk.tick()
    clock.advance(1)
    finish(ledger, tmp_path, "new", JobState.FAILED)
    desk.tick()
    finish(ledger, tmp_path, "picture", JobState.DONE)
    for _ in range(3):
        clock.advance(1)
        desk.tick()
    assert [notice.title for notice in messages.shown] == ["trip/new failed", "trip/picture is painted"]


def test_clicks_become_requests(
    desk: Desk, ledger: Ledger, tmp_path: Path, started: list[Config], loaded: Config
) -> None:
    failed = finish(ledger, tmp_path, "a", JobState.FAILED)
    desk.act(Entry(act=Act.PAUSE))
    assert ledger.is_paused()
    desk.act(Entry(act=Act.RESUME))
    assert not ledger.is_paused()
    desk.act(Entry(act=Act.RETRY_FAILED))
    assert [job.id for job in ledger.jobs(state=JobState.QUEUED)] == [failed]
    desk.act(Entry(act=Act.CANCEL, argument=failed))
    assert [job.id for job in ledger.jobs(state=JobState.CANCELLED)] == [failed]
    desk.act(Entry(act=Act.UNLOAD))
    assert ledger.take(Wish.UNLOAD)
    assert not ledger.take(Wish.UNLOAD)
    desk.act(Entry(act=Act.START))
    assert started == [loaded]
    desk.act(Entry(act=Act.QUIT))
    assert ledger.take(Wish.QUIT)
    assert desk.was_quit


def test_what_is_to_be_opened_is_opened(
    desk: Desk, loaded: Config, opened: list[Path], messages: Messages, tmp_path: Path
) -> None:
    for act in (Act.OPEN_INBOX, Act.OPEN_RESULTS, Act.OPEN_CONFIG, Act.OPEN_LOG):
        desk.act(Entry(act=act))
    (tmp_path / "a.png").touch()
    desk.act(Entry(act=Act.OPEN, argument=tmp_path / "a.png"))
    folder = loaded.folders[0]
    log = logs.log_path(loaded.state_dir)
    assert opened == [folder.inbox, folder.outbox, loaded.source, log, tmp_path / "a.png"]
    desk.act(Entry(label="b.png", act=Act.OPEN, argument=tmp_path / "b.png"))
    assert (len(opened), messages.shown[0].title) == (5, "b.png: not done")


def test_a_click_that_cannot_be_done_is_said(desk: Desk, messages: Messages, loaded: Config) -> None:
    loaded.source.write_text("inbox: [")
    desk.act(Entry(label="woodcut", act=Act.SET_STYLE, argument="woodcut"))
    (notice,) = messages.shown
    assert notice.title == "woodcut: not done"
    assert loaded.source.read_text() == "inbox: ["


# ── the default style ───────────────────────────────────────────────────────────────────────────────────


def test_a_new_default_style_is_the_only_change_of_the_config(desk: Desk, loaded: Config) -> None:
    before = loaded.source.read_text().splitlines()
    desk.act(Entry(label="woodcut", act=Act.SET_STYLE, argument="woodcut"))
    after = loaded.source.read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    old, new = changed[0]
    assert new.startswith("style: woodcut ")
    assert new.index("#") == old.index("#")
    assert desk.tick().style == "woodcut"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("inbox: a\noutbox: b\n", "inbox: a\noutbox: b\nstyle: x\n"),
        ("style: old # why\ninbox: a\noutbox: b", "style: x   # why\ninbox: a\noutbox: b"),
        ("inbox: a\n#style: old\noutbox: b\n", "inbox: a\nstyle: x\noutbox: b\n"),
        ("style: 'o # d'\ninbox: a\noutbox: b\n", "style: x\ninbox: a\noutbox: b\n"),
        ("folders:\n- {inbox: a, outbox: b, style: own}\n", None),
    ],
)
def test_a_config_gets_another_style_or_is_left_alone(text: str, wanted: str | None) -> None:
    if wanted is None:
        with pytest.raises(ConfigError):
            with_style(text, "x", Path("/c.yaml"))
    else:
        assert with_style(text, "x", Path("/c.yaml")) == wanted
