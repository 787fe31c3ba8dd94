"""How one name may be spelt on disks that take fewer letters than ours. Pure."""

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

FORBIDDEN: Final = frozenset('/\\:*?"<>|')  # on one file system or another: exFAT, NTFS, SMB
RESERVED: Final = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"}
)  # devices of Windows, with whatever ending
MAX_PLAIN: Final = 120  # bytes: an encrypted folder (eCryptfs) ends at 143
END: Final = 16  # letters of an ending that is kept when a name is cut


def is_plain(name: str) -> bool:
    """Return whether every disk takes a name as it is."""
    return name.isascii() and len(name) <= MAX_PLAIN and _safe(name) == name


def spellings(name: str) -> Iterator[str]:
    """Yield a name, and what it is where a disk does not take it: each taken by more disks than the last."""
    safe = _safe(name)
    yield from dict.fromkeys((name, safe, safe if is_plain(safe) else _bare(safe, of=name)))


def with_letters_for_all(name: str) -> str:
    """Return a name without letters that some disk forbids: bytes that are no UTF-8 are read as Latin-1."""
    try:
        name.encode()
    except UnicodeEncodeError:
        name = os.fsencode(name).decode("latin-1")
    return "".join("_" if char in FORBIDDEN or not char.isprintable() else char for char in name)


def _safe(name: str) -> str:
    """Return a name that Windows takes, too."""
    name = with_letters_for_all(name)
    if name.rstrip(". ") != name:  # it would take them away in silence
        kept = name.rstrip(". ")
        name = kept + "_" * (len(name) - len(kept))
    is_device = name.partition(".")[0].rstrip().casefold() in RESERVED
    return f"_{name}" if is_device else name


def _bare(name: str, *, of: str) -> str:
    """Return a short name of ASCII letters, with a mark of the one that it stands for."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    path = PurePath(_safe(plain) or "_")
    suffix = path.suffix if len(path.suffix) <= END else ""
    mark = hashlib.sha256(of.encode(errors="surrogatepass")).hexdigest()[:8]
    stem = path.name.removesuffix(suffix)[: MAX_PLAIN - len(suffix) - len(mark) - 1]
    return f"{stem}-{mark}{suffix}"
