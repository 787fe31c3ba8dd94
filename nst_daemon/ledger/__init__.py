"""Durable jobs, and the requests and facts about them. All the SQL of the program is in this package.

A `Ledger` is one file and its parts: jobs, queue, attempts, facts, requests, presence, problems, seen.
Whoever needs no more than one of them is given that one.
"""

from nst_daemon.ledger.ledger import Added, Duplicate, Ledger
from nst_daemon.ledger.requests import Request
from nst_daemon.ledger.rows import UNREAD
from nst_daemon.ledger.seen import Seen, Verdict

__all__ = ["UNREAD", "Added", "Duplicate", "Ledger", "Request", "Seen", "Verdict"]
