"""A machine with another Python: it joins, gets no job, and both versions are named. With `-m slow`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.daemons import running
from support.farms import done, drop, logs
from support.seats import FarmHome
from support.waiting import WAIT_SECONDS, wait_for

from nst_daemon import __version__

__all__ = ["logs"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX"),
]
MINORS = (11, 12, 13, 14)
NEEDED = (
    "annotated-types cryptography defusedxml distributed>=2026.8 filelock numpy pillow platformdirs psutil "
    "pydantic PyYAML watchdog"
)
TESTS = Path(__file__).parents[1]


def other_python() -> str | None:
    """Return a Python of another minor version that starts."""
    for minor in MINORS:
        name = f"python3.{minor}"
        versions = Path(os.environ.get("PYENV_ROOT", "")).glob(f"versions/3.{minor}.*/bin/{name}")
        for word in (*map(str, versions), name):
            if minor != sys.version_info.minor and _starts(word):
                return word
    return None


def _starts(python: str) -> bool:
    try:
        return subprocess.run([python, "-c", "import venv, ssl"], check=False, timeout=60).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield another Python that has what a seat needs, the network apart."""
    if (found := other_python()) is None:
        pytest.skip("NOT TESTED, a machine with another Python: there is none here")
    home = tmp_path_factory.mktemp("python")
    subprocess.run([found, "-m", "venv", str(home)], check=True, timeout=300)
    words = [str(home / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *NEEDED.split()]
    if subprocess.run(words, check=False, timeout=600).returncode:
        pytest.skip("NOT TESTED, a machine with another Python: what it needs cannot be had")
    yield home / "bin" / "python"


def test_a_machine_with_another_python_gets_no_job_and_both_are_named(python: Path, tmp_path: Path) -> None:
    home = FarmHome(tmp_path / "home", is_encrypted=True)
    drop(home, 1)
    words = f"from support.seats import lend; lend({os.fspath(home.join)!r}, 'gpu1', 0.1)"
    with running(home):
        machine = subprocess.Popen(
            [python, "-c", words],
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS.parent)))},
        )
        try:
            wait_for(lambda: "farm_version" in home.codes(), seconds=WAIT_SECONDS, what="what is shown")
            (problem,) = [each for each in home.snapshot().problems if each.code == "farm_version"]
            assert f"this daemon is {__version__} on Python 3.{sys.version_info.minor}." in problem.message
            assert f"gpu1/cpu has nst-daemon {__version__} on Python 3." in problem.message
            assert home.seats()["gpu1/cpu"].state == "refused"
            assert done(home) == 0
        finally:
            machine.terminate()
            assert machine.wait(120) == 0
