# nst-daemon plug-in @VERSION@
"""The files that the plug-in and nst-daemon leave for each other: their names and their texts.

    in/krita/<id>.png            the picture, and .mask.png where it is painted
    in/krita/<id>.png.yaml       what is asked for; comes last: it is the commit
    in/krita/<id>.png.status     the daemon's answer
    in/krita/<id>.png.alive      rewritten for as long as Krita waits
    in/krita/<id>.png.cancel     nobody wants it any more
    out/krita/<id>.<style>.png   the painting
    out/krita/<id>.selection.png ours: what becomes the layer's mask
    styles.txt, thumbs/          what there is to choose from

Plain Python: knows neither Krita nor Qt, and never waits.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

EXCHANGE = "@EXCHANGE@"
EDITOR = "krita"
PARTS = (".yaml", "", ".mask.png", ".alive", ".cancel", ".status")  # the sidecar goes first, the answer last
PICTURES = (".tif", ".tiff", ".png", ".jpg")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
ID = re.compile(r"[0-9]{8}-[0-9]{6}-[a-z0-9]{6}")
NOTE = "# krita: "  # our own memory of an order, which to everybody else is a comment
MAX_TEXT = 1 << 20  # bytes
LEFT_SECONDS = 24 * 3600.0  # after which a half written sidecar is nobody's any more

# What can be chosen, as it is remembered and as it is shown.
SIZES = {"config": "as nst-daemon's config says", "original": "as the image", "px": "longer side"}
COLOURS = {
    "off": "the style's",
    "luminance": "the image's, lightness painted",
    "histogram": "the image's, style recoloured",
}
SELECTIONS = {
    "layer": "becomes the layer's mask",
    "both": "is painted, and becomes the layer's mask",
    "daemon": "is painted, the rest stays photo",
    "ignored": "is ignored",
}


@dataclass
class Choice:
    """What the user has set; every default once."""

    style: str = ""
    size: str = "config"
    px: int = 1024  # longer side, where `size` says so
    strength: int = 100  # per cent; 0 is the photo
    colours: str = "off"
    selection: str = "layer"
    goes_on: bool = False  # when Krita closes


@dataclass
class Note:
    """What the plug-in has to know of an order when its painting is there."""

    style: str
    title: str
    path: str = ""  # the image's file; only compared with those that are open
    width: int = 0  # px, of the image when it was ordered
    height: int = 0
    attended: bool = True


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
    """Return a path as Qt and people read it: what `native` had."""
    return os.fsencode(path).decode("utf-8", "replace")


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


def sidecar_text(choice: Choice, note: Note, mask: str = "") -> str:
    """Return what is asked of the daemon; the last line says that all is there."""
    settings = [f"strength: {max(0, min(100, choice.strength)) / 100:g}", f"preserve_color: {choice.colours}"]
    if choice.size != "config":
        settings.insert(0, "size: original" if choice.size == "original" else f"size: {choice.px}")
    lines = [
        NOTE + json.dumps(asdict(note)),
        f"style: {quoted(note.style)}",
        "set: {" + ", ".join(settings) + "}",
        f"title: {quoted(note.title)}",
        f"attended: {'true' if note.attended else 'false'}",
    ]
    if mask:
        lines.append(f"mask: {quoted(mask)}")
    return "\n".join([*lines, "whole: true", ""])


def note_of(text: str) -> Note | None:
    """Return what we had written down of an order; None: it is none of ours."""
    first = text.split("\n", 1)[0]
    if not first.startswith(NOTE):
        return None
    try:
        said = json.loads(first[len(NOTE) :])
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    known = Note(style="", title="")
    for name, value in asdict(known).items():
        if name in said and type(said[name]) is type(value):
            setattr(known, name, said[name])
    return known


def parse_status(text: str) -> dict[str, str]:
    """Return the daemon's answer; lines that are none are skipped."""
    pairs = (line.split("=", 1) for line in text.split("\n") if "=" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def within(root: Path, relative: str, folder: str, endings: tuple[str, ...] = PICTURES) -> Path | None:
    """Return where a relative path leads, if that is a picture in a folder of ours; else None."""
    parts = relative.split("/")
    if relative.startswith("/") or "\\" in relative or ":" in relative or "\0" in relative:
        return None
    if any(part in ("", ".", "..") for part in parts) or not relative.startswith(folder + "/"):
        return None
    return root / native(relative) if relative.lower().endswith(endings) else None


class Exchange:
    """One exchange folder, as the plug-in for one editor sees it."""

    def __init__(self, root: str = EXCHANGE) -> None:
        self.root = native(root)
        self._orders = self.root / "in" / EDITOR
        self._results = self.root / "out" / EDITOR

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
        return self._orders / f"{order}.png"

    def part(self, order: str, ending: str) -> Path:
        """Return where another file of an order lies."""
        return self._orders / f"{order}.png{ending}"

    def selection(self, order: str) -> Path:
        """Return where a selection waits to become a mask."""
        return self._results / f"{order}.selection.png"

    def commit(self, order: str, text: str) -> None:
        """Write the sidecar, by rename. Raises: OSError."""
        draft = self._orders / f".{order}.tmp"
        draft.write_bytes(text.encode("utf-8"))
        draft.replace(self.part(order, ".yaml"))

    def note(self, order: str) -> Note | None:
        """Return our memory of an order; None: there is no such order of ours."""
        text = read(self.part(order, ".yaml"))
        return None if text is None else note_of(text)

    def orders(self) -> list[str]:
        """Return the orders of ours that lie there, oldest first."""
        with suppress(OSError):
            names = [path.name[: -len(".png.yaml")] for path in self._orders.glob("*.png.yaml")]
            return sorted(name for name in names if ID.fullmatch(name))
        return []

    def status(self, order: str) -> dict[str, str]:
        """Return the daemon's answer; empty: there is none."""
        return parse_status(read(self.part(order, ".status")) or "")

    def result(self, answer: dict[str, str]) -> Path | None:
        """Return the painting that an answer names, if it may be loaded."""
        return within(self.root, answer.get("result", ""), f"out/{EDITOR}")

    def preview(self, answer: dict[str, str]) -> Path | None:
        """Return the picture of what is being painted that an answer names, if it may be loaded."""
        return within(self.root, answer.get("preview", ""), f"out/{EDITOR}", (".jpg",))

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
        """Remove all that is ours of an order. Never raises: what stays, the daemon sweeps."""
        paths = [self.part(order, ending) for ending in PARTS]
        for path in (*paths, self.selection(order), *([] if result is None else [result])):
            with suppress(OSError):
                path.unlink()

    def sweep(self) -> None:
        """Remove sidecars that were never finished. Never raises."""
        with suppress(OSError):
            for draft in self._orders.glob(".*.tmp"):
                if time.time() - draft.stat().st_mtime > LEFT_SECONDS:
                    draft.unlink()

    # Styles.

    def styles_stamp(self) -> Any:
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


def _stamp(path: Path) -> Any:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
