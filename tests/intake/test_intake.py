"""The left half with a real ledger, real files and real styles; the reader and the clock are fakes."""

import errno
import math
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from support.clock import FakeClock
from support.faults import Faults
from support.pictures import iptc_app13
from support.place import SCREAM, STARRY, Place

from nst_daemon.config import Watch, WatchMode
from nst_daemon.config.recipe import Rule
from nst_daemon.errors import ConditionError
from nst_daemon.folders import copies, mounts
from nst_daemon.intake import admission, awaiting, intake
from nst_daemon.intake.reading import read_photo
from nst_daemon.ledger import Verdict
from nst_daemon.ledger.jobs import JobState
from nst_daemon.ledger.words import job_text


@pytest.fixture
def place(tmp_path: Path, clock: FakeClock) -> Iterator[Place]:
    made = Place(tmp_path, clock)
    yield made
    made.close()


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def packet_of(keyword: str) -> bytes:
    """Return an editor's XMP file with one keyword in its hierarchy."""
    return f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
        xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
        xmlns:lr="http://ns.adobe.com/lightroom/1.0/"><lr:hierarchicalSubject><rdf:Bag><rdf:li>{keyword}</rdf:li>
        </rdf:Bag></lr:hierarchicalSubject></rdf:Description></rdf:RDF></x:xmpmeta>""".encode()


# Arrival.


def test_a_photo_becomes_a_job_with_a_private_copy_of_its_bytes(place: Place) -> None:
    photo = place.drop("trip/a.jpg")
    place.run()
    job = place.only_job()
    assert (job.state, job.photo, job.style) == (JobState.QUEUED, "trip/a.jpg", STARRY)
    assert job.original == photo
    assert job.copy.read_bytes() == b"photo"
    assert job.copy.parent == place.base / "state" / "photos"
    assert place.intake.is_idle()
    assert place.codes() == []


def test_a_photo_is_read_once_however_often_the_inbox_is(place: Place) -> None:
    place.drop("a.jpg")
    place.run(300)
    assert place.reader.read == ["a.jpg"]
    assert len(place.jobs()) == 1


def test_the_intake_is_not_idle_before_it_has_read_the_inbox_and_while_a_photo_is_on_its_way(
    place: Place,
) -> None:
    place.drop("a.jpg")
    assert not place.intake.is_idle()
    place.tick()
    assert not place.intake.is_idle()
    place.run()
    assert place.intake.is_idle()


def test_the_reader_gets_ready_while_a_photo_settles(place: Place) -> None:
    place.tick()
    assert place.reader.prepared == 0
    place.drop("a.jpg")
    place.run(2.0)
    assert place.reader.prepared > 0
    assert place.reader.read == []


def test_it_tells_when_the_next_photo_is_due(place: Place) -> None:
    place.tick()
    assert place.intake.due_in() == math.inf
    place.drop("a.jpg")
    place.run(2.0)
    place.advance(place.intake.due_in())
    place.tick()
    assert place.reader.read == ["a.jpg"]
    place.advance(place.intake.due_in())  # for a sidecar
    place.tick()
    assert place.states() == [JobState.QUEUED]
    assert place.intake.due_in() == math.inf


def test_a_photo_that_is_written_slowly_is_taken_after_its_last_byte(place: Place) -> None:
    photo = place.drop("a.jpg", b"1")
    for _ in range(10):
        place.run(1.5)
        with photo.open("ab") as file:
            file.write(b"1")
    assert place.jobs() == []
    place.run()
    assert place.only_job().copy.read_bytes() == b"1" * 11


def test_a_photo_that_changes_while_it_is_read_settles_again(place: Place) -> None:
    photo = place.drop("a.jpg", b"first")
    place.reader.on_read = lambda path: _write(photo, b"second")
    place.run(2.5)
    place.reader.on_read = lambda path: None
    assert place.jobs() == []
    place.run()
    assert place.only_job().copy.read_bytes() == b"second"


def test_a_photo_that_changes_while_it_waits_for_a_sidecar_settles_again(place: Place) -> None:
    photo = place.drop("a.jpg", b"first")
    place.run(2.5)
    photo.write_bytes(b"second")
    place.run()
    assert place.only_job().copy.read_bytes() == b"second"


def test_a_photo_dropped_while_the_daemon_was_down_passes_the_same_gate(place: Place) -> None:
    place.close()
    photo = place.drop("a.jpg", b"1")
    place.open()
    place.tick()
    photo.write_bytes(b"12")
    place.run(1.5)
    assert place.jobs() == []
    place.run()
    assert place.only_job().copy.read_bytes() == b"12"


def test_a_writer_that_never_rests_shows_as_a_problem_and_is_taken_in_the_end(place: Place) -> None:
    photo = place.drop("a.jpg", b"1")
    place.tick()
    for _ in range(700):
        place.advance(1)
        with photo.open("ab") as file:
            file.write(b"1")
        place.tick()
    assert place.jobs() == []
    assert place.codes() == ["photo_restless"]
    assert place.intake.is_idle()  # `run --once` does not wait for it for ever
    place.run()
    assert place.codes() == []
    assert len(place.jobs()) == 1


@pytest.mark.parametrize(
    "name",
    [
        *(".a.jpg", "._a.jpg", "~a.jpg", "a.jpg.part", "a.jpg_exiftool_tmp", "a.jpg.crdownload"),
        *("@eaDir/a.jpg", ".git/a.jpg", "a.txt", "Thumbs.db", "a.xmp"),
    ],
)
def test_what_is_hidden_temporary_or_no_photo_is_left_alone(place: Place, name: str) -> None:
    path = place.drop(name)
    place.run(100)
    assert place.jobs() == []
    assert path.exists()
    assert place.intake.is_idle()


def test_the_users_globs_are_left_alone(tmp_path: Path, clock: FakeClock) -> None:
    place = Place(tmp_path, clock, Watch(mode=WatchMode.POLLING, ignore=("raw/**", "*-draft.jpg")))
    for name in ("raw/a.jpg", "b-draft.jpg", "c.jpg"):
        place.drop(name, name.encode())
    place.run()
    assert place.only_job().photo == "c.jpg"
    place.close()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links")
def test_links_pipes_and_forbidden_files_are_refused_without_blocking(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "secret.jpg"
    outside.write_bytes(b"photo")
    (place.inbox / "link.jpg").symlink_to(outside)
    (place.inbox / "folder").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(place.inbox / "pipe.jpg")
    place.run()
    assert place.jobs() == []
    assert place.reader.read == []


def test_a_photo_that_may_not_be_read_shows_as_a_problem_until_it_may(place: Place, faults: Faults) -> None:
    photo = place.drop("a.jpg")
    faults.fail_for_ever("open", number=errno.EACCES, at=photo)  # root may read everything
    place.run(30)
    assert place.codes() == ["photo_forbidden"]
    assert place.intake.is_idle()
    faults.heal()
    place.run(70)
    assert place.codes() == []
    assert len(place.jobs()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes")
def test_odd_names_are_never_fatal(place: Place) -> None:
    names = [
        b"caf\xe9.jpg",
        "cafe\u0301.jpg".encode(),
        "café.jpg".encode(),
        b"A.jpg",
        b"a.jpg",
        b"new\nline.jpg",
    ]
    names.append(b"x" * 251 + b".jpg")
    for number, name in enumerate(names):
        (place.inbox / os.fsdecode(name)).write_bytes(b"photo %d" % number)
    place.run()
    assert place.states() == [JobState.QUEUED] * len(names)
    photos = {job.photo for job in place.jobs()}
    assert {"caf\\xe9.jpg", "new\\nline.jpg"} <= photos
    place.restart()
    place.run()
    assert len(place.jobs()) == len(names)


def test_a_folder_moved_into_the_inbox_is_found_whole_and_stays_watched(place: Place, tmp_path: Path) -> None:
    tree = tmp_path / "elsewhere" / "trip"
    (tree / "deep").mkdir(parents=True)
    (tree / "a.jpg").write_bytes(b"1")
    (tree / "deep" / "b.jpg").write_bytes(b"2")
    shutil.move(tree, place.inbox)
    place.run()
    place.drop("trip/deep/c.jpg", b"3")
    place.run(70)
    assert {job.photo for job in place.jobs()} == {"trip/a.jpg", "trip/deep/b.jpg", "trip/deep/c.jpg"}


# What is no whole picture.


@pytest.mark.parametrize("content", [b"", b"half a picture"])
def test_half_a_picture_waits_and_is_taken_when_it_is_whole(place: Place, content: bytes) -> None:
    photo = place.drop("a.jpg", content)
    place.run(500, step=5)
    assert place.jobs() == []
    assert [problem.code for problem in place.intake.unfinished()] == ["photo_incomplete"]
    photo.write_bytes(b"whole picture")
    place.run()
    assert place.only_job().copy.read_bytes() == b"whole picture"
    assert place.intake.unfinished() == []


def test_half_a_picture_fails_with_its_reason_after_the_longest_wait(place: Place) -> None:
    place.drop("trip/a.jpg", b"half a picture")
    place.run(630, step=5)
    job = place.only_job()
    reason = "a.jpg breaks off. Copy it again. (docs/errors.md#photo_refused)"
    assert (job.state, job.error) == (JobState.FAILED, reason)
    failed = place.base / "failed" / "trip" / "a.jpg"
    assert job.original == failed
    assert failed.read_bytes() == b"half a picture"
    assert "breaks off" in failed.with_name("a.jpg.error.txt").read_text()
    assert list(place.inbox.rglob("*.jpg")) == []
    assert place.ledger.jobs.undisposed() == []
    assert place.intake.is_idle()


def test_half_a_picture_that_grows_after_it_failed_is_taken_up_again(place: Place) -> None:
    place.drop("trip/a.jpg", b"half a picture")
    place.run(630, step=5)
    failed = place.only_job().original
    failed.write_bytes(b"the whole picture")  # its writer went on, wherever the file had been moved to
    place.run(200, step=5)
    job = place.only_job()
    assert (job.state, job.photo) == (JobState.QUEUED, "trip/a.jpg")
    assert job.copy.read_bytes() == b"the whole picture"


def test_a_whole_picture_takes_the_place_of_the_half_one_that_failed(place: Place) -> None:
    place.drop("a.jpg", b"half a picture")
    place.run(630, step=5)
    place.drop("a.jpg", b"the whole picture")
    place.run(70)
    assert place.states() == [JobState.QUEUED]  # and no red count stays for ever


def test_an_empty_file_never_fails(place: Place) -> None:
    place.drop("a.jpg", b"")
    place.run(1300, step=10)
    assert place.jobs() == []
    assert place.codes() == ["photo_incomplete"]
    assert place.intake.is_idle()


@pytest.mark.parametrize("partner", ["a.xYz12.jpg.part", "a.jpg.crdownload", "A.JPG.aria2", ".a.jpg.Ab12Cd"])
def test_half_a_picture_with_its_download_beside_it_stays(place: Place, partner: str) -> None:
    place.drop("a.jpg", b"half a picture")
    other = place.drop(partner, b"")
    place.run(1300, step=10)
    assert place.jobs() == []
    other.unlink()
    place.run(20)
    assert place.states() == [JobState.FAILED]


@pytest.mark.skipif(sys.platform != "linux", reason="the system tells of writers by its leases")
def test_a_photo_is_not_taken_from_whoever_has_it_open_for_writing(place: Place) -> None:
    photo = place.drop("a.jpg", b"half a picture")
    with photo.open("ab") as writer:
        place.run(1300, step=10)
        assert place.jobs() == []
        assert photo.exists()
        writer.write(b", and now the rest")
        writer.flush()
        place.run(30)
        assert place.jobs() == []
    photo.write_bytes(b"the whole picture")
    place.run()
    assert place.states() == [JobState.QUEUED]


def test_a_picture_that_looks_unfinished_is_taken_as_it_is_in_the_end(place: Place) -> None:
    place.reader.odd = {"a.jpg"}
    place.drop("a.jpg", b"a picture with zeros at its end")
    place.run(500, step=5)
    assert place.jobs() == []
    place.run(130, step=5)
    assert place.states() == [JobState.QUEUED]


def test_a_text_called_jpg_fails_at_once(place: Place) -> None:
    place.drop("a.jpg", b"text")
    place.run(3)
    assert place.states() == [JobState.FAILED]
    assert (place.base / "failed" / "a.jpg.error.txt").exists()


def test_the_same_broken_file_fails_each_time_it_is_dropped(place: Place) -> None:
    for count in (1, 2, 3):
        place.drop("a.jpg", b"text")
        place.run()
        assert place.states() == [JobState.FAILED] * count
    (place.base / "failed" / "a.jpg").rename(place.inbox / "a.jpg")  # the very same file, put back
    place.run()
    assert place.states() == [JobState.FAILED] * 4
    assert list(place.inbox.iterdir()) == []


def test_a_failed_file_that_cannot_be_moved_is_moved_as_soon_as_it_can(place: Place) -> None:
    blocker = place.base / "failed"
    blocker.write_bytes(b"a file where the folder should be")
    place.drop("a.jpg", b"text")
    place.run(10)
    assert place.states() == [JobState.FAILED]
    assert {"failed_missing", "disk_error", "folder_missing"} & set(place.codes())
    blocker.unlink()
    place.run(200)
    assert (blocker / "a.jpg").exists()
    assert place.codes() == []
    assert len(place.jobs()) == 1


def test_a_retried_unreadable_photo_is_read_again_from_where_it_is(place: Place) -> None:
    place.drop("trip/a.jpg", b"text")
    place.run()
    job = place.only_job()
    assert place.ledger.retry(job.id)
    place.run()
    assert place.only_job().state is JobState.FAILED
    job.original.write_bytes(b"picture")
    assert place.ledger.retry(job.id)
    place.run()
    again = place.only_job()
    assert (again.state, again.photo, again.style) == (JobState.QUEUED, "trip/a.jpg", STARRY)
    assert again.copy.read_bytes() == b"picture"


def test_a_painting_of_ours_is_never_painted_again(place: Place) -> None:
    path = place.drop("a.starry_night.jpg", b"painting:k")
    place.run(300)
    assert place.jobs() == []
    assert place.verdict(path) is Verdict.PAINTING
    assert place.reader.read == ["a.starry_night.jpg"]


def test_a_photo_that_breaks_the_intake_is_set_aside_and_the_others_go_on(place: Place) -> None:
    def break_on(path: Path) -> None:
        if path.name == "bad.jpg":
            raise ZeroDivisionError

    place.reader.on_read = break_on
    bad = place.drop("bad.jpg", b"bad")
    place.drop("good.jpg", b"good")
    place.run(130)
    assert [job.photo for job in place.jobs()] == ["good.jpg"]
    assert place.codes() == ["photo_bug"]
    assert place.reader.read.count("bad.jpg") == 1
    place.reader.on_read = lambda path: None
    bad.write_bytes(b"better")
    place.run(70)
    assert len(place.jobs()) == 2
    assert place.codes() == []


# Once more.


def test_the_same_name_with_new_content_is_a_new_job(place: Place) -> None:
    place.drop("a.jpg", b"first")
    place.run()
    place.paint(place.only_job())
    place.archive(place.only_job())
    place.drop("a.jpg", b"second")
    place.run(70)
    assert place.states() == [JobState.DONE, JobState.QUEUED]


def test_the_same_content_again_is_a_visible_duplicate_that_can_be_painted_all_the_same(place: Place) -> None:
    place.drop("a.jpg")
    place.run()
    place.paint(place.only_job())
    place.archive(place.only_job())
    again = place.drop("a.jpg")
    place.run(200)
    first, duplicate = place.jobs()
    assert duplicate.state is JobState.CANCELLED
    assert duplicate.error is not None
    assert duplicate.error.startswith(f"duplicate of job {first.id};")
    assert again.exists()
    assert place.verdict(again) is Verdict.DUPLICATE
    assert place.ledger.retry(duplicate.id)
    retried = place.jobs()[1]
    assert (retried.state, retried.style) == (JobState.QUEUED, STARRY)
    assert retried.copy.read_bytes() == b"photo"


def test_a_photo_moved_back_from_the_archive_is_not_overlooked(place: Place) -> None:
    place.drop("a.jpg")
    place.run()
    place.paint(place.only_job())
    archived = place.archive(place.only_job())
    archived.replace(place.inbox / "a.jpg")  # same name, size, time and inode
    place.run(70)
    assert place.states() == [JobState.DONE, JobState.CANCELLED]


def test_one_photo_under_two_names_is_painted_once(place: Place) -> None:
    place.drop("a.jpg")
    place.drop("sub/b.jpg")
    place.run()
    assert sorted(place.states()) == [JobState.CANCELLED, JobState.QUEUED]


def test_a_kept_photo_is_not_looked_at_again_after_a_restart(place: Place) -> None:
    photo = place.drop("a.jpg")
    place.run()
    place.paint(place.only_job())
    place.ledger.mark_disposed(place.only_job().id, photo)  # originals: keep
    place.restart()
    place.run(130)
    assert len(place.jobs()) == 1
    assert place.reader.read == ["a.jpg"]


def test_a_kept_photo_that_is_touched_is_not_painted_again(place: Place) -> None:
    photo = place.drop("a.jpg")
    place.run()
    place.paint(place.only_job())
    place.ledger.mark_disposed(place.only_job().id, photo)
    os.utime(photo, ns=(1, 1))
    place.run(130)
    assert place.states() == [JobState.DONE]


def test_a_failed_photo_that_is_dropped_again_is_tried_again(place: Place) -> None:
    place.drop("a.jpg")
    place.run()
    job = place.only_job()
    place.ledger.queue.claim()
    place.ledger.move(job.id, JobState.RUNNING, JobState.FAILED, error="no")
    place.archive(job)
    place.drop("a.jpg")
    place.run()
    assert place.only_job().state is JobState.QUEUED


def test_a_photo_in_a_second_inbox_is_painted_into_the_second_outbox(
    tmp_path: Path, clock: FakeClock
) -> None:
    place = Place(tmp_path, clock)
    second = replace(place.folders[0], inbox=tmp_path / "inbox2", outbox=tmp_path / "outbox2")
    second.inbox.mkdir()
    place.folders.append(second)
    place.restart()
    place.drop("a.jpg")
    (second.inbox / "a.jpg").write_bytes(b"photo")
    place.run()
    assert sorted((job.state, job.outbox) for job in place.jobs()) == [
        (JobState.QUEUED, place.outbox),
        (JobState.QUEUED, second.outbox),
    ]
    place.run(130)
    assert len(place.jobs()) == 2
    place.close()


# The photo goes, or moves.


def test_a_queued_job_whose_photo_is_deleted_is_cancelled(place: Place) -> None:
    photo = place.drop("a.jpg")
    place.run()
    photo.unlink()
    place.run(70)
    job = place.only_job()
    assert (job.state, job.error) == (JobState.CANCELLED, admission.GONE)


def test_a_running_job_whose_photo_is_deleted_is_asked_to_stop(place: Place) -> None:
    photo = place.drop("a.jpg")
    place.run()
    place.ledger.queue.claim()
    photo.unlink()
    place.run(70)
    assert place.ledger.jobs.is_cancelled(place.only_job().id)


def test_a_renamed_photo_keeps_its_job(place: Place) -> None:
    photo = place.drop("a.jpg")
    place.run()
    photo.rename(place.inbox / "b.jpg")
    place.run(70)
    job = place.only_job()
    assert (job.state, job.photo, job.original) == (JobState.QUEUED, "b.jpg", place.inbox / "b.jpg")


def test_a_photo_renamed_while_it_is_painted_begins_anew_under_its_new_name(place: Place) -> None:
    photo = place.drop("a.jpg")
    place.run()
    running = place.ledger.queue.claim()
    assert running is not None
    photo.rename(place.inbox / "b.jpg")
    place.run(70)
    assert place.ledger.jobs.is_cancelled(running.id)
    place.ledger.move(running.id, JobState.RUNNING, JobState.CANCELLED)
    place.run(70)
    job = place.only_job()
    assert (job.state, job.photo) == (JobState.QUEUED, "b.jpg")


def test_a_photo_replaced_before_its_turn_is_painted_once_as_it_is_now(place: Place) -> None:
    place.drop("a.jpg", b"first")
    place.run()
    place.drop("a.jpg", b"second")
    place.run(70)
    first, second = place.jobs()
    assert (first.state, first.error) == (JobState.CANCELLED, awaiting.REPLACED)
    assert second.state is JobState.QUEUED
    assert second.copy.read_bytes() == b"second"


def test_a_missing_inbox_is_shown_fails_nothing_and_resumes_by_itself(place: Place) -> None:
    place.drop("a.jpg")
    place.run()
    away = place.inbox.rename(place.base / "away")
    place.run(200)
    assert place.codes() == ["inbox_missing"]
    assert place.only_job().state is JobState.QUEUED
    assert place.intake.is_idle()
    away.rename(place.inbox)
    place.drop("b.jpg", b"b")
    place.run(70)
    assert place.codes() == []
    assert place.states() == [JobState.QUEUED, JobState.QUEUED]
    assert place.reader.read == ["a.jpg", "b.jpg"]


def test_a_sub_folder_that_has_lost_its_disk_cancels_nothing_also_after_a_restart(
    tmp_path: Path, clock: FakeClock
) -> None:
    mounted = [frozenset({tmp_path / "inbox" / "nas"})]
    place = Place(tmp_path, clock, options={"mounts_below": lambda path: mounted[0]})
    photo = place.drop("nas/a.jpg")
    place.run(70)
    mounted[0] = frozenset()
    photo.unlink()  # the empty mount point
    for _ in range(2):
        place.run(130, step=2)
        assert place.states() == [JobState.QUEUED]
        assert place.codes() == ["inbox_missing"]
        place.restart()
    mounted[0] = frozenset({tmp_path / "inbox" / "nas"})
    photo.write_bytes(b"photo")
    place.run(130, step=2)
    assert place.states() == [JobState.QUEUED]
    assert place.codes() == []
    place.close()


def test_an_empty_mount_point_is_not_taken_for_the_inbox_also_after_a_restart(
    tmp_path: Path, clock: FakeClock
) -> None:
    mounted = [tmp_path / "inbox"]
    place = Place(tmp_path, clock, options={"mount_point_of": lambda path: mounted[0]})
    photo = place.drop("a.jpg")
    place.run()
    disk = tmp_path / "disk"
    shutil.move(photo, disk)  # umount: the folder is still there, and bare
    mounted[0] = Path("/")
    place.run(70)
    assert place.codes() == ["inbox_missing"]
    place.restart()
    place.run(70)
    assert place.codes() == ["inbox_missing"]
    assert place.only_job().state is JobState.QUEUED
    (place.inbox / mounts.MEANT).touch()
    place.run(70)
    assert place.codes() == []
    assert place.only_job().state is JobState.CANCELLED
    place.close()


# Sidecars, keywords, styles.


@pytest.mark.parametrize("name", ["a.jpg.yaml", "a.yaml", "a.jpg.yml", "a.yml", "a.jpg.json", "a.json"])
def test_a_sidecar_beside_the_photo_names_its_style(place: Place, name: str) -> None:
    sidecar = place.drop(name, b'{"style": "the_scream"}')
    place.drop("a.jpg")
    place.run()
    job = place.only_job()
    assert (job.style, job.sidecar) == (SCREAM, sidecar)


def test_a_sidecar_that_comes_shortly_after_its_photo_counts(place: Place) -> None:
    place.drop("a.jpg")
    place.run(3)
    place.drop("a.jpg.yaml", b"style: the_scream")
    place.run(1)
    assert place.jobs() == []  # it has to stand still as well
    place.run()
    assert place.only_job().style == SCREAM


def test_a_sidecar_that_is_still_being_written_is_not_read_in_half(place: Place) -> None:
    place.drop("a.jpg")
    place.run(3)
    sidecar = place.drop("a.yaml", b"style: [the_")
    place.run(1.5)
    sidecar.write_bytes(b"style: [the_scream, {starry_night: 0.5}]")
    place.run()
    assert place.only_job().style == "the_scream+starry_night"


def test_a_late_sidecar_pairs_a_job_anew_that_has_not_started(place: Place) -> None:
    place.drop("a.jpg")
    place.run()
    first = place.only_job()
    place.drop("a.yaml", b"style: the_scream\nset: {size: 64}")
    place.run(70)
    job = place.only_job()
    assert (job.id, job.style) == (first.id, SCREAM)
    assert job.recipe is not None
    assert job.recipe.size == 64


def test_a_late_sidecar_changes_no_job_that_has_started(place: Place) -> None:
    place.drop("a.jpg")
    place.run()
    place.ledger.queue.claim()
    place.drop("a.yaml", b"style: the_scream")
    place.run(70)
    assert place.only_job().style == STARRY


def test_a_sidecar_that_changed_while_no_daemon_ran_counts_before_the_worker_begins(place: Place) -> None:
    sidecar = place.drop("a.yaml", b"style: the_scream")
    place.drop("a.jpg")
    place.run()
    place.close()
    sidecar.write_bytes(b"style: starry_night\nset: {size: 64}")
    os.utime(sidecar, (1, 1))  # long ago: it stands still
    place.open()
    job = place.ledger.queue.claim()
    assert job is not None
    assert job.style == STARRY


def test_a_job_whose_sidecar_is_just_being_written_is_not_begun(place: Place) -> None:
    place.drop("a.jpg")
    place.run()
    place.close()
    place.drop("a.yaml", b"style: the_scream")
    place.open()
    assert place.ledger.queue.claim() is None
    place.run(70)
    job = place.ledger.queue.claim()
    assert job is not None
    assert job.style == SCREAM


@pytest.mark.parametrize("where", ["", "trip/"])
@pytest.mark.parametrize("what", ["written", "came", "went", "came, though it is ignored", "of the stem"])
def test_of_many_photos_that_one_is_found_whose_sidecar_changed_while_no_daemon_ran(
    place: Place, where: str, what: str
) -> None:
    names = [f"{where}{number}.jpg" for number in range(4)]
    for number, name in enumerate(names):
        place.drop(name, b"photo %d" % number)
    sidecar = f"{where}2.yaml" if what == "of the stem" else f"{names[2]}.yaml"
    if what in ("written", "went"):
        place.drop(sidecar, b"style: the_scream\nset: {size: 64}")
    place.run()
    place.close()
    if what == "went":
        (place.inbox / sidecar).unlink()
    else:
        os.utime(place.drop(sidecar, b"style: the_scream"), (1, 1))
    if "ignored" in what:
        place.watch = Watch(mode=WatchMode.POLLING, ignore=("*.yaml",))
    place.open()
    changed = STARRY if what == "went" else SCREAM
    assert [job.style for job in place.jobs()] == [STARRY, STARRY, changed, STARRY]
    assert {job.state for job in place.jobs()} == {JobState.QUEUED}


def test_a_photo_deleted_while_no_daemon_ran_is_not_painted(place: Place) -> None:
    photo = place.drop("a.jpg")
    place.run()
    place.close()
    photo.unlink()
    place.open()
    assert place.ledger.queue.claim() is None
    assert place.states() == [JobState.CANCELLED]


def test_a_sidecar_that_is_taken_away_gives_the_default_back(place: Place) -> None:
    sidecar = place.drop("a.yaml", b"style: the_scream")
    place.drop("a.jpg")
    place.run()
    sidecar.unlink()
    place.run(70)
    assert place.only_job().style == STARRY


def test_an_unknown_style_is_held_with_the_near_names_until_the_style_appears(place: Place) -> None:
    place.drop("a.yaml", b"style: starry_nigth_2")
    place.drop("a.jpg")
    place.run()
    job = place.only_job()
    assert job.state is JobState.HELD
    assert job.error is not None
    assert "starry_night" in job.error
    (place.styles / "starry_nigth_2.jpg").write_bytes(b"style")
    place.run(10)
    assert (place.only_job().state, place.only_job().style) == (JobState.QUEUED, "starry_nigth_2")


def test_a_held_photo_goes_on_when_its_sidecar_is_mended(place: Place) -> None:
    sidecar = place.drop("a.yaml", b"style: [unclosed")
    place.drop("a.jpg")
    place.run()
    assert place.states() == [JobState.HELD]
    sidecar.write_bytes(b"style: the_scream")
    place.run(70)
    assert (place.only_job().state, place.only_job().style) == (JobState.QUEUED, SCREAM)


def test_a_photo_with_two_keywords_gets_two_jobs_and_a_sidecar_makes_them_one(place: Place) -> None:
    place.reader.keywords["a.jpg"] = (f"nst|{STARRY}", f"nst|{SCREAM}")
    place.drop("a.jpg")
    place.run()
    assert [job.style for job in place.jobs()] == [STARRY, SCREAM]
    place.drop("a.yaml", b"style: the_scream")
    place.run(70)
    assert {(job.style, job.state) for job in place.jobs()} == {
        (STARRY, JobState.CANCELLED),
        (SCREAM, JobState.QUEUED),
    }


def test_keywords_in_an_xmp_file_that_comes_later_pair_the_job_anew(place: Place) -> None:
    place.drop("a.jpg")
    place.run()
    place.reader.keywords["a.jpg"] = (f"nst|{SCREAM}",)
    place.drop("a.jpg.xmp", b"<xmp/>")
    place.run(70)
    assert place.only_job().style == SCREAM


def test_a_deep_keyword_speaks_before_another_place_and_waits_for_its_style(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place.reader, "inspect", lambda path: read_photo(path, 10))
    photo = place.inbox / "a.jpg"
    Image.new("RGB", (32, 24), "teal").save(photo)
    content = photo.read_bytes()
    photo.write_bytes(content[:2] + iptc_app13(f"nst:{SCREAM}") + content[2:])
    place.drop("a.xmp", packet_of("nst|oil|thick"))
    place.run()
    job = place.only_job()
    assert job.state is JobState.HELD
    assert any("No style named thick" in line for line in job_text(job))
    place.put_style("oil.jpg", b"oil")
    place.run()
    assert place.paint(place.only_job()) == place.outbox / "a.oil.jpg"


@pytest.mark.skipif(sys.platform == "win32", reason="names are Unicode there")
def test_a_photo_that_is_read_once_more_is_paired_by_its_path_and_not_by_its_words(
    tmp_path: Path, clock: FakeClock
) -> None:
    place = Place(tmp_path, clock)
    place.close()
    rule = Rule(match="fa?/*.jpg", style=SCREAM)
    place.folders = [replace(place.folders[0], rules=(rule,))]
    place.open()
    place.drop(os.fsdecode(b"fa\xfc/a.jpg"), b"text")
    place.run()
    failed = place.only_job()
    assert (failed.state, failed.photo) == (JobState.FAILED, "fa\\xfc/a.jpg")
    failed.original.write_bytes(b"photo")
    assert place.ledger.retry(failed.id)
    place.run()
    job = place.only_job()
    assert (job.state, job.style) == (JobState.QUEUED, SCREAM)
    assert os.fsencode(job.path) == b"fa\xfc/a.jpg"
    place.close()


def test_two_photos_of_one_stem_share_a_sidecar(place: Place) -> None:
    place.drop("a.jpg", b"1")
    place.drop("a.png", b"2")
    place.run()
    place.drop("a.yaml", b"style: the_scream")
    place.run(70)
    assert [job.style for job in place.jobs()] == [SCREAM, SCREAM]


# The machine.


def test_a_full_disk_stops_the_intake_is_shown_and_ends_by_itself(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(draft: Path, photo: Path, sha256: str) -> Path:
        raise ConditionError("The disk is full.", remedy="Free some.", code="disk_full")

    place.drop("a.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(intake, "kept", refuse)
        place.run(60)
        assert place.codes() == ["disk_full"]
        assert place.jobs() == []
        assert len(place.reader.read) < 10  # it waits between two tries
        assert not place.intake.is_idle()
    place.run(30)
    assert place.codes() == []
    assert place.only_job().state is JobState.QUEUED


def test_a_crash_between_job_and_memory_of_the_file_makes_no_second_job(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(seen: object) -> None:
        raise Killed

    place.drop("a.jpg")
    monkeypatch.setattr(place.ledger.seen, "mark", die)
    with pytest.raises(Killed):
        place.run()
    place.restart()
    place.run()
    assert place.only_job().state is JobState.QUEUED


def test_a_lost_ledger_paints_nothing_again_whose_result_is_in_the_outbox(place: Place) -> None:
    place.drop("a.jpg")
    place.run()
    result = place.paint(place.only_job())
    place.close()
    shutil.rmtree(place.base / "state")
    place.open()
    place.run()
    job = place.only_job()
    assert (job.state, job.result) == (JobState.DONE, result)
    assert (place.base / "archive" / "a.jpg").exists()


def test_another_photos_result_of_the_same_name_is_not_mistaken_for_ones_own(place: Place) -> None:
    (place.outbox / "a.starry_night.jpg").write_bytes(b"painting:another key")
    place.drop("a.jpg")
    place.run()
    assert place.only_job().state is JobState.QUEUED


def test_copies_that_no_job_needs_are_swept_after_a_day(place: Place) -> None:
    place.drop("a.jpg", b"a")
    place.drop("b.jpg", b"b")
    place.run()
    done, waiting = place.jobs()
    place.paint(done)
    stray = place.base / "state" / "photos" / ".nst-00000000-1-abc.tmp"
    stray.write_bytes(b"half")
    old = time.time() - copies.KEEP_SECONDS - 1
    for path in (done.copy, waiting.copy, stray):
        os.utime(path, (old, old))
    place.restart()
    place.tick()
    assert not done.copy.exists()
    assert not stray.exists()
    assert waiting.copy.exists()


def test_ten_thousand_kept_photos_cost_a_look_each_and_no_reading(place: Place) -> None:
    count = 500
    for number in range(count):
        place.drop(f"{number}.jpg", b"%d" % number)
    place.run()
    assert len(place.reader.read) == count
    begun = time.perf_counter()
    place.run(61, step=61)
    assert time.perf_counter() - begun < 5.0
    assert len(place.reader.read) == count


def test_a_job_is_held_back_until_its_sidecar_was_read_however_late_that_is(place: Place) -> None:
    place.drop("a.jpg")
    place.run()
    place.close()
    place.drop("a.yaml", f"style: {SCREAM}".encode())
    place.open()
    place.advance(10.0)  # a busy machine, on which nothing ticks
    assert place.ledger.queue.claim() is None
    place.tick()
    job = place.ledger.queue.claim()
    assert job is not None
    assert job.style == SCREAM


def test_a_job_whose_sidecar_asks_for_the_same_is_held_back_no_longer_than_it_settles(place: Place) -> None:
    place.drop("a.jpg")
    place.drop("a.yaml", f"style: {SCREAM}".encode())
    place.run()
    place.close()
    place.drop("a.yaml", f"style: {SCREAM}  # still".encode())
    place.open()
    assert place.ledger.queue.claim() is None
    place.run(place.watch.settle_seconds + 0.5)
    assert place.ledger.queue.claim() is not None


@pytest.mark.parametrize("is_sidecar_first", [False, True])
def test_a_photo_whose_sidecar_says_that_all_is_there_does_not_wait(
    place: Place, is_sidecar_first: bool
) -> None:
    place.tick()
    names = ["cat.jpg", "cat.jpg.yaml"]
    for name in reversed(names) if is_sidecar_first else names:
        place.drop(name, b"photo" if name == "cat.jpg" else f"style: {SCREAM}\nwhole: true\n".encode())
    started = place.clock()
    while not place.jobs():
        place.advance(0.1)
        place.tick()
        assert place.clock() - started < 70
    settle = place.watch.settle_seconds
    assert (place.only_job().style, place.only_job().state) == (SCREAM, JobState.QUEUED)
    place.run(3 * settle)
    assert len(place.jobs()) == 1


def test_a_lie_about_a_photo_costs_one_more_settling_and_never_half_a_picture(place: Place) -> None:
    place.tick()
    place.drop("cat.jpg", b"half")
    place.drop("cat.jpg.yaml", b"whole: true\n")
    place.run(1.0)
    assert place.jobs() == []
    place.drop("cat.jpg", b"photo, whole")
    place.run(70.0)
    assert place.only_job().copy.read_bytes() == b"photo, whole"
