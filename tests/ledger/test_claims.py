"""Which job is claimed where some are in a style that is at hand."""

from pathlib import Path

from support.new_jobs import new_job

from nst_daemon.config.recipe import Style
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.queue import FEW, PASSED

OIL = Style(name="oil", path=Path("/styles/oil.jpg"), sha256="1" * 64)
INK = Style(name="ink", path=Path("/styles/ink.jpg"), sha256="2" * 64)


def add(ledger: Ledger, style: Style, count: int = 1) -> None:
    for _ in range(count):
        number = sum(ledger.snapshot(running=False).counts.values())
        ledger.add(new_job(f"k{number}", styles=(style,)))


def claimed(ledger: Ledger, style: Style | None) -> int:
    job = ledger.queue.claim(styles={style.sha256} if style else ())
    assert job is not None
    return job.id


def test_of_the_first_few_a_job_in_a_style_that_is_at_hand_goes_first(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        add(ledger, OIL, 2)
        add(ledger, INK, 2)
        assert [claimed(ledger, INK), claimed(ledger, INK)] == [3, 4]
        assert claimed(ledger, INK) == 1  # no device waits for a style
        assert claimed(ledger, None) == 2


def test_the_oldest_job_is_passed_over_so_often_only(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        add(ledger, OIL)
        add(ledger, INK, PASSED + 3)
        order = [claimed(ledger, INK) for _ in range(PASSED + 2)]
        assert order.index(1) == PASSED
        assert order == [*range(2, PASSED + 2), 1, PASSED + 2]


def test_no_more_than_a_few_jobs_are_looked_through(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        add(ledger, OIL, FEW)
        add(ledger, INK)
        assert claimed(ledger, INK) == 1
        assert claimed(ledger, INK) == FEW + 1


def test_what_was_looked_at_ahead_goes_first_and_to_nobody_else_if_there_is_more(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        add(ledger, OIL, 2)
        add(ledger, INK, 2)
        ink = {INK.sha256}
        looked = [ledger.queue.look_ahead(styles=ink, others=others) for others in ((), {3}, {3, 4})]
        assert [job.id for job in looked if job is not None] == [3, 4, 1]
        assert ledger.queue.look_ahead(others={1, 2, 3, 4}) is None
        job = ledger.queue.claim(styles=ink, ahead=2)
        assert job is not None
        assert job.id == 2
        (first,) = {job.id for job in [ledger.queue.look_ahead(styles={OIL.sha256})] if job is not None}
        assert first == 1
        ledger.requests.pause()
        assert ledger.queue.look_ahead() is None
