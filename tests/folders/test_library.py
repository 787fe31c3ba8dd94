import errno
from hashlib import sha256
from pathlib import Path, PurePath

import pytest
from support.faults import Faults

from nst_daemon import disk
from nst_daemon.errors import FileConditionError, StyleError
from nst_daemon.folders.library import Library
from nst_daemon.folders.walk import Kind, kind_of
from nst_daemon.images.endings import PICTURES, RAWS
from nst_daemon.ledger import Ledger


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


def test_an_unchanged_picture_is_not_read_again(library: Library, folder: Path, faults: Faults) -> None:
    before = library.get("starry_night")
    faults.fail_for_ever("open", "read", number=errno.EIO, at=folder / "Starry Night.jpg")
    assert library.get("starry_night") == before


def test_a_style_that_appears_later_is_found(library: Library, folder: Path) -> None:
    assert "late" not in library.names()
    (folder / "late.webp").write_bytes(b"x")
    assert library.get("late").name == "late"


def test_an_unknown_style_names_the_near_ones(library: Library) -> None:
    with pytest.raises(StyleError, match="Did you mean Starry Night"):
        library.get("stary_nigt")
    assert library.near("mosaik") == ("mosaic",)


def test_a_folder_that_never_was_there_is_missed_by_nobody(tmp_path: Path) -> None:
    library = Library(tmp_path / "none", built_in=tmp_path)
    assert library.names() == ()
    assert library.trouble is None


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EACCES, errno.ETIMEDOUT])
@pytest.mark.parametrize("call", ["scandir", "lstat"])
def test_a_folder_that_does_not_answer_keeps_its_names_and_has_no_verdict_on_them(
    library: Library, folder: Path, faults: Faults, number: int, call: str
) -> None:
    names = library.names()
    faults.fail_for_ever(call, number=number, at=folder)
    assert library.names() == names
    assert library.trouble is not None
    assert library.trouble.code.startswith("styles_")
    with pytest.raises(FileConditionError):
        library.get("starry_night")
    assert library.get("mosaic").name == "mosaic"
    faults.heal()
    assert library.get("starry_night").name == "Starry Night"
    assert library.trouble is None


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("call", ["stat", "open", "read"])
def test_a_picture_whose_disk_does_not_answer_is_a_condition(
    library: Library, folder: Path, faults: Faults, number: int, call: str
) -> None:
    faults.fail(call, number, at=folder / "Starry Night.jpg")
    with pytest.raises(FileConditionError):
        library.get("starry_night")
    assert library.get("starry_night").sha256 == sha256(b"swirls").hexdigest()


def test_a_folder_that_is_gone_keeps_its_names_also_over_a_restart(
    folder: Path, library: Library, tmp_path: Path
) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert Library(folder, built_in=tmp_path / "none", memory=ledger.facts).names() == ("Starry Night",)
        folder.rename(tmp_path / "away")
        again = Library(folder, built_in=tmp_path / "none", memory=ledger.facts)
        assert again.names() == ("Starry Night",)
        with pytest.raises(FileConditionError) as caught:
            again.get("starry_night")
        assert caught.value.code == "styles_missing"
        (tmp_path / "away").rename(folder)
        assert again.get("starry_night").path == folder / "Starry Night.jpg"


@pytest.mark.parametrize("text", ["", "null", "7", "[]", "{", "[1, 2]"])
def test_what_was_remembered_and_makes_no_sense_harms_nothing(
    folder: Path, tmp_path: Path, text: str
) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.facts.remember(f"styles {folder}", text)
        assert Library(folder, built_in=tmp_path / "none", memory=ledger.facts).names() == ("Starry Night",)


def test_an_empty_mount_point_is_not_taken_for_an_empty_folder(
    library: Library, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "mount_point_of", lambda path: folder)  # a disk of its own
    names = library.names()
    monkeypatch.setattr(disk, "mount_point_of", lambda path: tmp_path)
    (folder / "Starry Night.jpg").rename(tmp_path / "unmounted.jpg")
    assert library.names() == names
    assert library.trouble is not None
    assert (library.trouble.code, "not mounted" in library.trouble.message) == ("styles_missing", True)
    (folder / "other.jpg").write_bytes(b"meant as it is")
    assert library.names() == ("mosaic", "other")


def test_a_folder_that_was_emptied_has_no_styles(library: Library, folder: Path) -> None:
    assert "Starry Night" in library.names()
    (folder / "Starry Night.jpg").unlink()
    assert library.names() == ("mosaic",)
    assert library.trouble is None


def test_a_link_that_leads_to_nothing_harms_no_other_style_and_says_so(
    library: Library, folder: Path
) -> None:
    (folder / "loose.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "tight.jpg").symlink_to(folder / "Starry Night.jpg")
    assert library.get("tight").sha256 == sha256(b"swirls").hexdigest()
    with pytest.raises(StyleError, match=r"loose\.jpg is no file, or leads to none"):
        library.get("loose")


def test_a_developed_picture_goes_before_its_raw(library: Library, folder: Path) -> None:
    for name in ("a.nef", "a.jpg", "a.arw"):
        (folder / name).write_bytes(name.encode())
    assert library.get("a").path.name == "a.jpg"
    assert [entry.path.name for entry in library.candidates("a")] == ["a.jpg", "a.nef", "a.arw"]
