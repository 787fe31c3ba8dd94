"""The shape of the code: who may import whom, where each library lives, and how long things may be.

Imports point down the layers, and modules of one layer do not know each other. Packages count as one module.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "nst_daemon"

LAYERS = (
    "errors",
    "system",
    "disk",
    "config",
    "images ledger",
    "engine folders service",
    "desktop intake painting",
    "daemon",
    "cli",
    "__main__",
)
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names.split()}

# Where each third-party library may be imported: a module, or a package by its name and a dot.
LIBRARIES = {
    "PIL": {"images.", "desktop."},
    "annotated_types": {"config."},
    "cv2": {"engine."},
    "dbus_fast": {"desktop."},
    "defusedxml": {"images."},
    "desktop_notifier": {"desktop."},
    "filelock": {"disk.", "desktop."},
    "matplotlib": {"engine."},
    "numpy": {"engine.", "images."},
    "pi_heif": {"images."},
    "platformdirs": {"config.", "cli.", "service."},
    "psutil": {"engine.", "intake.", "disk.", "system.", "service.", "desktop."},
    "pydantic": {"config."},
    "rawpy": {"images."},
    "rich": {"cli."},
    "safetensors": {"engine."},
    "torch": {"engine."},
    "typer": {"cli."},
    "watchdog": {"folders."},
    "yaml": {"config."},
}

LONGEST_FILE = 420  # lines; beyond it two rooms are clearer than one
LONGEST_FUNCTION = 50


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def unit_of(path: Path) -> str:
    """Return the module's or the package's name below nst_daemon."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imports_of(path: Path) -> Iterator[str]:
    """Yield dotted names; `nst_daemon.x` for our own, wherever in the file the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "nst_daemon":
            yield from (f"nst_daemon.{alias.name}" for alias in node.names if alias.name != "__version__")
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_every_module_has_its_layer() -> None:
    assert {unit_of(path) for path in modules()} == set(LAYER_OF)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    unit = unit_of(path)
    for name in imports_of(path):
        if name.startswith("nst_daemon."):
            other = name.split(".")[1]
            assert other == unit or LAYER_OF[other] < LAYER_OF[unit], f"{unit} imports {other}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_library_lives_in_its_place(path: Path) -> None:
    unit = unit_of(path)
    place = unit if path.parent == ROOT else f"{unit}."
    for name in imports_of(path):
        library = name.split(".")[0]
        if library != "nst_daemon" and library not in sys.stdlib_module_names:
            assert place in LIBRARIES[library], f"{library} has no business in {place}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_fit_on_a_screen(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"


def test_sql_stands_in_the_ledger_alone() -> None:
    users = {unit_of(path) for path in modules() if "sqlite3" in imports_of(path)}
    assert users == {"ledger"}


def test_the_engine_seen_from_outside_imports_no_torch() -> None:
    for name in ("process", "child", "messages", "settings", "schedule"):
        top_level = ast.parse((ROOT / "engine" / f"{name}.py").read_text()).body
        names = [node.module or "" for node in top_level if isinstance(node, ast.ImportFrom)]
        names += [alias.name for node in top_level if isinstance(node, ast.Import) for alias in node.names]
        assert not any(found.startswith(("torch", "nst_daemon.engine.studio")) for found in names)


# The boundary to the disks, and who else opens a file: none that a user has in his folders.
DISK_CALLERS = {
    "disk.": "the boundary itself",
    "service.": "the units and entries of the desktop's own folders",
    "folders.mounts": "the kernel's table of mounts",
    "system.machine": "the kernel's name for its own run",
}
# fmt: off
PATH_CALLS = frozenset({
    "chmod", "exists", "glob", "hardlink_to", "is_dir", "is_file", "is_mount", "is_symlink", "iterdir",
    "lstat", "mkdir", "open", "read_bytes", "read_text", "readlink", "rename", "resolve", "rglob", "rmdir",
    "samefile", "stat", "symlink_to", "touch", "unlink", "write_bytes", "write_text",
})
OS_CALLS = frozenset({
    "access", "chmod", "fsync", "link", "listdir", "lstat", "makedirs", "mkdir", "open", "read",
    "remove", "rename", "replace", "rmdir", "scandir", "stat", "symlink", "truncate", "unlink", "utime",
    "walk", "write",
})
OS_PATH_CALLS = frozenset({
    "exists", "getmtime", "getsize", "isdir", "isfile", "islink", "ismount", "lexists", "samefile",
})
# fmt: on
DISK_MODULES = frozenset({"filecmp", "fileinput", "mmap", "shutil", "tempfile"})
HARMLESS = frozenset({"shutil.get_terminal_size", "shutil.which", "tempfile.TemporaryDirectory"})
NO_FILES = frozenset({"Image", "dataclasses", "disk", "self", "system", "urllib"})  # their `open` is another


def disk_calls_of(path: Path) -> Iterator[str]:
    """Yield the calls that ask or change the disk, wherever in the file they stand."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id == "open":
            yield f"open, line {node.lineno}"
        if not isinstance(node.func, ast.Attribute):
            continue
        owner, name = ast.unparse(node.func.value), node.func.attr
        is_os = (owner == "os" and name in OS_CALLS) or (owner == "os.path" and name in OS_PATH_CALLS)
        is_path = name in PATH_CALLS and owner.split(".")[0] not in NO_FILES | {"os"}
        # Of text it has two arguments.
        is_move = name == "replace" and len(node.args) == 1 and owner.split(".")[0] not in NO_FILES
        is_module = owner in DISK_MODULES and f"{owner}.{name}" not in HARMLESS
        if is_os or is_path or is_move or is_module:
            yield f"{owner}.{name}, line {node.lineno}"


def dotted(path: Path) -> str:
    return str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")


def test_the_disk_is_touched_at_the_boundary_alone() -> None:
    callers = {
        dotted(path): calls
        for path in modules()
        if not any(dotted(path) == place or dotted(path).startswith(place) for place in DISK_CALLERS)
        and (calls := list(disk_calls_of(path)))
    }
    assert callers == {}


# Who may start a process. `system.child` alone keeps one; the others hand something over and forget it.
PROCESS_STARTERS = {
    "system.child": {"multiprocessing", "multiprocessing.context"},
    "desktop.notify": {"subprocess"},  # notify-send
    "desktop.opener": {"subprocess"},  # the desktop's own program for a file
    "service.background": {"subprocess"},  # the daemon, which outlives the command
    "service.files": {"subprocess"},  # to quote a command line as Windows does
    "service.installing": {"subprocess"},  # systemctl and its like
}


def test_one_class_alone_keeps_child_processes() -> None:
    starters = {"subprocess", "multiprocessing", "multiprocessing.context", "multiprocessing.pool"}
    found = {dotted(path): starters & set(imports_of(path)) for path in modules()}
    assert {name: names for name, names in found.items() if names} == PROCESS_STARTERS
