# ruff: noqa: F811  fixtures are imported by name
"""A plain installation: what an extra brings is not there, and the lack is told with that extra."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from support.commands import home, loaded  # noqa: F401

from nst_daemon.config import Config
from nst_daemon.system import extras
from nst_daemon.system.extras import Extra

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OF_EXTRAS = {package for packages in extras.PACKAGES.values() for package in packages}
# Python reads it as it starts: the processes that a command starts lack the packages as well.
BLOCK = f"""\
import sys

class Lack:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OF_EXTRAS | {"dbus_fast", "Xlib"}}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Lack())
"""

Plain = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def plain(
    tmp_path: Path, loaded: Config, cache: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> Plain:
    """Return a function that runs a command of a plain installation over the config of `home`."""
    loaded.state_dir.mkdir(mode=0o700, parents=True)
    cache(loaded.state_dir / "weights")
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BLOCK)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("NST_DAEMON_CONFIG", str(loaded.source))

    def run(*words: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "nst_daemon", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.effect_noise((64, 48), 60).convert("RGB").save(tmp_path / "cat.jpg")
    return tmp_path / "cat.jpg"


def _rendering(photo: Path, *words: str) -> tuple[object, ...]:
    small = ("--set", "size=48", "--set", "steps=2")
    return ("render", photo, "--style", "mosaic", "-o", photo.with_name("out.png"), *small, *words)


def _set(loaded: Config, key: str, value: str) -> None:
    """Give a key of the commented config a value."""
    text, count = re.subn(rf"^#  {key}: \w+", f"  {key}: {value}", loaded.source.read_text(), flags=re.M)
    assert count == 1
    loaded.source.write_text(text)


# ── what pyproject.toml says ────────────────────────────────────────────────────────────────────────────


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w-]", each)[0].replace("-", "_") for each in requirements}


def test_the_extras_of_the_package_are_those_that_the_program_names() -> None:
    declared = PROJECT["optional-dependencies"]
    assert set(declared) == {*Extra, "all", "test"}
    for extra, packages in extras.PACKAGES.items():
        assert _names(declared[extra]) == set(packages)
    assert declared["all"] == [f"nst-daemon[{','.join(sorted(Extra))}]"]
    assert "nst-daemon[all]" in declared["test"]  # or tests are skipped


def test_nothing_of_an_extra_is_in_a_plain_installation() -> None:
    assert not _names(PROJECT["dependencies"]) & OF_EXTRAS
    assert {"torch", "torchvision"} < _names(PROJECT["dependencies"])


def test_no_text_sends_the_user_to_an_extra_that_there_is_not() -> None:
    texts = [*(ROOT / "nst_daemon").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    said = " ".join(path.read_text("utf-8") for path in texts)
    named = {name for names in re.findall(r"nst-daemon\[([a-z,]+)\]", said) for name in names.split(",")}
    assert named == set(Extra)


# ── without them ────────────────────────────────────────────────────────────────────────────────────────


def test_a_plain_installation_paints(plain: Plain, photo: Path) -> None:
    done = plain(*_rendering(photo))
    assert done.returncode == 0, done.stderr
    with Image.open(photo.with_name("out.png")) as picture:
        assert picture.size == (48, 36)


def test_a_report_is_refused_before_the_painting_with_the_extra_that_draws_it(
    plain: Plain, photo: Path
) -> None:
    done = plain(*_rendering(photo, "--set", "report=true"))
    assert done.returncode == 1
    assert "pip install 'nst-daemon[report]'" in done.stderr
    assert "docs/errors.md#report_not_installed" in done.stderr
    assert not photo.with_name("out.png").exists()


def test_weights_in_safetensors_are_refused_with_the_extra_that_reads_them(
    plain: Plain, photo: Path, loaded: Config
) -> None:
    save_file({"a": torch.zeros(1)}, photo.with_name("vgg.safetensors"))
    _set(loaded, "weights", str(photo.with_name("vgg.safetensors")))
    done = plain(*_rendering(photo))
    assert done.returncode == 3
    assert "pip install 'nst-daemon[safetensors]'" in done.stderr


def test_a_raw_photo_is_refused_with_the_extra_that_develops_it(plain: Plain, photo: Path) -> None:
    done = plain(*_rendering(photo.rename(photo.with_name("cat.dng"))))
    assert done.returncode == 1
    assert "pip install 'nst-daemon[raw]'" in done.stderr


def test_the_tray_says_which_extra_brings_it(plain: Plain) -> None:
    done = plain("tray")
    assert done.returncode == 3
    assert "pystray and desktop-notifier" in done.stderr
    assert "pip install 'nst-daemon[desktop]'" in done.stderr


def test_check_tells_what_a_desktop_and_a_config_lack(
    plain: Plain, loaded: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":1")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    _set(loaded, "report", "true")
    done = plain("check")
    lines = [line for line in done.stdout.splitlines() if "nst-daemon[desktop]" in line]
    assert [line.split()[:2] for line in lines] == [["ok", "tray"], ["ok", "notify"]]
    problems = [line for line in done.stdout.splitlines() if line.startswith("PROBLEM")]
    assert problems == ["PROBLEM  report There is none without matplotlib, not installed here"]
    assert "pip install 'nst-daemon[report]'" in done.stdout
    assert done.returncode == 3


@pytest.mark.parametrize("package", sorted(OF_EXTRAS))
def test_a_package_that_is_not_there_is_known(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert extras.is_installed(package)
    monkeypatch.setitem(sys.modules, package, None)
    assert not extras.is_installed(package)
