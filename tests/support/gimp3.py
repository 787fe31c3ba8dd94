"""GIMP 3 without a screen, in a Debian that has it: a folder to change root to, which $NST_TRIXIE names.

`.ci/trixie FOLDER` makes one. What a test needs lies inside it for as long as the test runs.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nst_daemon.editors.plug_ins import install
from nst_daemon.editors.profiles import Packing, Profile
from nst_daemon.folders.exchange import Editor
from support.gimp import Said, heard

VARIABLE = "NST_TRIXIE"
ODD = 'Jörg\'s "pictures"'

TOOLS3 = r"""
import os, sys, time, traceback
said = open(@SAID@, "w", encoding="utf-8")
def say(*words):
    print(*words, file=said, flush=True)
def opened(name):
    return Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(os.path.join(folder, name)))
def kept(image, name):
    file = Gio.File.new_for_path(os.path.join(folder, name))
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, file, None)
    return opened(name)
def names(image):
    return [layer.get_name() for layer in image.get_layers()]
def paint(image, **wanted):
    procedure = Gimp.get_pdb().lookup_procedure("nst-daemon-paint")
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", image.get_selected_layers())
    for name, value in {"style": "stripes", "size": "original", "selection": "ignored", **wanted}.items():
        config.set_property(name.replace("_", "-"), value)
    procedure.run(config)
    status, error = Gimp.get_pdb().get_last_status(), Gimp.get_pdb().get_last_error()
    return status.value_nick + ("" if error == "success" else ": " + error)
def saved(image, layer, name):
    alone = image.duplicate()
    at = image.get_layers().index(layer)
    for number, each in enumerate(alone.get_layers()):
        if number != at:
            alone.remove_layer(each)
    exported(alone, name)
def exported(image, name):
    procedure = Gimp.get_pdb().lookup_procedure("file-tiff-export")
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_property("file", Gio.File.new_for_path(os.path.join(folder, name)))
    config.set_property("include-color-profile", True)
    config.set_property("include-thumbnail", False)  # GIMP 3.0.4 makes none of 16 bits, and complains
    procedure.run(config)
    image.delete()
def grey(drawable):
    area = Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())
    return drawable.get_buffer().get(area, 1.0, "Y u8", Gegl.AbyssPolicy.NONE)
def main():
@SCRIPT@
try:
    main()
except BaseException:
    say(traceback.format_exc())
for image in Gimp.get_images():
    image.delete()
said.close()
"""


def trixie() -> Path:
    """Return the folder that GIMP 3 lives in; skip, loudly, where there is none."""
    named = os.environ.get(VARIABLE)
    if named is None:
        pytest.skip(f"NOT TESTED: GIMP 3. .ci/trixie FOLDER makes a Debian with it; then {VARIABLE}=FOLDER")
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: GIMP 3: only root may change root")
    root = Path(named)
    assert (root / "usr/bin/gimp-console-3.0").exists(), f"{VARIABLE}={named}: there is no GIMP 3"
    return root


@contextmanager
def room(root: Path) -> Iterator[Path]:
    """Yield a folder inside the other Debian, of an awkward name, and take it away again."""
    base = Path(tempfile.mkdtemp(prefix="nst ü ", dir=root / "tmp"))
    try:
        folder = base / ODD
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(base)


class Gimp3:
    """GIMP 3.0. `folder` is as we see it; GIMP sees it from its own root."""

    def __init__(self, root: Path, folder: Path, first: Path | None = None) -> None:
        self.root = root
        self.folder = folder
        self.profile = folder / "GIMP's profile ü"
        if first is not None:
            shutil.copytree(first, self.profile)
        self.profile.mkdir(exist_ok=True)

    def seen(self, path: Path) -> str:
        """Return a path as GIMP sees it."""
        return f"/{path.relative_to(self.root)}"

    def install(self, exchange: Path) -> None:
        """Put our plug-in in, for that exchange folder."""
        own = Profile(editor=Editor.GIMP, packing=Packing.NATIVE, folder=self.profile)
        install(own, Path(self.seen(exchange)))

    def start(self, script: str, display: str | None = None) -> "subprocess.Popen[str]":
        """Begin a script, the indented body of a function; with a display, in a GIMP that has windows."""
        file, said = self.folder / "script.py", self.folder / "said.txt"
        said.unlink(missing_ok=True)
        tools = TOOLS3.replace("@SAID@", ascii(self.seen(said)))
        file.write_text(f"folder = {self.seen(self.folder)!r}\n{tools.replace('@SCRIPT@', script)}", "utf-8")
        batch = f"exec(open({self.seen(file)!r}, encoding='utf-8').read())"
        program = ["gimp-console-3.0", "-i"] if display is None else ["gimp-3.0", "-n", "-s"]
        command = [*program, "-d", "-f", "--batch-interpreter", "python-fu-eval", "-b", batch]
        return subprocess.Popen(
            ["chroot", str(self.root), *command, "--quit"],
            env={
                **({} if display is None else {"DISPLAY": display}),
                "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
                "HOME": self.seen(self.folder),
                "GIMP3_DIRECTORY": self.seen(self.profile),
                "NO_AT_BRIDGE": "1",
                "LC_ALL": "C.UTF-8",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str) -> Said:
        """Run a script to its end."""
        return heard(self.start(script), self.folder)


@pytest.fixture(scope="session")
def gimp3_profile() -> Iterator[Path]:
    """Yield a profile in which GIMP 3 has run once."""
    root = trixie()
    with room(root) as folder:
        gimp = Gimp3(root, folder)
        gimp.run("    pass")
        assert (gimp.profile / "pluginrc").exists()
        yield gimp.profile
