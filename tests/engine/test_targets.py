"""A style's statistics are computed once: for the next photo, and for the next start."""

import errno
import hashlib
import os
from pathlib import Path

import pytest
import torch
from support.faults import Faults, under
from torch import Tensor

from nst_daemon.engine import targets as targets_module
from nst_daemon.engine.targets import Key, Targets, fingerprint
from nst_daemon.engine.vgg import Trunk
from nst_daemon.engine.weights import CONV_NAMES

STYLE = hashlib.sha256(b"a picture").hexdigest()
KEY: Key = (STYLE, (64, 48), ("relu1_1",), "max", None)
CPU = torch.device("cpu")


def _trunk(seed: int) -> Trunk:
    """Return a network of one weight a layer: nothing is painted here."""
    value = torch.full((1, 1, 1, 1), float(seed))
    return Trunk({name: (value, torch.zeros(1)) for name in CONV_NAMES})


class Maker:
    """Counts how often statistics are made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> dict[str, Tensor]:
        self.times += 1
        return {"relu1_1": torch.arange(4.0).view(2, 2) / 3}


def test_what_was_made_is_kept_in_memory_and_for_the_next_start(tmp_path: Path) -> None:
    make = Maker()
    targets = Targets(_trunk(1), tmp_path / "targets")
    first = targets.get(KEY, CPU, make)
    assert targets.get(KEY, CPU, make) is first
    again = Targets(_trunk(1), tmp_path / "targets").get(KEY, CPU, make)
    assert make.times == 1
    assert torch.equal(again["relu1_1"], make()["relu1_1"])


@pytest.mark.parametrize(
    "other",
    [(STYLE[::-1], *KEY[1:]), (STYLE, (64, 49), *KEY[2:]), (*KEY[:3], "average", None), (*KEY[:4], 128)],
)
def test_what_the_statistics_depend_on_has_a_file_of_its_own(tmp_path: Path, other: Key) -> None:
    make = Maker()
    targets = Targets(_trunk(1), tmp_path)
    targets.get(KEY, CPU, make)
    targets.get(other, CPU, make)
    assert make.times == len(list(tmp_path.iterdir())) == 2


def test_another_network_has_statistics_of_its_own(tmp_path: Path) -> None:
    make = Maker()
    Targets(_trunk(1), tmp_path).get(KEY, CPU, make)
    Targets(_trunk(2), tmp_path).get(KEY, CPU, make)
    assert make.times == 2
    assert fingerprint(_trunk(1)) != fingerprint(_trunk(2))


@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_a_file_that_cannot_be_read_is_made_anew(tmp_path: Path, content: bytes) -> None:
    make = Maker()
    Targets(_trunk(1), tmp_path).get(KEY, CPU, make)
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    Targets(_trunk(1), tmp_path).get(KEY, CPU, make)
    assert make.times == 2
    assert len(path.read_bytes()) > 100


def test_a_folder_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert set(Targets(_trunk(1), tmp_path / "file" / "below").get(KEY, CPU, Maker())) == {"relu1_1"}


def test_a_style_recoloured_for_one_photo_is_not_written(tmp_path: Path) -> None:
    Targets(_trunk(1), tmp_path).get((f"job:histogram:0:{STYLE}", *KEY[1:]), CPU, Maker())
    assert list(tmp_path.iterdir()) == []


def test_the_files_that_were_used_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets_module, "KEPT_FILES", 3)
    first: Path | None = None
    for number in range(5):
        Targets(_trunk(1), tmp_path).get((*KEY[:4], number), CPU, Maker())
        first = first or next(tmp_path.iterdir())
        os.utime(first)  # as if it were used each time
    assert first is not None
    assert first.is_file()
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.ENOSPC])
@pytest.mark.parametrize("call", ["open", "read", "write", "replace", "utime", "scandir", "lstat", "unlink"])
def test_a_disk_that_does_not_answer_costs_statistics_and_no_painting(
    tmp_path: Path, faults: Faults, call: str, number: int
) -> None:
    Targets(_trunk(1), tmp_path).get(KEY, CPU, Maker())
    faults.fail_for_ever(call, number=number, at=under(tmp_path))
    for key in (KEY, (*KEY[:4], 7)):
        assert set(Targets(_trunk(1), tmp_path).get(key, CPU, Maker())) == {"relu1_1"}


def test_statistics_that_an_older_version_kept_are_not_used_and_are_swept(tmp_path: Path) -> None:
    """They may be of other bytes than their key says."""
    old = tmp_path / "0123.targets"
    old.write_bytes(b"poisoned")
    Targets(_trunk(1), tmp_path).get(KEY, CPU, Maker())
    assert not old.exists()
    assert len(list(tmp_path.iterdir())) == 1
