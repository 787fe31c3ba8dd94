"""A reading held against what was seen: the same as a look at each, in one pass over both."""

import os
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nst_daemon.disk import Stamp
from nst_daemon.folders.walk import Found, Kind
from nst_daemon.intake.comparison import compared
from nst_daemon.ledger.columns import path_in
from nst_daemon.ledger.seen import Mark, place_of

NAMES = (
    "a.jpg",
    "B.jpg",
    "a/1.jpg",
    "a b.jpg",
    "ä.jpg",
    "\U0001f408.jpg",
    os.fsdecode(b"\xff.jpg"),
    "a.yaml",
)
PATHS = [Path("/inbox", name) for name in (*NAMES, os.fsdecode(b"\xe9/2.jpg"))]

founds = st.builds(
    Found,
    path=st.sampled_from(PATHS),
    kind=st.sampled_from([Kind.PHOTO, Kind.PHOTO, Kind.SIDECAR]),
    stamp=st.builds(Stamp, st.integers(0, 1), st.just(2), st.just(3)),
    changed=st.just(0.0),
)
marks = st.builds(
    lambda path, stamp, verdict, keywords: Mark(path_in(path) or "", stamp, verdict, keywords),
    st.sampled_from(PATHS),
    st.sampled_from(["0:2:3", "1:2:3", "1:2"]),
    st.sampled_from(["job", "of another version"]),
    st.sampled_from(["[]", '["nst|oil"]', "[", "7"]),
)


def oracle(found: list[Found], known: list[Mark]) -> tuple[set[Path], set[Path]]:
    """Say which are new and which have gone, by a look at each."""
    seen = {mark.path: Stamp.parse(mark.stamp) for mark in known if mark.is_readable}
    fresh = set()
    for each in found:
        stamp = seen.pop(each.path, None)
        if each.kind is not Kind.SIDECAR and stamp != each.stamp:
            fresh.add(each.path)
    return fresh, set(seen)


@given(st.lists(founds, unique_by=lambda each: each.path), st.lists(marks, unique_by=lambda mark: mark.value))
def test_what_is_new_and_what_has_gone_is_found_in_one_pass(found: list[Found], known: list[Mark]) -> None:
    known.sort(key=lambda mark: mark.place)
    result = compared(found, known)
    assert ({each.path for each in result.fresh}, set(result.gone)) == oracle(found, known)
    assert len(result.fresh) + len(result.gone) == len({*result.gone} | {each.path for each in result.fresh})


def test_what_is_new_comes_in_the_order_of_its_names() -> None:
    found = [Found(path, Kind.PHOTO, Stamp(1, 2, 3), 0.0) for path in PATHS]
    assert [each.path for each in compared(found, []).fresh] == sorted(PATHS, key=place_of)


def test_a_row_that_says_nothing_any_more_is_neither_known_nor_gone() -> None:
    mark = Mark("/inbox/a.jpg", "1:2:3", "job", "[")
    found = Found(PATHS[0], Kind.PHOTO, Stamp(1, 2, 3), 0.0)
    assert compared([found], [mark]).fresh == [found]
    assert compared([], [mark]).gone == []
    assert compared([found], [replace(mark, keywords="[]")]).fresh == []
