"""glibc's malloc: blocks stay with us between steps, and go back after a painting."""

import platform
import subprocess
import sys

import pytest

from nst_daemon.system import malloc

BLOCK = 64 * 2**20  # bytes
# Says how many fresh pages further blocks took; then what is resident before and after giving back.
SCRIPT = f"""
import gc, resource, psutil, torch
from nst_daemon.system import malloc
if {{keep}}:
    malloc.keep_blocks()
def work(rounds):
    for _ in range(rounds):
        torch.ones({BLOCK // 4})
work(24)  # until the blocks have settled
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work(4)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(psutil.Process().memory_info().rss)
gc.collect()
malloc.give_back()
print(psutil.Process().memory_info().rss)
"""

only_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")


def figures(*, keep: bool) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(keep=keep)], capture_output=True, text=True, check=True
    )
    return [int(line) for line in done.stdout.split()]


@only_glibc
def test_kept_blocks_come_without_fresh_pages() -> None:
    faults, _, _ = figures(keep=False)
    kept_faults, _, _ = figures(keep=True)
    assert kept_faults * 10 < faults


# Says how much room was reserved while six threads each held some small blocks.
THREADS = """
import threading, psutil
from nst_daemon.system import malloc
if {alone}:
    malloc.share_one_arena()
together = threading.Barrier(7)
def work():
    held = [bytearray(1000) for _ in range(4000)]
    together.wait()
    together.wait()
before = psutil.Process().memory_info().vms
for _ in range(6):
    threading.Thread(target=work).start()
together.wait()
print(psutil.Process().memory_info().vms - before)
together.wait()
"""


def reserved(*, alone: bool) -> int:
    done = subprocess.run(
        [sys.executable, "-c", THREADS.format(alone=alone)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@only_glibc
def test_threads_that_share_an_arena_have_none_of_their_own() -> None:
    arenas = 3 * 64 * 2**20  # bytes, of half of them
    assert reserved(alone=False) - reserved(alone=True) > arenas


@only_glibc
def test_what_was_kept_is_given_back() -> None:
    _, before, after = figures(keep=True)
    assert before - after > BLOCK / 2


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(malloc, "_libc", lambda: None)
    malloc.keep_blocks()
    malloc.share_one_arena()
    malloc.give_back()
