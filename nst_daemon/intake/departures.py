"""Photos that have left their inbox, or turn out to be none to paint: forgotten, and their jobs cancelled."""

import logging
from pathlib import Path

from nst_daemon import disk
from nst_daemon.folders.inbox import Inbox
from nst_daemon.intake.admission import GONE
from nst_daemon.intake.in_hand import InHand
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import UNFINISHED

logger = logging.getLogger(__name__)


class Departures:
    """Forgets photos and cancels their jobs. Lives on the intake's thread."""

    def __init__(self, ledger: Ledger, in_hand: InHand) -> None:
        self._ledger = ledger
        self._in_hand = in_hand

    def gone(self, inbox: Inbox, path: Path, *, was_read: bool = False) -> None:
        """Forget a photo that has left its inbox, and cancel what was to become of it.

        Nothing is concluded from an error: its folder reads well and lacks it. `was_read`: just now.

        Raises:
            ConditionError: nobody knows whether it has.
        """
        if disk.is_there(path) or not inbox.is_present() or inbox.has_lost(path):
            return
        if not was_read and not disk.is_gone(path, root=inbox.path):
            return
        self._in_hand.forget(path)
        self._ledger.seen.forget(path)
        self.cancel(path, GONE)

    def cancel(self, path: Path, reason: str) -> None:
        """Cancel the jobs of a file that have not ended."""
        for job in self._ledger.jobs.of_photo(path):
            if job.state in UNFINISHED and not job.cancel_requested:
                logger.info("job %d of %s was cancelled: %s", job.id, job.photo, reason)
                self._ledger.cancel(job.id, reason=reason)
