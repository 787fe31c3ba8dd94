"""Which of several daemons works on an inbox: the one that holds its lease; the others stand by.

The lease lies where those alone can put it who may work on the inbox: as a hidden file in the inbox where
others may write there too, or on a network share, so that daemons of several machines and users see it; in
our own state folder where the inbox is ours alone, and stays as clean as it was. It is no lock of the
operating system: those do not hold on every share. It is renewed, and one that is not renewed any more has
lost its daemon. A link is never followed.
"""

import hashlib
import json
import logging
import os
import platform
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.config import state_home
from nst_daemon.disk.files import temporary_in
from nst_daemon.errors import ConditionError, FileConditionError, NameRefusedError, Trouble
from nst_daemon.folders.mounts import is_silent
from nst_daemon.system.machine import is_alive

logger = logging.getLogger(__name__)

NAME: Final = ".nst-lease"
RENEW_SECONDS: Final = 20.0
EXPIRE_SECONDS: Final = 120.0  # six renewals missed: a suspended laptop, or a daemon that is no more
CONFIRM_SECONDS: Final = 2.0  # between taking a lease over and believing it: two may try at once
MAX_BYTES: Final = 4096  # of a lease; ours has a hundred
LEASES: Final = "leases"  # a folder in the state folder
WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
NOBODY_CAN: Final = frozenset({Trouble.READ_ONLY, Trouble.FULL, Trouble.MISSING})  # write a lease there


@dataclass(frozen=True, slots=True)
class Holder:
    """Who wrote a lease."""

    owner: str  # the identity of its ledger
    host: str
    pid: int


class Lease:
    """The lease of one inbox. Lives on one thread."""

    def __init__(
        self,
        inbox: Path,
        owner: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        is_shared: Callable[[Path], bool] = is_silent,
    ) -> None:
        self.holder: Holder | None = None  # another daemon, while it holds the lease
        self.trouble: FileConditionError | None = None  # why nobody knows whether it is ours
        self._me = Holder(owner, platform.node(), os.getpid())
        self._inbox = inbox
        self._clock = clock
        self._is_shared = is_shared
        self._path: Path | None = None
        self._is_held = False
        self._next_look = float("-inf")
        self._taken = float("-inf")  # when it was taken over
        self._last: tuple[Holder | None, int] | None = None  # what was seen last
        self._unchanged_since = float("-inf")

    def is_held(self) -> bool:
        """Return whether this daemon is the one that works on the inbox. Renews the lease.

        Where nobody can know, because its disk does not answer, it stays as it was.
        """
        now = self._clock()
        if now >= self._next_look:
            try:
                self._is_held, self.trouble = self._look(now), None
            except FileConditionError as error:
                logger.debug("The lease of %s cannot be looked at: %s", self._inbox, error)
                self.trouble = None if self._is_held else error
            self._next_look = now + (RENEW_SECONDS if self._is_held else CONFIRM_SECONDS)
        return self._is_held

    def release(self) -> None:
        """Let another daemon have it at once."""
        with suppress(ConditionError):  # it lapses
            if self._path is not None and (found := _read(self._path)) and found[0] == self._me:
                disk.remove(self._path)
        self._is_held, self._next_look = False, float("-inf")

    def _look(self, now: float) -> bool:
        path = self._path = self._path or self._place()
        # Root may work on our inbox too; it does not see a lease in our state folder, and we see its.
        other = None if path == self._inbox / NAME else _read(self._inbox / NAME)
        if other is not None and not self._has_lapsed(other, now):
            self.holder = other[0]
            return False
        found = _read(path)
        if found is not None and found[0] == self._me:
            self.holder = None
            with suppress(FileNotFoundError):  # taken from us this very moment
                disk.touch(path)
            return now - self._taken >= CONFIRM_SECONDS
        if found is not None and not self._has_lapsed(found, now):
            self.holder = found[0]
            return False
        return self._take(path, found, now)

    def _has_lapsed(self, found: tuple[Holder | None, int], now: float) -> bool:
        """Return whether a lease has lost its daemon; by our own clock: those of two machines differ."""
        holder = found[0]
        if holder is None or holder.owner == self._me.owner:
            return True  # damaged, or our own from before a crash: the ledger's lock says that we are alone
        if (holder.host, holder.pid) == (self._me.host, self._me.pid):
            return True  # a container numbers its processes alike at each start
        if holder.host == self._me.host and not is_alive(holder.pid):
            return True
        if found != self._last:
            self._last, self._unchanged_since = found, now
        return now - self._unchanged_since >= EXPIRE_SECONDS

    def _take(self, path: Path, found: tuple[Holder | None, int] | None, now: float) -> bool:
        temporary = temporary_in(path.parent)
        try:
            with disk.created(temporary) as file:
                file.write(json.dumps([self._me.owner, self._me.host, self._me.pid]).encode())
            if found is None:
                _create(temporary, path)
            else:
                disk.replace(temporary, path)
                self._taken = now
        except FileExistsError:
            return False  # another was faster; it is seen at the next look
        except FileConditionError as error:
            if error.trouble not in NOBODY_CAN:
                raise
            logger.debug("No lease of %s: %s", self._inbox, error)
            return True  # so nobody else can hold it
        finally:
            with suppress(ConditionError):
                disk.remove(temporary)
        self.holder = None
        return found is None or found[0] is None or found[0].owner == self._me.owner

    def _place(self) -> Path:
        """Return where the lease is. Raises: ConditionError: nobody knows whose the inbox is."""
        if self._is_shared(self._inbox) or not _is_ours_alone(self._inbox):
            return self._inbox / NAME
        folder = state_home() / LEASES
        try:
            disk.make_private(folder)
        except (ConditionError, NameRefusedError) as error:
            logger.debug("No leases in %s: %s", folder, error)
            return self._inbox / NAME
        # A home on a share is that of several machines, each of which has a disk of its own.
        mark = f"{self._me.host}:{disk.real_path(self._inbox)}"
        return folder / f"{hashlib.sha256(os.fsencode(mark)).hexdigest()[:16]}.lease"


def _is_ours_alone(inbox: Path) -> bool:
    """Return whether nobody but us, and root, may write to an inbox."""
    if os.name == "nt":
        return True  # its state folder is the user's own, and so are most folders
    facts = disk.facts_of(inbox, follow=True)
    if facts is None or facts.st_uid != os.geteuid():
        return False
    others = facts.st_mode & WRITABLE_BY_OTHERS
    return not others or (others == stat.S_IWGRP and _is_group_of_one(facts.st_gid))


def _is_group_of_one(group: int) -> bool:
    """Return whether a group is our own: many systems give each user one of their name."""
    import grp
    import pwd

    with suppress(KeyError):
        entry = grp.getgrgid(group)
        own = pwd.getpwuid(os.geteuid()).pw_name
        return entry.gr_name == own and set(entry.gr_mem) <= {own}
    return False


def _create(temporary: Path, path: Path) -> None:
    """Give the lease its name, unless another has it."""
    if not disk.link(temporary, path):  # no hard links there
        with disk.created(path) as file:
            file.write(disk.read_bytes(temporary))


def _read(path: Path) -> tuple[Holder | None, int] | None:
    """Return who holds a lease and when it was renewed; None: there is none; no holder: it is damaged.

    Raises:
        ConditionError: nobody knows.
    """
    facts = disk.facts_of(path)
    if facts is None:
        return None
    if not stat.S_ISREG(facts.st_mode):
        return None, 0
    try:
        written = disk.read_bytes(path, at_most=MAX_BYTES, follow=False)
        owner, host, pid = json.loads(written.decode(errors="replace"))
        return Holder(str(owner), str(host), int(pid)), facts.st_mtime_ns
    except FileNotFoundError:
        return None
    except FileConditionError as error:
        if error.trouble is not Trouble.UNREADABLE:
            raise
        return Holder(
            f"user {facts.st_uid}", f"user {facts.st_uid}, whose lease may not be read", 0
        ), facts.st_mtime_ns
    except (ValueError, TypeError):
        return None, 0
