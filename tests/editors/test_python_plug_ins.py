"""The plug-ins that are written in Python, read as texts: what they may do, and their types."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nst_daemon.editors.plug_ins import SHARED, SOURCES, filled, install, targets_of
from nst_daemon.editors.profiles import Packing, Profile
from nst_daemon.folders.exchange import Editor

ROOT = Path(__file__).parents[2]
FOLDERS = (SOURCES / SHARED, SOURCES / "gimp3", SOURCES / "krita" / "nst_daemon")
FILES = [path for folder in FOLDERS for path in sorted(folder.glob("*.py"))]
PROGRAM = SOURCES / "gimp3" / "nst-daemon.py"
FORBIDDEN = {
    *(
        "subprocess",
        "system",
        "popen",
        "spawnv",
        "spawn_async",
        "QProcess",
        "execute",
        "eval",
        "exec",
        "exec_",
    ),
    *("__import__", "importlib", "runpy", "ctypes", "pickle", "socket", "urllib", "http", "QtNetwork"),
}
WAITING = {"sleep", "processEvents", "Thread", "threading", "QThread"}
EDITORS = {"krita", "qt", "PyQt5", "PyQt6", "gi"}
PLAIN = [
    SOURCES / SHARED / "protocol.py",
    *(SOURCES / "krita" / "nst_daemon" / name for name in ("choices.py", "orders.py")),
]


def names_in(path: Path) -> set[str]:
    """Return the names of all that a source imports, calls or takes from a module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names |= {module.split(".")[0], *(alias.name for alias in node.names)}
        elif isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
    return names


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCES))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_source_is_python_of_3_8_marked_and_harmless(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    first = "#!/usr/bin/env python3\n" if path == PROGRAM else ""  # Linux starts it by this line
    assert source.startswith(f"{first}# nst-daemon plug-in @VERSION@\n")
    ast.parse(source, feature_version=(3, 8))
    assert names_in(path) & FORBIDDEN == set()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_waits_but_in_gimp_3_which_gives_it_a_process(path: Path) -> None:
    assert path.parent.name == "gimp3" or names_in(path) & WAITING == set()


@pytest.mark.parametrize("path", PLAIN, ids=name_of)
def test_what_is_told_apart_from_an_editor_knows_it_not(path: Path) -> None:
    assert names_in(path) & EDITORS == set()


def test_the_exchange_folder_stands_in_one_place_and_takes_any_path() -> None:
    assert [path for path in FILES if '"@EXCHANGE@"' in path.read_text(encoding="utf-8")] == [PLAIN[0]]
    path = Path('/home/ü/it\'s "mine" \\ here')
    (value,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(filled(PLAIN[0], path)).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXCHANGE"
    )
    assert value == str(path)


@pytest.mark.slow  # mypy reads Python's own library for it
def test_the_types_are_right_as_krita_gets_the_plug_in(tmp_path: Path) -> None:
    profile = Profile(editor=Editor.KRITA, packing=Packing.NATIVE, folder=tmp_path)
    install(profile, tmp_path / "exchange")
    sources = [target.path for target in targets_of(profile) if target.path.suffix == ".py"]
    command: list[str | Path] = [sys.executable, "-m", "mypy", "--cache-dir", tmp_path / "cache", *sources]
    answer = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "MYPY_FORCE_COLOR": "0"}
    )
    assert answer.returncode == 0, answer.stdout
