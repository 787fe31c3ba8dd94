"""The exchange folder, in which editors' plug-ins and the daemon leave files for each other: names and texts.

    in/<editor>/<id>.tif            the picture, written in any way, however slowly
    in/<editor>/<id>.tif.mask.png   where it is painted
    in/<editor>/<id>.tif.yaml       what is asked for; comes last, and its last line is `whole: true`
    in/<editor>/<id>.tif.status     the daemon's answer
    in/<editor>/<id>.tif.alive      rewritten by a plug-in for as long as somebody waits
    in/<editor>/<id>.tif.cancel     nobody wants it any more
    out/<editor>/<id>.<style>.tif   the painting
    styles.txt, thumbs/             what there is to choose from

All that lies there is data of strangers: names are held to a pattern, links are not followed, and what the
daemon writes is renamed over whatever has its name. Reads and writes no picture, and knows no job.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final

from nst_daemon import disk
from nst_daemon.disk.files import written_whole
from nst_daemon.errors import ConditionError, FileConditionError

PROTOCOL: Final = 1

PICTURE: Final = r"[A-Za-z0-9_-]{1,64}\.(?:tiff?|png|jpe?g)"
NAME: Final = re.compile(rf"({PICTURE})((?:\.mask\.png|\.yaml|\.status|\.alive|\.cancel)?)")
EDITOR_NAME: Final = re.compile(r"[a-z0-9_-]{1,32}")


class Editor(StrEnum):
    """An editor that has a plug-in of ours, and so a folder here; any other may have one."""

    DARKTABLE = "darktable"
    GIMP = "gimp"
    KRITA = "krita"


class Part(StrEnum):
    """What a file is to the commission whose name it has."""

    PHOTO = ""
    MASK = ".mask.png"
    SIDECAR = ".yaml"
    STATUS = ".status"
    ALIVE = ".alive"
    CANCEL = ".cancel"


@dataclass(frozen=True, slots=True)
class Slip:
    """The files of one commission that are there at the moment."""

    photo: Path  # where the picture is, or was
    parts: frozenset[Part]

    @property
    def editor(self) -> str:
        """Whose it is."""
        return self.photo.parent.name

    def path_of(self, part: Part) -> Path:
        """Return where one of its files is, or would be."""
        return self.photo.with_name(f"{self.photo.name}{part}")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange folder."""

    root: Path

    @property
    def thumbs(self) -> Path:
        """Where small pictures of the styles are."""
        return self.root / "thumbs"

    @property
    def styles(self) -> Path:
        """The list of styles: a name, a tab, and the small picture's path, a line."""
        return self.root / "styles.txt"

    def out_of(self, editor: str) -> Path:
        """Return where an editor's paintings come to lie."""
        return self.root / "out" / editor

    def is_there(self) -> bool:
        """Return whether there is such a folder. Raises: ConditionError."""
        return disk.is_folder(self.root / "in")

    def make(self) -> None:
        """Make the folder, its owner's alone, and all within. Raises: ConditionError."""
        disk.make_private(self.root)
        for folder in (self.thumbs, *(self.root / way / name for way in ("in", "out") for name in Editor)):
            disk.make_folder(folder)

    def slips(self) -> Iterator[Slip]:
        """Yield the commissions of which there is any file. Raises: ConditionError: nobody knows."""
        for editor in _entries(self.root / "in"):
            if not editor.is_folder or editor.is_link or not EDITOR_NAME.fullmatch(editor.name):
                continue
            parts: dict[str, set[Part]] = {}
            for entry in _entries(editor.path):
                match = NAME.fullmatch(entry.name)
                if match and not entry.is_folder and not entry.is_link:
                    parts.setdefault(match[1], set()).add(Part(match[2]))
            for name in sorted(parts):
                yield Slip(editor.path / name, frozenset(parts[name]))

    def results(self) -> Iterator[Path]:
        """Yield the files that lie where paintings do. Raises: ConditionError: nobody knows."""
        for editor in _entries(self.root / "out"):
            if editor.is_folder and not editor.is_link:
                for entry in _entries(editor.path):
                    if not entry.is_folder:
                        yield entry.path

    def relative(self, path: Path) -> str:
        """Return a path within the folder as a plug-in reads it: with `/`, wherever the folder is mounted."""
        return PurePosixPath(*path.relative_to(self.root).parts).as_posix()


def _entries(folder: Path) -> list[disk.Entry]:
    try:
        return disk.entries_of(folder)
    except FileNotFoundError:
        return []


def write_status(slip: Slip, answer: Mapping[str, object]) -> None:
    """Answer a commission: `key=value`, a line each, newlines spelt out; replaced as a whole.

    Raises:
        ConditionError: it cannot be written now.
    """
    lines = {"nst": PROTOCOL, **{key: value for key, value in answer.items() if value not in (None, "")}}
    text = "".join(f"{key}={_one_line(str(value))}\n" for key, value in lines.items())
    with written_whole(slip.path_of(Part.STATUS)) as file:
        file.write(text.encode("utf-8", "replace"))


def _one_line(text: str) -> str:
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def clear(slip: Slip, *, but: Collection[Part] = ()) -> None:
    """Take the files of a commission away; what cannot be taken away now, a sweep does. Never raises.

    The sidecar goes first: a picture without it asks for nothing, whatever happens to us in between.
    """
    for part in (Part.SIDECAR, Part.PHOTO, Part.MASK, Part.ALIVE, Part.CANCEL, Part.STATUS):
        if part not in but:
            with suppress(ConditionError):
                disk.remove(slip.path_of(part))


def age_of(path: Path, now: float) -> float:
    """Return for how many seconds a file has not been written; 0: it is not there, or nobody knows."""
    with suppress(FileConditionError):
        facts = disk.facts_of(path)
        return 0.0 if facts is None else now - facts.st_mtime
    return 0.0
