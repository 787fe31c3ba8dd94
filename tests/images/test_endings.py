"""One rule says what a file is by the ending of its name."""

from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_daemon.images.endings import (
    ASKING,
    MASK,
    PICTURES,
    RAWS,
    RESULTS,
    XMP,
    Role,
    bare,
    ending_of,
    is_picture,
    is_raw,
    role_of,
    stem_of,
)


@given(st.text(st.sampled_from("aB.ß ~é"), min_size=1).filter(lambda name: not name.endswith(".")))
def test_names_are_taken_apart_as_pathlib_does(name: str) -> None:
    path = PurePath(name)
    assert (stem_of(name), ending_of(name)) == (path.stem, path.suffix.casefold())


def test_a_dot_at_the_end_begins_no_ending() -> None:
    for name in ("a.", "a.jpg.", ".", "..", ".jpg"):
        assert (stem_of(name), ending_of(name)) == (name, "")


@pytest.mark.parametrize("ending", sorted(PICTURES | RAWS))
def test_a_picture_is_one_in_capitals_too(ending: str) -> None:
    for spelt in (ending, ending.upper(), ending.title()):
        assert is_picture(f"a{spelt}")
        assert is_raw(f"a{spelt}") is (ending in RAWS)
        assert role_of(f"a{spelt}") is None


@pytest.mark.parametrize(
    ("ending", "role"),
    [*((ending, Role.ASKING) for ending in ASKING), (XMP, Role.XMP), (MASK, Role.MASK)],
)
def test_what_belongs_to_a_photo_does_in_capitals_too(ending: str, role: Role) -> None:
    for spelt in (ending, ending.upper(), ending.title()):
        assert role_of(f"a{spelt}") is role_of(f"a.jpg{spelt}") is role
        assert bare(f"a.jpg{spelt}") == "a.jpg"


@pytest.mark.parametrize("name", ["a", "a.txt", ".jpg", ".yaml", ".mask.png", "a.jpg.part", ""])
def test_other_names_belong_to_no_photo(name: str) -> None:
    assert role_of(name) is None
    assert not is_raw(name)


def test_every_result_can_be_painted_again() -> None:
    assert {ending for endings in RESULTS.values() for ending in endings} <= PICTURES
