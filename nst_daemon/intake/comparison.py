"""A reading of an inbox, held against what was seen of it before: both in one order, a million of each.

Pure: no file, no ledger.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from nst_daemon.folders.walk import Found, Kind
from nst_daemon.ledger.seen import Mark, place_of


@dataclass(slots=True)
class Comparison:
    """In what an inbox is not as it was."""

    fresh: list[Found] = field(default_factory=list)  # photos that are new, or were written to
    gone: list[Path] = field(default_factory=list)  # what was not found any more


def compared(found: Iterable[Found], marks: Iterable[Mark]) -> Comparison:
    """Return how what was found in an inbox differs from what was seen of it, whose marks are in order."""
    result, known = Comparison(), iter(marks)
    mark = next(known, None)
    for place, each in sorted(((place_of(each.path), each) for each in found), key=lambda pair: pair[0]):
        while mark is not None and mark.place < place:
            _miss(mark, result)
            mark = next(known, None)
        is_known = False
        if mark is not None and mark.place == place:
            is_known = mark.stamp == str(each.stamp) and mark.is_readable
            mark = next(known, None)
        if each.kind is not Kind.SIDECAR and not is_known:
            result.fresh.append(each)
    while mark is not None:
        _miss(mark, result)
        mark = next(known, None)
    return result


def _miss(mark: Mark, result: Comparison) -> None:
    if mark.is_readable:
        result.gone.append(mark.path)
