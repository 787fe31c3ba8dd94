"""glibc's malloc, told what a process is like. With another C library nothing is done.

For an engine: glibc asks the system for each large block and gives it back at once, so every feature map of
every step comes as fresh pages that the kernel has to clear: a good part of a step's time on a CPU, most in
large pictures. For a small process with many threads: each has memory of its own, most of it free.
"""

import ctypes
from typing import Final

TRIM_THRESHOLD: Final = -1  # M_TRIM_THRESHOLD of mallopt, in glibc's malloc.h
MMAP_THRESHOLD: Final = -3  # M_MMAP_THRESHOLD
ARENA_MAX: Final = -8  # M_ARENA_MAX
LARGE: Final = 1 << 30  # bytes; a larger block is still asked for and given back
SMALL: Final = 1 << 24  # bytes; of these few holes are left (measured: 1/8 more memory, 1/8 less time)
SMALLEST: Final = 1 << 17  # glibc's own, before it adapts


def keep_blocks(smaller_than: int = LARGE) -> None:
    """Have freed blocks below this size in bytes kept until `give_back`."""
    if mallopt := getattr(_libc(), "mallopt", None):
        mallopt(MMAP_THRESHOLD, min(smaller_than, LARGE))
        mallopt(TRIM_THRESHOLD, 2 * LARGE - 1)


def share_one_arena() -> None:
    """Have all threads take their memory from one place, and large blocks given back at once."""
    if mallopt := getattr(_libc(), "mallopt", None):
        mallopt(ARENA_MAX, 1)
        mallopt(MMAP_THRESHOLD, SMALLEST)  # else each large block that is freed raises it
        mallopt(TRIM_THRESHOLD, SMALLEST)


def give_back() -> None:
    """Return to the system what is free, after a painting: an idle engine holds its network, and no more."""
    if malloc_trim := getattr(_libc(), "malloc_trim", None):
        malloc_trim(0)


def _libc() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows
        return None
