"""What `explain` and `check` tell of a painting before it begins."""

# ruff: noqa: F811  fixtures are imported by name
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import Ask, ask, home, loaded, photo  # noqa: F401

from nst_daemon.cli.forecasts import about, takes_usually
from nst_daemon.config import Config
from nst_daemon.engine.costs import Speed
from nst_daemon.engine.settings import settings_of
from nst_daemon.engine.speeds import Known, asked_of, remember


def know(config: Config, device: str = "cpu") -> None:
    """Let the machine have painted."""
    settings = settings_of(config)
    speed = Speed(convolutions=0.01, roots=0.1, steps=0.01, learned=60.0)
    known = Known(asked=asked_of(settings), device=device, memory=10**10, entry=4, speed=speed)
    remember(settings.cache_dir, "here", known)


def line_of(ask: Ask, photo: Path) -> str:
    return next(line for line in ask("explain", photo).out.splitlines() if line.startswith("  takes"))


def test_before_the_first_painting_explain_tells_the_memory_and_when_the_time_is_known(
    ask: Ask, photo: Path
) -> None:
    assert line_of(ask, photo).endswith("GB of memory; how long it takes is known after the first painting")


def test_behind_it_explain_tells_the_minutes_too(ask: Ask, photo: Path, loaded: Config) -> None:
    know(loaded)
    words = line_of(ask, photo)
    assert words.startswith("  takes: about ")
    assert " min and " in words
    assert words.endswith(" GB of memory")


def test_on_an_accelerator_it_is_its_own_memory(ask: Ask, photo: Path, loaded: Config) -> None:
    know(loaded, "cuda:0 (NVIDIA H200)")
    assert line_of(ask, photo).endswith(" GB of graphics memory")


def test_a_photo_that_waits_takes_nothing_yet(ask: Ask, photo: Path) -> None:
    photo.with_name("cat.yaml").write_text("style: wodcut\n")
    assert "  takes" not in ask("explain", photo).out


def test_what_stays_the_photo_takes_nothing(ask: Ask, photo: Path) -> None:
    photo.with_name("cat.yaml").write_text("set: {strength: 0}\n")
    assert "  takes" not in ask("explain", photo).out


def test_check_tells_what_a_cameras_photo_takes(loaded: Config) -> None:
    know(loaded)
    words = takes_usually(loaded)
    assert words is not None
    assert words.startswith("a photo of 6000 × 4000 px takes about ")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.3, "5 s"),
        (42.0, "40 s"),
        (58.0, "1 min"),
        (89.0, "1 min"),
        (1571.0, "26 min"),
        (3590.0, "1 h"),
        (7800.0, "2 h 10 min"),
    ],
)
def test_a_forecast_is_told_no_finer_than_it_is(seconds: float, words: str) -> None:
    assert about(seconds) == words


def test_a_forecast_needs_no_torch(home: Path) -> None:
    program = (
        "import sys; from nst_daemon import config; from nst_daemon.cli.forecasts import takes_usually\n"
        "from pathlib import Path; print(takes_usually(config.load(Path(sys.argv[1]))))\n"
        "print([name for name in ('torch', 'numpy', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, home / "config.yaml"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1] == "[]"
