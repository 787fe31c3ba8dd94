"""Folders and files that are their owner's alone."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.faults import Faults

from nst_daemon import disk
from nst_daemon.errors import FileConditionError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no rights as on POSIX")


@pytest.fixture(autouse=True, params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def rights(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_a_private_folder_and_all_that_is_made_in_it_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    assert disk.make_private(folder)
    disk.make_folder(folder / "photos" / "deep")
    with disk.created(folder / "photos" / "a.jpg") as file:
        file.write(b"x")
    disk.make_private_file(folder / "ledger.db")
    assert {rights(each) for each in (folder, folder / "photos", folder / "photos" / "deep")} == {"0o700"}
    assert {rights(each) for each in (folder / "photos" / "a.jpg", folder / "ledger.db")} == {"0o600"}
    assert disk.is_private(folder)


def test_an_older_folder_that_was_open_is_closed_with_all_that_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    (folder / "photos").mkdir(parents=True)
    for path in (folder / "ledger.db", folder / "photos" / "a.jpg"):
        path.write_bytes(b"kept")
        path.chmod(0o644)
    for path in (folder, folder / "photos"):
        path.chmod(0o755)
    assert not disk.is_private(folder)
    assert disk.make_private(folder)
    assert disk.is_private(folder)
    disk.close_tree(folder)
    assert rights(folder / "photos") == "0o700"
    assert {rights(folder / "ledger.db"), rights(folder / "photos" / "a.jpg")} == {"0o600"}
    assert (folder / "ledger.db").read_bytes() == b"kept"


def test_a_folder_that_cannot_be_closed_is_used_and_said_to_be_open(tmp_path: Path, faults: Faults) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o755)
    faults.fail_for_ever("chmod", number=errno.EPERM, at=folder)
    assert not disk.make_private(folder)
    assert not disk.is_private(folder)


def test_a_folder_that_everybody_shares_is_never_closed(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    assert not disk.make_private(folder)
    assert rights(folder) == "0o1777"


def test_what_refuses_is_told_in_one_sentence_with_the_remedy(tmp_path: Path, faults: Faults) -> None:
    faults.fail_for_ever("mkdir", number=errno.EROFS, at=tmp_path / "state")
    with pytest.raises(FileConditionError) as caught:
        disk.make_private(tmp_path / "state")
    error = disk.unusable(caught.value, tmp_path / "state")
    assert (error.exit_code, error.code) == (3, "read_only")
    assert str(tmp_path / "state") in error.message
    assert "state_dir" in error.remedy
