import errno
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.clock import FakeClock
from support.desktops import new_job
from support.faults import Faults

from nst_daemon import config
from nst_daemon.cli import setup as cli_setup
from nst_daemon.config import Config
from nst_daemon.desktop.icons import Look
from nst_daemon.desktop.menu import Act, Entry, look_of, menu
from nst_daemon.desktop.model import TrayModel
from nst_daemon.desktop.notices import Notice
from nst_daemon.desktop.style_edit import with_style
from nst_daemon.disk import logs
from nst_daemon.errors import ConditionError, ConfigError
from nst_daemon.ledger import Ledger, Request
from nst_daemon.ledger.jobs import JobState


class Messages:
    def __init__(self) -> None:
        self.shown: list[Notice] = []

    def show(self, notice: Notice) -> None:
        self.shown.append(notice)

    def close(self) -> None:
        raise AssertionError("the model does not close what it was given")


@pytest.fixture
def loaded(tmp_path: Path) -> Config:
    home = tmp_path / "pictures"
    cli_setup.make(home / "config.yaml", home, {"style": "mosaic", "notify": "all"})
    return config.load(home / "config.yaml")


@pytest.fixture
def ledger(loaded: Config, clock: FakeClock) -> Iterator[Ledger]:
    with Ledger(loaded.state_dir / "ledger.db", clock=clock) as ledger:
        ledger.presence.set_daemon(psutil.Process().pid, "0.1.0")
        yield ledger


@pytest.fixture
def messages() -> Messages:
    return Messages()


@pytest.fixture
def opened() -> list[Path]:
    return []


@pytest.fixture
def addresses() -> list[str]:
    return []


@pytest.fixture
def started() -> list[Config]:
    return []


@pytest.fixture
def model(
    loaded: Config,
    ledger: Ledger,
    messages: Messages,
    opened: list[Path],
    addresses: list[str],
    started: list[Config],
    clock: FakeClock,
) -> TrayModel:
    return TrayModel(
        loaded,
        ledger,
        messages=messages,
        open_path=opened.append,
        open_address=addresses.append,
        start=started.append,
        clock=clock,
    )


def finish(ledger: Ledger, folder: Path, name: str, state: JobState) -> int:
    ledger.add(new_job(folder, name))
    job = ledger.queue.claim()
    assert job is not None
    result = folder / f"{name}.png" if state is JobState.DONE else None
    error = "broken" if state is JobState.FAILED else None
    ledger.move(job.id, JobState.RUNNING, state, result=result, error=error)
    return job.id


def test_a_daemon_runs_while_its_heart_beats(model: TrayModel, ledger: Ledger, clock: FakeClock) -> None:
    assert model.tick().snapshot.running
    clock.advance(60)
    assert not model.tick().snapshot.running
    ledger.presence.beat()
    assert model.tick().snapshot.running
    ledger.presence.set_daemon(None, "0.1.0")
    assert not model.tick().snapshot.running


def test_the_view_has_the_latest_results_and_the_styles(
    model: TrayModel, ledger: Ledger, tmp_path: Path
) -> None:
    for number in range(7):
        finish(ledger, tmp_path, str(number), JobState.DONE)
    view = model.tick()
    assert [path.name for path in view.results] == [f"{number}.png" for number in (6, 5, 4, 3, 2)]
    assert view.style == "mosaic"
    assert view.styles
    assert view.starts_at_login is False


def test_the_view_has_the_preview_of_the_job_that_is_painted(
    model: TrayModel, ledger: Ledger, tmp_path: Path
) -> None:
    ledger.add(new_job(tmp_path, "a"))
    job = ledger.queue.claim()
    assert job is not None
    assert model.tick().preview is None
    job.preview.parent.mkdir()
    job.preview.touch()
    assert model.tick().preview == job.preview
    ledger.move(job.id, JobState.RUNNING, JobState.DONE)
    assert model.tick().preview is None
    ledger.add(new_job(tmp_path, "b"))
    ledger.queue.claim()
    assert model.tick().preview is None  # the next has none yet


def test_failures_are_new_until_they_are_looked_at(
    model: TrayModel, ledger: Ledger, tmp_path: Path, loaded: Config, opened: list[Path], clock: FakeClock
) -> None:
    finish(ledger, tmp_path, "a", JobState.FAILED)
    assert model.tick().new_failures == 1
    clock.advance(1)
    model.act(Entry(label="Show", act=Act.SHOW_FAILED))
    assert opened == [loaded.folders[0].failed]
    assert model.tick().new_failures == 0
    clock.advance(1)
    finish(ledger, tmp_path, "b", JobState.FAILED)
    assert model.tick().new_failures == 1


def test_what_ends_is_said_and_what_had_ended_before_is_not(
    loaded: Config, ledger: Ledger, messages: Messages, tmp_path: Path, clock: FakeClock
) -> None:
    finish(ledger, tmp_path, "old", JobState.FAILED)
    clock.advance(1)
    model = TrayModel(loaded, ledger, messages=messages, open_path=print, start=print, clock=clock)
    model.tick()
    clock.advance(1)
    finish(ledger, tmp_path, "new", JobState.FAILED)
    model.tick()
    finish(ledger, tmp_path, "picture", JobState.DONE)
    for _ in range(3):
        clock.advance(1)
        model.tick()
    assert [notice.title for notice in messages.shown] == ["trip/new failed", "trip/picture is painted"]


def test_clicks_become_requests(
    model: TrayModel, ledger: Ledger, tmp_path: Path, started: list[Config], loaded: Config
) -> None:
    failed = finish(ledger, tmp_path, "a", JobState.FAILED)
    model.act(Entry(act=Act.PAUSE))
    assert ledger.requests.is_paused()
    model.act(Entry(act=Act.RESUME))
    assert not ledger.requests.is_paused()
    model.act(Entry(act=Act.RETRY_FAILED))
    assert [job.id for job in ledger.jobs.all(state=JobState.QUEUED)] == [failed]
    model.act(Entry(act=Act.CANCEL, argument=failed))
    assert [job.id for job in ledger.jobs.all(state=JobState.CANCELLED)] == [failed]
    model.act(Entry(act=Act.UNLOAD))
    assert ledger.requests.take(Request.UNLOAD)
    assert not ledger.requests.take(Request.UNLOAD)
    model.act(Entry(act=Act.START))
    assert started == [loaded]
    model.act(Entry(act=Act.QUIT))
    assert ledger.requests.take(Request.QUIT)
    assert model.was_quit


def test_the_page_is_opened_by_a_ticket_as_soon_as_it_is_there(
    model: TrayModel, ledger: Ledger, clock: FakeClock, addresses: list[str], messages: Messages
) -> None:
    model.act(Entry(act=Act.OPEN_PAGE))
    assert ledger.requests.take(Request.PAGE)
    model.tick()
    assert addresses == []
    ledger.presence.set_page("http://127.0.0.1:8420")
    model.tick()
    model.tick()
    (address,) = addresses
    assert address.startswith("http://127.0.0.1:8420/open/")
    assert ledger.tickets.take(address.rpartition("/")[2])
    assert messages.shown == []


def test_a_page_that_does_not_come_is_said_once(
    model: TrayModel, ledger: Ledger, clock: FakeClock, addresses: list[str], messages: Messages
) -> None:
    model.act(Entry(act=Act.OPEN_PAGE))
    for _ in range(3):
        clock.advance(20.0)
        ledger.presence.beat()
        model.tick()
    assert (addresses, [notice.title for notice in messages.shown]) == ([], ["Open page: not done"])


def test_a_config_without_a_page_offers_none(model: TrayModel, loaded: Config, clock: FakeClock) -> None:
    assert model.tick().has_page
    loaded.source.write_text(loaded.source.read_text().replace("page:  #", "page: {mode: off}  #"))
    clock.advance(60.0)
    assert not model.tick().has_page


def test_what_is_to_be_opened_is_opened(
    model: TrayModel, loaded: Config, opened: list[Path], messages: Messages, tmp_path: Path
) -> None:
    for act in (Act.OPEN_INBOX, Act.OPEN_RESULTS, Act.OPEN_CONFIG, Act.OPEN_LOG):
        model.act(Entry(act=act))
    (tmp_path / "a.png").touch()
    model.act(Entry(act=Act.OPEN, argument=tmp_path / "a.png"))
    folder = loaded.folders[0]
    log = logs.log_path(loaded.state_dir)
    assert opened == [folder.inbox, folder.outbox, loaded.source, log, tmp_path / "a.png"]
    model.act(Entry(label="b.png", act=Act.OPEN, argument=tmp_path / "b.png"))
    assert (len(opened), messages.shown[0].title) == (5, "b.png: not done")


def test_a_click_that_cannot_be_done_is_said(model: TrayModel, messages: Messages, loaded: Config) -> None:
    loaded.source.write_text("inbox: [")
    model.act(Entry(label="woodcut", act=Act.SET_STYLE, argument="woodcut"))
    (notice,) = messages.shown
    assert notice.title == "woodcut: not done"
    assert loaded.source.read_text() == "inbox: ["


# ── the default style ───────────────────────────────────────────────────────────────────────────────────


def test_a_new_default_style_is_the_only_change_of_the_config(model: TrayModel, loaded: Config) -> None:
    before = loaded.source.read_text().splitlines()
    model.act(Entry(label="woodcut", act=Act.SET_STYLE, argument="woodcut"))
    after = loaded.source.read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    old, new = changed[0]
    assert new.startswith("style: woodcut ")
    assert new.index("#") == old.index("#")
    assert model.tick().style == "woodcut"


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


PASTEL = "# mine\r\nstyle: pastel   # why\r\n\r\ninbox: inbox\r\noutbox: outbox\r\n\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "text", [PASTEL, PASTEL.removeprefix("# mine\r\n"), PASTEL.replace("style", "#style", 1)]
)
def test_the_line_of_the_style_is_changed_and_no_other_byte(
    model: TrayModel, loaded: Config, text: str, line_end: str, encoding: str
) -> None:
    mark = "\ufeff" if encoding.startswith("utf-16") else ""
    before = text.replace("\r\n", line_end)
    loaded.source.write_bytes(f"{mark}{before}".encode(encoding))
    for folder in ("inbox", "outbox"):
        (loaded.source.parent / folder).mkdir(exist_ok=True)
    loaded.source.chmod(0o640)
    model.act(Entry(label="woodcut", act=Act.SET_STYLE, argument="woodcut"))
    after = before.replace("#style", "style").replace("style: pastel   # why", "style: woodcut  # why")
    if "#style" in before:
        after = before.replace("#style: pastel   # why", "style: woodcut   # why")
    assert loaded.source.read_bytes() == f"{mark}{after}".encode(encoding)
    assert loaded.source.stat().st_mode & 0o777 == 0o640
    assert config.load(loaded.source).folders[0].style == "woodcut"
    assert [path.name for path in loaded.source.parent.iterdir() if path.name.startswith(".nst-")] == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("inbox: a\r\noutbox: b", "inbox: a\r\noutbox: b\r\nstyle: x\r\n"),
        ("inbox: a\noutbox: b\n\n\n", "inbox: a\noutbox: b\n\n\nstyle: x\n"),
        ("inbox: a\r\noutbox: b\nstyle: old\r\n", "inbox: a\r\noutbox: b\nstyle: x\r\n"),
        ('"style" : old\ninbox: a\noutbox: b\n', '"style" : x\ninbox: a\noutbox: b\n'),
        ("style: old\ninbox: it's\noutbox: b\n", "style: x\ninbox: it's\noutbox: b\n"),
        ("style:\ninbox: a\noutbox: b\n", "style: x\ninbox: a\noutbox: b\n"),
        ("{style: old, inbox: a, outbox: b}\n", None),
        ("style: >-\n  old\ninbox: a\noutbox: b\n", None),
        ("style: old\n  one\ninbox: a\noutbox: b\n", None),
        ("style: &s old\nfolders:\n- {inbox: a, outbox: b, style: *s}\n", None),
        ("inbox: a\noutbox: b\n...\n", None),
        ("  inbox: a\n  outbox: b\n", None),
    ],
)
def test_a_style_is_set_without_another_change_or_not_at_all(text: str, wanted: str | None) -> None:
    if wanted is None:
        with pytest.raises(ConfigError, match=r"menu cannot edit|every folder"):
            with_style(text, "x", Path("/c.yaml"))
    else:
        assert with_style(text, "x", Path("/c.yaml")) == wanted


def test_what_is_no_text_is_refused_in_words(model: TrayModel, loaded: Config, messages: Messages) -> None:
    loaded.source.write_bytes(b"style: \xff\xff\n")
    model.act(Entry(label="woodcut", act=Act.SET_STYLE, argument="woodcut"))
    (notice,) = messages.shown
    assert "is no text" in notice.text
    assert loaded.source.read_bytes() == b"style: \xff\xff\n"


def test_a_preview_on_a_sick_disk_ends_no_look(
    model: TrayModel, ledger: Ledger, loaded: Config, faults: Faults
) -> None:
    ledger.add(new_job(loaded.folders[0].outbox, "a"))
    job = ledger.queue.claim()
    assert job is not None
    faults.fail_for_ever("lstat", number=errno.ESTALE, at=job.preview)
    assert model.tick().preview is None


def test_a_ledger_that_cannot_be_read_at_the_first_look_is_a_view_too(
    model: TrayModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConditionError("The ledger is busy.")

    with monkeypatch.context() as patch:
        patch.setattr(model.ledger, "snapshot", refuse)
        view = model.tick()
        assert look_of(view) is Look.CANNOT_WORK
        assert menu(view)
    assert model.tick().snapshot.running
