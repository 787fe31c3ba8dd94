# ruff: noqa: F811  fixtures are imported by name
import errno
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.commands import SAMPLE, Ask, ask, finish, home, ledger, loaded, photo, submitted  # noqa: F401
from support.faults import CALLS, Faults

from nst_daemon import __version__, config
from nst_daemon.cli import checks as cli_checks
from nst_daemon.cli import common as cli_common
from nst_daemon.cli.app import COMMANDS
from nst_daemon.config import Config
from nst_daemon.config.orders import EngineFacts
from nst_daemon.disk import locks, logs
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import MissingError
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState

NAMES = [command.__name__ for command in COMMANDS]


# ── every command ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_an_example(ask: Ask, name: str) -> None:
    answer = ask(name, "--help")
    assert answer.code == 0
    assert f"Example: nst-daemon {name}" in " ".join(answer.out.split())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "demo"])
def test_every_command_takes_a_config(ask: Ask, name: str) -> None:
    assert "--config" in ask(name, "--help").out


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("status", "--nonsense"),
        ("show",),
        ("show", "twelve"),
        ("jobs", "--state", "lost"),
        ("submit",),
        ("render", "cat.jpg"),
        ("retry",),
        ("retry", "1", "--failed"),
        ("show", "77"),
        ("cancel", "77"),
        ("retry", "77"),
        ("submit", "no-such-photo.jpg"),
        ("submit", SAMPLE, "--set", "sise=3"),
        ("submit", SAMPLE, "--style", "../x"),
        ("render", SAMPLE, "--style", "mosaic", "-o", "x.gif"),
        ("render", SAMPLE, "--style", "mosaik", "-o", "x.png"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_nothing_on_stdout(ask: Ask, words: tuple[object, ...]) -> None:
    answer = ask(*words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err


def test_a_wrong_config_is_exit_code_2_with_line_and_key(ask: Ask, home: Path) -> None:
    with (home / "config.yaml").open("a") as file:
        file.write("sytle: mosaic\n")
    line = len((home / "config.yaml").read_text().splitlines())
    answer = ask("status", "--json")
    assert (answer.code, answer.out) == (2, "")
    assert f"config.yaml, line {line}: sytle: is no key here, did you mean style?" in answer.err


def test_no_config_at_all_is_exit_code_2_and_names_init(ask: Ask, tmp_path: Path) -> None:
    answer = ask("status", "--config", tmp_path / "none.yaml")
    assert answer.code == 2
    assert "nst-daemon init" in answer.err


def test_the_version_is_told(ask: Ask) -> None:
    assert ask("--version").out == f"nst-daemon {__version__}\n"


def test_a_file_name_cannot_steer_the_terminal() -> None:
    assert cli_common.printable("a\x1b[31m\udcff.jpg\tb\n") == "a\\x1b[31m\\udcff.jpg\tb\n"


# ── how fast ────────────────────────────────────────────────────────────────────────────────────────────

HEAVY = (
    "torch", "torchvision", "numpy", "PIL", "matplotlib", "watchdog", "rich", "multiprocessing", "psutil",
)  # fmt: skip


@pytest.mark.parametrize("command", ["status", "styles", "jobs"])
def test_a_quick_command_imports_nothing_heavy(home: Path, command: str) -> None:
    program = (
        "import sys; from nst_daemon.cli.app import app\n"
        f"app([{command!r}, '--json', '--config', sys.argv[1]], standalone_mode=False)\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, home / "config.yaml"], capture_output=True, text=True, check=True
    )
    # `styles` looks at the user's pictures, to say which of them is none, in a process that decodes them.
    assert done.stderr.strip() == ("['numpy']" if command == "styles" else "[]")


# ── init ────────────────────────────────────────────────────────────────────────────────────────────────


def test_init_makes_all_folders_and_a_config_that_works(ask: Ask, tmp_path: Path) -> None:
    answer = ask("init", tmp_path / "new")
    assert answer.code == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "config.yaml",
        "inbox",
        "outbox",
        "styles",
    }
    assert "run --config" in answer.err
    assert ask("status", "--config", tmp_path / "new" / "config.yaml").code == 0


def test_init_never_overwrites(ask: Ask, home: Path) -> None:
    (home / "config.yaml").write_text("inbox: mine\noutbox: theirs\n")
    assert "Kept" in ask("init", home).err
    assert (home / "config.yaml").read_text() == "inbox: mine\noutbox: theirs\n"
    assert (home / "mine").is_dir()


def test_init_without_a_folder_uses_the_platforms(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, no_home: Path
) -> None:
    monkeypatch.delenv("NST_DAEMON_CONFIG")
    answer = ask("init")
    made = config.load(config.default_path())
    assert answer.code == 0
    assert made.folders[0].inbox.is_dir()
    assert made.folders[0].inbox.is_relative_to(no_home)
    assert made.styles.is_dir()
    assert "nst-daemon run`" in answer.err


def test_init_where_nothing_can_be_made_is_exit_code_3(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert ask("init", tmp_path / "file" / "below").code == 3


# ── the ledger ──────────────────────────────────────────────────────────────────────────────────────────


def test_status_works_although_the_daemon_never_ran(ask: Ask) -> None:
    answer = ask("status", "--json")
    assert answer.code == 0
    assert (answer.json["running"], answer.json["pid"], answer.json["version"]) == (False, None, __version__)
    assert "not running" in ask("status").out


def test_status_knows_a_running_daemon(ask: Ask, loaded: Config) -> None:
    with locks.held(loaded.state_dir):
        assert ask("status", "--json").json["running"] is True


def test_pause_and_resume_are_requests_in_the_ledger(ask: Ask, ledger: Ledger) -> None:
    assert ask("pause").code == 0
    assert ledger.requests.is_paused()
    assert ask("status", "--json").json["paused"] is True
    assert ask("resume").code == 0
    assert not ledger.requests.is_paused()


def test_jobs_are_listed_newest_first_and_by_state(ask: Ask, ledger: Ledger, photo: Path) -> None:
    first = submitted(ask, photo, "--style", "mosaic")
    second = submitted(ask, photo, "--style", "woodcut")
    finish(ledger, first, JobState.FAILED, error="It broke.")
    assert [job["job"] for job in ask("jobs", "--json").json] == [second, first]
    assert [job["error"] for job in ask("jobs", "--json", "--state", "failed").json] == ["It broke."]
    assert ask("jobs").out.splitlines()[0].split("\t")[0] == "job"
    assert ask("jobs", "--state", "held", "--json").json == []


def test_show_tells_all_about_a_job(ask: Ask, photo: Path) -> None:
    job = submitted(ask, photo, "--style", "mosaic", "--set", "size=64")
    assert ask("show", job, "--json").json["settings"]["size"] == 64
    assert "mosaic" in ask("show", job).out


def test_cancel_ends_a_waiting_job_once(ask: Ask, photo: Path) -> None:
    job = submitted(ask, photo)
    assert ask("cancel", job).code == 0
    assert ask("show", job, "--json").json["state"] == "cancelled"
    assert ask("cancel", job).code == 0


def test_cancel_asks_a_running_job_to_stop(ask: Ask, ledger: Ledger, photo: Path) -> None:
    job = submitted(ask, photo)
    ledger.queue.claim()
    assert "will stop" in ask("cancel", job).err
    assert ledger.jobs.is_cancelled(job)


def test_what_is_done_cannot_be_cancelled(ask: Ask, ledger: Ledger, photo: Path) -> None:
    job = submitted(ask, photo)
    finish(ledger, job, JobState.DONE, result=photo)
    assert ask("cancel", job).code == 2


def test_retry_takes_up_one_job_or_all_that_failed(ask: Ask, ledger: Ledger, photo: Path) -> None:
    job = submitted(ask, photo)
    assert ask("retry", job).code == 2
    finish(ledger, job, JobState.FAILED, error="It broke.")
    assert ask("retry", job).code == 0
    finish(ledger, job, JobState.FAILED, error="It broke.")
    assert "1 failed job" in ask("retry", "--failed").err
    assert ask("show", job, "--json").json["state"] == "queued"


def test_logs_show_the_last_lines(ask: Ask, loaded: Config) -> None:
    assert ask("logs").code == 3
    loaded.state_dir.mkdir(parents=True, exist_ok=True)
    logs.log_path(loaded.state_dir).write_text("one\ntwo\nthree\n")
    assert ask("logs", "-n", "2").out == "two\nthree\n"


# ── check ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> list[EngineSettings]:
    """Replace the probing of the engine; return what it is asked with."""
    asked = []

    def probe(settings: EngineSettings) -> EngineFacts:
        asked.append(settings)
        others = ("cuda:1", "cuda:2") if settings.device == "auto" else ()
        facts = EngineFacts(state="warm", device="cpu", weights="original", others=others)
        return replace(facts, precision="" if settings.device == "cuda:3" else "float32")

    monkeypatch.setattr("nst_daemon.engine.process.probe", probe)
    return asked


def test_check_finds_nothing_wrong_with_a_fresh_start(ask: Ask, probe: list[EngineSettings]) -> None:
    answer = ask("check")
    assert answer.code == 0, answer.out
    assert "PROBLEM" not in answer.out
    assert "engine vgg19 (original) on cpu in float32" in answer.out
    assert len(probe) == 1


def test_check_says_that_the_first_painting_chooses_the_precision(
    ask: Ask, home: Path, probe: list[EngineSettings]
) -> None:
    text = (home / "config.yaml").read_text()
    (home / "config.yaml").write_text(text.replace("#  devices:", "  devices: [cuda:3]"))
    assert "on cpu in a precision that the first painting chooses" in ask("check").out


def test_check_starts_an_engine_on_each_device(ask: Ask, home: Path, probe: list[EngineSettings]) -> None:
    text = (home / "config.yaml").read_text()
    (home / "config.yaml").write_text(text.replace("#  devices:", "  devices: [cpu, cuda:1, cpu]"))
    assert ask("check").out.count("engine vgg19 (original) on") == 2
    assert [settings.device for settings in probe] == ["cpu", "cuda:1"]
    probe.clear()
    (home / "config.yaml").write_text(text.replace("#  devices:", "  devices: all"))
    ask("check")
    assert [settings.device for settings in probe] == ["auto", "cuda:1", "cuda:2"]


def test_check_names_what_is_missing_with_the_fix(ask: Ask, home: Path, probe: list[EngineSettings]) -> None:
    (home / "outbox").rmdir()
    with (home / "config.yaml").open("a") as file:
        file.write("rules: [{match: x, style: mosaik}]\n")
    answer = ask("check")
    assert answer.code == 3
    assert f"PROBLEM  outbox {home / 'outbox'} is missing" in answer.out
    assert "Did you mean mosaic?" in answer.out
    assert probe


def test_check_of_a_config_that_is_not_there_or_broken_is_a_red_line(ask: Ask, home: Path) -> None:
    answer = ask("check", "--config", home / "none.yaml")
    assert (answer.code, answer.err) == (2, "")
    assert answer.out.startswith("PROBLEM  config There is no config at")
    assert "docs/errors.md#config_missing" in answer.out
    (home / "config.yaml").write_text("inboxx: here\n")
    answer = ask("check")
    assert answer.code == 2
    assert "did you mean inbox?" in answer.out
    assert "docs/errors.md#config_invalid" in answer.out


def test_an_error_names_its_section_of_the_docs(ask: Ask) -> None:
    assert "docs/errors.md#usage" in ask("show", 99).err
    assert "docs/errors.md#not_running" in ask("stop").err


def test_jobs_can_be_filtered(ask: Ask, ledger: Ledger, photo: Path) -> None:
    first = submitted(ask, photo, "--style", "mosaic")
    second = submitted(ask, photo, "--style", "[woodcut, {etching: 0.5}]")

    def listed(*words: object) -> list[int]:
        return [job["job"] for job in ask("jobs", "--json", *words).json]

    assert listed() == [second, first]
    assert listed("--style", "Etching") == [second]
    assert listed("--photo", "cat.*") == [second, first]
    assert listed("--photo", "dog.*") == []
    assert listed("--last", 1) == [second]
    assert listed("--state", "failed") == []
    assert "No such jobs." in ask("jobs", "--style", "pastel").err


def test_check_shows_an_engine_that_cannot_start(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: EngineSettings) -> EngineFacts:
        raise MissingError("No such device.", remedy="Take another.")

    monkeypatch.setattr("nst_daemon.engine.process.probe", refuse)
    answer = ask("check")
    assert answer.code == 3
    assert "PROBLEM  engine No such device.\n         Take another." in answer.out


def test_check_shows_a_disk_and_a_watch_limit_that_are_short(
    ask: Ask, tmp_path: Path, probe: list[EngineSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "limit").write_text("1\n")
    monkeypatch.setattr(cli_checks, "INOTIFY", tmp_path / "limit")
    monkeypatch.setattr(cli_checks, "LEAST_FREE", 10**18)
    answer = ask("check")
    assert answer.code == 3
    assert "PROBLEM  watch limit 1 folders, 1 needed\n         sudo sysctl" in answer.out
    assert "PROBLEM  disk" in answer.out
    assert probe


def looked_at(home: Path) -> list[cli_checks.Finding]:
    """Return all findings but the engine's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli_checks, "_engines", lambda config: iter(()))
        return list(cli_checks.findings(config.load(home / "config.yaml")))


def wrong(home: Path) -> list[tuple[str, str]]:
    return [(finding.what, finding.code) for finding in looked_at(home) if not finding.is_ok]


@pytest.mark.parametrize("key", ["inbox", "outbox"])
def test_check_shows_a_folder_that_cannot_be_written(home: Path, faults: Faults, key: str) -> None:
    faults.fail_for_ever("open", number=errno.EACCES, at=lambda path: path.parent == home / key)
    assert wrong(home) == [(f"{key} {home / key} cannot be written: Permission denied", "read_only")]
    assert not list((home / key).iterdir())


def test_check_needs_no_right_to_write_where_originals_stay(home: Path, faults: Faults) -> None:
    text = (home / "config.yaml").read_text()
    (home / "config.yaml").write_text(text.replace("#originals: move", "originals: keep"))
    faults.fail_for_ever("open", number=errno.EROFS, at=lambda path: path.parent == home / "inbox")
    assert wrong(home) == []


@pytest.mark.parametrize("call", ["scandir", "lstat"])
def test_check_shows_an_inbox_that_may_not_be_read(home: Path, faults: Faults, call: str) -> None:
    inbox = home / "inbox"
    (inbox / "a.jpg").write_bytes(b"x")
    faults.fail_for_ever(call, number=errno.EACCES, at=lambda path: inbox in (path, path.parent))
    assert wrong(home)[0] == (f"inbox {inbox} may not be read: Permission denied", "inbox_unreadable")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.ENOLCK, errno.EROFS])
@pytest.mark.parametrize("call", CALLS)
def test_check_survives_every_fault_that_it_is_to_find(
    home: Path, faults: Faults, call: str, number: int
) -> None:
    (home / "inbox" / "a.jpg").write_bytes(b"x")
    faults.fail_for_ever(
        call, number=number, at=lambda path: path.is_relative_to(home) and path.suffix != ".yaml"
    )
    for finding in looked_at(home):
        assert finding.is_ok or finding.code


def test_check_warns_of_an_inbox_in_the_library_of_another_program(home: Path) -> None:
    inbox = home / "Photos Library.photoslibrary" / "originals"
    inbox.mkdir(parents=True)
    text = (home / "config.yaml").read_text().replace("inbox: inbox", f"inbox: {inbox}")
    (home / "config.yaml").write_text(text)
    assert [code for _, code in wrong(home)] == ["inbox_in_library"]
    (home / "config.yaml").write_text(text.replace("#originals: move", "originals: keep"))
    assert wrong(home) == []


def test_check_tells_a_file_in_place_of_a_folder(home: Path) -> None:
    state = config.load(home / "config.yaml").state_dir
    state.parent.mkdir(parents=True, exist_ok=True)
    state.write_bytes(b"x")
    assert wrong(home) == [(f"state_dir {state} is no folder", "state_dir_missing")]


def test_check_opens_the_ledger_and_tells_of_a_state_folder_that_others_may_read(home: Path) -> None:
    state = config.load(home / "config.yaml").state_dir
    state.mkdir(parents=True)
    state.chmod(0o755)
    assert wrong(home) == [(f"state_dir {state} may be read by others", "state_dir_open")]
    with Ledger(state / "ledger.db"):
        pass
    state.chmod(0o755)
    assert "state_dir could be read by others until now, and is closed" in [
        each.what for each in looked_at(home)
    ]
    assert wrong(home) == []


def test_check_says_what_lies_in_an_inbox_before_the_first_start(home: Path) -> None:
    for number in range(3):
        (home / "inbox" / f"{number}.jpg").write_bytes(b"x")
    lines = [finding.what for finding in looked_at(home) if "already" in finding.what]
    archive = home / "archive"
    assert lines == [
        f"inbox 3 photos are in the inbox {home / 'inbox'} already: to be painted, and moved to {archive}."
    ]
