"""All inboxes of a config: each watched, and worked on by one daemon only."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from nst_daemon.config import Folder, Watch
from nst_daemon.folders.inbox import Inbox
from nst_daemon.folders.lease import Lease
from nst_daemon.ledger.jobs import Problem, problem_of


class Inboxes:
    """Every inbox, with its lease. Lives on the intake's thread."""

    def __init__(
        self,
        folders: Sequence[Folder],
        watch: Watch,
        *,
        clock: Callable[[], float] = time.monotonic,
        **parts: Any,
    ) -> None:
        self.all = tuple(Inbox(folder, watch, clock=clock, **parts) for folder in folders)
        self._clock = clock
        self._leases: dict[Path, Lease] = {}
        self._mounts: dict[Path, object] = {}  # what is remembered of them

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def claim_for(self, owner: str) -> None:
        """Work on the inboxes in the name of a ledger, unless another daemon does."""
        self._leases = {inbox.path: Lease(inbox.path, owner, clock=self._clock) for inbox in self.all}

    def recall_mounts(self, recall: Callable[[str], str | None]) -> None:
        """Learn which disks the inboxes were on when a daemon worked on them last."""
        for inbox in self.all:
            known = recall(f"mount {inbox.path}")
            inbox.expected_mount = None if known is None else Path(known)
            inbox.mounts = frozenset(map(Path, json.loads(recall(f"mounts in {inbox.path}") or "[]")))
            self._mounts[inbox.path] = inbox.expected_mount, inbox.mounts

    def remember_mounts(self, remember: Callable[[str, str], None]) -> None:
        """Keep which disks the inboxes are on, where that has changed."""
        for inbox in self.all:
            seen = inbox.expected_mount, inbox.mounts
            if inbox.expected_mount is not None and seen != self._mounts.get(inbox.path):
                self._mounts[inbox.path] = seen
                remember(f"mount {inbox.path}", str(inbox.expected_mount))
                remember(f"mounts in {inbox.path}", json.dumps(sorted(map(str, inbox.mounts))))

    def tend(self) -> None:
        """Keep the watching of every inbox alive."""
        for inbox in self.all:
            inbox.tend()

    def is_ours(self, inbox: Inbox) -> bool:
        """Return whether no other daemon works on an inbox. What happens in another's is not followed."""
        lease = self._leases.get(inbox.path)
        if lease is None or not inbox.is_watched() or lease.is_held():
            return True
        inbox.hints()
        inbox.leave_to_another(is_certain=lease.holder is not None)
        return False

    def inbox_of(self, path: Path) -> Inbox | None:
        """Return the inbox that a path lies in."""
        return next((inbox for inbox in self.all if path.is_relative_to(inbox.path)), None)

    def problems(self) -> list[Problem]:
        """Return what a user could mend."""
        found = [problem for inbox in self.all for problem in inbox.problems()]
        for path, lease in self._leases.items():
            if lease.trouble is not None:
                found.append(problem_of(lease.trouble.named("inbox")))
            if lease.holder is not None:
                who = f"{lease.holder.host}, process {lease.holder.pid}"
                found.append(
                    Problem(
                        code="inbox_shared",
                        message=f"Another daemon ({who}) works on the inbox {path}; this one stands by.",
                        remedy="Stop one of them; this one goes on by itself when the other has ended.",
                    )
                )
        return found

    def close(self) -> None:
        """Stop watching, and leave the inboxes to other daemons."""
        for inbox in self.all:
            inbox.close()
        for lease in self._leases.values():
            lease.release()
