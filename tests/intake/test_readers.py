"""Several reading processes at once: with readers that wait for each other, crash, hang or copy badly."""

import errno
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import NoReturn

import psutil
import pytest
from support.clock import FakeClock
from support.faults import Faults
from support.waiting import comes_true, hang

from nst_daemon.disk import system
from nst_daemon.disk.files import file_sha256
from nst_daemon.errors import ConditionError, FileConditionError
from nst_daemon.intake import reading
from nst_daemon.intake.inspection import Inspection, Readable, Taken, Unreadable
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.intake.readers import Readers

WaitFor = Callable[..., None]


def plenty(_: int | None) -> int:
    return 1 << 40


def read_played(path: Path, max_megapixels: float) -> Inspection:
    """Do what a photo's name asks for; in the reading process."""
    monkey = pytest.MonkeyPatch()  # for as long as the process lives
    photo = Readable(width=1, height=1, format=f"{os.getpid()}")
    match path.stem:
        case "left" | "right":  # neither ends before both have begun
            path.with_suffix(".begun").touch()
            other = path.with_name({"left": "right", "right": "left"}[path.stem]).with_suffix(".begun")
            assert comes_true(other.exists, 60.0)
        case "crash":
            os._exit(9)
        case "hang":
            path.with_suffix(".begun").touch()
            hang()
        case "text":
            return Unreadable(reason="It is a text.")
        case "grows":
            return Readable(width=1, height=1, format="tiff", may_grow=True)
        case "painting":
            return Readable(width=1, height=1, format="jpeg", provenance={"job_key": "k"})
        case "dies_copying":
            monkey.setattr(reading, "draft_copy", write_half_and_die)
        case "hangs_copying":
            monkey.setattr(reading, "draft_copy", lambda photo, draft: hang())
        case "full":
            system.calls = faults = Faults()
            faults.fail("write", errno.ENOSPC, at=lambda path: path.suffix == ".tmp")
    return photo


def write_half_and_die(photo: Path, draft: Path) -> NoReturn:
    draft.parent.mkdir(exist_ok=True)
    draft.write_bytes(b"half")
    os._exit(9)


@pytest.fixture
def readers() -> Iterator[Readers]:
    with Readers(PhotoReader(read=read_played, memory_left=plenty)) as made:
        yield made


@pytest.fixture
def take(readers: Readers, tmp_path: Path) -> Callable[[str], Future[Taken]]:
    def begin(name: str) -> Future[Taken]:
        photo = tmp_path / f"{name}.jpg"
        photo.write_bytes(name.encode())
        return readers.take(photo, draft_of(tmp_path, name))

    return begin


def draft_of(folder: Path, name: str) -> Path:
    return folder / "photos" / f".{name}.tmp"


def result_of(readers: Readers, future: Future[Taken]) -> Taken:
    """Return what comes of a photo, when it has."""
    assert comes_true(partial(_is_done, readers, future), 60.0)
    return future.result(0)


def _is_done(readers: Readers, future: Future[Taken]) -> bool:
    readers.attend(0.05)
    return future.done()


def wait_for_file(readers: Readers, path: Path) -> None:
    while not path.exists():
        readers.attend(0.05)


def pid_in(taken: Taken) -> int:
    assert isinstance(taken.inspection, Readable)
    return int(taken.inspection.format)


Take = Callable[[str], Future[Taken]]


def test_two_photos_are_read_at_once_and_each_has_a_copy(
    readers: Readers, take: Take, tmp_path: Path
) -> None:
    futures = {name: take(name) for name in ("left", "right")}
    taken = {name: result_of(readers, future) for name, future in futures.items()}
    assert pid_in(taken["left"]) != pid_in(taken["right"])
    for name in futures:
        draft = draft_of(tmp_path, name)
        assert draft.read_bytes() == name.encode()
        assert taken[name].sha256 == file_sha256(draft)


def test_one_photo_after_the_other_is_read_by_one_process(readers: Readers, take: Take) -> None:
    assert pid_in(result_of(readers, take("a"))) == pid_in(result_of(readers, take("b")))
    assert len(readers.pids()) == 1


@pytest.mark.parametrize("name", ["text", "grows", "painting"])
def test_what_is_no_whole_photo_is_not_copied(
    readers: Readers, take: Take, tmp_path: Path, name: str
) -> None:
    assert result_of(readers, take(name)).sha256 is None
    assert not draft_of(tmp_path, name).exists()
    assert result_of(readers, take("a")).sha256  # and the next one is understood


def test_a_photo_that_kills_its_process_twice_costs_no_other_a_thing(readers: Readers, take: Take) -> None:
    futures = [take("crash"), take("left"), take("right")]
    deadly, *others = (result_of(readers, future) for future in futures)
    assert isinstance(deadly.inspection, Unreadable)
    assert "ended the process" in deadly.inspection.reason
    assert [isinstance(other.inspection, Readable) for other in others] == [True, True]


def test_a_photo_that_hangs_holds_up_no_other_and_is_known_for_it_by_every_reader(
    readers: Readers, take: Take, tmp_path: Path
) -> None:
    first = readers._readers[0]
    result_of(readers, take("a"))  # the start is not part of the time
    first._time_limit = 0.5
    hanging = take("hang")
    result_of(readers, take("b"))  # another's start takes longer than that
    with pytest.raises(FileConditionError, match="within"):
        result_of(readers, hanging)
    (second,) = readers._readers[1:]
    second._time_limit, second._long_limit = 60.0, 0.5
    answer = second.inspect(tmp_path / "hang.jpg")
    assert isinstance(answer, Unreadable)
    assert "within" in answer.reason


def test_a_process_that_dies_at_the_copy_is_no_photos_fault_and_the_next_copy_is_whole(
    readers: Readers, take: Take, tmp_path: Path
) -> None:
    with pytest.raises(ConditionError) as caught:
        result_of(readers, take("dies_copying"))
    assert caught.value.code == "process_failed"
    half = draft_of(tmp_path, "dies_copying")
    assert half.read_bytes() == b"half"
    (tmp_path / "a.jpg").write_bytes(b"a whole photo")
    result_of(readers, readers.take(tmp_path / "a.jpg", half))
    assert half.read_bytes() == b"a whole photo"


def test_a_copy_that_does_not_end_is_a_condition_however_often_and_never_a_verdict(
    readers: Readers, take: Take
) -> None:
    result_of(readers, take("a"))
    readers._readers[0]._long_limit = 0.3
    for _ in range(2):
        with pytest.raises(FileConditionError, match="within"):
            result_of(readers, take("hangs_copying"))


def test_a_full_disk_of_ours_is_told_by_the_process_and_blames_no_photo(readers: Readers, take: Take) -> None:
    with pytest.raises(ConditionError) as caught:
        result_of(readers, take("full"))
    assert not isinstance(caught.value, FileConditionError)
    assert caught.value.code == "disk_full"


def test_what_cannot_wait_is_read_beside_photos_that_hang(
    readers: Readers, take: Take, tmp_path: Path
) -> None:
    take("hang")
    (tmp_path / "style.jpg").write_bytes(b"style")
    assert isinstance(readers.inspect(tmp_path / "style.jpg"), Readable)
    assert len(readers.pids()) == 2


def test_close_ends_every_process_and_what_was_begun_fails(
    readers: Readers, take: Take, tmp_path: Path, wait_for: WaitFor
) -> None:
    begun = [take("hang"), take("left")]
    wait_for_file(readers, tmp_path / "hang.begun")
    pids = readers.pids()
    assert len(pids) == 2
    readers.close()
    for future in (*begun, take("a")):
        with pytest.raises(ConditionError) as caught:
            result_of(readers, future)
        assert caught.value.code == "cancelled"
    readers.prepare()
    assert readers.pids() == []
    wait_for(lambda: not any(map(psutil.pid_exists, pids)))


def test_processes_that_nobody_needs_end_and_one_at_work_does_not(tmp_path: Path, clock: FakeClock) -> None:
    first = PhotoReader(read=read_played, memory_left=plenty, clock=clock, idle_seconds=30)
    with Readers(first) as readers:
        for name in ("hang", "a"):
            (tmp_path / f"{name}.jpg").write_bytes(b"photo")
        readers.take(tmp_path / "hang.jpg", tmp_path / "1.tmp")
        result_of(readers, readers.take(tmp_path / "a.jpg", tmp_path / "2.tmp"))
        assert len(readers.pids()) == 2
        clock.advance(30)
        readers.rest()
        assert readers.pids() == [first.pid]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL")
def test_a_reader_that_is_killed_in_the_middle_reads_its_photo_again(
    readers: Readers, take: Take, tmp_path: Path
) -> None:
    left = take("left")
    wait_for_file(readers, tmp_path / "left.begun")
    (pid,) = readers.pids()
    os.kill(pid, signal.SIGKILL)
    taken = [result_of(readers, future) for future in (take("right"), left)]
    assert pid not in map(pid_in, taken)
    assert all(each.sha256 for each in taken)


def unexpected(*_: object) -> NoReturn:
    raise ZeroDivisionError("a bug of ours")


def test_a_bug_that_one_photo_meets_is_told_where_it_is_asked_for(
    readers: Readers, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PhotoReader, "_inspected", unexpected)
    future = take("a")
    with pytest.raises(ZeroDivisionError):
        result_of(readers, future)
