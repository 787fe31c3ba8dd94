"""GIMP without a screen, with our plug-in and a profile of its own.

A script is handed to it as a file, and says what it found in another; GIMP's exit code says nothing.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from nst_daemon.editors.plug_ins import SOURCES, filled
from support.desktops import needs

ENDED_SECONDS = 240.0  # a first start takes its time, and more on a busy machine
DATA_FOLDERS = ("brushes", "dynamics", "fonts", "gradients", "palettes", "patterns", "tool-presets")

# What GIMP and its file plug-ins say whenever they run.
USUAL = re.compile(
    r"batch command executed successfully|Failed to parse tag cache|using gegl copy|bps: \d+|Image dimensions"
    r"|load_contiguous|bytes_per_pixel|GEGL-WARNING.*gegl_tile_cache_destroy|GeglBuffers? leaked"
    r"|dbus-daemon|Unable to locate theme engine|No namespace info available for XMP prefix `nst'"
    # GIMP 3, with and without our plug-in:
    r"|scriptfu-WARNING|Welcome to GIMP|cannot open display|gimp_wire_read\(\): unexpected EOF"
    r"|gimp_flush\(\): error: Broken pipe|gimp_finalize: list of contexts|stale context|load_rgba|photomet:"
    r"|GLib-GObject-CRITICAL \*\*: [\d:.]+: g_object_unref: assertion 'G_IS_OBJECT|/proc/mounts"
)
MESSAGE = re.compile(r"(?:[^:()]+-Warning: |GIMP-Error: Calling error for procedure 'nst-daemon-paint':)(.*)")

TOOLS2 = r"""
(define test-out (open-output-file "@SAID@"))
(define (say-one x)
  (cond ((string? x) x) ((number? x) (number->string x)) ((eq? x #f) "#f") ((eq? x #t) "#t")
        ((vector? x) (say-one (vector->list x)))
        ((list? x) (string-append "(" (nst-joined (map say-one x) " ") ")")) (else "?")))
(define (say . words)
  (display (nst-joined (map say-one words) " ") test-out) (newline test-out))
(define (opened path) (car (gimp-file-load RUN-NONINTERACTIVE path path)))
(define (layers image) (vector->list (cadr (gimp-image-get-layers image))))
(define (name-of item) (car (gimp-item-get-name item)))
(define (choice pairs word)
  (let loop ((at 0) (pairs pairs)) (if (string=? (caar pairs) word) at (loop (+ at 1) (cdr pairs)))))
(define (style-at name)
  (let loop ((at 0) (names nst-styles)) (if (string=? (car names) name) at (loop (+ at 1) (cdr names)))))
(define (paint image style size px strength selection)
  (nst-daemon-paint image (car (gimp-image-get-active-drawable image)) (style-at style)
                    (choice nst-sizes size) px strength FALSE (choice nst-selections selection)))
(define (until-state id . states)
  (let loop ((left 1200))
    (let ((state (or (nst-of (nst-status id) "state") "none")))
      (cond ((member state states) state)
            ((= left 0) (string-append "too late: " state))
            (else (usleep 100000) (loop (- left 1)))))))
(define (until-done image)
  (map (lambda (id) (until-state id "done" "failed" "cancelled")) (nst-orders-of image)))
(define (saved-alone image layer path)
  (file-tiff-save RUN-NONINTERACTIVE image layer path path 0)
  (gimp-image-delete image))
(define (saved image layer path)
  (let ((alone (car (gimp-image-duplicate image))) (at (choice-of (layers image) layer)))
    (for-each (lambda (each) (gimp-image-remove-layer alone each))
              (nst-kept (lambda (each) (<> each (list-ref (layers alone) at))) (layers alone)))
    (saved-alone alone (car (layers alone)) path)))
(define (choice-of all one) (if (= (car all) one) 0 (+ 1 (choice-of (cdr all) one))))
(define (saved-mask layer path)
  (let* ((mask (car (gimp-layer-get-mask layer)))
         (image (car (gimp-image-new-with-precision
           (car (gimp-drawable-width mask)) (car (gimp-drawable-height mask)) GRAY 100)))
         (copy (car (gimp-layer-new-from-drawable mask image))))
    (gimp-image-insert-layer image copy 0 0)
    (saved-alone image copy path)))
"""


@dataclass(frozen=True)
class Said:
    """What a script wrote, what GIMP told its user, and what went wrong."""

    lines: list[str]
    messages: str
    faults: list[str]


def scheme(text: object) -> str:
    """Return a text as Scheme reads it."""
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def judged(stderr: str) -> tuple[str, list[str]]:
    """Return what GIMP told its user, and what it complained about."""
    messages, faults, is_message = [], [], False
    for line in stderr.splitlines():
        if USUAL.search(line):
            is_message = False
        elif match := MESSAGE.fullmatch(line):
            messages.append(match[1])
            is_message = True
        elif not line.strip():
            is_message = False
        elif is_message:
            messages.append(line)
        else:
            faults.append(line)
    return "\n".join(messages), faults


class Gimp2:
    """GIMP 2.10."""

    def __init__(self, folder: Path, first: Path | None = None) -> None:
        """Begin with the profile of one that has run: a first start asks every plug-in what it is."""
        needs("gimp-console-2.10")
        self.folder = folder
        self.profile = folder / "GIMP's profile ü"
        if first is not None:
            shutil.copytree(first, self.profile)
        for name in ("scripts", *DATA_FOLDERS):
            (self.profile / name).mkdir(parents=True, exist_ok=True)

    def install(self, exchange: Path) -> None:
        """Put our plug-in in, for that exchange folder."""
        text = filled(SOURCES / "gimp2" / "nst-daemon.scm", exchange)
        (self.profile / "scripts" / "nst-daemon.scm").write_bytes(text)

    def start(self, script: str, display: str | None = None) -> "subprocess.Popen[str]":
        """Begin a script; with a display, in a GIMP that has windows."""
        file, said = self.folder / "script.scm", self.folder / "said.txt"
        said.unlink(missing_ok=True)
        tools = TOOLS2 if script else '(define test-out (open-output-file "@SAID@"))'
        tools = tools.replace('"@SAID@"', scheme(said))
        file.write_text(f"{tools}\n{script}\n(close-output-port test-out)\n", encoding="utf-8")
        program = ["gimp-console-2.10", "-i"] if display is None else ["gimp-2.10", "-n", "-s"]
        return subprocess.Popen(
            [*program, "-d", "-f", "-b", f"(load {scheme(file)})", "-b", "(gimp-quit 1)"],
            env={
                **({} if display is None else {"DISPLAY": display}),
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.folder),
                "GIMP2_DIRECTORY": str(self.profile),
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


def heard(process: "subprocess.Popen[str]", folder: Path) -> Said:
    """Wait for the end of a GIMP, and return what its script has said in a folder."""
    try:
        _, stderr = process.communicate(timeout=ENDED_SECONDS)
    finally:
        process.kill()
        process.wait()
    said = folder / "said.txt"
    lines = said.read_text(encoding="utf-8").splitlines() if said.exists() else []
    return Said(lines, *judged(stderr))


@pytest.fixture(scope="session")
def gimp2_profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a profile in which GIMP 2.10 has run once."""
    gimp = Gimp2(tmp_path_factory.mktemp("gimp2"))
    gimp.run("")
    assert (gimp.profile / "pluginrc").exists()
    return gimp.profile
