"""Child processes: the one class that starts, watches and ends them.

Whatever happens at a start, the next one is as good as the first: no half of a pipe stays open and no half of
a process is remembered. A child ends with its parent, however that ends. (`service.background` starts the
daemon itself, which is to outlive the command: no child in this sense.)
"""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Final

from nst_daemon.errors import ConditionError

logger = logging.getLogger(__name__)

START_METHOD: Final = "spawn"  # a forked process cannot use CUDA, and has our threads' locks
DEATH_SECONDS: Final = 5.0  # one that was killed and is still there waits in the kernel, for a dead disk
SLICE_SECONDS: Final = 0.25  # a call looks so often whether another thread has ended the process

Serve = Callable[..., None]  # what runs in the process: called with its end of the pipe, and what `start` got


class EndedError(Exception):
    """The process has ended, or was ended: nothing more comes from it."""

    def __init__(self, code: int | None, how: str = "") -> None:
        super().__init__(how or _how(code))
        self.code = code  # below zero: the signal; None: nobody knows


class ClosedError(EndedError):
    """`close` was called: there is no process, and there will be none."""


class Child:
    """One process at a time, and the pipe to it. One thread works with it; any may `end` and `close` it.

    A call that is under way when another thread ends the process raises `EndedError` at once.
    """

    def __init__(
        self, serve: Serve, *, name: str, words: str, method: str = START_METHOD, has_children: bool = False
    ) -> None:
        self._serve = serve
        self._has_children = has_children  # of its own; each ends with its parent all the same
        self._method = method
        self._name = name  # as the system's list of processes and our tests see it
        self._words = words  # as a user knows it: "The process that reads photos"
        self._run: _Run | None = None
        self._is_closed = False
        self._last_code: int | None = None
        self._lock = threading.RLock()

    @property
    def pid(self) -> int | None:
        """The process, while it lives."""
        run = self._run
        return run.process.pid if run is not None and run.is_alive() else None

    @property
    def has_begun(self) -> bool:
        """Whether a process was started and not ended: it may have died since."""
        return self._run is not None

    @property
    def is_closed(self) -> bool:
        """Whether there will be no process any more."""
        return self._is_closed

    def is_alive(self) -> bool:
        """Return whether the process lives."""
        return self.pid is not None

    def start(self, *args: object) -> None:
        """Start a process, after the end of the one before.

        Raises:
            ConditionError: the machine is too short of something to start one.
            ClosedError: `close` was called.
        """
        with self._lock:
            self.end()
            if self._is_closed:
                raise ClosedError(None, "it was closed")
            try:
                self._run = _begun(
                    self._serve, self._name, self._method, args, has_children=self._has_children
                )
            except (OSError, MemoryError) as error:
                why = getattr(error, "strerror", None) or str(error) or "there is no memory"
                raise ConditionError(
                    f"{self._words} cannot be started: {why}.",
                    remedy="It goes on by itself; if it stays, close other programs.",
                    code="system_busy",
                ) from error

    def send(self, message: object) -> None:
        """Say something to the process. Raises: EndedError."""
        with self._call() as run:
            try:
                run.pipe.send(message)
            except OSError as error:
                raise self._ended(run) from error

    def poll(self, seconds: float) -> bool:
        """Wait for a word of the process, at most so long. Raises: EndedError: none will come."""
        deadline = time.monotonic() + seconds
        with self._call() as run:
            while True:
                left = deadline - time.monotonic()
                ready = wait([run.pipe, run.process.sentinel], max(0.0, min(left, SLICE_SECONDS)))
                if run.is_over:
                    raise self._ended(run)
                if run.pipe in ready or run.pipe.poll():
                    return True
                if ready:
                    raise self._ended(run)
                if left <= 0:
                    return False

    def receive(self) -> Any:
        """Return the next word of the process.

        Raises:
            EndedError: it has ended, or what it said cannot be understood: it is ended then.
        """
        with self._call() as run:
            try:
                return run.pipe.recv()
            except (EOFError, OSError) as error:
                raise self._ended(run) from error
            except Exception as error:  # a broken pickle may raise anything
                logger.warning("%s said what cannot be read: %s: %s", self._name, type(error).__name__, error)
                raise self._ended(run) from error

    def wait_for_end(self, seconds: float) -> int | None:
        """Wait for the end of a process that ends by itself, end it, and return its exit code."""
        run = self._run
        if run is not None:
            run.join(seconds)
        self.end()
        return self._last_code

    def end(self, *, seconds: float = 0.0, farewell: object = None) -> None:
        """End the process: with `seconds` politely first, by a last message or by SIGTERM; then at once."""
        with self._lock:
            run, self._run = self._run, None
        if run is None:
            return
        if seconds:
            run.ask_to_leave(farewell)
            run.join(seconds)
        run.is_over = True
        run.kill()
        with self._lock:
            self._last_code = run.code
            run.is_free = True
            if not run.calls:
                run.release()  # else the call that is under way does

    def close(self) -> None:
        """End the process at once, and for good: a call that is under way comes back."""
        self._is_closed = True  # before the lock: a thread that is starting one looks again
        self.end()

    @contextmanager
    def _call(self) -> Iterator["_Run"]:
        with self._lock:
            run = self._run
            if run is None:
                raise ClosedError(None, "it was closed") if self._is_closed else EndedError(self._last_code)
            run.calls += 1
        try:
            yield run
        finally:
            with self._lock:
                run.calls -= 1
                if run.is_free and not run.calls:
                    run.release()

    def _ended(self, run: "_Run") -> EndedError:
        """Take note that a process has ended, and return how."""
        if run.is_over:  # by another thread
            return ClosedError(None, "it was closed") if self._is_closed else EndedError(None, "it was ended")
        run.join(1.0)
        with self._lock:
            is_ours = self._run is run
        if is_ours:
            self.end()
        return EndedError(run.code)


def wait_for_any(children: Iterable[Child], seconds: float) -> None:
    """Wait until one of some processes has something to say, or has ended; at most so long."""
    deadline = time.monotonic() + seconds
    with ExitStack() as stack:
        try:
            runs = [stack.enter_context(child._call()) for child in children]
        except EndedError:
            return
        words = [word for run in runs for word in (run.pipe, run.process.sentinel)]
        while not any(run.is_over for run in runs):
            left = deadline - time.monotonic()
            if wait(words, max(0.0, min(left, SLICE_SECONDS))) or left <= 0:
                return


class _Run:
    """One process from its start to its end."""

    def __init__(self, process: SpawnProcess, pipe: Connection) -> None:
        self.process = process
        self.pipe = pipe
        self.calls = 0  # that use the pipe at the moment
        self.is_over = False  # calls are to come back
        self.is_free = False  # nobody kills it any more
        self.code: int | None = None

    def is_alive(self) -> bool:
        # Not `is_alive` alone: where SIGCHLD is ignored, the system forgets the process before we can ask.
        if self.is_over:
            return False
        with suppress(ValueError, OSError):  # released by another thread, just now
            return self.process.is_alive() and not wait([self.process.sentinel], 0)
        return False

    def ask_to_leave(self, farewell: object) -> None:
        with suppress(OSError, ValueError):
            if farewell is None:
                self.process.terminate()
            else:
                self.pipe.send(farewell)

    def join(self, seconds: float) -> None:
        with suppress(ValueError, OSError):
            wait([self.process.sentinel], seconds)

    def kill(self) -> None:
        """Kill the process, and take note of how it ended; one that the kernel keeps is left to it."""
        with suppress(ProcessLookupError):
            if self.is_still_there():
                self.process.kill()
        self.join(DEATH_SECONDS)
        if self.is_still_there():
            logger.warning("process %s was killed, and is held by the system: a dead disk?", self.process.pid)
            # Python would wait for it when we end. (cpython: multiprocessing.util._exit_function)
            multiprocessing.process._children.discard(self.process)  # type: ignore[attr-defined]
        else:
            self.process.join(1.0)  # reap it
            self.code = self.process.exitcode

    def is_still_there(self) -> bool:
        return self.process.is_alive() and not wait([self.process.sentinel], 0)

    def release(self) -> None:
        """Give back the pipe, and what the system keeps of the process."""
        self.pipe.close()
        with suppress(ValueError):  # the kernel keeps it; or another thread is just reaping it
            self.process.close()


def _begun(serve: Serve, name: str, method: str, args: tuple[object, ...], *, has_children: bool) -> _Run:
    context: Any = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    try:
        process = context.Process(
            target=_serve, args=(serve, theirs, args), name=name, daemon=not has_children
        )
        process.start()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return _Run(process, ours)


def _serve(serve: Serve, pipe: Connection, args: tuple[object, ...]) -> None:
    """Do what the process is for, and leave with the parent. Runs in the process."""
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_leave_with_parent, name="leave-with-parent", daemon=True).start()
    serve(pipe, *args)


def _leave_with_parent() -> None:
    """End this process when the parent is killed, even in the middle of a picture that never ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _how(code: int | None) -> str:
    """Return how a process ended, in words."""
    if code is None:
        return "nobody knows how"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
