"""What the system says of its processes and of itself: who lives, since when, and since when it runs."""

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")  # Linux: another at each start of the machine


def runs(program: str) -> bool:
    """Return whether this user runs a program of this name."""
    import psutil

    me = psutil.Process().username()
    running = psutil.process_iter(["name", "username"])
    return any(
        each.info["name"] in (program, f"{program}.exe") and each.info["username"] == me for each in running
    )


def is_alive(pid: int) -> bool:
    """Return whether a process of this machine lives; false on Windows, where asking would end it."""
    if os.name == "nt":
        return False  # os.kill(pid, 0) would end it; a file that it writes cannot be removed anyway
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def began_at(pid: int) -> float | None:
    """Return when a process began, in seconds since 1970; None: nobody knows, or it is no more."""
    import psutil  # not at the top: every `status` would wait for it

    try:
        return float(psutil.Process(pid).create_time())
    except (psutil.Error, OSError, ValueError):
        return None


def memory_of(pid: int) -> int:
    """Return the bytes of main memory that a process has; 0: it is no more, or does not tell."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except (psutil.Error, OSError, ValueError):
        return 0


def free_memory() -> int:
    """Return how many bytes of memory programs may still take without anything being swapped out."""
    import psutil

    return int(psutil.virtual_memory().available)


def processors() -> int:
    """Return how many processors this process may use."""
    ours = getattr(os, "sched_getaffinity", None)  # Linux; a container may have few of many
    return len(ours(0)) if ours is not None else os.cpu_count() or 1


def own_address() -> str | None:
    """Return the address under which the network has this machine; None: it has no way to others.

    Nothing is sent: the system is asked which of its addresses it would take.
    """
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.connect((elsewhere, 9))  # reserved for documentation: nobody has it
            return str(asked.getsockname()[0])
    return None


def boot_mark() -> str:
    """Return what is another after the machine was started anew, and the same until then."""
    with suppress(OSError):
        return BOOT_ID.read_text().strip()
    import psutil

    return f"{psutil.boot_time() / 60:.0f}"  # minutes: the clock is set by seconds now and then
