"""Krita on a screen that nobody sees, with our plug-in and another that does what a test asks."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from PIL import ImageGrab

from nst_daemon.editors.plug_ins import install
from nst_daemon.editors.profiles import Packing, Profile
from nst_daemon.folders.exchange import Editor, Exchange
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Job
from support.desktops import ended, needs, screen
from support.waiting import comes_true, wait_for

ODD: Final = 'Ada\'s "Bücher" und mehr'  # a folder's name that no quoting may stumble over
SIZE: Final = "1400x900"
START_SECONDS: Final = 180.0  # a first start reads all of Krita's brushes, on a machine with much else to do
ANSWER_SECONDS: Final = 60.0
SYSTEM_QT: Final = Path("/usr/lib/python3/dist-packages/PyQt5")

PROBE_DESKTOP: Final = """[Desktop Entry]
Type=Service
ServiceTypes=Krita/PythonPlugin
X-KDE-Library=nst_probe
X-Python-2-Compatible=false
Name=nst_probe
Comment=Does what a test asks
"""

# Beside our plug-in, and no part of it: runs what a test asks on Qt's thread, and writes the answer.
PROBE: Final = '''
import json, os, sys, traceback
from pathlib import Path
from krita import Krita
from PyQt5 import QtCore, QtGui, QtWidgets

app = Krita.instance()
FOLDER = Path(os.environ["NST_PROBE"])


def tree(node):
    return [[child.name(), child.type(), tree(child)] for child in node.childNodes()]


def settle(document):
    for _ in range(5):
        QtCore.QCoreApplication.processEvents()
        document.waitForDone()


def press(name, document):
    app.action(name).trigger()
    settle(document)


def show(path):
    app.setBatchmode(True)
    document = app.openDocument(str(path))
    app.activeWindow().addView(document)
    app.setBatchmode(False)
    settle(document)
    return document


def new(name, width, height, depth="U8", profile="sRGB-elle-V2-srgbtrc.icc", pixels=None):
    document = app.createDocument(width, height, name, "RGBA", depth, profile, 72.0)
    if pixels is not None:
        document.rootNode().childNodes()[0].setPixelData(QtCore.QByteArray(pixels), 0, 0, width, height)
    app.activeWindow().addView(document)
    document.refreshProjection()
    settle(document)
    return document


def pixels(thing, width=64, height=48):
    return bytes(thing.pixelData(0, 0, width, height)).hex()


def dock():
    return next(each for each in app.dockers() if each.objectName() == "nst_daemon_docker")


def find(kind, name):
    return dock().findChild(kind, name)


def studio():
    return sys.modules["nst_daemon.studio"].shared()


def choose(style, **values):
    """Set the docker's form as a user does."""
    styles = find(QtWidgets.QListWidget, "nst_styles")
    named = {styles.item(row).data(QtCore.Qt.UserRole): row for row in range(styles.count())}
    styles.setCurrentRow(named[style])
    for name in ("size", "colours", "selection"):
        combo = find(QtWidgets.QComboBox, "nst_" + name)
        default = {"size": "config", "colours": "off", "selection": "layer"}[name]
        combo.setCurrentIndex(combo.findData(values.get(name, default)))
    find(QtWidgets.QSpinBox, "nst_px").setValue(values.get("px", 64))
    find(QtWidgets.QSpinBox, "nst_percent").setValue(values.get("strength", 100))
    find(QtWidgets.QCheckBox, "nst_goes_on").setChecked(values.get("goes_on", False))


def paint(style, **values):
    choose(style, **values)
    find(QtWidgets.QPushButton, "nst_paint").click()
    return find(QtWidgets.QLabel, "nst_message").text()


def row(order):
    return dock().findChild(QtWidgets.QFrame, "nst_row_" + order)


def rows():
    """Return what the docker shows of each order: [title, words, can be fetched]."""
    found = []
    for each in studio().orders:
        frame = row(each.id)
        if frame is not None and not frame.isHidden():
            found.append([frame.title.text(), frame.words.text(), not frame.fetch.isHidden()])
    return found


def orders():
    return [[each.id, each.note.style, each.state, each.is_over] for each in studio().orders]


SPACE = {**globals()}


def look():
    ask = FOLDER / "ask.py"
    if not ask.exists():
        return
    text = ask.read_text(encoding="utf-8")
    ask.unlink()
    SPACE["answer"] = None
    try:
        exec(compile(text, "ask", "exec"), SPACE)
        said = {"answer": SPACE["answer"]}
    except BaseException:
        said = {"error": traceback.format_exc()}
    (FOLDER / "said.tmp").write_text(json.dumps(said), encoding="utf-8")
    (FOLDER / "said.tmp").rename(FOLDER / "said.json")


timer = QtCore.QTimer()
timer.timeout.connect(look)
timer.start(30)
'''

# What is our plug-in's fault. Krita says much on stderr that is nobody's.
FAULT: Final = re.compile(r"Traceback|nst_daemon|Error: ")
HARMLESS: Final = re.compile(r"Failed to set fd limit|\.qml:")


class Krita:
    """One profile of Krita's, and the program over it."""

    def __init__(self, base: Path, display: str, exchange: Exchange) -> None:
        self.base = base
        self.display = display
        self.exchange = exchange
        self.home = base / "home"
        self._probe = base / "probe"
        self._probe.mkdir(parents=True)
        self.log = base / "krita.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._install()

    def _install(self) -> None:
        data, settings = self.home / ".local" / "share" / "krita", self.home / ".config" / "kritarc"
        own = Profile(editor=Editor.KRITA, packing=Packing.NATIVE, folder=data, settings=settings)
        install(own, self.exchange.root)
        plugins = data / "pykrita"
        (plugins / "nst_probe").mkdir()
        (plugins / "nst_probe" / "__init__.py").write_text(PROBE, encoding="utf-8")
        (plugins / "nst_probe.desktop").write_text(PROBE_DESKTOP)
        settings.write_text(settings.read_text() + "enable_nst_probe=true\n")

    def start(self) -> None:
        """Start it; return when it answers."""
        # An environment of its own: with a virtual environment's Krita would look for PyQt5 there.
        environment = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",  # of which Krita makes "C": its Python takes names for ASCII
            "HOME": os.fspath(self.home),
            "DISPLAY": self.display,
            "NST_PROBE": os.fspath(self._probe),
            "NO_AT_BRIDGE": "1",
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["dbus-run-session", "--", "krita", "--nosplash"],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.ask("app.setBatchmode(False)", seconds=START_SECONDS)
        self.wait("answer = app.activeWindow() is not None and bool(studio().styles)", "a window and styles")

    def ask(self, code: str, *, seconds: float = ANSWER_SECONDS) -> Any:
        """Run Python within Krita, and return what it has called `answer`."""
        said = self._probe / "said.json"
        said.unlink(missing_ok=True)
        draft = self._probe / "ask.tmp"
        draft.write_text(code, encoding="utf-8")
        draft.replace(self._probe / "ask.py")
        if not comes_true(lambda: said.exists() or not self.is_alive(), seconds) or not said.exists():
            ImageGrab.grab(xdisplay=self.display).save(self.base / "screen.png")
            raise AssertionError(f"no answer from Krita; {self.base / 'screen.png'}; {self._last_words}")
        answer = json.loads(said.read_text(encoding="utf-8"))
        assert "error" not in answer, answer["error"]
        return answer["answer"]

    def wait(self, code: str, what: str, seconds: float = 120.0) -> None:
        """Wait until what the code calls `answer` is true."""
        try:
            wait_for(lambda: self.ask(code), seconds=seconds, what=what)
        except AssertionError as error:
            ImageGrab.grab(xdisplay=self.display).save(self.base / "screen.png")
            raise AssertionError(f"{error}; {self.ask('answer = rows(), orders()')}") from None

    def rows(self) -> list[list[Any]]:
        """Return what the docker shows of each order: title, words, whether it can be fetched."""
        return list(self.ask("answer = rows()"))

    def files(self) -> list[str]:
        """Return all that lies in the plug-in's part of the exchange folder."""
        folders = [self.exchange.root / way / "krita" for way in ("in", "out")]
        return sorted(path.name for folder in folders for path in folder.iterdir() if path.is_file())

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-1500:]

    def kill(self) -> None:
        """End it as a crash would: nothing of it tidies up."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def faults(self) -> list[str]:
        """Return the lines of its log that speak of an error of a script's."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return [line for line in lines if FAULT.search(line) and not HARMLESS.search(line)]


class PaintingDaemon:
    """The real daemon with the real engine, small, in a process of its own."""

    def __init__(self, home: Path, exchange: Exchange) -> None:
        self.home = home
        self.log = home / "daemon.log"
        self._process: subprocess.Popen[bytes] | None = None
        config = home / "config.yaml"
        text = (
            config.read_text() + f"exchange: {json.dumps(os.fspath(exchange.root))}\ntray: off\nnotify: off\n"
        )
        config.write_text(text)

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "nst_daemon",
            "run",
            "--config",
            os.fspath(self.home / "config.yaml"),
        ]
        environment = {**os.environ, "HOME": os.fspath(self.home)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def stop(self) -> None:
        if self._process is not None:
            ended(self._process)
            self._process = None

    def jobs(self) -> list[Job]:
        with Ledger(self.home / "state" / "ledger.db") as ledger:
            return list(ledger.jobs.all(newest_first=False))


def programs_or_skip() -> None:
    """Skip, loudly, where Krita or its Python's Qt is missing."""
    needs("Xvfb", "krita", "dbus-run-session")
    if not SYSTEM_QT.exists():
        pytest.skip("NOT TESTED: no PyQt5. Debian: apt-get install python3-pyqt5 python3-pyqt5.sip")


@pytest.fixture(scope="module")
def krita_screen() -> Iterator[str]:
    programs_or_skip()
    with screen(SIZE) as display:
        yield display
