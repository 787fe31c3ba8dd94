import os
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nst_daemon.disk.spelling import MAX_PLAIN, is_plain, spellings

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=80)


@pytest.mark.parametrize(
    ("name", "spelt"),
    [
        ("a.jpg", ["a.jpg"]),
        ("b?.jpg", ["b?.jpg", "b_.jpg"]),
        ("Rome: day 1", ["Rome: day 1", "Rome_ day 1"]),
        ("trip. .", ["trip. .", "trip___"]),
        ("CON.dots.jpg", ["CON.dots.jpg", "_CON.dots.jpg"]),
        ("nul", ["nul", "_nul"]),
        ("com1.tif", ["com1.tif", "_com1.tif"]),
        ("console.jpg", ["console.jpg"]),
        ("café.jpg", ["café.jpg", "cafe-6a3bc8dd.jpg"]),
        ("日:本.jpg", ["日:本.jpg", "日_本.jpg", "_-3eb3a5f7.jpg"]),
    ],
)
def test_a_name_is_spelt_as_it_is_and_then_as_more_and_more_disks_take_it(
    name: str, spelt: list[str]
) -> None:
    assert [_without_mark(each) for each in spellings(name)] == [_without_mark(each) for each in spelt]


def _without_mark(name: str) -> str:
    stem, dash, rest = name.rpartition("-")
    return f"{stem}-…{rest[8:]}" if dash else name


@given(NAMES)
def test_the_last_spelling_of_every_name_is_one_that_every_disk_takes(name: str) -> None:
    *_, last = spellings(name)
    assert is_plain(last)
    assert len(last) <= MAX_PLAIN
    assert list(spellings(last)) == [last]


@given(NAMES, NAMES)
@example("\x1f", "\U00018cd6")  # neither is printable
def test_two_names_that_need_a_mark_have_two(one: str, two: str) -> None:
    *_, first = spellings(f"é{one}.jpg")
    *_, second = spellings(f"é{two}.jpg")
    assert (first == second) == (one == two)


@pytest.mark.skipif(sys.platform == "win32", reason="names are Unicode there")
def test_bytes_that_are_no_utf8_are_spelt_in_letters() -> None:
    name = os.fsdecode(b"Urlaub\xfc.jpg")
    assert list(spellings(name))[:2] == [name, "Urlaubü.jpg"]
