"""The shape of the code: who may import whom, where each library lives, and how long things may be.

Imports point down the floors, of the house and within each of its rooms; what stands on one floor does not
know each other.
"""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "nst_daemon"
DOCS = ROOT.parent / "docs"

FLOORS = (
    "errors",
    "system",
    "disk",
    "config",
    "images ledger",
    "engine folders service",
    "desktop intake painting",
    "editors farm page",
    "daemon",
    "cli",
    "__main__",
)

# fmt: off
FLOORS_WITHIN = {
    "system": (
        "child crash extras machine malloc opener pauses",
        "keeper",
    ),
    "disk": (
        "locks logs spelling system verdicts",
        "facts files",
        "changes",
        "bytes private",
    ),
    "config": (
        "addresses blends globs text",
        "kinds overlaps recipe refusals",
        "model orders settings",
        "example loading",
    ),
    "images": (
        "bmp boxes colors endings gif icc keywords layout likeness made margins provenance tags",
        "declared iptc tiff xmp",
        "exif jpeg png tiff_picture xmp_result",
        "containers metadata",
        "limits photo wholeness",
        "camera_raw profiles reducing",
        "loading",
        "labels saving",
        "contact_sheet descriptor",
    ),
    "ledger": (
        "jobs news schema",
        "columns file words",
        "facts problems rows seen sheets tickets",
        "attempts presence requests table",
        "queue",
        "ledger",
    ),
    "engine": (
        "checkpoint faces fetching layers messages optimise pixels report settings sphere wasserstein "
        "winograd",
        "detail figures regions schedule weights",
        "budget inputs preview recolouring subject vgg",
        "costs devices losses targets",
        "pace speeds tiles",
        "clock forecast styles",
        "descent starts",
        "cuda_graphs palette",
        "autotune",
        "trial",
        "painter",
        "studio",
        "child",
        "process",
    ),
    "folders": (
        "companions drafts exchange gate mounts networks outbox",
        "copies hints lease leftovers library places sidecars walk",
        "masks watching",
        "belongings inbox",
        "inboxes originals",
    ),
    "service": (
        "files kinds systemd",
        "installing",
        "background",
    ),
    "desktop": (
        "icons notices panels style_edit xorg",
        "menu notify",
        "model",
        "tray",
        "process",
    ),
    "intake": (
        "comparison delays first_look inspection pairing second_looks settling",
        "growing reading",
        "reader",
        "readers shelf taking",
        "arrivals submission",
        "admission in_hand sheets",
        "departures",
        "repairing",
        "awaiting",
        "intake",
        "left",
    ),
    "painting": (
        "moments",
        "checkpoints disposal",
        "attempt delivery",
        "easel",
        "worker",
        "pool",
    ),
    "editors": (
        "answering profiles quoting stock",
        "part plug_ins",
    ),
    "farm": (
        "keys parcel",
        "answers contact",
        "store talk troubles wire",
        "ahead freight scheduler seat",
        "engine link serving",
        "joining members",
    ),
    "page": (
        "answers words",
        "again guard live outlook thumbs uploads",
        "looks",
        "site",
        "gallery sheets",
        "changes",
        "routes",
        "server",
        "process",
    ),
    "daemon": (
        "heartbeat once reloading state_dir",
        "daemon",
    ),
    "cli": (
        "common forecasts",
        "editors farm live page setup",
        "checks paint service",
        "bench explain submit",
        "sheet",
        "app",
    ),
}

# Where each third-party library may be imported.
LIBRARIES = {
    "PIL": (
        "desktop.icons images.contact_sheet images.jpeg images.loading images.profiles "
        "images.saving"
    ),
    "annotated_types": "config.kinds config.model config.recipe",
    "cryptography": "farm.keys",
    "cv2": "engine.faces images.png",
    "dask": "farm.wire",
    "dbus_fast": "desktop.panels",
    "defusedxml": "images.xmp",
    "desktop_notifier": "desktop.notify",
    "distributed": "farm.keys farm.scheduler farm.serving farm.wire",
    "filelock": "desktop.process disk.locks",
    "h11": "page.server",
    "matplotlib": "engine.report",
    "numpy": (
        "engine.descent engine.detail engine.faces engine.inputs engine.painter engine.palette "
        "engine.pixels engine.preview engine.recolouring engine.regions engine.report "
        "engine.sphere engine.studio engine.subject images.camera_raw images.colors "
        "images.contact_sheet images.declared images.descriptor images.icc images.jpeg "
        "images.loading images.margins images.photo images.png images.profiles images.reducing "
        "images.saving images.tiff_picture"
    ),
    "pi_heif": "images.loading",
    "platformdirs": "cli.setup config.loading service.installing",
    "psutil": "desktop.model disk.locks engine.studio intake.reader service.background system.machine",
    "pydantic": "config.kinds config.loading config.model config.refusals config.settings",
    "rawpy": "images.camera_raw",
    "rich": "cli.app cli.common cli.live",
    "safetensors": "engine.weights",
    "starlette": "page.answers page.changes page.guard page.routes page.site page.uploads",
    "torch": (
        "engine.autotune engine.checkpoint engine.cuda_graphs engine.descent engine.detail "
        "engine.devices engine.fetching engine.figures engine.inputs engine.losses "
        "engine.optimise engine.painter engine.palette engine.pixels engine.preview "
        "engine.regions engine.starts engine.studio engine.styles engine.subject engine.targets "
        "engine.tiles engine.trial engine.vgg engine.wasserstein engine.weights engine.winograd"
    ),
    "torchvision": "engine.fetching",
    "typer": (
        "cli.app cli.bench cli.checks cli.common cli.editors cli.farm cli.page cli.paint "
        "cli.service cli.setup cli.sheet cli.submit"
    ),
    "uvicorn": "page.server",
    "watchdog": "folders.hints folders.watching",
    "yaml": "config.text",
}
# fmt: on

LONGEST_FILE = 400  # lines; beyond it two rooms are clearer than one
LONGEST_FUNCTION = 50


def modules() -> list[Path]:
    """Return our modules; the plug-ins in `bundled` are run by other programs."""
    found = (path for path in ROOT.rglob("*.py") if not path.is_relative_to(ROOT / "bundled"))
    return sorted(path for path in found if path != ROOT / "__init__.py")


def dotted(path: Path) -> str:
    """Return a module's name below nst_daemon; a package's for its __init__."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {dotted(path): path for path in modules()}


def room_of(name: str) -> str:
    return name.split(".")[0]


def floors_of(table: tuple[str, ...]) -> dict[str, int]:
    return {name: number for number, names in enumerate(table) for name in names.split()}


@cache
def tree_of(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text())


@cache
def imports_of(name: str) -> frozenset[str]:
    """Return dotted names, wherever in the file the import stands; our own without `nst_daemon.`."""
    found: set[str] = set()
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("nst_daemon.") for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= set(_from(node.module, [alias.name for alias in node.names]))
    return frozenset(found)


def _from(module: str, names: list[str]) -> Iterator[str]:
    if room_of(module) != "nst_daemon":
        yield module
        return
    base = module.removeprefix("nst_daemon").removeprefix(".")
    for name in names:
        longer = f"{base}.{name}".removeprefix(".")
        if longer in MODULES:
            yield longer
        elif base:
            yield base


def our_imports(name: str) -> frozenset[str]:
    return imports_of(name) & MODULES.keys()


def users_of(library: str) -> set[str]:
    return {name for name in MODULES if library in map(room_of, imports_of(name))}


def callers_of(*names: str) -> set[str]:
    """Return the modules that call what is so called, whatever it is a part of."""
    return {
        name
        for name in MODULES
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in names
    }


each_module = pytest.mark.parametrize("name", sorted(MODULES))


def test_every_module_has_its_floor() -> None:
    assert {room_of(name) for name in MODULES} == set(floors_of(FLOORS))
    within = {f"{room}.{name}" for room, table in FLOORS_WITHIN.items() for name in floors_of(table)}
    assert within == {name for name in MODULES if "." in name}


def test_no_module_has_two_floors() -> None:
    for table in (FLOORS, *FLOORS_WITHIN.values()):
        names = [name for floor in table for name in floor.split()]
        assert len(names) == len(set(names))


@each_module
def test_imports_point_down(name: str) -> None:
    room, house = room_of(name), floors_of(FLOORS)
    for other in our_imports(name):
        if room_of(other) != room:
            assert house[room_of(other)] < house[room], f"{name} imports {other}"
        elif "." in name and "." in other:
            within = floors_of(FLOORS_WITHIN[room])
            mine, its = (each.removeprefix(f"{room}.") for each in (name, other))
            assert within[its] < within[mine], f"{name} imports {other}"


def test_there_is_no_circle() -> None:
    """Not even by way of a package's __init__, which its own modules may import as far as this."""
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way, name))
        if name not in done:
            for other in our_imports(name):
                walk(other, (*way, name))
            done.add(name)

    for name in MODULES:
        walk(name, ())


def test_the_method_knows_nothing_of_the_flow() -> None:
    for name in MODULES:
        if room_of(name) == "engine":
            known = {room_of(other) for other in our_imports(name)}
            assert not known & {"intake", "folders", "ledger", "painting", "daemon"}, name


@each_module
def test_each_library_lives_in_its_place(name: str) -> None:
    for imported in imports_of(name):
        library = room_of(imported)
        if imported not in MODULES and library not in {"nst_daemon", *sys.stdlib_module_names}:
            assert name in LIBRARIES[library].split(), f"{library} has no business in {name}"


@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_each_library_is_used_where_the_table_has_it(library: str) -> None:
    assert users_of(library) == set(LIBRARIES[library].split())


@each_module
def test_files_and_functions_fit_on_a_screen(name: str) -> None:
    assert len(MODULES[name].read_text().splitlines()) <= LONGEST_FILE
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"


def test_the_house_is_small_enough_to_be_seen() -> None:
    entries = [path for path in ROOT.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 21  # 19, a farm of machines, and a page in the browser
    arrows = {
        (room_of(name), room_of(other))
        for name in MODULES
        for other in our_imports(name)
        if room_of(name) != room_of(other)
    }
    assert len(arrows) <= 110  # 80 among the first rooms, and some ten for each of those two and a half


# ── docs/architecture.md and CONTRIBUTING.md ──────────────────────────────────────────────────────────────


def test_the_map_has_the_rooms_on_their_floors() -> None:
    rows = re.findall(r"^\| (\d*) *\| `([\w./]+)` \|", (DOCS / "architecture.md").read_text(), re.M)
    drawn: dict[str, int] = {}
    floor = 0
    for number, room in rows:
        floor = int(number or floor)
        drawn[room.removesuffix("/").removesuffix(".py")] = floor
    drawn.pop("bundled")  # no code
    house = floors_of(FLOORS)
    assert drawn == {room: house[room] + 1 for room in house if room != "__main__"}


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_module_that_the_documentation_names_is_there(page: str) -> None:
    named = re.findall(r"`((?:\w+/)*\w+\.py)`", (ROOT.parent / page).read_text())
    assert named
    places = (ROOT, ROOT.parent)
    assert [name for name in named if not any((place / name).is_file() for place in places)] == []


def test_every_example_of_the_conventions_stands_in_its_file() -> None:
    examples = re.findall(
        r"^```python\n# (\S+)\n(.*?)^```", (ROOT.parent / "CONTRIBUTING.md").read_text(), re.M | re.S
    )
    assert len(examples) >= 7
    for name, code in examples:
        assert code in (ROOT.parent / name).read_text(), name


# ── Who may do what ─────────────────────────────────────────────────────────────────────────────────────


def test_sql_stands_in_the_ledger_alone() -> None:
    assert {room_of(name) for name in users_of("sqlite3")} == {"ledger"}


# What tells of a painting before an engine is started, or while one runs in another process.
# fmt: off
NO_TORCH = (
    "budget", "child", "clock", "costs", "forecast", "layers", "messages", "pace", "process", "schedule",
    "settings", "speeds",
)
# fmt: on


def test_the_engine_seen_from_outside_imports_no_torch() -> None:
    for name in NO_TORCH:
        top_level = ast.parse((ROOT / "engine" / f"{name}.py").read_text()).body
        names = [node.module or "" for node in top_level if isinstance(node, ast.ImportFrom)]
        names += [alias.name for node in top_level if isinstance(node, ast.Import) for alias in node.names]
        assert not any(found.startswith(("torch", "nst_daemon.engine.studio")) for found in names)


# The boundary to the disks, and who else opens a file: none that a user has in his folders.
DISK_CALLERS = {
    "disk.": "the boundary itself",
    "service.": "the units and entries of the desktop's own folders",
    "folders.mounts.": "the kernel's table of mounts",
    "system.machine.": "the kernel's name for its own run",
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
NO_FILES = frozenset(  # their `open` is another
    {"Image", "dataclasses", "disk", "self", "system", "urllib", "webbrowser"}
)


def disk_calls_of(module: str) -> Iterator[str]:
    """Yield the calls that ask or change the disk, wherever in the file they stand."""
    for node in ast.walk(tree_of(module)):
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


def test_the_disk_is_touched_at_the_boundary_alone() -> None:
    callers = {
        name: calls
        for name in MODULES
        if not any(f"{name}.".startswith(place) for place in DISK_CALLERS)
        and (calls := list(disk_calls_of(name)))
    }
    assert callers == {}


# Who may start a process. `system.child` alone keeps one; the others hand something over and forget it.
PROCESS_STARTERS = {
    "system.child": {"multiprocessing", "multiprocessing.context"},
    "desktop.notify": {"subprocess"},  # notify-send
    "system.opener": {"subprocess"},  # the desktop's own program for a file
    "editors.profiles": {"subprocess"},  # an editor's program, asked for its version
    "service.background": {"subprocess"},  # the daemon, which outlives the command
    "service.files": {"subprocess"},  # to quote a command line as Windows does
    "service.installing": {"subprocess"},  # systemctl and its like
}


def test_one_class_alone_keeps_child_processes() -> None:
    starters = {"subprocess", "multiprocessing", "multiprocessing.context", "multiprocessing.pool"}
    found = {name: starters & imports_of(name) for name in MODULES}
    assert {name: names for name, names in found.items() if names} == PROCESS_STARTERS


THREAD_STARTERS = {
    "daemon.daemon",  # intake, sweeper, workers
    "desktop.notify",  # the bus
    "engine.child",  # hears the daemon while it paints
    "farm.link",  # the event loop on which other machines are spoken to; only while there is a farm
    "system.child",  # hears that its parent has gone
}


def test_threads_begin_in_few_places() -> None:
    starters = ("Thread", "Timer", "ThreadPoolExecutor", "ProcessPoolExecutor", "start_new_thread", "fork")
    assert callers_of(*starters) == THREAD_STARTERS


def test_signals_are_handled_in_few_places() -> None:
    assert callers_of("signal") == {
        "cli.submit",
        "daemon.daemon",
        "desktop.process",
        "farm.joining",
        "farm.serving",
        "system.child",
    }


TESTS = Path(__file__).parents[1]


def test_the_tests_wait_in_one_place() -> None:
    sleepers = {
        str(path.relative_to(TESTS))
        for path in TESTS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "sleep")
    }
    assert sleepers == {"support/waiting.py"}
