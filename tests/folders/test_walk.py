import errno
import os
import sys
from pathlib import Path, PurePath

import pytest

from nst_daemon.disk import mount_point_of
from nst_daemon.folders import mounts
from nst_daemon.folders.companions import photos_of
from nst_daemon.folders.gate import Left
from nst_daemon.folders.mounts import absence_of, file_system_of, is_silent
from nst_daemon.folders.walk import Kind, has_speaker, kind_of, scan

TABLE = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
40 22 0:40 / /mnt/my\\040share rw - cifs //nas/share rw
41 22 0:41 / /home/me/remote rw - fuse.sshfs me@host:/ rw
42 22 8:2 / /mnt/disk rw shared:1 - ntfs3 /dev/sdb1 rw
broken line
"""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jpg", Kind.PHOTO),
        ("trip/IMG_4711.JPG", Kind.PHOTO),
        ("a.tiff", Kind.PHOTO),
        ("a.NEF", Kind.PHOTO),  # fails with a reason, and not in silence
        ("a.jpg.yaml", Kind.SIDECAR),
        ("a.xmp", Kind.SIDECAR),
        ("a.txt", Kind.OTHER),
        ("a", Kind.OTHER),
        ("a.MPO", Kind.PHOTO),
        ("a.HIF", Kind.PHOTO),
        (".a.jpg", Kind.OTHER),
        ("._a.jpg", Kind.OTHER),
        ("~a.jpg", Kind.OTHER),
        (".hidden/a.jpg", Kind.OTHER),
        ("@eaDir/a.jpg", Kind.OTHER),
        ("#recycle/a.jpg", Kind.OTHER),
        ("a.jpg~", Kind.OTHER),
        ("a.jpg.part", Kind.OTHER),
        ("a.jpg_exiftool_tmp", Kind.OTHER),
        ("a.jpg.crdownload", Kind.OTHER),
        (".nst-x.tmp", Kind.OTHER),
    ],
)
def test_a_name_says_whether_a_file_is_a_photo(name: str, kind: Kind) -> None:
    assert kind_of(PurePath(name)) is kind


def test_the_users_globs_take_photos_and_sidecars_out() -> None:
    assert kind_of(PurePath("drafts/a.jpg"), ["drafts/**"]) is Kind.OTHER
    assert kind_of(PurePath("a.json"), ["*.json"]) is Kind.OTHER
    assert kind_of(PurePath("b/a.jpg"), ["drafts/**", "*.json"]) is Kind.PHOTO


def test_a_scan_finds_every_photo_and_sidecar_below_a_folder(tmp_path: Path) -> None:
    for name in ("a.jpg", "deep/er/b.png", "deep/b.yaml", "deep/.c.jpg", ".git/d.jpg", "e.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    found = {each.path.relative_to(tmp_path).as_posix(): each for each in scan(tmp_path).found}
    assert set(found) == {"a.jpg", "deep/er/b.png", "deep/b.yaml"}
    assert found["a.jpg"].stamp.size == 5
    assert {each.path.name for each in scan(tmp_path, recursive=False).found} == {"a.jpg"}
    below = scan(tmp_path, below=tmp_path / "deep")
    assert {each.path.name for each in below.found} == {"b.png", "b.yaml"}


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links")
def test_a_scan_follows_no_link_and_opens_no_pipe(tmp_path: Path) -> None:
    inbox, outside = tmp_path / "inbox", tmp_path / "outside"
    inbox.mkdir()
    outside.mkdir()
    (outside / "a.jpg").write_bytes(b"photo")
    (inbox / "file.jpg").symlink_to(outside / "a.jpg")
    (inbox / "folder").symlink_to(outside, target_is_directory=True)
    (inbox / "loop").symlink_to(inbox, target_is_directory=True)
    os.mkfifo(inbox / "pipe.jpg")
    result = scan(inbox)
    assert result.found == []
    named = {path.name: left for path, left in result.left.items()}
    links = dict.fromkeys(("file.jpg", "folder", "loop"), Left.LINK)
    assert named == {**links, "pipe.jpg": Left.SPECIAL}


def test_a_scan_tells_what_it_leaves_alone(tmp_path: Path) -> None:
    for name in (
        "a.jxl",
        "photo",
        "Cat.lrdata/1.jpg",
        ".hidden",
        "Thumbs.db",
        "x.ignored",
        "sub/b.psd",
        "c.jpg",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    result = scan(tmp_path, ignore=["*.ignored"])
    assert {path.relative_to(tmp_path).as_posix(): left for path, left in result.left.items()} == {
        "a.jxl": Left.UNKNOWN,
        "photo": Left.UNKNOWN,
        "Cat.lrdata": Left.LIBRARY,
        "sub/b.psd": Left.UNKNOWN,
    }
    assert [each.path.name for each in result.found] == ["c.jpg"]


def test_a_raw_file_is_left_to_the_picture_of_its_name(tmp_path: Path) -> None:
    for name in ("IMG_1.CR2", "img_1.jpg", "IMG_2.CR2", "IMG_3.nef", "IMG_3.mask.png", "x/IMG_2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    result = scan(tmp_path)
    assert result.left == {tmp_path / "IMG_1.CR2": Left.RAW}
    assert has_speaker(tmp_path / "IMG_1.CR2", root=tmp_path)
    assert not has_speaker(tmp_path / "IMG_1.CR2", root=tmp_path, ignore=["*.jpg"])
    assert not has_speaker(tmp_path / "IMG_3.nef", root=tmp_path)
    assert not has_speaker(tmp_path / "img_1.jpg", root=tmp_path)


def test_a_scan_of_an_inbox_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        scan(tmp_path / "none")


def test_a_sub_folder_that_cannot_be_read_makes_a_scan_incomplete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "a.jpg").write_bytes(b"photo")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = scan(tmp_path)
    assert [each.path.name for each in result.found] == ["a.jpg"]
    assert ([error.path for error in result.unknown], result.is_complete) == ([tmp_path / "locked"], False)


def test_a_sidecar_belongs_to_the_photos_of_its_name(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "a.txt", "ab.jpg"):
        (tmp_path / name).write_bytes(b"")
    assert set(photos_of(tmp_path / "a.yaml")) == {tmp_path / "a.jpg", tmp_path / "a.png"}
    assert set(photos_of(tmp_path / "a.jpg.yaml")) == {tmp_path / "a.jpg"}
    assert set(photos_of(tmp_path / "none" / "a.yaml")) == set()


# Disks.


def test_the_deepest_mount_says_what_a_folder_is_on(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)
    kinds = {
        "/mnt/my share/inbox": "cifs",
        "/home/me/remote/x": "fuse.sshfs",
        "/home/me": "ext4",
        "/mnt/disk/inbox": "ntfs3",
    }
    assert {path: file_system_of(Path(path), table=table) for path in kinds} == kinds
    assert [is_silent(Path(path), table=table) for path in kinds] == [True, True, False, False]
    assert file_system_of(Path("/"), table=tmp_path / "none") == ""


def test_a_mount_point_is_an_ancestor_also_of_what_is_not_there(tmp_path: Path) -> None:
    mount = mount_point_of(tmp_path / "not" / "there")
    assert os.path.ismount(mount)
    assert tmp_path.resolve().is_relative_to(mount)


@pytest.mark.parametrize(
    ("mount", "expected", "is_there"),
    [
        ("/", None, True),  # never seen before
        ("/", "/", True),
        ("/mnt/usb", "/mnt/usb", True),
        ("/", "{inbox}", False),  # unmounted
        ("{inbox}", "/", True),  # a disk was mounted over it
    ],
)
def test_a_folder_that_has_lost_its_disk_is_absent(
    tmp_path: Path, mount: str, expected: str | None, is_there: bool
) -> None:
    def place(text: str) -> Path:
        return Path(text.format(inbox=tmp_path))

    found = absence_of(tmp_path, mount=place(mount), expected=None if expected is None else place(expected))
    assert (found is None) == is_there


def test_a_mount_from_elsewhere_on_the_same_disk_is_known_by_the_systems_table(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "36 35 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"40 36 8:1 /backing {tmp_path}/inbox rw - ext4 /dev/sda1 rw\n"
        f"41 40 0:5 / {tmp_path}/inbox/my\\040nas rw - cifs //nas/photos rw\n"
    )
    inbox = tmp_path / "inbox"
    assert mounts.mount_point_of(inbox / "trip", table=table) == inbox
    assert mounts.mount_point_of(tmp_path / "outbox", table=table) == Path("/")
    assert mounts.mounts_below(inbox, table=table) == {inbox / "my nas"}
    assert mounts.mounts_below(tmp_path / "outbox", table=table) == frozenset()
    assert mounts.mount_point_of(tmp_path, table=tmp_path / "none") == mount_point_of(tmp_path)
