# ruff: noqa: F811  fixtures are imported by name
import errno
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import real
from support.commands import (
    READABLE,
    SAMPLE,
    Answer,
    Ask,
    ask,  # noqa: F401
    finish,
    home,  # noqa: F401
    ledger,  # noqa: F401
    loaded,  # noqa: F401
    photo,  # noqa: F401
    submitted,
)
from support.daemons import Home, running
from support.faults import ERRNOS, Faults
from support.waiting import WAIT_SECONDS, take
from support.waiting import wait_for as until

from nst_daemon.cli import common as cli_common
from nst_daemon.cli import paint as cli_paint
from nst_daemon.cli import submit as cli_submit
from nst_daemon.config import Config
from nst_daemon.disk import locks, system
from nst_daemon.disk.files import TEMPORARY
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Job, JobState

# ── submit ──────────────────────────────────────────────────────────────────────────────────────────────


def test_submit_copies_the_photo_and_leaves_it_where_it_is(ask: Ask, ledger: Ledger, photo: Path) -> None:
    job = ledger.jobs.get(submitted(ask, photo, "--style", "Mosaic", "--set", "size=64"))
    assert isinstance(job, Job)
    assert photo.read_bytes() == job.copy.read_bytes() == b"a cat"
    assert (job.style, job.original, job.inbox, job.state) == ("mosaic", photo, None, JobState.QUEUED)
    assert job.recipe is not None
    assert job.recipe.size == 64


def test_submit_may_blend(ask: Ask, photo: Path) -> None:
    job = submitted(ask, photo, "--style", "[mosaic, {etching: 0.4}]")
    assert ask("show", job, "--json").json["style"] == "mosaic+etching"


def test_submit_without_a_style_follows_the_sidecar(ask: Ask, photo: Path) -> None:
    photo.with_name("cat.jpg.yaml").write_text("style: woodcut\nset: {size: 64, steps: 7}\n")
    told = ask("show", submitted(ask, photo, "--set", "steps=9"), "--json").json
    assert (told["style"], told["settings"]["size"], told["settings"]["steps"]) == ("woodcut", 64, 9)


def test_submit_refuses_a_sidecar_that_cannot_be_used(ask: Ask, photo: Path) -> None:
    photo.with_name("cat.yaml").write_text("style: wodcut\n")
    answer = ask("submit", photo)
    assert (answer.code, answer.out) == (2, "")
    assert "Did you mean woodcut?" in answer.err


def test_submitting_the_same_work_twice_is_one_job(ask: Ask, loaded: Config, photo: Path) -> None:
    first = submitted(ask, photo)
    assert submitted(ask, photo) == first
    copies = [path.read_bytes() for path in (loaded.state_dir / "photos").iterdir()]
    assert len(copies) == len(set(copies)) == 2  # the photo and its style, once each


def test_submitting_what_failed_takes_it_up_again(ask: Ask, ledger: Ledger, photo: Path) -> None:
    job = submitted(ask, photo)
    finish(ledger, job, JobState.FAILED, error="It broke.")
    assert submitted(ask, photo) == job
    again = ledger.jobs.get(job)
    assert again is not None
    assert again.state is JobState.QUEUED
    assert again.copy.exists()


def test_submitting_what_was_done_takes_it_up_where_the_result_is_gone(
    ask: Ask, ledger: Ledger, photo: Path, tmp_path: Path
) -> None:
    job = submitted(ask, photo)
    finish(ledger, job, JobState.DONE, result=tmp_path / "gone.jpg")
    assert submitted(ask, photo) == job
    again = ledger.jobs.get(job)
    assert again is not None
    assert (again.state, again.copy.read_bytes()) == (JobState.QUEUED, b"a cat")


def test_waiting_for_nobody_is_exit_code_5(ask: Ask, photo: Path) -> None:
    answer = ask("submit", photo, "--wait")
    assert (answer.code, answer.out) == (5, "")
    assert "no daemon is running" in answer.err


def test_wait_prints_the_results_path_alone(ask: Ask, ledger: Ledger, photo: Path) -> None:
    finish(ledger, submitted(ask, photo), JobState.DONE, result=photo)
    answer = ask("submit", photo, "--wait")
    assert (answer.code, answer.out) == (0, f"{photo}\n")


def test_wait_follows_a_job_until_it_failed(
    ask: Ask, loaded: Config, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_meanwhile(_: float) -> None:
        with Ledger(cli_common.ledger_path(loaded)) as other:
            finish(other, 1, JobState.FAILED, error="It broke.")

    monkeypatch.setattr("nst_daemon.cli.submit.time.sleep", fail_meanwhile)
    with locks.held(loaded.state_dir):
        answer = ask("submit", photo, "--wait")
    assert (answer.code, answer.out) == (1, "")
    assert "It broke." in answer.err


def test_wait_ends_with_the_reason_where_a_job_is_held(
    ask: Ask, loaded: Config, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hold_meanwhile(_: float) -> None:
        with Ledger(cli_common.ledger_path(loaded)) as other:
            other.move(1, JobState.QUEUED, JobState.HELD, error="Its style is gone.")

    monkeypatch.setattr("nst_daemon.cli.submit.time.sleep", hold_meanwhile)
    with locks.held(loaded.state_dir):
        answer = ask("submit", photo, "--wait")
    assert (answer.code, answer.out) == (1, "")
    assert "Job 1 held: Its style is gone." in answer.err


def test_two_styles_in_the_keywords_make_two_jobs(
    ask: Ask, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagged = replace(READABLE, keywords=("nst|mosaic", "nst|etching"))
    monkeypatch.setattr(cli_paint, "readable_photo", lambda *_: tagged)
    assert ask("submit", photo).out.split() == ["1", "2"]


def test_a_painting_of_ours_is_not_painted_again(
    ask: Ask, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        cli_paint, "readable_photo", lambda *_: replace(READABLE, provenance={"style": "mosaic"})
    )
    answer = ask("submit", photo)
    assert (answer.code, answer.out) == (1, "")
    assert "left alone" in ask("explain", photo).err


def test_a_real_photo_is_read_before_it_is_taken(ask: Ask, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    answer = ask("submit", broken)
    assert (answer.code, answer.out) == (1, "")
    assert "broken.jpg" in answer.err
    assert ask("submit", SAMPLE).code == 0


# ── submit --output, without a daemon ───────────────────────────────────────────────────────────────────


def painted(ask: Ask, ledger: Ledger, photo: Path, form: str = "png", ending: str = "") -> Path:
    """Have a photo painted in a format, as if by a daemon; return the result."""
    job = submitted(ask, photo, "--set", f"format={form}")
    result = photo.with_name(f"cat.mosaic.{ending or form}")
    result.write_bytes(b"a painting")
    finish(ledger, job, JobState.DONE, result=result)
    return result


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--timeout", 5), "--wait or --output"),
        (("--wait", "--timeout", -1), "0 or more"),
        (("--wait", "--timeout", math.nan), "0 or more"),
        (("--wait", "--timeout", "soon"), "valid number"),
        (("--output", "cat"), "must end in one of .jpg"),
        (("--output", "cat.gif"), "must end in one of .jpg"),
        (("--output", "folder.png"), "must end in one of .jpg"),
        (("--output", f"{'x' * 300}.png"), "the disk takes no file of this name"),
    ],
)
def test_wrong_usage_submits_nothing(
    ask: Ask,
    ledger: Ledger,
    photo: Path,
    words: tuple[object, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(photo.parent)
    Path("folder.png").mkdir()
    answer = ask("submit", photo, *words)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert ledger.jobs.all() == []


def test_a_folder_that_is_not_there_is_said_before_anything_is_submitted(
    ask: Ask, ledger: Ledger, photo: Path, tmp_path: Path
) -> None:
    answer = ask("submit", photo, "--output", tmp_path / "nowhere" / "a.png")
    assert (answer.code, answer.out) == (3, "")
    assert f"{tmp_path / 'nowhere'} is not there" in answer.err
    assert ledger.jobs.all() == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_folder_that_takes_nothing_is_said_before_anything_is_submitted(
    ask: Ask, ledger: Ledger, photo: Path, tmp_path: Path, faults: Faults, number: int
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    faults.fail_for_ever("open", number=number, at=lambda path: path.parent == there)
    answer = ask("submit", photo, "--output", there / "a.png")
    assert (answer.code, answer.out) == (3, "")
    assert str(there) in answer.err
    assert TEMPORARY not in answer.err
    assert ledger.jobs.all() == []


def test_several_styles_for_one_output_submit_nothing(
    ask: Ask, ledger: Ledger, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagged = replace(READABLE, keywords=("nst|mosaic", "nst|etching"))
    monkeypatch.setattr(cli_paint, "readable_photo", lambda *_: tagged)
    answer = ask("submit", photo, "--output", tmp_path / "a.png")
    assert (answer.code, answer.out) == (2, "")
    assert "Name one with --style." in answer.err
    assert ledger.jobs.all() == []
    finish(ledger, submitted(ask, photo, "--style", "etching"), JobState.FAILED, error="It broke.")
    assert (
        ask("submit", photo, "--output", tmp_path / "a.png", "--style", "etching").code == 5
    )  # is waited for


def test_the_ending_of_the_output_decides_the_format(ask: Ask, ledger: Ledger, photo: Path) -> None:
    for ending, form in cli_paint.FORMATS.items():
        photo.write_bytes(ending.encode())
        words = ("--output", photo.with_name(f"a{ending.upper()}"), "--set", "format=avif")
        assert ask("submit", photo, *words).code == 5
        (job, *_) = ledger.jobs.all()
        assert job.recipe is not None
        assert job.recipe.format is form


def test_an_output_with_no_daemon_is_exit_code_5_and_no_file(ask: Ask, photo: Path, tmp_path: Path) -> None:
    answer = ask("submit", photo, "--output", tmp_path / "a.png")
    assert (answer.code, answer.out) == (5, "")
    assert "Job 1 is queued, and no daemon is running" in answer.err
    assert not (tmp_path / "a.png").exists()


def test_what_an_earlier_job_has_painted_is_copied_and_stays(
    ask: Ask, ledger: Ledger, photo: Path, tmp_path: Path
) -> None:
    result = painted(ask, ledger, photo)
    target = tmp_path / "a.png"
    target.write_bytes(b"an older one")
    answer = ask("submit", photo, "--output", target)
    assert (answer.code, answer.out) == (0, f"{target}\n")
    assert result.read_bytes() == target.read_bytes() == b"a painting"


def test_an_output_that_is_the_result_itself_stays(ask: Ask, ledger: Ledger, photo: Path) -> None:
    result = painted(ask, ledger, photo)
    assert ask("submit", photo, "--output", result).code == 0
    assert result.read_bytes() == b"a painting"


def test_an_output_that_is_the_photo_itself_is_painted_over(ask: Ask, ledger: Ledger, photo: Path) -> None:
    painted(ask, ledger, photo, form="jpeg", ending="jpg")
    assert ask("submit", photo, "--output", photo).code == 0
    assert photo.read_bytes() == b"a painting"


def test_a_format_that_could_not_be_written_is_an_error_that_says_where_the_result_is(
    ask: Ask, ledger: Ledger, photo: Path, tmp_path: Path
) -> None:
    result = painted(ask, ledger, photo, form="webp", ending="png")
    answer = ask("submit", photo, "--output", tmp_path / "a.webp")
    assert (answer.code, answer.out) == (1, "")
    assert str(result) in answer.err
    assert result.exists()
    assert not (tmp_path / "a.webp").exists()


def test_a_disk_that_is_full_at_last_leaves_the_result_and_the_older_file(
    ask: Ask, ledger: Ledger, photo: Path, tmp_path: Path, faults: Faults
) -> None:
    result = painted(ask, ledger, photo)
    target = tmp_path / "there" / "a.png"
    target.parent.mkdir()
    target.write_bytes(b"an older one")
    faults.fail_for_ever("write", number=errno.ENOSPC, at=lambda path: path.parent == target.parent)
    answer = ask("submit", photo, "--output", target)
    assert (answer.code, answer.out) == (3, "")
    assert str(result) in answer.err
    assert result.exists()
    assert [(each.name, each.read_bytes()) for each in target.parent.iterdir()] == [
        ("a.png", b"an older one")
    ]


def test_whatever_call_fails_the_output_is_the_whole_painting_or_what_was_there_and_the_code_tells(
    ask: Ask, ledger: Ledger, photo: Path, tmp_path: Path, faults: Faults
) -> None:
    painted(ask, ledger, photo)
    target = tmp_path / "there" / "a.png"
    target.parent.mkdir()

    def outcome(nth: tuple[int, int] | None) -> tuple[int, bytes]:
        target.write_bytes(b"an older one")
        faults.made.clear()
        faults.nth = nth
        code = ask("submit", photo, "--output", target).code
        faults.nth = None
        return code, target.read_bytes()

    done, failed = (0, b"a painting"), (3, b"an older one")
    assert outcome(None) == done
    there = {at: call for at, (call, path) in enumerate(faults.made) if path.is_relative_to(target.parent)}
    assert {"open", "write", "fsync", "replace"} <= set(there.values())
    for at, call in there.items():
        for number in ERRNOS:
            assert outcome((at, number)) in (done, failed), (call, errno.errorcode[number])
    assert faults.failed == set(there.values())


class Terminated(system.System):
    """Is told to end while it writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = 0

    def write(self, descriptor: int, block: memoryview) -> int:
        if any(self.folder.glob(f"{TEMPORARY}*")):
            self.written = super().write(descriptor, block[:3])
            os.kill(os.getpid(), signal.SIGTERM)
        return super().write(descriptor, block)


def test_sigterm_while_the_result_is_written_leaves_nothing_half(
    ask: Ask, ledger: Ledger, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = painted(ask, ledger, photo)
    folder = tmp_path / "there"
    folder.mkdir()
    terminated = Terminated(folder)
    monkeypatch.setattr(system, "calls", terminated)
    before = signal.getsignal(signal.SIGTERM)
    assert ask("submit", photo, "--output", folder / "a.png").code == 128 + signal.SIGTERM
    assert terminated.written == 3
    assert list(folder.iterdir()) == []
    assert result.exists()
    assert signal.getsignal(signal.SIGTERM) is before


# ── submit --output, with a daemon whose engine is played ───────────────────────────────────────────────


class House(Home):
    """A daemon's home, photos beside it, and the commands over it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        for number, style in enumerate(("stripes", "dots")):  # the command reads them for what they are
            real.picture(path / "styles" / "a.png", seed=number).rename(path / "styles" / f"{style}.jpg")
        self.photo = real.picture(path / "photos" / "cat.png", seed=5)
        self.output = path / "painted" / "cat.jpg"
        self.output.parent.mkdir()

    @contextmanager
    def running(self, **how: float) -> Iterator[None]:
        """Have a daemon run over it."""
        with running(self, **how):
            until(lambda: locks.holder(self.path / "state"), what="the daemon")
            yield

    def submit(self, *words: str | Path) -> "subprocess.Popen[bytes]":
        """Begin a command as a program does."""
        return subprocess.Popen(
            [sys.executable, "-m", "nst_daemon", "submit", "--config", self.source, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def ask(self, *words: str | Path) -> Answer:
        """Run a command as a program does."""
        return answer_of(self.submit(*words))

    def results(self) -> list[str]:
        return self.files("outbox")

    def set_paused(self, is_paused: bool) -> None:
        with Ledger(self.path / "state" / "ledger.db") as ledger:
            (ledger.requests.pause if is_paused else ledger.requests.resume)()

    def job(self) -> Job | None:
        with suppress(Exception):
            return next(iter(self.jobs()), None)
        return None


def answer_of(process: "subprocess.Popen[bytes]") -> Answer:
    out, err = process.communicate(timeout=WAIT_SECONDS)
    return Answer(process.returncode, os.fsdecode(out), os.fsdecode(err))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "a 'house'")


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Return a function that has something done at the first look at a job."""

    def at_the_first_look(do: Callable[[], object]) -> None:
        todo = [do]

        def sleep(seconds: float) -> None:
            while todo:
                todo.pop()()
            take(min(seconds, 0.05))

        monkeypatch.setattr(cli_submit, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))

    return at_the_first_look


def test_a_new_jobs_result_is_at_the_output_alone(house: House) -> None:
    with house.running():
        answer = house.ask(house.photo, "--output", house.output)
        assert (answer.code, answer.out) == (0, f"{house.output}\n"), answer.err
        assert house.output.read_bytes().startswith(b"painting:")
        assert house.results() == []
        assert house.photo.exists()
        # Its result is not where the ledger has it any more, so that it is painted anew, and moved again.
        again = house.output.with_name("again.jpg")
        assert house.ask(house.photo, "--output", again).code == 0
        assert again.read_bytes() == house.output.read_bytes()
        assert house.results() == []


def test_the_page_comes_beside_the_output(house: House) -> None:
    pytest.importorskip("matplotlib")
    with house.running():
        assert house.ask(house.photo, "--output", house.output, "--set", "report=true").code == 0
    assert house.files("painted") == ["cat.jpg", "cat.report.png"]
    assert house.results() == []


def test_two_who_ask_for_the_same_at_once_both_get_it(house: House) -> None:
    others = [house.output.with_name(f"{number}.jpg") for number in range(3)]
    with house.running(seconds=1.0):
        commands = [house.submit(house.photo, "--output", other) for other in others]
        assert [answer_of(command).code for command in commands] == [0, 0, 0]
    assert {other.read_bytes()[:9] for other in others} == {b"painting:"}
    assert len({job.key for job in house.jobs()}) == 1


def test_a_timeout_ends_the_waiting_and_not_the_job(house: House, wait_for: Callable[..., None]) -> None:
    with house.running(seconds=4.0):
        answer = house.ask(house.photo, "--output", house.output, "--timeout", "1.5")
        assert (answer.code, answer.out) == (6, "1\n"), answer.err
        assert f"its result will lie in {house.path / 'outbox'}" in answer.err
        assert not house.output.exists()
        wait_for(house.results, what="the result")
        assert (
            house.ask(house.photo, "--output", house.output, "--timeout", "60").code == 0
        )  # of the same job
    assert house.output.exists()
    assert house.results() == ["cat.stripes.jpg"]
    assert len(house.jobs()) == 1


def is_caught(number: signal.Signals, pid: int) -> bool:
    """Return whether a process has a handler for a signal."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (caught,) = (line.split()[1] for line in lines if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (number - 1) & 1)


@pytest.fixture
def heeded() -> Iterator[None]:
    """Have commands heed Ctrl-C, though a shell has what it starts in the background, like us, ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
@pytest.mark.skipif(sys.platform != "linux", reason="who catches what is asked of Linux")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_waiting_and_not_the_job(
    house: House, number: signal.Signals, wait_for: Callable[..., None]
) -> None:
    with house.running(seconds=6.0):
        command = house.submit(house.photo, "--output", house.output)
        wait_for(lambda: (job := house.job()) and job.state is JobState.RUNNING, what="the painting")
        wait_for(lambda: is_caught(signal.SIGTERM, command.pid), what="the command to wait")
        command.send_signal(number)
        answer = answer_of(command)
        assert (answer.code, answer.out) == (128 + number, ""), answer.err
        assert f"its result will lie in {house.path / 'outbox'}" in answer.err
        wait_for(house.results, what="the result")
    assert house.files("painted") == []


@pytest.mark.parametrize(
    "name",
    ["a b  c.png", 'it\'s "the" $(cat) `cat` *.png', "two\nlines.png", os.fsdecode(b"caf\xe9.png"), "-x.png"],
    ids=["spaces", "quotes", "lines", "latin-1", "dash"],
)
def test_names_may_be_as_they_like(house: House, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    house.photo.rename(house.photo.with_name(name))
    monkeypatch.chdir(house.photo.parent)
    output = Path("out" + os.fsdecode(os.fsencode(name)[:-4]) + ".jpg")
    with house.running():
        answer = house.ask("--output", output, "--", name)
    assert answer.code == 0, answer.err
    assert output.read_bytes().startswith(b"painting:")
    assert house.results() == []


@pytest.fixture
def asked(ask: Ask, photo: Path, house: House, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Return a function that runs a command over the daemon's home, in this process."""
    monkeypatch.setenv("NST_DAEMON_CONFIG", str(house.source))
    return ask


Meanwhile = Callable[[Callable[[], object]], None]


def test_a_timeout_prints_the_number_of_each_job_that_goes_on(
    asked: Ask, photo: Path, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagged = replace(READABLE, keywords=("nst|stripes", "nst|dots"))
    monkeypatch.setattr(cli_paint, "readable_photo", lambda *_: tagged)
    with house.running(seconds=60.0):
        answer = asked("submit", photo, "--wait", "--timeout", 0)
    assert (answer.code, answer.out) == (6, "1\n2\n")
    assert "Waited 0 s. Job 2 is queued and goes on" in answer.err


def test_a_job_that_fails_is_exit_code_1_and_no_file(
    asked: Ask, photo: Path, house: House, meanwhile: Meanwhile
) -> None:
    house.set_paused(True)

    def spoil() -> None:
        (job,) = house.jobs()
        job.copy.unlink()
        photo.write_bytes(b"another")
        house.set_paused(False)

    meanwhile(spoil)
    with house.running():
        answer = asked("submit", photo, "--output", house.output)
    assert (answer.code, answer.out) == (1, ""), answer.err
    assert "Job 1 failed: " in answer.err
    assert house.files("painted") == house.results() == []


def test_a_job_that_is_cancelled_is_exit_code_1_and_no_file(
    asked: Ask, photo: Path, house: House, meanwhile: Meanwhile
) -> None:
    meanwhile(lambda: asked("cancel", 1))
    with house.running(seconds=60.0):
        answer = asked("submit", photo, "--output", house.output)
    assert (answer.code, answer.out) == (1, "")
    assert "Job 1 cancelled" in answer.err
    assert house.files("painted") == house.results() == []


@pytest.mark.parametrize("timeout", [[], ["--timeout", "2"]], ids=["for ever", "2 s"])
def test_a_job_that_is_held_ends_the_waiting_with_the_reason(
    asked: Ask,
    photo: Path,
    house: House,
    meanwhile: Meanwhile,
    timeout: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cli_submit, "HELD_SECONDS", 60.0 if timeout else 1.0)
    photo.write_bytes(b"styleless")

    def hold() -> None:
        (house.path / "styles" / "stripes.jpg").unlink()
        until(lambda: (job := house.job()) and job.state is JobState.HELD, what="the holding")

    meanwhile(hold)
    with house.running():
        answer = asked("submit", photo, "--output", house.output, *timeout)
    assert (answer.code, answer.out) == ((6, "1\n") if timeout else (1, "")), answer.err
    assert "stripes" in answer.err
    assert "held" in answer.err
    assert house.files("painted") == house.results() == []


def test_a_result_that_somebody_took_is_painted_again_and_stays_for_whoever_waits_for_it_too(
    asked: Ask, photo: Path, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Path] = []
    deliver = cli_submit.deliver

    def take_it(job: Job, output: Path, *, is_ours: bool) -> None:
        assert job.result is not None
        if len(taken) < most:
            taken.append(job.result)
            job.result.unlink()
        deliver(job, output, is_ours=is_ours)

    monkeypatch.setattr(cli_submit, "deliver", take_it)
    with house.running():
        most = 1
        assert asked("submit", photo, "--output", house.output).code == 0
        assert house.output.read_bytes() == (house.path / "outbox" / house.results()[0]).read_bytes()
        most += cli_submit.ROUNDS
        answer = asked("submit", photo, "--output", house.output.with_name("b.jpg"))
        assert answer.code == 1
        assert "is gone" in answer.err
    assert house.files("painted") == ["cat.jpg"]


# ── and with the real one ───────────────────────────────────────────────────────────────────────────────


def test_a_photo_is_painted_to_the_output_by_the_real_engine(
    tmp_path: Path, cache: Callable[[Path], Path]
) -> None:
    place = tmp_path / "real"
    place.mkdir()
    real_home = real.made_home(place, cache)
    photo = real.picture(tmp_path / "ein Föto.png")
    target = tmp_path / "ein Bild.tif"
    with real.running(real_home):
        code, out = real.command(
            real_home, "submit", str(photo), "--output", str(target), "--set", "size=64", "--set", "steps=2"
        )
    assert (code, out) == (0, f"{target}\n")
    assert target.read_bytes()[:2] in (b"II", b"MM")
    assert real.files_in(real_home / "outbox") == []
