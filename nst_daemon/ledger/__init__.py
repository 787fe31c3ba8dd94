"""Durable jobs, and the requests and facts about them. All the SQL of the program is in this package."""

from nst_daemon.ledger.facts import Request
from nst_daemon.ledger.ledger import Added, Duplicate, Ledger
from nst_daemon.ledger.rows import UNREAD
from nst_daemon.ledger.schema import Seen, Verdict

__all__ = ["UNREAD", "Added", "Duplicate", "Ledger", "Request", "Seen", "Verdict"]
