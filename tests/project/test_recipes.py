"""The lines of docs/editors/others.md, run by a shell as they stand: as by the programs that they are for."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import real
from support.daemons import Home, running
from support.waiting import WAIT_SECONDS
from support.waiting import wait_for as until

from nst_daemon.disk import locks

PAGE = Path(__file__).parents[2] / "docs" / "editors" / "others.md"
ODD = ("a b.png", "it's.png", "two\nlines.png", os.fsdecode(b"caf\xe9.png"), "ü;&|*?.png", "-x.png")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no sh on Windows")


def lines_of(heading: str) -> list[str]:
    """Return what a section of the page has for a shell."""
    (section,) = re.findall(rf"^## {heading}.*?\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.M | re.S)
    return re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)


class Shell:
    """A shell that finds `nst-daemon`, over the home of a daemon that runs."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.photos = home.path / "photos"
        programs = home.path / "bin"
        programs.mkdir()
        self.program(
            "nst-daemon", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m nst_daemon "$@"\n', programs
        )
        self.variables = os.environ | {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "NST_DAEMON_CONFIG": str(home.source),
        }

    def program(self, name: str, script: str, folder: Path | None = None) -> Path:
        path = (folder or self.home.path) / name
        path.write_text(script)
        path.chmod(0o755)
        return path

    def run(self, *words: str | Path) -> int:
        done = subprocess.run(words, cwd=self.photos, env=self.variables, check=False, timeout=WAIT_SECONDS)
        return done.returncode

    def photo(self, name: str, seed: int = 0) -> Path:
        made = real.picture(self.photos / "new.png", seed=seed)
        return made.rename(self.photos / name)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    home = Home(tmp_path / "a home")
    for style in ("stripes", "mosaic"):  # the command reads them for what they are
        real.picture(home.path / "a.png").rename(home.path / "styles" / f"{style}.jpg")
    with running(home):
        until(lambda: locks.holder(home.path / "state"), what="the daemon")
        yield Shell(home)


def is_painting(path: Path) -> bool:
    return path.read_bytes().startswith(b"painting:")


def test_the_page_has_the_lines() -> None:
    first, second = lines_of("digiKam")
    assert first == "nst-daemon submit $INPUT --wait --output $OUTPUT\n"
    assert second == first.replace("\n", " --timeout 50\n")


@pytest.mark.parametrize(("number", "names"), [(0, ODD), (1, ODD[:1])], ids=["plain", "with a timeout"])
def test_digikams_line(shell: Shell, number: int, names: tuple[str, ...]) -> None:
    folder = shell.photos / "painted"
    folder.mkdir(parents=True)
    for seed, name in enumerate(names):
        photo, output = shell.photo(name, seed=seed), folder / name.replace(".png", ".jpg")
        script = lines_of("digiKam")[number]
        for keyword, path in (("$INPUT", photo), ("$OUTPUT", output)):
            script = script.replace(keyword, f'"{path}"')  # as digiKam's userscript.cpp does
        assert shell.run("/bin/sh", "-c", script) == 0
        assert is_painting(output)
    assert shell.home.files("outbox") == []


def test_lightrooms_script(shell: Shell) -> None:
    script = shell.program("action", lines_of("Lightroom Classic")[0])
    photos = [shell.photo(name, seed=seed) for seed, name in enumerate(ODD)]
    assert shell.run(script, *photos) == 0
    assert all(is_painting(photo.with_suffix(".painting.jpg")) for photo in photos)
    assert shell.home.files("outbox") == []


def test_rapidraws_script(shell: Shell) -> None:
    editor = shell.program("nst-editor", lines_of("RapidRAW")[0])
    shell.photo("-x.png")
    for name in ODD:
        shell.photo(name, seed=len(name))
        output = shell.photos / name.replace(".png", ".jpg")
        assert shell.run(editor, "--edit", name, "--output", output.name) == 0
        assert is_painting(output)
    assert shell.run(editor, "--edit", "no-such-photo.png", "--output", "none.jpg") == 2


def test_the_shells_loops(shell: Shell) -> None:
    beside, at_once = (
        line.replace("*.jpg", "*.png").replace(".painting.png", ".painting.jpg")  # all that is played is JPEG
        for line in lines_of("A shell")
    )
    photos = [shell.photo(name, seed=seed) for seed, name in enumerate(ODD)]
    photos[0].with_suffix(".painting.jpg").write_bytes(b"was there")
    assert shell.run("/bin/sh", "-c", beside) == 0
    assert photos[0].with_suffix(".painting.jpg").read_bytes() == b"was there"
    assert all(is_painting(photo.with_suffix(".painting.jpg")) for photo in photos[1:])
    assert shell.home.files("outbox") == []
    assert shell.run("/bin/sh", "-c", at_once) == 0
    until(lambda: len(shell.home.files("outbox")) == len(photos), what="the paintings")
