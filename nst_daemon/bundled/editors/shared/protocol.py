# nst-daemon plug-in @VERSION@
"""The files that a plug-in and nst-daemon leave for each other: their names and their texts.

    in/<editor>/<id>.png             the picture, and .mask.png where it is painted
    in/<editor>/<id>.png.yaml        what is asked for; comes last: it is the commit
    in/<editor>/<id>.png.status      the daemon's answer
    in/<editor>/<id>.png.alive       rewritten for as long as somebody waits
    in/<editor>/<id>.png.cancel      nobody wants it any more
    out/<editor>/<id>.<style>.png    the painting
    out/<editor>/<id>.selection.png  the plug-in's own: what becomes the layer's mask
    styles.txt, thumbs/              what there is to choose from

Lies beside every plug-in that is written in Python, of 3.8 or later. Knows no editor, and never waits.
"""

from __future__ import annotations

import os
import random
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

EXCHANGE = "@EXCHANGE@"
PARTS = (".yaml", "", ".mask.png", ".alive", ".cancel", ".status")  # the sidecar goes first, the answer last
PICTURES = (".tif", ".tiff", ".png", ".jpg")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
ID = re.compile(r"[0-9]{8}-[0-9]{6}-[a-z0-9]{6}")
MAX_TEXT = 1 << 20  # bytes
LEFT_SECONDS = 24 * 3600.0  # after which a half written sidecar is nobody's any more
ANSWER_SECONDS = 3.0  # without an answer for longer, the daemon does not run
SIGN_SECONDS = 2.0  # between two signs of life; the daemon gives up after ten without
NOT_RUNNING = (
    'nst-daemon is not running: start it with "nst-daemon start". The picture waits, and will be painted.'
)


@dataclass(frozen=True)
class StyleEntry:
    """One style that there is, and its small picture."""

    name: str
    thumb: Path | None


def native(text: str) -> Path:
    """Return a path as this Python's system calls take it.

    Krita may begin its Python in a locale of ASCII, though names on the disk are UTF-8: it sets LANG to a
    language without an encoding.
    """
    return Path(os.fsdecode(text.encode("utf-8", "surrogateescape")))


def shown(path: Path) -> str:
    """Return a path as an editor and people read it: what `native` had."""
    return os.fsencode(path).decode("utf-8", "replace")


# What is asked.


def sidecar(
    style: str,
    title: str,
    *,
    size: str = "",  # "original", or px of the longer side; empty: as the daemon's config says
    strength: int = 100,  # per cent; 0 is the photo
    colours: str = "off",  # a value of `preserve_color`
    mask: str = "",  # the name of the daemon's mask, if there is one
    attended: bool = True,  # there will be signs of life
    comment: str = "",  # the plug-in's own; one line
) -> str:
    """Return what is asked of the daemon; the last line says that all is there."""
    settings = [f"strength: {max(0, min(100, strength)) / 100:g}", f"preserve_color: {colours}"]
    if size:
        settings.insert(0, f"size: {size}")
    lines = [
        f"style: {quoted(style)}",
        "set: {" + ", ".join(settings) + "}",
        f"title: {quoted(title)}",
        f"attended: {'true' if attended else 'false'}",
    ]
    if comment:
        lines.insert(0, f"# {comment}")
    if mask:
        lines.append(f"mask: {quoted(mask)}")
    return "\n".join([*lines, "whole: true", ""])


def quoted(text: str) -> str:
    """Return a text as YAML reads it back, whatever is in it."""
    return '"' + "".join(_spelt(char) for char in text) + '"'


def _spelt(char: str) -> str:
    if char in '\\"':
        return "\\" + char
    if "\ud800" <= char <= "\udfff":  # half of a name that is no text
        return "?"
    if char.isprintable():
        return char
    return f"\\U{ord(char):08X}"


# What is answered.


def parse_status(text: str) -> dict[str, str]:
    """Return the daemon's answer; lines that are none are skipped."""
    pairs = (line.split("=", 1) for line in text.split("\n") if "=" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def complaint(answer: dict[str, str]) -> str:
    """Return what the daemon has to tell the user: what is wrong, and what to do; empty: nothing."""
    return " ".join(answer[key] for key in ("error", "remedy") if answer.get(key))


def whole(text: str) -> int | None:
    """Return a number of an answer; None: it is none."""
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return None


def duration(seconds: int) -> str:
    """Return a time in words."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def within(root: Path, relative: str, folder: str, endings: tuple[str, ...] = PICTURES) -> Path | None:
    """Return where a relative path leads, if that is a picture in a folder of ours; else None."""
    parts = relative.split("/")
    if relative.startswith("/") or "\\" in relative or ":" in relative or "\0" in relative:
        return None
    if any(part in ("", ".", "..") for part in parts) or not relative.startswith(folder + "/"):
        return None
    return root / native(relative) if relative.lower().endswith(endings) else None


# The folder.


class Exchange:
    """The exchange folder, as the plug-in for one editor sees it."""

    def __init__(self, root: str, editor: str, ending: str) -> None:
        """`ending` is that of the pictures that it writes."""
        self.root = native(root)
        self._ending = ending
        self._orders = self.root / "in" / editor
        self._results = self.root / "out" / editor
        self._out = f"out/{editor}"

    def prepare(self) -> None:
        """Make our own folders in an exchange folder that is there. Raises: OSError."""
        for folder in (self._orders, self._results):
            if self.root.is_dir():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def new_id(self) -> str:
        """Return a name that no order has: time and random letters."""
        while True:
            tail = "".join(random.choice(LETTERS) for _ in range(6))  # no secret: it is to be new
            order = f"{time.strftime('%Y%m%d-%H%M%S')}-{tail}"
            if not self.photo(order).exists():
                return order

    def photo(self, order: str) -> Path:
        """Return where the picture of an order lies."""
        return self.part(order, "")

    def part(self, order: str, ending: str) -> Path:
        """Return where another file of an order lies."""
        return self._orders / f"{order}{self._ending}{ending}"

    def selection(self, order: str) -> Path:
        """Return where a selection waits to become a mask."""
        return self._results / f"{order}.selection.png"

    def commit(self, order: str, text: str) -> None:
        """Write the sidecar, by rename: nobody sees half of it. Raises: OSError."""
        draft = self._orders / f".{order}.tmp"
        draft.write_bytes(text.encode("utf-8"))
        draft.replace(self.part(order, ".yaml"))

    def asked(self, order: str) -> str | None:
        """Return the sidecar of an order; None: there is none."""
        return read(self.part(order, ".yaml"))

    def orders(self) -> list[str]:
        """Return the orders of ours that lie there, oldest first."""
        ending = f"{self._ending}.yaml"
        with suppress(OSError):
            found = [
                (_written_ns(path), path.name[: -len(ending)]) for path in self._orders.glob(f"*{ending}")
            ]
            return [name for _, name in sorted(found) if ID.fullmatch(name)]
        return []

    def status(self, order: str) -> dict[str, str]:
        """Return the daemon's answer; empty: there is none."""
        return parse_status(read(self.part(order, ".status")) or "")

    def result(self, answer: dict[str, str]) -> Path | None:
        """Return the painting that an answer names, if it may be loaded."""
        return within(self.root, answer.get("result", ""), self._out)

    def preview(self, answer: dict[str, str]) -> Path | None:
        """Return the picture of what is being painted that an answer names, if it may be loaded."""
        return within(self.root, answer.get("preview", ""), self._out, (".jpg",))

    def give_sign(self, order: str, number: int) -> None:
        """Say that somebody waits. Never raises: a sign that is lost is followed by another."""
        with suppress(OSError):
            self.part(order, ".alive").write_text(f"{number}\n")

    def cancel(self, order: str) -> None:
        """Ask for the end of an order. Raises: OSError."""
        self.part(order, ".cancel").write_bytes(b"")

    def is_there(self, order: str) -> bool:
        """Return whether the daemon still has what was ordered, or an answer."""
        return any(self.part(order, ending).exists() for ending in ("", ".status"))

    def tidy(self, order: str, result: Path | None = None) -> None:
        """Remove all that is an order's, its painting too. Never raises: what stays, the daemon sweeps."""
        paths = [*(self.part(order, ending) for ending in PARTS), self.selection(order)]
        if result is not None and result.name.startswith(f"{order}."):
            paths.append(result)
        for path in paths:
            with suppress(OSError):
                path.unlink()

    def sweep(self) -> None:
        """Remove sidecars that were never finished. Never raises."""
        with suppress(OSError):
            for draft in self._orders.glob(".*.tmp"):
                if time.time() - draft.stat().st_mtime > LEFT_SECONDS:
                    draft.unlink()

    # Styles.

    def styles_stamp(self) -> tuple[object, ...]:
        """Return what changes whenever the list of styles does."""
        return tuple(_stamp(self.root / name) for name in ("styles.txt", "thumbs"))

    def styles(self) -> list[StyleEntry]:
        """Return the styles that there are, in the list's order."""
        found = []
        for line in (read(self.root / "styles.txt") or "").split("\n"):
            name, _, thumb = line.strip("\r").partition("\t")
            if name:
                found.append(StyleEntry(name, within(self.root, thumb, "thumbs")))
        return found


def read(path: Path) -> str | None:
    """Return a small text; None: it cannot be read now, or is none."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_TEXT).decode("utf-8", "replace")
    except OSError:
        return None


def _written_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # it goes this very moment
        return 0


def _stamp(path: Path) -> object:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
