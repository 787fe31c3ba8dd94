"""`run --once`: it ends when all that can be done is done, says what is left and why, and its code tells."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.daemons import Home, PlayedEngine, PlayedReader
from support.faults import Faults, under

from nst_daemon.daemon import daemon as daemons_daemon
from nst_daemon.daemon import once
from nst_daemon.daemon.daemon import Daemon
from nst_daemon.errors import ExitCode, MissingError
from nst_daemon.intake.inspection import Inspection, Unreadable
from nst_daemon.ledger.jobs import JobState

WaitFor = Callable[..., None]


class Reader(PlayedReader):
    """Takes every file for a picture, but for those whose bytes begin with `bad`."""

    def inspect(self, path: Path) -> Inspection:
        if path.read_bytes().startswith(b"bad"):
            return Unreadable(reason=f"{path.name} is no picture.", remedy="Export it again.")
        return super().inspect(path)


@dataclass
class Run:
    """What a single run said, and its code."""

    code: ExitCode | None = None
    words: list[str] = field(default_factory=list)

    @property
    def said(self) -> str:
        return "\n".join(self.words)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(once, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(daemons_daemon, "BEAT_SECONDS", 0.05)
    return Home(tmp_path)


@pytest.fixture
def run(home: Home) -> Iterator[Callable[[], Run]]:
    daemons: list[Daemon] = []

    def go(seconds: float = 30.0) -> Run:
        done = Run()
        daemon = Daemon(
            home.config,
            make_engine=lambda settings, _: PlayedEngine(0.0, settings.device, home.path / "engine.diary"),
            make_reader=lambda config: Reader(),
        )
        daemons.append(daemon)

        def work() -> None:
            done.code = daemon.run(once=True, on_words=done.words.append)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(seconds)
        assert not thread.is_alive(), "it never ended"
        return done

    yield go
    for daemon in daemons:
        daemon.stop()


def test_all_that_was_painted_leaves_nothing_to_say(home: Home, run: Callable[[], Run]) -> None:
    home.drop("a.jpg")
    assert run() == Run(ExitCode.FINE, [])
    assert home.states() == {"a.jpg": JobState.DONE}


def test_a_failed_photo_is_named(home: Home, run: Callable[[], Run]) -> None:
    home.drop("a.jpg", b"bad")
    home.drop("b.jpg")
    done = run()
    assert (done.code, len(done.words)) == (ExitCode.JOB_FAILED, 1)
    assert done.said.startswith("a.jpg failed: a.jpg is no picture.")
    assert home.states() == {"a.jpg": JobState.FAILED, "b.jpg": JobState.DONE}


def test_a_held_photo_is_named(home: Home, run: Callable[[], Run]) -> None:
    home.drop("a.jpg")
    home.drop("a.jpg.yaml", b"style: stripe\n")
    done = run()
    assert done.code is ExitCode.JOB_FAILED
    assert "a.jpg is held: No style named stripe" in done.said


def test_a_pause_leaves_what_it_leaves(home: Home, run: Callable[[], Run]) -> None:
    home.drop("a.jpg")
    from nst_daemon.ledger import Ledger

    with Ledger(home.path / "state" / "ledger.db") as ledger:
        ledger.requests.pause()
    assert run() == Run(ExitCode.JOB_FAILED, ["1 queued: paused (`nst-daemon resume` goes on)."])


def test_an_inbox_that_is_not_there_ends_it_with_words(home: Home, run: Callable[[], Run]) -> None:
    (home.path / "inbox").rmdir()
    done = run()
    assert done.code is ExitCode.MISSING
    assert str(home.path / "inbox") in done.said


def test_an_outbox_that_is_not_there_ends_it_with_words(home: Home, run: Callable[[], Run]) -> None:
    home.drop("a.jpg")
    (home.path / "outbox").rmdir()
    done = run()
    assert done.code is ExitCode.MISSING
    assert str(home.path / "outbox") in done.said
    assert "1 queued" in done.said
    assert home.states() == {"a.jpg": JobState.QUEUED}


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_an_inbox_that_cannot_be_read_ends_it_with_words(
    home: Home, run: Callable[[], Run], faults: Faults, number: int
) -> None:
    home.drop("a.jpg")
    faults.fail_for_ever("scandir", number=number, at=home.path / "inbox")
    done = run()
    assert done.code is ExitCode.MISSING
    assert str(home.path / "inbox") in done.said


def test_a_photo_that_cannot_be_taken_out_of_a_read_only_inbox_stops_no_other(
    home: Home, run: Callable[[], Run], faults: Faults
) -> None:
    with home.source.open("a") as config:
        config.write("originals: keep\n")
    home.drop("a.jpg", b"bad")
    home.drop("b.jpg")
    faults.fail_for_ever("unlink", "replace", number=errno.EROFS, at=under(home.path / "inbox"))
    done = run()
    assert done.code is ExitCode.JOB_FAILED
    assert "a.jpg" in done.said
    assert home.states() == {"a.jpg": JobState.FAILED, "b.jpg": JobState.DONE}


def test_a_half_written_photo_is_left_and_named(home: Home, run: Callable[[], Run]) -> None:
    home.drop("empty.jpg", b"")
    home.drop("b.jpg")

    class Cut(Reader):
        def inspect(self, path: Path) -> Inspection:
            if path.name == "empty.jpg":
                return Unreadable(reason="empty.jpg is empty.", may_grow=True)
            return super().inspect(path)

    done = Run()
    daemon = Daemon(
        home.config,
        make_engine=lambda settings, _: PlayedEngine(0.0, settings.device, home.path / "engine.diary"),
        make_reader=lambda config: Cut(),
    )
    done.code = daemon.run(once=True, on_words=done.words.append)
    assert done.code is ExitCode.JOB_FAILED
    assert "empty.jpg" in done.said
    assert home.states() == {"b.jpg": JobState.DONE}


def test_a_state_folder_that_is_full_ends_it_with_words(
    home: Home, run: Callable[[], Run], faults: Faults
) -> None:
    home.drop("a.jpg")
    faults.fail_for_ever("write", number=errno.ENOSPC, at=under(home.path / "state" / "photos"))
    done = run()
    assert done.code is ExitCode.MISSING
    assert "full" in done.said


def test_an_engine_that_cannot_be_had_ends_it_with_an_error(home: Home) -> None:
    home.drop("a.jpg")
    daemon = Daemon(
        home.config,
        make_engine=lambda settings, _: PlayedEngine(0.0, "xpu", home.path / "engine.diary"),
        make_reader=lambda config: Reader(),
    )
    with pytest.raises(MissingError):
        daemon.run(once=True)


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_a_row_of_the_ledger_that_says_nothing_is_left_and_named(home: Home, run: Callable[[], Run]) -> None:
    home.drop("a.jpg")
    assert run().code is ExitCode.FINE
    from nst_daemon.ledger import Ledger

    with Ledger(home.path / "state" / "ledger.db") as ledger, ledger.file.write() as db:
        db.execute("UPDATE jobs SET state = 'queued', styles = '{'")
    done = run()
    assert done.code is ExitCode.JOB_FAILED
    assert "Job 1 cannot be read" in done.said
