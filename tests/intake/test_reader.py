"""The reading process, with real pictures, and with readers that crash, hang or never answer."""

import errno
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from PIL import Image
from support.clock import FakeClock
from support.starts import fail_starts
from support.waiting import hang

from nst_daemon.errors import ConditionError, FileConditionError
from nst_daemon.intake.inspection import Inspection, Readable, Unreadable
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.intake.reading import read_photo

WaitFor = Callable[..., None]


def picture(path: Path, size: tuple[int, int] = (48, 32)) -> Path:
    Image.radial_gradient("L").resize(size).convert("RGB").save(path)
    return path


def plenty(_: int | None) -> int:
    return 1 << 40


def read_or_die(path: Path, max_megapixels: float) -> Inspection:
    match path.stem:
        case "crash":
            os._exit(9)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            hang()
    return Readable(width=1, height=2, format=f"{os.getpid()}")


def test_a_photo_is_read_in_a_process_of_its_own(tmp_path: Path) -> None:
    with PhotoReader() as reader:
        assert not reader.is_running()
        answer = reader.inspect(picture(tmp_path / "a.jpg"))
        assert reader.is_running()
    assert answer == Readable(width=48, height=32, format="jpeg", keywords=(), provenance=None)
    assert not reader.is_running()


def test_a_process_that_was_prepared_reads_the_photo_and_ends_when_none_comes(
    tmp_path: Path, clock: FakeClock
) -> None:
    with PhotoReader(read=read_or_die, clock=clock, idle_seconds=5.0) as reader:
        reader.prepare()
        pid = reader.pid
        reader.prepare()
        assert reader.inspect(tmp_path / "a.jpg") == Readable(width=1, height=2, format=f"{pid}")
        clock.advance(5.0)
        reader.rest()
        assert not reader.is_running()
        reader.prepare()
        clock.advance(4.0)
        reader.rest()
        assert reader.is_running()


@pytest.mark.skipif(sys.platform == "win32", reason="names are Unicode there")
def test_odd_names_cross_to_the_process_and_back(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg").rename(tmp_path / os.fsdecode(b"caf\xe9\n.jpg"))
    with PhotoReader() as reader:
        assert isinstance(reader.inspect(path), Readable)


def test_a_text_an_empty_file_and_half_a_picture_are_told_apart(tmp_path: Path) -> None:
    text, empty, half = (tmp_path / name for name in ("text.jpg", "empty.jpg", "half.jpg"))
    text.write_text("this is no picture at all, whatever its name says")
    empty.write_bytes(b"")
    whole = picture(tmp_path / "whole.jpg", (640, 480)).read_bytes()
    half.write_bytes(whole[: len(whole) // 2])
    with PhotoReader() as reader:
        answers = {path.stem: reader.inspect(path) for path in (text, empty, half)}
    assert all(isinstance(answer, Unreadable) for answer in answers.values())
    may_grow = {name: isinstance(a, Unreadable) and a.may_grow for name, a in answers.items()}
    assert may_grow == {"text": False, "empty": True, "half": True}


def test_a_photo_beyond_the_limit_and_one_that_has_gone_are_unreadable(tmp_path: Path) -> None:
    with PhotoReader(max_megapixels=0.001) as reader:
        large = reader.inspect(picture(tmp_path / "a.jpg"))
        gone = reader.inspect(tmp_path / "none.jpg")
    assert isinstance(large, Unreadable)
    assert "megapixels" in large.reason
    assert large.remedy
    assert isinstance(gone, Unreadable)


@pytest.mark.parametrize(
    "name",
    [
        "crash.jpg",
        pytest.param("kill.jpg", marks=pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")),
    ],
)
def test_a_photo_that_kills_the_process_is_unreadable_and_the_next_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"kills its decoder")
    with PhotoReader(read=read_or_die, memory_left=plenty) as reader:
        first = reader.inspect(tmp_path / "a.jpg")
        answer = reader.inspect(tmp_path / name)
        second = reader.inspect(tmp_path / "b.jpg")
    assert isinstance(answer, Unreadable)
    assert not answer.may_grow
    assert "ended the process" in answer.reason
    assert isinstance(first, Readable)
    assert isinstance(second, Readable)
    assert first.format != second.format  # another process


def test_a_photo_that_is_not_read_in_time_is_its_disks_fault_first_and_given_up_later(tmp_path: Path) -> None:
    slow = tmp_path / "hang.jpg"
    slow.write_bytes(b"never decoded")
    with PhotoReader(read=read_or_die) as reader:
        reader.inspect(tmp_path / "a.jpg")  # the start of the process is not part of the time
        reader._time_limit = 0.3
        with pytest.raises(FileConditionError, match="within") as caught:
            reader.inspect(slow)
        assert caught.value.path == slow
        assert not reader.is_running()
        reader._time_limit, reader._long_limit = 60.0, 0.3
        answer = reader.inspect(slow)
        reader._long_limit = 60.0
        assert isinstance(reader.inspect(tmp_path / "b.jpg"), Readable)
    assert isinstance(answer, Unreadable)
    assert "within" in answer.reason


def test_a_slow_photo_is_never_given_up_while_its_disk_does_not_give_its_bytes(tmp_path: Path) -> None:
    photo = tmp_path / "hang.jpg"
    photo.write_bytes(b"never decoded")
    with PhotoReader(read=read_or_die) as reader:
        reader.inspect(tmp_path / "a.jpg")
        reader._time_limit = reader._long_limit = 0.3
        with pytest.raises(FileConditionError):
            reader.inspect(photo)
        photo.unlink()
        with pytest.raises(FileNotFoundError):  # the bytes are asked for before it is judged
            reader.inspect(photo)


def test_what_the_disk_and_the_memory_are_at_fault_for_is_no_verdict(tmp_path: Path) -> None:
    with PhotoReader(read=read_in_need) as reader:
        with pytest.raises(FileNotFoundError):
            reader.inspect(tmp_path / "gone.jpg")
        with pytest.raises(FileConditionError) as caught:
            reader.inspect(tmp_path / "EIO.jpg")
        assert (caught.value.path.name, caught.value.code) == ("EIO.jpg", "folder_unreachable")
        with pytest.raises(ConditionError) as short:
            reader.inspect(tmp_path / "memory.jpg")
        assert short.value.code == "system_busy"
        answer = reader.inspect(tmp_path / "bug.jpg")
    assert isinstance(answer, Unreadable)
    assert "ZeroDivisionError" in answer.reason


def read_in_need(path: Path, max_megapixels: float) -> Inspection:
    match path.stem:
        case "gone":
            raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
        case "EIO":
            raise OSError(errno.EIO, "Input/output error", str(path))
        case "memory":
            raise MemoryError
    raise ZeroDivisionError("by nought")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_process_that_dies_while_memory_is_short_leaves_the_photo_where_it_is(tmp_path: Path) -> None:
    photo = tmp_path / "kill.jpg"
    photo.write_bytes(b"kills its decoder")
    with PhotoReader(read=read_or_die, memory_left=lambda _: 1000) as reader:
        with pytest.raises(ConditionError) as caught:
            reader.inspect(photo)
        assert caught.value.code == "system_busy"
        assert isinstance(reader.inspect(tmp_path / "b.jpg"), Readable)


def test_a_start_that_fails_costs_nothing_and_the_next_is_as_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_starts(monkeypatch, 3)
    with PhotoReader(read=read_or_die) as reader:
        reader.prepare()
        reader.prepare()
        with pytest.raises(ConditionError) as caught:
            reader.inspect(tmp_path / "a.jpg")
        assert caught.value.code == "system_busy"
        assert isinstance(reader.inspect(tmp_path / "a.jpg"), Readable)


def test_a_process_that_ends_before_it_has_read_any_photo_is_no_photos_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PhotoReader(read=DiesAsItComes()) as reader, pytest.raises(ConditionError) as caught:
        reader.inspect(tmp_path / "a.jpg")
    assert caught.value.code == "process_failed"


class DiesAsItComes:
    """Ends the process that takes it in, as a broken installation does."""

    def __call__(self, path: Path, max_megapixels: float) -> Inspection:
        raise AssertionError

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (3,)


def test_close_ends_the_reading_at_once_and_nothing_is_started_afterwards(
    tmp_path: Path, wait_for: WaitFor
) -> None:
    reader = PhotoReader(read=read_or_die)
    reader.inspect(tmp_path / "a.jpg")
    raised: list[BaseException] = []

    def read() -> None:
        try:
            reader.inspect(tmp_path / "hang.jpg")
        except ConditionError as error:
            raised.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    wait_for(lambda: reader.child._run is not None and reader.child._run.calls)
    reader.close()
    thread.join(5.0)
    assert [str(error) for error in raised] == ["hang.jpg was not read: the daemon ends."]
    reader.prepare()
    with pytest.raises(ConditionError):
        reader.inspect(tmp_path / "a.jpg")
    assert not reader.is_running()


def test_an_idle_process_ends_and_a_later_photo_starts_a_new_one(tmp_path: Path, clock: FakeClock) -> None:
    with PhotoReader(read=read_or_die, clock=clock, idle_seconds=30) as reader:
        reader.inspect(tmp_path / "a.jpg")
        clock.advance(29)
        reader.rest()
        assert reader.is_running()
        clock.advance(1)
        reader.rest()
        assert not reader.is_running()
        assert isinstance(reader.inspect(tmp_path / "a.jpg"), Readable)


def _daemon(folder: Path) -> None:
    reader = PhotoReader(read=read_or_die)
    answer = reader.inspect(folder / "a.jpg")
    assert isinstance(answer, Readable)
    (folder / "pid").write_text(answer.format)
    reader.inspect(folder / "hang.jpg")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_the_process_ends_with_its_killed_daemon_even_in_the_middle_of_a_picture(
    tmp_path: Path, wait_for: WaitFor
) -> None:
    daemon = multiprocessing.get_context("spawn").Process(target=_daemon, args=(tmp_path,))
    daemon.start()
    note = tmp_path / "pid"
    wait_for(lambda: note.exists() and note.read_text(), what="the first photo")
    pid = int(note.read_text())
    daemon.kill()
    daemon.join()
    daemon.close()
    wait_for(lambda: not psutil.pid_exists(pid) or _is_dead(pid), what="the end of the reading process")


def _is_dead(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_keywords_and_provenance_are_read_with_the_photo(tmp_path: Path) -> None:
    photo = picture(tmp_path / "a.jpg")
    (tmp_path / "a.jpg.xmp").write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag>'
        "<rdf:li>nst:starry_night</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    answer = read_photo(photo, 200.0)
    assert isinstance(answer, Readable)
    assert answer.keywords == ("nst:starry_night",)
    assert answer.provenance is None
