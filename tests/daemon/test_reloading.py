"""An edit of config.yaml while the daemon runs."""

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.daemons import CONFIG, Home, hang_up, running
from support.faults import Faults
from support.waiting import WAIT_SECONDS

from nst_daemon.config import Config, TrayMode, load
from nst_daemon.daemon.reloading import LOOK_SECONDS, ConfigWatch
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState

WaitFor = Callable[..., None]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def edits(home: Home, clock: FakeClock) -> ConfigWatch:
    return ConfigWatch(home.config, clock=clock)


def edit(home: Home, old: str, new: str) -> None:
    text = home.source.read_text()
    assert old in text
    home.source.write_text(text.replace(old, new))


def looks(edits: ConfigWatch, clock: FakeClock, times: int = 4) -> list[Config]:
    found = []
    for _ in range(times):
        clock.advance(LOOK_SECONDS)
        found.append(edits.look())
    return [config for config in found if config is not None]


# ── the file ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_that_nobody_edits_is_no_news(edits: ConfigWatch, clock: FakeClock) -> None:
    assert looks(edits, clock) == []
    assert edits.problems == []


def test_an_edit_is_news_once(home: Home, edits: ConfigWatch, clock: FakeClock) -> None:
    looks(edits, clock)
    edit(home, "style: stripes", "style: dots")
    (config,) = looks(edits, clock)
    assert config.folders[0].style == "dots"


def test_an_edit_from_before_the_first_look_is_news(home: Home, clock: FakeClock) -> None:
    config = home.config
    edit(home, "style: stripes", "style: dots")
    assert len(looks(ConfigWatch(config, clock=clock), clock)) == 1


def test_a_file_that_was_touched_or_commented_is_no_news(
    home: Home, edits: ConfigWatch, clock: FakeClock
) -> None:
    looks(edits, clock)
    home.source.write_text(CONFIG + "# a comment\n")
    assert looks(edits, clock) == []


def test_a_file_that_is_still_being_written_is_not_read(
    home: Home, edits: ConfigWatch, clock: FakeClock
) -> None:
    looks(edits, clock)
    whole = CONFIG.replace("style: stripes", "style: dots")
    for length in range(60, len(whole), 10):  # good YAML in between, without its last lines
        home.source.write_text(whole[:length])
        clock.advance(LOOK_SECONDS)
        assert edits.look() is None
    assert edits.problems == []
    home.source.write_text(whole)
    assert [config.folders[0].style for config in looks(edits, clock)] == ["dots"]


def test_a_bad_edit_keeps_the_last_good_config_and_names_file_line_and_key_until_it_is_mended(
    home: Home, edits: ConfigWatch, clock: FakeClock
) -> None:
    edit(home, "style: stripes", "stlye: stripes")
    assert looks(edits, clock) == []
    (problem,) = edits.problems
    assert problem.code == "config_invalid"
    assert f"{home.source}, line 5" in problem.message
    assert "stlye" in problem.message
    assert "style" in problem.message + problem.remedy
    home.source.write_text(CONFIG)
    assert looks(edits, clock) == []  # the last good one holds all the time
    assert edits.problems == []


def test_a_config_that_has_gone_is_shown_and_the_last_good_one_holds(
    home: Home, edits: ConfigWatch, clock: FakeClock
) -> None:
    looks(edits, clock)
    home.source.unlink()
    assert looks(edits, clock) == []
    assert [problem.code for problem in edits.problems] == ["config_invalid"]


def test_another_state_folder_needs_a_restart_and_all_else_holds_at_once(
    home: Home, edits: ConfigWatch, clock: FakeClock
) -> None:
    edit(home, "state_dir: state\nstyle: stripes", "state_dir: other\nstyle: dots")
    (config,) = looks(edits, clock)
    assert (config.state_dir, config.folders[0].style) == (home.path / "state", "dots")
    assert [problem.code for problem in edits.problems] == ["restart_needed"]


def test_a_tray_that_the_command_line_forbids_stays_forbidden(home: Home, clock: FakeClock) -> None:
    edit(home, "tray: off", "tray: on")
    edits = ConfigWatch(replace(home.config, tray=TrayMode.OFF), clock=clock)
    looks(edits, clock)
    edit(home, "style: stripes", "style: dots")
    assert [config.tray for config in looks(edits, clock)] == [TrayMode.OFF]


def test_an_edit_of_the_tray_in_the_first_seconds_is_an_edit(home: Home, clock: FakeClock) -> None:
    edits = ConfigWatch(home.config, clock=clock, keeps_tray=False)
    for before, after in (("off", "auto"), ("auto", '"on"')):
        edit(home, f"tray: {before}", f"tray: {after}")
        (config,) = looks(edits, clock)
        assert config.tray == after.strip('"')


@pytest.mark.parametrize("in_file", ["auto", "on", "off"])
def test_no_tray_holds_whatever_the_file_says_and_becomes(home: Home, clock: FakeClock, in_file: str) -> None:
    edit(home, "tray: off", f"tray: {in_file}")
    edits = ConfigWatch(replace(load(home.source), tray=TrayMode.OFF), clock=clock, keeps_tray=True)
    edit(home, f"tray: {in_file}", "tray: 'on'")
    assert looks(edits, clock) == []
    edit(home, "style: stripes", "style: dots")
    assert [config.tray for config in looks(edits, clock)] == [TrayMode.OFF]


@pytest.mark.parametrize("call", ["stat", "open", "read"])
def test_a_config_on_a_sick_disk_is_read_when_it_is_well_again(
    home: Home, edits: ConfigWatch, clock: FakeClock, faults: Faults, call: str
) -> None:
    looks(edits, clock)
    edit(home, "style: stripes", "style: dots")
    faults.fail_for_ever(call, number=errno.EIO, at=home.source)
    assert looks(edits, clock) == []
    assert [problem.code for problem in edits.problems] == ([] if call == "stat" else ["config_unreadable"])
    faults.heal()
    (config,) = looks(edits, clock)
    assert config.folders[0].style == "dots"
    assert edits.problems == []


def test_a_config_behind_a_link_is_followed(home: Home, clock: FakeClock) -> None:
    real = home.source.rename(home.path / "dotfile.yaml")
    home.source.symlink_to(real)
    edits = ConfigWatch(load(home.source), clock=clock)
    looks(edits, clock)
    real.write_text(CONFIG.replace("style: stripes", "style: dots"))
    assert len(looks(edits, clock)) == 1


# ── the running daemon ──────────────────────────────────────────────────────────────────────────────────


def wait_until_ready(home: Home, wait_for: WaitFor) -> None:
    def is_ready() -> bool:
        if not (home.path / "state" / "ledger.db").exists():
            return False
        with Ledger(home.path / "state" / "ledger.db") as ledger:
            return ledger.presence.ready_pid() is not None

    wait_for(is_ready, seconds=WAIT_SECONDS, what="the daemon")


def test_a_good_edit_applies_to_a_running_daemon_and_loses_no_job(home: Home, wait_for: WaitFor) -> None:
    outbox = home.path / "outbox"
    with running(home, seconds=1.0) as process:
        home.drop("a.jpg", b"a")
        wait_for(lambda: JobState.RUNNING in home.states().values(), what="the first job")
        (home.path / "second").mkdir()
        edit(
            home,
            "inbox: inbox\noutbox: outbox\n",
            "inbox: inbox\noutbox: outbox\nfolders: [{inbox: second, outbox: outbox, style: stripes}]\n",
        )
        edit(home, "style: stripes\ntray", "style: dots\noriginals: keep\ntray")
        home.drop("b.jpg", b"b")  # by whichever config holds when it is taken in
        hang_up(process)
        wait_for((outbox / "a.stripes.jpg").exists, what="what was being painted")
        (home.path / "second" / "d.jpg").write_bytes(b"d")
        wait_for((outbox / "d.stripes.jpg").exists, seconds=WAIT_SECONDS, what="the new folder's photo")
        home.drop("c.jpg", b"c")
        wait_for((outbox / "c.dots.jpg").exists, seconds=WAIT_SECONDS, what="a photo in the new style")
        wait_for(lambda: set(home.states().values()) == {JobState.DONE})
    assert [job.attempts for job in home.jobs()] == [1, 1, 1, 1]
    assert (home.path / "inbox" / "c.jpg").exists()  # originals: keep
    assert len(home.files("outbox")) == 4


def test_an_edit_is_found_without_a_signal(home: Home, wait_for: WaitFor) -> None:
    with running(home):
        wait_until_ready(home, wait_for)
        edit(home, "style: stripes", "style: 7: 8")
        wait_for(lambda: home.codes() == ["config_invalid"], seconds=WAIT_SECONDS)
        home.drop("a.jpg", b"a")  # the last good config holds
        wait_for((home.path / "outbox" / "a.stripes.jpg").exists, seconds=WAIT_SECONDS)
        home.source.write_text(CONFIG)
        wait_for(lambda: home.codes() == [], seconds=WAIT_SECONDS)


def test_other_engine_settings_begin_a_new_engine_at_the_next_job(home: Home, wait_for: WaitFor) -> None:
    home.source.write_text(CONFIG + "engine: {device: xpu}\n")
    with running(home, engine="process") as process:
        home.drop("a.jpg", b"a")
        wait_for(lambda: process.is_alive() and _has_ledger(home) and home.codes() == ["engine_missing"])
        home.source.write_text(CONFIG + "engine: {device: cpu}\n")
        hang_up(process)
        wait_for((home.path / "outbox" / "a.stripes.jpg").exists, seconds=WAIT_SECONDS)
        wait_for(lambda: home.codes() == [])
    (job,) = home.jobs()
    assert (job.state, job.attempts) == (JobState.DONE, 1)


def _has_ledger(home: Home) -> bool:
    return (home.path / "state" / "ledger.db").exists()


def test_a_folder_that_is_taken_out_of_the_config_keeps_its_queued_jobs(
    home: Home, wait_for: WaitFor
) -> None:
    (home.path / "other").mkdir()
    with running(home, seconds=0.5) as process:
        for name in ("a.jpg", "b.jpg"):
            home.drop(name, name.encode())
        wait_for(lambda: _has_ledger(home) and len(home.states()) == 2)
        edit(home, "inbox: inbox", "inbox: other")
        hang_up(process)
        wait_for(lambda: set(home.states().values()) == {JobState.DONE}, seconds=WAIT_SECONDS)
    assert home.files("outbox") == ["a.stripes.jpg", "b.stripes.jpg"]
    assert home.files("inbox") + home.files("archive") != []
