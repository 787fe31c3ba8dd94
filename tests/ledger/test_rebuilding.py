"""What is kept and what is made anew: history, and a ledger that was lost."""

import time
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.daemons import CONFIG, Home
from support.place import Place

from nst_daemon.errors import ExitCode
from nst_daemon.intake.intake import HISTORY_SECONDS, SWEEP_SECONDS
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState


@pytest.fixture
def place(tmp_path: Path, clock: FakeClock) -> Place:
    return Place(tmp_path, clock)


def test_a_corrupt_ledger_is_rebuilt_and_nothing_is_painted_again(tmp_path: Path) -> None:
    home = Home(tmp_path, CONFIG + "originals: keep\n")
    for number in range(3):
        home.drop(f"trip/{number}.jpg", b"%d" % number)
    assert home.run_once() == ExitCode.FINE
    before = {job.key: job.result for job in home.jobs()}
    results = {path: (tmp_path / "outbox" / path).stat().st_ino for path in home.files("outbox")}
    (tmp_path / "state" / "ledger.db").write_bytes(b"not a database at all" * 400)
    home.drop("trip/new.jpg", b"new")

    assert home.run_once() == ExitCode.FINE

    assert len(list((tmp_path / "state").glob("ledger.corrupt-*.db"))) == 1
    jobs = home.jobs()
    assert {job.key: job.result for job in jobs if job.photo != "trip/new.jpg"} == before
    assert {job.state for job in jobs} == {JobState.DONE}
    assert [job.attempts for job in jobs if job.photo != "trip/new.jpg"] == [0, 0, 0]  # known, not painted
    for path, inode in results.items():
        assert (tmp_path / "outbox" / path).stat().st_ino == inode
    assert home.files("outbox") == sorted([*results, "trip/new.stripes.jpg"])


def test_a_job_that_is_done_is_forgotten_after_its_time(place: Place, clock: FakeClock) -> None:
    clock.now = time.time()
    place.drop("old.jpg", b"old")
    place.run()
    job = place.only_job()
    place.paint(job)
    place.archive(job)
    clock.advance(HISTORY_SECONDS)
    place.drop("new.jpg", b"new")
    place.run()
    new = place.jobs()[-1]
    place.paint(new)
    place.archive(new)
    assert place.ledger.prune(clock() - HISTORY_SECONDS + 60) == 1
    assert [job.photo for job in place.jobs()] == ["new.jpg"]
    place.close()


def test_the_sweep_of_the_intake_prunes(place: Place, clock: FakeClock) -> None:
    clock.now = 1.0  # 1970: the ledger's times are long ago
    place.drop("old.jpg", b"old")
    place.run()
    job = place.only_job()
    place.paint(job)
    place.archive(job)
    clock.advance(SWEEP_SECONDS)
    place.tick()
    assert place.jobs() == []
    place.close()


def test_no_key_is_forgotten_while_its_photo_is_in_the_inbox(place: Place, clock: FakeClock) -> None:
    place.drop("kept.jpg", b"kept")
    place.run()
    job = place.only_job()
    place.paint(job)
    place.ledger.mark_disposed(job.id, job.original)  # originals: keep
    assert place.ledger.prune(clock() + HISTORY_SECONDS) == 0
    (place.inbox / "kept.jpg").touch()
    place.run()
    assert [(job.id, job.state) for job in place.jobs()] == [(job.id, JobState.DONE)]
    place.close()


def test_what_failed_or_waits_or_owes_its_original_a_place_is_never_forgotten(
    place: Place, clock: FakeClock
) -> None:
    place.drop("text.jpg", b"text")
    for name in ("owes.jpg", "waits.jpg"):
        place.drop(name, name.encode())
    place.run()
    owes = next(job for job in place.jobs() if job.photo == "owes.jpg")
    place.paint(owes)
    for path in place.inbox.iterdir():
        place.ledger.seen.forget(path)
    assert place.ledger.prune(clock() + HISTORY_SECONDS) == 0
    assert set(place.states()) == {JobState.FAILED, JobState.DONE, JobState.QUEUED}
    place.close()


def test_the_ledger_of_an_earlier_version_gets_what_is_new(tmp_path: Path, clock: FakeClock) -> None:
    from nst_daemon.ledger import file as ledger_file
    from nst_daemon.ledger import schema as ledger_schema

    path = tmp_path / "ledger.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_file, "MIGRATIONS", ledger_schema.MIGRATIONS[:1])
        ledger_file.LedgerFile(path, clock=clock).close()
    with Ledger(path) as ledger:
        ledger.queue.set_foreign([tmp_path])
        assert ledger.queue.claim() is None
    assert (tmp_path / "ledger.schema-1.db").exists()
