"""Which of several daemons works on an inbox: the one that holds its lease; the others stand by.

On a network share the lease is a hidden file in the inbox, so that daemons of several machines see it; on
a local disk it is a file in the system's temporary folder, and the inbox stays as clean as it was. It is
no lock of the operating system: those do not hold on every share. It is renewed, and one that is not
renewed any more has lost its daemon.
"""

import hashlib
import json
import logging
import os
import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nst_daemon.files import temporary_in
from nst_daemon.inbox.mounts import is_silent
from nst_daemon.machine import is_alive

logger = logging.getLogger(__name__)

NAME: Final = ".nst-lease"
RENEW_SECONDS: Final = 20.0
EXPIRE_SECONDS: Final = 120.0  # six renewals missed: a suspended laptop, or a daemon that is no more
CONFIRM_SECONDS: Final = 2.0  # between taking a lease over and believing it: two may try at once


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
        """Return whether this daemon is the one that works on the inbox. Renews the lease."""
        now = self._clock()
        if now >= self._next_look:
            self._is_held = self._look(now)
            self._next_look = now + (RENEW_SECONDS if self._is_held else CONFIRM_SECONDS)
        return self._is_held

    def release(self) -> None:
        """Let another daemon have it at once."""
        if self._path is not None and (found := _read(self._path)) and found[0] == self._me:
            with suppress(OSError):
                self._path.unlink()
        self._is_held, self._next_look = False, float("-inf")

    def _look(self, now: float) -> bool:
        path = self._path = self._path or self._place()
        found = _read(path)
        if found is not None and found[0] == self._me:
            self.holder = None
            with suppress(OSError):
                os.utime(path)
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
            temporary.write_text(json.dumps([self._me.owner, self._me.host, self._me.pid]))
            if found is None:
                _create(temporary, path)
            else:
                temporary.replace(path)
                self._taken = now
        except FileExistsError:
            return False  # another was faster; it is seen at the next look
        except OSError as error:
            logger.debug("No lease of %s: %s", self._inbox, error)
            return True  # nobody can write there, so nobody else can hold it
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        self.holder = None
        return found is None or found[0] is None or found[0].owner == self._me.owner

    def _place(self) -> Path:
        if self._is_shared(self._inbox):
            return self._inbox / NAME
        name = hashlib.sha256(os.fsencode(os.path.realpath(self._inbox))).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"nst-daemon-{name}.lease"


def _create(temporary: Path, path: Path) -> None:
    """Give the lease its name, unless another has it."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # no hard links there
        with path.open("xb") as file:
            file.write(temporary.read_bytes())


def _read(path: Path) -> tuple[Holder | None, int] | None:
    """Return who holds a lease and when it was renewed; None if there is none."""
    try:
        renewed = path.lstat().st_mtime_ns
        owner, host, pid = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        return Holder(str(owner), str(host), int(pid)), renewed
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        return None, 0
