import errno
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePath

import psutil
import pytest
from support.faults import Faults, under
from support.one_job import STARRY, folder, job_of

from nst_daemon.config import Folder
from nst_daemon.disk.files import (
    TEMPORARY,
    Digests,
    copy_whole,
    file_sha256,
    is_left_over,
    move_beside,
    takes_name,
    temporary_in,
)
from nst_daemon.errors import ConditionError, FileConditionError, NameRefusedError
from nst_daemon.folders import outbox
from nst_daemon.ledger.jobs import Job, NewJob, Origin

__all__ = ["folder"]  # a fixture


def choose(job: Job, taken: set[Path], extension: str = ".jpg") -> Path:
    target = outbox.choose_target(job, extension, is_free=lambda path: path not in taken)
    taken.add(target)
    return target


# Names.


def test_a_result_is_named_by_photo_and_style_under_the_same_sub_folders(folder: Folder) -> None:
    target = choose(job_of(folder, "trip/2026/a.jpg"), set())
    assert target == folder.outbox / "trip" / "2026" / "a.starry_night.jpg"
    assert outbox.report_target(target).name == "a.starry_night.report.png"


@pytest.mark.parametrize("extension", ["png", ".png"])
def test_the_format_decides_on_the_suffix(folder: Folder, extension: str) -> None:
    assert choose(job_of(folder), set(), extension).name == "a.starry_night.png"


def test_no_two_jobs_get_one_name(folder: Folder) -> None:
    taken: set[Path] = set()
    blend = (STARRY, replace(STARRY, name="the_scream", weight=0.4))
    jobs = [
        job_of(folder, "a/x.jpg"),
        job_of(folder, "b/x.jpg"),
        job_of(folder, "a/x.png"),
        job_of(folder, "a/x.jpg", styles=blend),
        job_of(folder, "a/x.tif"),
    ]
    names = [choose(job, taken).relative_to(folder.outbox).as_posix() for job in jobs]
    assert names == [
        "a/x.starry_night.jpg",
        "b/x.starry_night.jpg",
        "a/x.starry_night.2.jpg",
        "a/x.starry_night+the_scream.jpg",
        "a/x.starry_night.3.jpg",
    ]


def test_a_job_that_runs_again_keeps_its_name_unless_its_format_changed(folder: Folder) -> None:
    job = replace(job_of(folder), result=folder.outbox / "a.starry_night.7.jpg")
    assert choose(job, set()) == job.result
    assert choose(job, set(), ".png") == folder.outbox / "trip" / "a.starry_night.png"


def test_a_submitted_photo_gets_no_sub_folder(folder: Folder) -> None:
    job = replace(job_of(folder), inbox=None, origin=Origin.SUBMIT, original=Path("/home/me/pictures/a.jpg"))
    assert choose(job, set()) == folder.outbox / "a.starry_night.jpg"


def test_a_photo_that_has_been_to_failed_keeps_its_sub_folder(folder: Folder) -> None:
    job = replace(job_of(folder, "trip/a.jpg"), original=folder.failed / "trip" / "a.jpg")
    assert choose(job, set()) == folder.outbox / "trip" / "a.starry_night.jpg"
    hostile = replace(job, path=PurePath("../../etc/a.jpg"))
    assert choose(hostile, set()).is_relative_to(folder.outbox)
    assert ".." not in choose(hostile, set()).parts


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("12:30.jpg", "12_30.starry_night.jpg"),
        ("new\nline.jpg", "new_line.starry_night.jpg"),
        ("日本.jpg", "日本.starry_night.jpg"),
        (os.fsdecode(b"caf\xe9.jpg"), "café.starry_night.jpg"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_a_result_has_a_name_that_every_file_system_takes(folder: Folder, name: str, result: str) -> None:
    assert choose(job_of(folder, name), set()).name == result


@pytest.mark.parametrize("letter", ["x", "é", "日", "🦀"])
def test_a_very_long_name_is_cut_between_letters_and_leaves_room(folder: Folder, letter: str) -> None:
    blend = tuple(replace(STARRY, name=f"{letter * 40}{number}") for number in range(5))
    target = choose(job_of(folder, f"{letter * 250}.jpg", styles=blend), set())
    for path in (target, outbox.report_target(target)):
        assert len(os.fsencode(path.name)) <= 255
    (folder.outbox / target.name).write_bytes(b"it can be written")
    assert target.name.startswith(letter)


def test_existing_results_are_those_that_a_job_of_this_name_would_meet(folder: Folder) -> None:
    names = ["a.starry_night.jpg", "a.starry_night.2.jpg", "a.starry_night.4.jpg", "a.starry_night.png"]
    for name in (*names, "b.starry_night.jpg"):
        (folder.outbox / name).write_bytes(b"painting")
    new = NewJob(
        key="k",
        path=PurePath("a.jpg"),
        original=folder.inbox / "a.jpg",
        copy=folder.inbox / "a.jpg",
        photo_sha256="",
        inbox=folder.inbox,
        outbox=folder.outbox,
        styles=(STARRY,),
    )
    assert {path.name for path in outbox.existing_results(new)} == set(names) - {"a.starry_night.4.jpg"}


def test_existing_results_are_found_under_the_names_that_another_disk_gave_them(folder: Folder) -> None:
    found = folder.outbox / "Rome_ day 1" / "a.starry_night.jpg"
    found.parent.mkdir()
    found.write_bytes(b"painting")
    new = NewJob(
        key="k",
        path=PurePath("Rome: day 1/a.jpg"),
        original=folder.inbox / "Rome: day 1" / "a.jpg",
        copy=folder.inbox / "a.jpg",
        photo_sha256="",
        inbox=folder.inbox,
        outbox=folder.outbox,
        styles=(STARRY,),
    )
    assert list(outbox.existing_results(new)) == [found]


def test_a_name_is_tried_where_it_is_to_be_and_nothing_is_left(folder: Folder, faults: Faults) -> None:
    assert takes_name(folder.outbox, "what?.jpg")
    faults.fail_for_ever("open", number=errno.EINVAL, at=lambda path: "?" in path.name)
    assert not takes_name(folder.outbox, "what?.jpg")
    faults.made.clear()
    assert takes_name(folder.outbox, "plain.jpg")
    assert faults.made == []
    faults.fail_for_ever("mkdir", number=errno.EROFS, at=under(folder.outbox))
    with pytest.raises(FileConditionError):
        takes_name(folder.outbox, "what?.jpg")
    assert list(folder.outbox.iterdir()) == []


def test_a_folder_in_which_a_name_was_tried_is_swept(folder: Folder) -> None:
    left = folder.outbox / ".nst-another-1-x.tmp"
    left.mkdir()
    (left / "what?.jpg").write_bytes(b"")
    os.utime(left, (0, 0))
    assert outbox.sweep(folder.outbox) == 1
    assert list(folder.outbox.iterdir()) == []


# Publishing.


def test_a_published_file_is_whole_and_leaves_nothing_beside_it(folder: Folder, tmp_path: Path) -> None:
    source = tmp_path / "painting.jpg"
    source.write_bytes(b"painting")
    target = folder.outbox / "trip" / "a.jpg"
    outbox.publish(source, target, outbox=folder.outbox)
    assert target.read_bytes() == b"painting"
    assert [path.name for path in target.parent.iterdir()] == ["a.jpg"]
    assert source.exists()


def test_a_reader_of_the_outbox_never_sees_half_a_file(folder: Folder, tmp_path: Path) -> None:
    source = tmp_path / "painting.jpg"
    target = folder.outbox / "a.jpg"
    sizes: set[int] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            if target.exists():
                sizes.add(len(target.read_bytes()))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 6):
        source.write_bytes(b"x" * 3_000_000 * number)
        outbox.publish(source, target, outbox=folder.outbox)
    stop.set()
    reader.join()
    assert sizes
    assert all(size % 3_000_000 == 0 and size for size in sizes)


def test_a_missing_outbox_is_a_condition_and_is_never_made(folder: Folder, tmp_path: Path) -> None:
    source = tmp_path / "painting.jpg"
    source.write_bytes(b"painting")
    folder.outbox.rmdir()
    with pytest.raises(ConditionError) as caught:
        outbox.publish(source, folder.outbox / "trip" / "a.jpg", outbox=folder.outbox)
    assert caught.value.code == "outbox_missing"
    assert not folder.outbox.exists()


def test_two_daemons_cannot_publish_under_one_name(folder: Folder, tmp_path: Path) -> None:
    source = tmp_path / "painting.jpg"
    source.write_bytes(b"mine")
    target = folder.outbox / "a.jpg"
    target.write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        outbox.publish(source, target, outbox=folder.outbox, replace=False)
    assert target.read_bytes() == b"theirs"
    assert list(folder.outbox.iterdir()) == [target]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EROFS, "read_only"),
        (errno.EACCES, "read_only"),
        (errno.EIO, "outbox_unreachable"),
        (errno.ESTALE, "outbox_unreachable"),
    ],
)
def test_the_machines_faults_are_conditions_and_leave_nothing_behind(
    folder: Folder, tmp_path: Path, faults: Faults, number: int, code: str
) -> None:
    source = tmp_path / "painting.jpg"
    source.write_bytes(b"painting")
    faults.fail("fsync", number, at=under(folder.outbox))
    with pytest.raises(ConditionError) as caught:
        outbox.publish(source, folder.outbox / "a.jpg", outbox=folder.outbox)
    assert caught.value.code == code
    assert caught.value.remedy
    assert list(folder.outbox.iterdir()) == []


def test_a_name_that_cannot_be_written_is_the_jobs_own_fault(folder: Folder, tmp_path: Path) -> None:
    source = tmp_path / "painting.jpg"
    source.write_bytes(b"painting")
    with pytest.raises(NameRefusedError, match="takes no file of this name"):
        outbox.publish(source, folder.outbox / ("x" * 300), outbox=folder.outbox)


# Whole files.


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def forbid(number: int) -> None:
        def link(source: Path, target: Path) -> None:
            if Path(target).exists():
                raise FileExistsError(errno.EEXIST, "exists")
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "link", link)

    return forbid


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.ENOTSUP])
def test_a_file_moves_to_another_file_system_and_keeps_its_time(
    tmp_path: Path, no_links: Callable[[int], None], number: int
) -> None:
    source, folder = tmp_path / "a.jpg", tmp_path / "archive"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"another")
    source.write_bytes(b"photo")
    os.utime(source, (1_000_000_000, 1_000_000_000))
    no_links(number)
    moved = move_beside(source, folder)
    assert moved == folder / "a.2.jpg"
    assert moved.read_bytes() == b"photo"
    assert moved.stat().st_mtime == 1_000_000_000
    assert not source.exists()
    assert len(list(folder.iterdir())) == 2


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs a second file system")
def test_a_file_moves_between_real_file_systems(tmp_path: Path) -> None:
    other = Path("/dev/shm") / f"nst-test-{os.getpid()}"
    other.mkdir()
    try:
        source = tmp_path / "a.jpg"
        source.write_bytes(b"photo" * 1_000_000)
        assert file_sha256(move_beside(source, other)) == hashlib.sha256(b"photo" * 1_000_000).hexdigest()
        assert not source.exists()
    finally:
        shutil.rmtree(other)


def test_a_move_that_a_crash_cut_in_two_is_ended_by_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    for name, cut in (("linked.jpg", os.link), ("copied.jpg", shutil.copyfile)):
        source = tmp_path / name
        source.write_bytes(b"photo")
        cut(source, folder / name)
        assert move_beside(source, folder) == folder / name
        assert not source.exists()
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_copy_that_fails_in_the_middle_leaves_the_old_file(
    tmp_path: Path, faults: Faults, call: str
) -> None:
    source, target = tmp_path / "new", tmp_path / "out"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    faults.fail(call, errno.ENOSPC, at=lambda path: path != source)
    with pytest.raises(FileConditionError, match="full") as caught:
        copy_whole(source, target, replace=True)
    assert caught.value.path == target
    assert target.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("has_links", [True, False])
def test_a_copy_that_must_not_replace_does_not(
    tmp_path: Path, no_links: Callable[[int], None], has_links: bool
) -> None:
    source, target = tmp_path / "new", tmp_path / "out"
    source.write_bytes(b"new")
    if not has_links:
        no_links(errno.EPERM)
    copy_whole(source, target, replace=False)
    assert target.read_bytes() == b"new"
    source.write_bytes(b"newer")
    with pytest.raises(FileExistsError):
        copy_whole(source, target, replace=False)
    assert target.read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, faults: Faults) -> None:
    source, target = tmp_path / "source", tmp_path / "out"
    source.write_bytes(b"painting")
    copy_whole(source, target, replace=True)
    steps = [call for call, _ in faults.made if call in ("fsync", "replace")]
    assert steps == ["fsync", "replace", "fsync"] if sys.platform != "win32" else ["fsync", "replace"]


def test_a_temporary_file_is_left_over_whoever_has_its_process_number_now(tmp_path: Path) -> None:
    parent = os.getppid()  # it lives, and has begun before this file
    parts = temporary_in(tmp_path).name.split("-")
    path = tmp_path / "-".join([*parts[:2], str(parent), parts[3]])
    path.write_bytes(b"x")
    assert not is_left_over(path)
    began = psutil.Process(parent).create_time()
    os.utime(path, (began - 7200, began - 7200))  # older than who is said to write it
    assert is_left_over(path)
    os.utime(path, (0, 0))
    assert is_left_over(path)


def test_what_cannot_be_looked_at_is_not_left_over(tmp_path: Path, faults: Faults) -> None:
    path = tmp_path / f"{TEMPORARY}another-1-x.tmp"
    path.write_bytes(b"x")
    os.utime(path, (0, 0))
    faults.fail("lstat", errno.ESTALE, at=path)
    assert not is_left_over(path)
    assert is_left_over(path)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_file_that_cannot_be_read_has_no_hash_and_is_not_gone(
    tmp_path: Path, faults: Faults, number: int
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"photo")
    faults.fail("read", number, at=path)
    with pytest.raises(FileConditionError):
        file_sha256(path)
    assert file_sha256(path) == hashlib.sha256(b"photo").hexdigest()
    with pytest.raises(FileNotFoundError):
        file_sha256(tmp_path / "none.jpg")


def test_a_file_is_hashed_again_only_when_it_has_changed(tmp_path: Path, faults: Faults) -> None:
    path, digests = tmp_path / "a.jpg", Digests()
    path.write_bytes(b"photo")
    first = digests.of(path)
    assert first == file_sha256(path)
    faults.made.clear()
    assert digests.of(path) == first
    assert [call for call, _ in faults.made] == ["lstat"]
    path.write_bytes(b"another")
    assert digests.of(path) == hashlib.sha256(b"another").hexdigest()


def test_the_sweep_takes_what_a_crash_left_and_nothing_else(folder: Folder) -> None:
    died = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, pathlib; from nst_daemon.disk.files import temporary_in;"
            "print(temporary_in(pathlib.Path(sys.argv[1])))",
            str(folder.outbox),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    deep = folder.outbox / "trip"
    deep.mkdir()
    ours = temporary_in(deep)
    numbered_alike = ours.with_name("-".join([*ours.name.split("-")[:3], "zzzz00000000.tmp"]))
    left = [Path(died.stdout.strip()), numbered_alike]
    kept = [
        folder.outbox / "a.jpg",
        folder.outbox / ".nst-notes.txt",
        folder.outbox / ".nst-00000000-1-x.tmp",
        ours,  # being written at this moment, by another thread
    ]
    if sys.platform != "win32":
        parent = temporary_in(deep).name.split("-")
        kept.append(deep / "-".join([*parent[:2], str(os.getppid()), parent[3]]))  # a process that lives
    for path in (*left, *kept):
        path.write_bytes(b"x")
    assert outbox.sweep(folder.outbox) == 2
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)
    old = kept[2]
    os.utime(old, (0, 0))
    assert is_left_over(old)  # another machine's, but a day old
    assert outbox.sweep(folder.outbox / "none") == 0


def test_the_end_of_a_job_takes_its_preview_and_what_a_killed_engine_left_of_it(folder: Folder) -> None:
    job, other = job_of(folder, number=7), job_of(folder, number=8)
    job.preview.parent.mkdir()
    parts = temporary_in(folder.outbox).name.split("-")
    left = job.preview.parent / "-".join([*parts[:3], "zzzz00000000.tmp"])  # of a process that is no more
    for path in (job.preview, other.preview, left):
        path.write_bytes(b"x")
    outbox.end_preview(job)
    assert list(job.preview.parent.iterdir()) == [other.preview]
    outbox.end_preview(other)
    outbox.end_preview(other)
    assert list(folder.outbox.iterdir()) == []


def test_the_sweep_takes_previews_and_leaves_what_the_user_put_beside_them(folder: Folder) -> None:
    job = job_of(folder, number=7)
    job.preview.parent.mkdir()
    mine = job.preview.with_name("holiday.jpg")
    for path in (job.preview, mine):
        path.write_bytes(b"x")
    assert outbox.sweep(folder.outbox) == 1
    assert list(job.preview.parent.iterdir()) == [mine]
    mine.unlink()
    assert outbox.sweep(folder.outbox) == 0
    assert not job.preview.parent.exists()
