"""The boundary to the disks: absence is proven, every other error is a condition of one path."""

import errno
import os
import pickle
import sys
from pathlib import Path

import pytest
from support.faults import ERRNOS, Faults

from nst_daemon import disk
from nst_daemon.errors import ConditionError, FileConditionError, NameRefusedError, Trouble


def test_absence_is_a_value(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert disk.stamp_of(tmp_path / "none") is None
    assert disk.stamp_of(tmp_path / "file" / "below") is None
    assert not disk.is_there(tmp_path / ("n" * 300))
    assert not disk.is_file(Path("a\0b"))
    with pytest.raises(FileNotFoundError), disk.opened(tmp_path / "none"):
        pass


@pytest.mark.parametrize("number", ERRNOS, ids=lambda number: errno.errorcode[number])
def test_every_other_error_of_a_look_is_a_condition_of_that_path(
    tmp_path: Path, faults: Faults, number: int
) -> None:
    faults.fail("lstat", number)
    with pytest.raises(FileConditionError) as caught:
        disk.stamp_of(tmp_path)
    assert caught.value.path == tmp_path
    assert caught.value.remedy
    assert disk.stamp_of(tmp_path) is not None


@pytest.mark.parametrize("number", ERRNOS, ids=lambda number: errno.errorcode[number])
def test_an_error_in_the_middle_of_a_file_is_a_condition_whatever_the_reader_catches(
    tmp_path: Path, faults: Faults, number: int
) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"x" * 1_000_000)
    faults.fail("read", number, first=2)
    with pytest.raises(ConditionError), disk.opened(photo) as file:
        try:
            file.read()
        except (OSError, ValueError, EOFError):
            pytest.fail("a decoder would take the photo for broken")


@pytest.mark.parametrize(
    ("number", "trouble"),
    [
        (errno.ENOSPC, Trouble.FULL),
        (errno.EROFS, Trouble.READ_ONLY),
        (errno.EACCES, Trouble.READ_ONLY),
        (errno.ESTALE, Trouble.UNREACHABLE),
        (errno.EMFILE, Trouble.BUSY),
        (errno.EUCLEAN, Trouble.ERROR),
    ],
    ids=str,
)
@pytest.mark.parametrize("call", ["open", "write", "fsync"])
def test_an_error_of_writing_names_its_trouble(
    tmp_path: Path, faults: Faults, call: str, number: int, trouble: Trouble
) -> None:
    faults.fail(call, number)
    with pytest.raises(FileConditionError) as caught, disk.created(tmp_path / "a") as file:
        file.write(b"x")
    assert caught.value.trouble is trouble


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    block = os.urandom(700_000)
    with disk.created(tmp_path / "a") as file:
        file.write(block)
    assert disk.read_bytes(tmp_path / "a") == block
    assert disk.read_bytes(tmp_path / "a", at_most=10) == block[:10]
    with pytest.raises(FileExistsError), disk.created(tmp_path / "a"):
        pass


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOENT, errno.ENAMETOOLONG, errno.EILSEQ])
def test_a_name_that_a_disk_does_not_take_is_no_error_of_the_disk(
    tmp_path: Path, faults: Faults, number: int
) -> None:
    faults.fail("open", number)
    with pytest.raises(NameRefusedError), disk.created(tmp_path / "a?.jpg"):
        pass


def test_a_folder_that_is_missing_is_told_from_a_name(tmp_path: Path) -> None:
    with pytest.raises(FileConditionError) as caught, disk.created(tmp_path / "none" / "a.jpg"):
        pass
    assert (caught.value.trouble, caught.value.path) == (Trouble.MISSING, tmp_path / "none")


def test_a_link_where_there_are_none_is_an_answer(tmp_path: Path, faults: Faults) -> None:
    (tmp_path / "a").write_bytes(b"x")
    faults.fail("link", errno.EXDEV)
    assert disk.link(tmp_path / "a", tmp_path / "b") is False
    assert disk.link(tmp_path / "a", tmp_path / "b") is True
    with pytest.raises(FileExistsError):
        disk.link(tmp_path / "a", tmp_path / "b")
    with pytest.raises(FileNotFoundError):
        disk.link(tmp_path / "none", tmp_path / "c")


def test_a_photo_is_gone_only_if_a_folder_that_reads_well_lacks_it(tmp_path: Path, faults: Faults) -> None:
    photo = tmp_path / "trip" / "a.jpg"
    photo.parent.mkdir()
    assert disk.is_gone(photo, root=tmp_path)
    photo.write_bytes(b"x")
    faults.fail("lstat", errno.ENOENT, at=photo)  # a share that lies
    assert not disk.is_gone(photo, root=tmp_path)
    faults.fail("scandir", errno.EIO)
    photo.unlink()
    with pytest.raises(ConditionError):
        disk.is_gone(photo, root=tmp_path)
    photo.parent.rmdir()
    assert disk.is_gone(photo, root=tmp_path)
    assert not disk.is_gone(photo, root=tmp_path / "unmounted")


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not disk.is_file(tmp_path / "pipe")
    assert disk.read_bytes(tmp_path / "pipe") == b""


def test_a_writer_is_seen(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    with photo.open("wb"):
        assert disk.is_being_written(photo)
    assert not disk.is_being_written(photo)
    assert not disk.is_being_written(tmp_path / "none")


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    disk.make_folder(tmp_path / "a" / "b", mode=0o700)
    disk.make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileConditionError):
        disk.make_folder(tmp_path / "file" / "b")


def test_a_condition_crosses_processes_and_takes_the_name_of_its_place(tmp_path: Path) -> None:
    error = disk.condition_at(OSError(errno.ESTALE, "Stale file handle"), tmp_path)
    again = pickle.loads(pickle.dumps(error.named("inbox")))
    assert (again.code, again.path, again.trouble) == ("inbox_unreachable", tmp_path, Trouble.UNREACHABLE)
    full = disk.condition_at(OSError(errno.ENOSPC, "full"), tmp_path, is_writing=True)
    assert full.named("inbox").code == "disk_full"


def test_a_hole_is_told_where_the_system_tells(tmp_path: Path) -> None:
    whole, sparse = tmp_path / "whole", tmp_path / "sparse"
    whole.write_bytes(b"x" * 100_000)
    with sparse.open("wb") as file:
        file.truncate(1 << 20)
    assert disk.first_hole(whole) is None
    assert disk.first_hole(sparse) == 0 or sys.platform != "linux"
    with pytest.raises(FileNotFoundError):
        disk.first_hole(tmp_path / "none")


def test_a_hole_cannot_be_asked_for_on_a_sick_disk(tmp_path: Path, faults: Faults) -> None:
    (tmp_path / "a").write_bytes(b"x")
    faults.fail("open", errno.EIO, at=tmp_path / "a")
    with pytest.raises(ConditionError):
        disk.first_hole(tmp_path / "a")


def test_a_tree_is_removed_as_far_as_it_can_be_and_a_link_is_not_followed(
    tmp_path: Path, faults: Faults
) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    for folder in (tree / "a" / "b", outside):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x")
    (tree / "link").symlink_to(outside)
    faults.fail("unlink", errno.EIO, at=tree / "a" / "b" / "file")
    disk.remove_tree(tree)
    assert [path.name for path in tree.rglob("*")] == ["a", "b", "file"]
    disk.remove_tree(tree)
    disk.remove_tree(tree)
    assert list(tmp_path.iterdir()) == [outside]
    assert (outside / "file").exists()
