"""What is left alone in an inbox, by the rules for kinds of names."""

from pathlib import PurePath

import pytest

from nst_daemon.folders.gate import PARTNER_ENDS, Left, folder_left, left_by_name


@pytest.mark.parametrize(
    "folder",
    [
        *("@Recycle", "@Recently-Snapshot", "@something new", "#recycle", "#snapshot", "$RECYCLE.BIN"),
        *("Photos Library.photoslibrary", "old.photolibrary", "x.migratedphotolibrary", "backup.aplibrary"),
        *("My.lrlibrary", "Cat Previews.lrdata", "Cat.lrcat-data", "Shoot.cocatalog", "Shoot.cosessiondb"),
        *("Thing.app", "a.bundle", "a.fcpbundle", "a.imovielibrary", "a.tvlibrary", "a.musiclibrary"),
        *("letter.rtfd", "letter.pages", "talk.key", "sums.numbers", "next year's.somelibrary"),
        *("iPod Photo Cache", "Old.apvault", "@GMT-2024.01.01-00.00.00", "found.000", "~snapshot"),
        *("CaptureOne", "Photo Booth Library", "PHOTOS LIBRARY.PHOTOSLIBRARY"),
        *(".dtrash", ".Trash-1000", ".Trashes", ".stversions", ".stfolder", ".dropbox.cache", ".sync"),
        *("@eaDir", "System Volume Information", "lost+found", "__MACOSX", "upload.part"),
    ],
)
def test_a_foreign_folder_is_left_alone_with_all_that_is_in_it(folder: str) -> None:
    assert folder_left(folder) in (Left.LIBRARY, Left.HIDDEN)
    assert left_by_name(PurePath(folder, "originals", "0", "a.jpg")) is folder_left(folder)


@pytest.mark.parametrize(
    "folder",
    ["trip", "2024.05.01", "at@home", "Nr #1", "library", "my bundle", "keys", "Trash", "v1.0", "a.jpg"],
)
def test_an_ordinary_folder_is_looked_into(folder: str) -> None:
    assert folder_left(folder) is None
    assert left_by_name(PurePath(folder, "a.jpg")) is None


@pytest.mark.parametrize(
    "name", ["@sunset.jpg", "#1.jpg", "$5.jpg", "a.key.jpg", "captureone.jpg", "IMG_1.JPG", "a.Yaml", "a.XMP"]
)
def test_the_rules_for_folders_take_no_photo_away(name: str) -> None:
    assert left_by_name(PurePath(name)) is None


@pytest.mark.parametrize(
    "name",
    [
        "IMG_1.sync-conflict-20240501-120000-ABCDEFG.jpg",
        "IMG_1 (Bob's conflicted copy 2024-05-01).jpg",
        "IMG_1 (conflicted copy 2024-05-01 120000).JPG",
        "IMG_1 (In Konflikt stehende Kopie von Bob 2024-05-01).jpg",
        "IMG_1 (Copie en conflit de Bob 2024-05-01).jpg",
        "IMG_1 (Case Conflict).jpg",
        "IMG_1 (Selective Sync Conflict 2).jpg",
        "IMG_1 (Unicode Encoding Conflict).jpg",
        "IMG_1 (SFConflict bob@example.org 2024-05-01-12-00-00).jpg",
        "IMG_1_conflict-20240501-120000.jpg",
        "IMG_1_DiskStation_May-01-120000-2024_Conflict.jpg",
        "IMG_1-DESKTOP-AB12CD3.jpg",
        "IMG_1-LAPTOP-AB12CD34-2.jpg",
        "IMG_1.variant-3fb2.jpg",
        "IMG_1.jpg (conflicted copy 2024-05-01).yaml",
        "IMG_1 (conflicted copy 2024-05-01).jpg.yaml",
        "IMG_1 (conflicted copy 2024-05-01).mask.png",
    ],
)
def test_the_copy_of_a_sync_conflict_is_left_alone(name: str) -> None:
    assert left_by_name(PurePath("trip", name)) is Left.CONFLICT


@pytest.mark.parametrize(
    "name",
    [
        *("conflict.jpg", "war_conflict.jpg", "conflict (1).jpg", "IMG_1 (1).jpg", "IMG_1 (copy).jpg"),
        *("wallpaper-laptop-minimal.jpg", "my-desktop-1920x1080.jpg", "resolution-of-conflict-2024.jpg"),
    ],
)
def test_an_ordinary_name_is_no_sync_conflict(name: str) -> None:
    assert left_by_name(PurePath(name)) is None


@pytest.mark.parametrize("name", ["a.jxl", "b.psd", "photo", "c.JPG.jpg_medium", "notes.txt", "movie.mov"])
def test_what_is_nothing_that_is_painted_is_known_as_such(name: str) -> None:
    assert left_by_name(PurePath(name)) is Left.UNKNOWN


def test_hidden_and_ignored_files_are_told_apart() -> None:
    assert left_by_name(PurePath(".a.psd")) is Left.HIDDEN
    assert {left_by_name(PurePath(f"a.jpg{ending}")) for ending in PARTNER_ENDS} == {Left.HIDDEN}
    assert left_by_name(PurePath("drafts/a.jpg"), ["drafts/**"]) is Left.IGNORED
    assert left_by_name(PurePath("a.psd"), ["*.psd"]) is Left.IGNORED
