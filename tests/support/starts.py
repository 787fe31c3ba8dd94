"""Starts of processes and threads that fail, as on a machine that is short of them."""

import errno
import os
import threading
from multiprocessing.context import SpawnProcess

import pytest


def fail_starts(monkeypatch: pytest.MonkeyPatch, times: int, number: int = errno.EAGAIN) -> list[int]:
    """Let the next starts of a process fail; return a list that has an entry for each start."""
    real = SpawnProcess.start
    made: list[int] = []

    def start(process: SpawnProcess) -> None:
        made.append(len(made))
        if len(made) <= times:
            raise OSError(number, os.strerror(number))
        real(process)

    monkeypatch.setattr(SpawnProcess, "start", start)
    return made


def fail_threads(monkeypatch: pytest.MonkeyPatch, times: int, prefix: str) -> None:
    """Let the next starts of a thread of that name fail."""
    real = threading.Thread.start
    made: list[str] = []

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith(prefix):
            made.append(thread.name)
            if len(made) <= times:
                raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
