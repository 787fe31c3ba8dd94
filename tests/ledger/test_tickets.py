"""Tickets to the page: each is taken once, within a minute, by whichever process holds the ledger."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clock import FakeClock

from nst_daemon.ledger import Ledger
from nst_daemon.ledger.tickets import LIFE_SECONDS


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db", clock=clock) as ledger:
        yield ledger


def test_a_ticket_is_taken_once_by_another_process_too(
    ledger: Ledger, tmp_path: Path, clock: FakeClock
) -> None:
    ticket = ledger.tickets.issue()
    with Ledger(tmp_path / "ledger.db", clock=clock) as other:
        assert other.tickets.take(ticket)
        assert not other.tickets.take(ticket)
    assert not ledger.tickets.take(ticket)
    assert not ledger.tickets.take("")


def test_a_ticket_is_good_for_a_minute(ledger: Ledger, clock: FakeClock) -> None:
    fresh, stale = ledger.tickets.issue(), ledger.tickets.issue()
    clock.advance(LIFE_SECONDS - 1)
    assert ledger.tickets.take(fresh)
    clock.advance(2)
    assert not ledger.tickets.take(stale)


def test_a_clock_that_was_set_back_keeps_no_ticket_alive(ledger: Ledger, clock: FakeClock) -> None:
    ticket = ledger.tickets.issue()
    clock.advance(-3600)
    assert not ledger.tickets.take(ticket)


def test_the_ledger_holds_no_ticket_and_forgets_those_that_nobody_took(
    ledger: Ledger, tmp_path: Path, clock: FakeClock
) -> None:
    ticket = ledger.tickets.issue()
    for _ in range(3):
        clock.advance(LIFE_SECONDS + 1)
        ledger.tickets.issue()
    with ledger.file.read() as db:
        names = [row["name"] for row in db.execute("SELECT name FROM facts WHERE name LIKE 'page ticket %'")]
    assert len(names) == 1
    assert not any(ticket.encode() in path.read_bytes() for path in tmp_path.glob("ledger.db*"))
