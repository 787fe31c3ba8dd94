"""Photos that are ready but for a sidecar which may still come; then they become jobs."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nst_daemon.config import Config
from nst_daemon.disk import Stamp, stamp_of
from nst_daemon.folders.inbox import Inbox
from nst_daemon.folders.inboxes import Inboxes
from nst_daemon.folders.sidecars import fingerprint
from nst_daemon.intake.admission import Admission
from nst_daemon.intake.arrivals import Arrival, AwaitingSidecar, sidecar_wait
from nst_daemon.intake.in_hand import InHand
from nst_daemon.intake.inspection import Readable
from nst_daemon.intake.repairing import Repairs
from nst_daemon.ledger import Ledger, Seen
from nst_daemon.ledger.jobs import UNFINISHED
from nst_daemon.system.crash import CrashPoint, crash_at

REPLACED: Final = "the photo was replaced by another of the same name"


class Awaiting:
    """Lets photos wait for their sidecars, and admits them. Lives on the intake's thread."""

    def __init__(
        self,
        *,
        config: Config,
        inboxes: Inboxes,
        ledger: Ledger,
        in_hand: InHand,
        admission: Admission,
        repairs: Repairs,
        clock: Callable[[], float],
    ) -> None:
        self._watch = config.watch
        self._inboxes = inboxes
        self._ledger = ledger
        self._in_hand = in_hand
        self._admission = admission
        self._repairs = repairs
        self._clock = clock

    def put(self, inbox: Inbox, path: Path, stamp: Stamp, answer: Readable, copy: Path, sha256: str) -> None:
        """Let a photo wait that was read and copied. Raises: ConditionError."""
        arrival = Arrival(
            path=path,
            relative=path.relative_to(inbox.path),
            folder=inbox.folder,
            stamp=stamp,
            sha256=sha256,
            copy=copy,
            keywords=answer.keywords,
        )
        due = self._clock() + sidecar_wait(path, self._watch, now=time.time())
        self._in_hand.awaiting[path] = AwaitingSidecar(arrival, fingerprint(path), due)

    def admit(self) -> None:
        """Make jobs of those that have waited long enough. Raises: ConditionError."""
        now = self._clock()
        for path, awaiting in list(self._in_hand.awaiting.items()):
            if now < awaiting.due:
                continue
            with self._in_hand.delays.apart(path):
                sidecars = fingerprint(path)
                if sidecars != awaiting.sidecars:  # one has come: it has to stand still, too
                    awaiting.sidecars, awaiting.due = sidecars, now + self._watch.settle_seconds
                    continue
                self._admit(path, awaiting)
            self._in_hand.awaiting.pop(path, None)

    def _admit(self, path: Path, awaiting: AwaitingSidecar) -> None:
        arrival = awaiting.arrival
        inbox = self._inboxes.inbox_of(path)
        if inbox is None or stamp_of(path) != arrival.stamp:
            return self._in_hand.settler.notice(path)
        if self._repairs.set_mask_aside(inbox, path, arrival.stamp):  # its sidecar has come meanwhile
            return None
        for job in self._ledger.jobs.of_photo(path):
            if job.state in UNFINISHED and job.photo_sha256 != arrival.sha256:
                self._ledger.cancel(job.id, reason=REPLACED)
        verdict = self._admission.admit(arrival)
        crash_at(CrashPoint.ADDED)
        if verdict is None:
            return self._in_hand.settler.notice(path)
        self._in_hand.delays.forget(path)
        return self._ledger.seen.mark(
            Seen(
                path=path,
                root=inbox.path,
                stamp=arrival.stamp,
                verdict=verdict,
                photo_sha256=arrival.sha256,
                keywords=arrival.keywords,
                sidecar=awaiting.sidecars,
            )
        )
