"""Copies that share their bytes on the disk: what they have, and what becomes of them where a disk cannot."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.faults import ERRNOS, Faults

from nst_daemon import disk
from nst_daemon.disk import system
from nst_daemon.disk.files import copy_hashed

CONTENT = os.urandom(3 << 20)
DISK_BYTES = 400 << 20  # XFS takes no fewer than 300 MB; none of them is written


class Sharing(Faults):
    """A disk that shares: played by a copy that goes past all our calls."""

    def clone(self, descriptor: int, source: int) -> None:
        size = os.fstat(source).st_size
        assert os.write(descriptor, os.pread(source, size, 0)) == size


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(CONTENT)
    return path


def test_a_disk_that_shares_gets_no_bytes_and_the_copy_itself_is_hashed(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Sharing()
    monkeypatch.setattr(system, "calls", faults)
    copy = tmp_path / "copy"
    assert copy_hashed(photo, copy) == hashlib.sha256(CONTENT).hexdigest()
    assert copy.read_bytes() == CONTENT
    assert not [path for call, path in faults.made if call == "write"]
    assert {path for call, path in faults.made if call == "read"} == {copy}
    assert ("fsync", copy) in faults.made


@pytest.mark.parametrize("number", [*ERRNOS, errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY])
def test_whatever_keeps_a_disk_from_sharing_costs_a_copy(
    photo: Path, tmp_path: Path, faults: Faults, number: int
) -> None:
    faults.fail("clone", number)
    assert copy_hashed(photo, tmp_path / "copy") == hashlib.sha256(CONTENT).hexdigest()
    assert (tmp_path / "copy").read_bytes() == CONTENT
    assert faults.struck == 1


def test_files_that_are_not_of_our_boundary_share_nothing(photo: Path, tmp_path: Path) -> None:
    with photo.open("rb") as reader, (tmp_path / "copy").open("wb") as writer:
        assert not disk.share_bytes(reader, writer)


@pytest.fixture(params=["xfs", "btrfs"])
def sharing_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a small disk of a file system that shares."""
    make, folder, image = f"mkfs.{request.param}", tmp_path / "disk", tmp_path / "image"
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which(make) is None:
        pytest.skip(f"NOT TESTED: sharing on {request.param} takes root on Linux, and {make}")
    image.touch()
    os.truncate(image, DISK_BYTES)
    folder.mkdir()
    for words in ([make, "-q", str(image)], ["mount", "-o", "loop", str(image), str(folder)]):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"NOT TESTED: sharing on {request.param}: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
def test_a_copy_on_a_disk_that_shares_takes_no_room_and_keeps_its_bytes(sharing_disk: Path) -> None:
    photo, copies = sharing_disk / "a.tif", [sharing_disk / f"copy{number}" for number in range(8)]
    content = CONTENT * 8
    with disk.created(photo) as file:
        file.write(content)
    free = disk.free_bytes(sharing_disk)
    assert {copy_hashed(photo, copy) for copy in copies} == {hashlib.sha256(content).hexdigest()}
    assert free - disk.free_bytes(sharing_disk) < len(content)  # of eight times as much
    with photo.open("r+b") as file:
        file.write(b"another")
    assert all(copy.read_bytes() == content for copy in copies)
