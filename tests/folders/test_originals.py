"""What becomes of one original: moved, kept, deleted, or left where it is, and what goes with it."""

from dataclasses import replace

import pytest
from support.one_job import folder, job_of, put

from nst_daemon.config import Folder, Originals
from nst_daemon.errors import ConditionError
from nst_daemon.folders import originals
from nst_daemon.ledger.jobs import Origin

__all__ = ["folder"]


def test_a_painted_photo_moves_to_the_archive_with_its_sidecars(folder: Folder) -> None:
    photo = put(folder)
    put(folder, "trip/a.jpg.yaml", b"style: x")
    moved = originals.dispose_original(job_of(folder), folder)
    assert moved == folder.archive / "trip" / "a.jpg"
    assert moved.read_bytes() == b"photo"
    assert (folder.archive / "trip" / "a.jpg.yaml").exists()
    assert list(photo.parent.iterdir()) == []


def test_the_archive_is_never_overwritten_and_sidecars_stay_with_their_photo(folder: Folder) -> None:
    for number in (1, 2, 3):
        put(folder, "a.jpg", b"photo %d" % number)
        put(folder, "a.yaml", b"sidecar %d" % number)
        put(folder, "a.jpg.json", b"full %d" % number)
        originals.dispose_original(job_of(folder, "a.jpg"), folder)
    for number, stem in ((1, "a"), (2, "a.2"), (3, "a.3")):
        assert (folder.archive / f"{stem}.jpg").read_bytes() == b"photo %d" % number
        assert (folder.archive / f"{stem}.yaml").read_bytes() == b"sidecar %d" % number
        assert (folder.archive / f"{stem}.jpg.json").read_bytes() == b"full %d" % number
    assert list(folder.inbox.iterdir()) == []


def test_a_sidecar_that_serves_a_second_photo_stays_with_it(folder: Folder) -> None:
    put(folder, "a.jpg")
    put(folder, "a.png")
    sidecar = put(folder, "a.yaml", b"style: x")
    originals.dispose_original(job_of(folder, "a.jpg"), folder)
    assert sidecar.exists()
    originals.dispose_original(job_of(folder, "a.png"), folder)
    assert not sidecar.exists()


def test_an_editors_xmp_goes_with_its_photo(folder: Folder) -> None:
    """Else it would name the style of the next photo of that name."""
    put(folder, "a.jpg")
    for name in ("a.jpg.xmp", "a.xmp", "a.yaml"):
        put(folder, name, b"a word")
    originals.dispose_original(job_of(folder, "a.jpg"), folder)
    assert list(folder.inbox.iterdir()) == []
    assert {path.name for path in folder.archive.iterdir()} == {"a.jpg", "a.jpg.xmp", "a.xmp", "a.yaml"}


def test_an_editors_xmp_of_two_photos_goes_with_the_last(folder: Folder) -> None:
    for name in ("a.png", "a.jpg", "a.xmp"):
        put(folder, name)
    originals.dispose_original(job_of(folder, "a.jpg"), folder)
    assert {path.name for path in folder.inbox.iterdir()} == {"a.png", "a.xmp"}
    originals.dispose_original(job_of(folder, "a.png"), folder)
    assert list(folder.inbox.iterdir()) == []


def test_a_photo_is_kept_or_deleted_as_the_config_says(folder: Folder) -> None:
    photo = put(folder)
    sidecar = put(folder, "trip/a.yaml", b"style: x")
    job = job_of(folder)
    assert originals.dispose_original(job, replace(folder, originals=Originals.KEEP)) == photo
    assert originals.dispose_original(job, replace(folder, originals=Originals.DELETE)) is None
    assert not photo.exists()
    assert not sidecar.exists()
    assert originals.dispose_original(job, replace(folder, originals=Originals.DELETE)) is None


@pytest.mark.parametrize("policy", list(Originals))
def test_a_photo_that_was_overwritten_meanwhile_is_neither_moved_nor_deleted(
    folder: Folder, policy: Originals
) -> None:
    put(folder)
    job = job_of(folder)
    photo = put(folder, content=b"another photo")
    folder = replace(folder, originals=policy)
    assert originals.dispose_original(job, folder) == photo
    assert originals.fail_original(job, folder, "why") == photo
    assert photo.read_bytes() == b"another photo"


def test_a_submitted_photo_stays_where_it_is(folder: Folder) -> None:
    photo = put(folder)
    job = replace(job_of(folder), origin=Origin.SUBMIT)
    assert originals.dispose_original(job, folder) == photo
    assert originals.fail_original(job, folder, "why") == photo


def test_a_failed_photo_moves_with_its_reason_and_back_out_when_it_succeeds(folder: Folder) -> None:
    put(folder)
    put(folder, "trip/a.yaml", b"style: x")
    job = job_of(folder)
    failed = originals.fail_original(job, folder, "It breaks off.")
    note = folder.failed / "trip" / "a.jpg.error.txt"
    assert failed == folder.failed / "trip" / "a.jpg"
    assert "a.jpg: It breaks off." in note.read_text()
    assert f"retry {job.id}" in note.read_text()
    assert (folder.failed / "trip" / "a.yaml").exists()
    again = replace(job, original=failed)
    assert originals.fail_original(again, folder, "Still broken.") == failed
    assert "Still broken." in note.read_text()
    moved = originals.dispose_original(again, folder)
    assert moved == folder.archive / "trip" / "a.jpg"
    assert not note.exists()


def test_a_photo_that_has_gone_cannot_be_moved_and_is_no_error(folder: Folder) -> None:
    job = job_of(folder)
    assert originals.dispose_original(job, folder) is None
    assert originals.fail_original(job, folder, "why") is None


def test_a_photo_that_a_crash_left_unrecorded_in_its_new_place_is_found_there(folder: Folder) -> None:
    for number in (1, 2):
        put(folder, content=b"photo %d" % number)
        archived = originals.dispose_original(job_of(folder), folder)
        put(folder, content=b"photo %d" % number)
        job = job_of(folder)
        job.original.unlink()
        assert originals.dispose_original(job, folder) == archived
    put(folder)
    job = job_of(folder)
    failed = folder.failed / "trip" / "a.jpg"
    failed.parent.mkdir(parents=True)
    job.original.rename(failed)
    assert originals.fail_original(job, folder, "why") == failed
    assert failed.with_name("a.jpg.error.txt").exists()


def test_an_archive_that_cannot_be_written_is_a_condition_and_loses_nothing(folder: Folder) -> None:
    photo = put(folder)
    folder.archive.write_bytes(b"a file where the folder should be")
    with pytest.raises(ConditionError):
        originals.dispose_original(job_of(folder), folder)
    assert photo.read_bytes() == b"photo"
