"""Fixtures of all tests: a clock, conditions with a deadline, no home folder, nothing left behind."""

import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from support import syncing, waiting
from support.clock import FakeClock
from support.faults import Faults
from support.skips import pytest_addoption, pytest_sessionfinish, pytest_terminal_summary

from nst_daemon.disk import system

if TYPE_CHECKING:
    from support.played_page import Played

    from nst_daemon.engine.vgg import Trunk

__all__ = ["pytest_addoption", "pytest_sessionfinish", "pytest_terminal_summary"]  # hooks

# Pictures of 64 px gain nothing from threads, and the engines of several tests would fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

HOME_VARIABLES = ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA")
XDG_FOLDERS = {
    "XDG_CONFIG_HOME": ".config",
    "XDG_STATE_HOME": ".local/state",
    "XDG_DATA_HOME": ".local/share",
    "XDG_CACHE_HOME": ".cache",
    "XDG_RUNTIME_DIR": ".run",
}
DESKTOP_VARIABLES = (
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "DBUS_SESSION_BUS_ADDRESS",
    "NOTIFY_SOCKET",
    "PYSTRAY_BACKEND",
)
EDITORS = frozenset({"darktable", "krita_screen", "studio"})  # fixtures in tests/editors that start an editor
LEAK_SECONDS = 5.0  # a thread or process that was told to end gets this long


@pytest.hookimpl(tryfirst=True)  # before those that are slow are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count tests that run an editor itself among the slow ones: they take minutes and large programs."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if item.path.parent.name == "editors" and not EDITORS.isdisjoint(fixtures):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a report of odd file names travel from one process to another: that takes UTF-8 alone."""
    report = yield
    report.sections = [(title, _as_utf8(text)) for title, text in report.sections]
    return report


def _as_utf8(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Return the disk's calls, to be made to fail."""
    faulty = Faults()
    monkeypatch.setattr(system, "calls", faulty)
    return faulty


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Return the function that waits until a condition holds, and fails at its deadline."""
    return waiting.wait_for


@pytest.fixture(scope="session", autouse=True)
def no_syncing() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        syncing.spare_the_disk(patch.setattr)
        yield


@pytest.fixture(autouse=True)
def no_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put every folder of the user's into an empty one, so that no test reads or writes the real ones."""
    home = tmp_path_factory.mktemp("home")
    for variable in HOME_VARIABLES:
        monkeypatch.setenv(variable, str(home))
    for variable, folder in XDG_FOLDERS.items():
        monkeypatch.setenv(variable, str(home / folder))
    for variable in DESKTOP_VARIABLES:  # no daemon of a test draws on the desktop of who runs it
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("NST_DAEMON_CONFIG", raising=False)
    monkeypatch.delenv("NST_CRASH_AT", raising=False)
    return home


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Fail a test that leaves a thread or a child process behind.

    Open files are found by Python itself: a ResourceWarning is an error here.
    """
    threads = set(threading.enumerate())
    children = _children()
    yield

    def left() -> list[str]:
        new_threads = [f"thread {thread.name}" for thread in set(threading.enumerate()) - threads]
        return new_threads + [f"process {child}" for child in _children() - children]

    if not waiting.comes_true(lambda: not left(), LEAK_SECONDS):
        pytest.fail(f"left behind: {', '.join(left())}")


def _children() -> set[str]:
    multiprocessing.active_children()  # reaps those that have ended
    found = set()
    for child in psutil.Process().children():
        try:
            command = child.cmdline()
            if child.status() != psutil.STATUS_ZOMBIE and not _is_pythons_own(command):
                found.add(f"{child.pid} {' '.join(command)[:120]}")
        except psutil.NoSuchProcess:
            continue
    return found


def _is_pythons_own(command: list[str]) -> bool:
    # multiprocessing starts one such process, and keeps it for as long as the parent lives.
    return any("resource_tracker" in word or "forkserver" in word for word in command)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Return a function that gives a folder what autotuning has found here: it takes ten seconds."""
    import torch

    from nst_daemon.engine import autotune
    from nst_daemon.engine.weights import load_original

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # one for all workers
    autotune.choose(load_original(), torch.device("cpu"), autotune.Asked(), folder / "autotune")

    def made(path: Path) -> Path:
        path.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "autotune" / autotune.FILE, path)
        return path

    return made


@pytest.fixture(scope="session")
def trunk() -> "Trunk":
    """Return the real VGG19, loaded once."""
    from nst_daemon.engine.vgg import Trunk
    from nst_daemon.engine.weights import load_original

    return Trunk(load_original())


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Played]":
    """Return the page over played jobs, one for a module."""
    from support.played_page import served

    with served(tmp_path_factory.mktemp("page")) as played:
        yield played
