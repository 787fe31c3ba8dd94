"""The editors' part of real daemons in processes of their own: kills, restarts, full inboxes."""

import os
import signal
import time
from pathlib import Path

import pytest
from support.daemons import CONFIG, SLOW, STYLES, Home, ended, running
from support.waiting import wait_for

from nst_daemon.folders.exchange import Exchange
from nst_daemon.ledger.jobs import JobState

WAIT_SECONDS = 60.0


class Gimp:
    """A plug-in's side of the exchange folder."""

    def __init__(self, home: Home) -> None:
        self.exchange = Exchange(home.path / "my editors")
        self.exchange.make()

    def path(self, name: str) -> Path:
        return self.exchange.root / "in" / "gimp" / name

    def order(self, name: str, content: bytes = b"photo", more: str = "") -> None:
        self.path(name).write_bytes(content)
        self.path(f"{name}.yaml").write_text(f"style: {STYLES[0]}\n{more}whole: true\n")

    def status(self, name: str) -> dict[str, str]:
        path = self.path(f"{name}.status")
        if not path.exists():
            return {}
        return dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines())

    def state(self, name: str) -> str | None:
        return self.status(name).get("state")

    def results(self) -> list[str]:
        out = self.exchange.out_of("gimp")
        return sorted(path.name for path in out.iterdir() if path.is_file())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "ho'me ü", CONFIG + "exchange: my editors\n")


@pytest.fixture
def gimp(home: Home) -> Gimp:
    return Gimp(home)


def test_an_order_is_painted_and_answered(home: Home, gimp: Gimp) -> None:
    with running(home):
        gimp.order("a.jpg")
        wait_for(lambda: gimp.state("a.jpg") == "done", seconds=WAIT_SECONDS)
    result = gimp.exchange.root / gimp.status("a.jpg")["result"]
    assert result.read_bytes().endswith(b":photo")
    assert home.files("outbox") == []


def test_what_was_ordered_while_no_daemon_ran_is_painted_later(home: Home, gimp: Gimp) -> None:
    gimp.order("a.jpg")
    with running(home):
        wait_for(lambda: gimp.state("a.jpg") == "done", seconds=WAIT_SECONDS)


def test_a_daemon_that_is_killed_in_mid_painting_gives_one_result_after_its_restart(
    home: Home, gimp: Gimp
) -> None:
    (home.path / "state").mkdir(mode=0o700)
    (home.path / "state" / SLOW).write_text("0 1000")
    process = home.start(engine="process")
    gimp.order("a.jpg")
    wait_for(lambda: gimp.state("a.jpg") == "running", seconds=WAIT_SECONDS)
    os.kill(process.pid or 0, signal.SIGKILL)
    ended(process)
    (home.path / "state" / SLOW).unlink()
    with running(home, engine="process"):
        wait_for(lambda: gimp.state("a.jpg") == "done", seconds=WAIT_SECONDS)
    assert gimp.results() == [f"a.{STYLES[0]}.jpg"]
    assert [job.state for job in home.jobs()] == [JobState.DONE]


def test_a_cancel_stops_the_painting_within_two_seconds(home: Home, gimp: Gimp) -> None:
    with running(home, seconds=1000.0):
        gimp.order("a.jpg")
        wait_for(lambda: gimp.state("a.jpg") == "running", seconds=WAIT_SECONDS)
        gimp.path("a.jpg.cancel").touch()
        wait_for(lambda: home.states()["a.jpg"] is JobState.CANCELLED, seconds=WAIT_SECONDS)
    assert gimp.state("a.jpg") == "cancelled"
    assert gimp.results() == []


def test_an_editor_that_died_stops_its_attended_painting_and_leaves_nothing(home: Home, gimp: Gimp) -> None:
    with running(home, seconds=1000.0):
        gimp.path("a.jpg.alive").write_text("1")
        gimp.order("a.jpg", more="attended: true\n")
        wait_for(lambda: gimp.state("a.jpg") == "running", seconds=WAIT_SECONDS)
        wait_for(lambda: home.states()["a.jpg"] is JobState.CANCELLED, seconds=WAIT_SECONDS)
        wait_for(lambda: not list(gimp.path("x").parent.iterdir()), seconds=WAIT_SECONDS)


def test_an_editor_is_answered_while_the_inbox_is_full(home: Home, gimp: Gimp) -> None:
    for number in range(200):
        home.drop(f"{number}.jpg", f"photo {number}".encode())
    with running(home, seconds=1000.0):
        wait_for(lambda: len(home.jobs()) > 20, seconds=WAIT_SECONDS)
        began = time.monotonic()
        gimp.order("a.jpg", content=b"mine")
        wait_for(lambda: gimp.state("a.jpg") == "queued", seconds=WAIT_SECONDS)
        assert time.monotonic() - began < WAIT_SECONDS
    assert int(gimp.status("a.jpg")["ahead"]) > 20


def test_a_config_that_names_another_exchange_folder_is_followed(home: Home, gimp: Gimp) -> None:
    with running(home) as process:
        gimp.order("a.jpg")
        wait_for(lambda: gimp.state("a.jpg") == "done", seconds=WAIT_SECONDS)
        other = Gimp(home)
        other.exchange = Exchange(home.path / "other")
        other.exchange.make()
        home.source.write_text(home.source.read_text().replace("my editors", "other"))
        os.kill(process.pid or 0, signal.SIGHUP)
        other.order("b.jpg", content=b"another")
        wait_for(lambda: other.state("b.jpg") == "done", seconds=WAIT_SECONDS)


def test_of_two_daemons_on_one_exchange_folder_one_answers(tmp_path: Path) -> None:
    config = f"{CONFIG}exchange: {tmp_path / 'shared'}\n"
    first, second = Home(tmp_path / "first", config), Home(tmp_path / "second", config)
    gimp = Gimp(first)
    gimp.exchange = Exchange(tmp_path / "shared")
    gimp.exchange.make()
    with running(first):
        gimp.order("a.jpg")
        wait_for(lambda: gimp.state("a.jpg") == "done", seconds=WAIT_SECONDS)
        with running(second):
            second.drop("own.jpg")
            wait_for(lambda: second.states().get("own.jpg") is JobState.DONE, seconds=WAIT_SECONDS)
            for number in range(5):
                gimp.order(f"b{number}.jpg", content=f"photo {number}".encode())
            wait_for(
                lambda: all(gimp.state(f"b{number}.jpg") == "done" for number in range(5)),
                seconds=WAIT_SECONDS,
            )
    assert list(second.states()) == ["own.jpg"]
    assert len(first.jobs()) == 6
