from hashlib import sha256
from pathlib import Path, PurePath

import pytest

from nst_daemon.endings import PICTURES, RAWS
from nst_daemon.errors import StyleError
from nst_daemon.inbox.walk import Kind, kind_of
from nst_daemon.library import Library


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "styles"
    folder.mkdir()
    (folder / "Starry Night.jpg").write_bytes(b"swirls")
    return folder


@pytest.fixture
def library(folder: Path, tmp_path: Path) -> Library:
    built_in = tmp_path / "built-in"
    built_in.mkdir()
    (built_in / "mosaic.jpg").write_bytes(b"tiles")
    return Library(folder, built_in=built_in)


def test_the_package_brings_styles() -> None:
    library = Library(None)
    assert len(library.names()) >= 5
    assert all(entry.is_builtin for entry in library.entries())
    assert len(library.get(library.names()[0]).sha256) == 64


def test_every_picture_of_the_folder_is_a_style_named_by_its_stem(library: Library, folder: Path) -> None:
    (folder / "etude.PNG").write_bytes(b"x")
    (folder / "notes.txt").write_bytes(b"x")
    (folder / ".hidden.jpg").write_bytes(b"x")
    (folder / "folder.jpg").mkdir()
    assert library.names() == ("etude", "mosaic", "Starry Night")


@pytest.mark.parametrize("ending", sorted(PICTURES | RAWS))
def test_whatever_ending_makes_a_photo_makes_a_style(library: Library, folder: Path, ending: str) -> None:
    (folder / f"etude{ending.upper()}").write_bytes(b"x")
    assert "etude" in library.names()
    assert kind_of(PurePath(f"etude{ending}")) is Kind.PHOTO


@pytest.mark.parametrize("name", ["starry_night", "STARRY-NIGHT", "Starry Night", " starry  night "])
def test_spellings_of_one_name_are_one_style(library: Library, name: str) -> None:
    style = library.get(name)
    assert (style.name, style.sha256) == ("Starry Night", sha256(b"swirls").hexdigest())


def test_the_users_picture_goes_before_the_built_in_one(library: Library, folder: Path) -> None:
    (folder / "Mosaic.png").write_bytes(b"mine")
    assert library.get("mosaic").path == folder / "Mosaic.png"
    assert library.names() == ("Mosaic", "Starry Night")


def test_a_changed_picture_has_a_new_hash(library: Library, folder: Path) -> None:
    before = library.get("starry_night").sha256
    (folder / "Starry Night.jpg").write_bytes(b"other swirls")
    assert library.get("starry_night").sha256 == sha256(b"other swirls").hexdigest() != before


def test_an_unchanged_picture_is_not_read_again(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    before = library.get("starry_night")

    def refuse(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(Path, "open", refuse)
    assert library.get("starry_night") == before


def test_a_style_that_appears_later_is_found(library: Library, folder: Path) -> None:
    assert "late" not in library.names()
    (folder / "late.webp").write_bytes(b"x")
    assert library.get("late").name == "late"


def test_an_unknown_style_names_the_near_ones(library: Library) -> None:
    with pytest.raises(StyleError, match="Did you mean Starry Night"):
        library.get("stary_nigt")
    assert library.near("mosaik") == ("mosaic",)


def test_a_missing_folder_leaves_the_built_in_styles(library: Library, folder: Path) -> None:
    (folder / "Starry Night.jpg").unlink()
    folder.rmdir()
    assert library.names() == ("mosaic",)


def test_a_style_that_vanishes_while_it_is_read_is_a_style_error(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", gone)
    with pytest.raises(StyleError, match="Permission denied"):
        library.get("mosaic")
