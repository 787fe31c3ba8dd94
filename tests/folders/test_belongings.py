"""What goes with a photo when it leaves its inbox, in every spelling, and the raw file of the same shot."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.one_job import folder, job_of, put
from support.place import SCREAM, Place

from nst_daemon.config import Folder, Originals
from nst_daemon.folders import originals
from nst_daemon.ledger.jobs import LEFT_ALONE, JobState

__all__ = ["folder"]  # a fixture


@pytest.fixture
def place(tmp_path: Path, clock: FakeClock) -> Iterator[Place]:
    made = Place(tmp_path, clock)
    yield made
    made.close()


def all_in(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()} if place.exists() else set()


def test_companions_in_capitals_go_with_their_photo_and_keep_their_spelling(folder: Folder) -> None:
    names = {"IMG_1.JPG", "IMG_1.XMP", "IMG_1.JPG.Yaml", "img_1.yml", "IMG_1.MASK.PNG", "IMG_1.JPG.mask.PNG"}
    for name in names:
        put(folder, name, name.encode())
    originals.dispose_original(job_of(folder, "IMG_1.JPG"), folder)
    assert all_in(folder.inbox) == set()
    assert all_in(folder.archive) == names


def test_beside_a_photo_of_another_name_they_are_called_as_it_is(folder: Folder) -> None:
    for number in (1, 2):
        for name in ("A.JPG", "A.XMP", "a.jpg.YAML", "A.Mask.PNG"):
            put(folder, name, b"%d" % number)
        originals.dispose_original(job_of(folder, "A.JPG"), folder)
    assert all_in(folder.archive) == {
        *("A.JPG", "A.XMP", "a.jpg.YAML", "A.Mask.PNG"),
        *("A.2.JPG", "A.2.XMP", "A.2.JPG.YAML", "A.2.Mask.PNG"),
    }


def test_a_photo_takes_no_companion_of_its_namesake_in_other_letters(folder: Folder) -> None:
    for name in ("a.jpg", "a.yaml", "A.jpg", "A.yaml"):
        put(folder, name, name.encode())
    originals.dispose_original(job_of(folder, "a.jpg"), folder)
    assert all_in(folder.archive) == {"a.jpg", "a.yaml"}


RAW = ("IMG_1.CR2", "IMG_1.CR2.xmp")


def test_the_raw_file_of_a_shot_goes_with_its_picture(folder: Folder) -> None:
    for name in ("IMG_1.JPG", "IMG_1.xmp", *RAW):
        put(folder, name, name.encode())
    originals.dispose_original(job_of(folder, "IMG_1.JPG"), folder)
    assert all_in(folder.archive) == {"IMG_1.JPG", "IMG_1.xmp", *RAW}
    assert all_in(folder.inbox) == set()


def test_the_raw_file_of_a_failed_picture_goes_with_it(folder: Folder) -> None:
    for name in ("IMG_1.JPG", *RAW):
        put(folder, name, name.encode())
    originals.fail_original(job_of(folder, "IMG_1.JPG"), folder, "it breaks off")
    assert all_in(folder.failed) == {"IMG_1.JPG", "IMG_1.JPG.error.txt", *RAW}


def test_a_raw_file_is_never_deleted_with_its_picture(folder: Folder) -> None:
    for name in ("IMG_1.JPG", "IMG_1.yaml", *RAW):
        put(folder, name, name.encode())
    originals.dispose_original(job_of(folder, "IMG_1.JPG"), replace(folder, originals=Originals.DELETE))
    assert all_in(folder.inbox) == set()
    assert all_in(folder.archive) == set(RAW)


def test_a_raw_file_stays_until_the_last_of_its_pictures_goes(folder: Folder) -> None:
    for name in ("IMG_1.JPG", "IMG_1.png", *RAW):
        put(folder, name, name.encode())
    originals.dispose_original(job_of(folder, "IMG_1.JPG"), folder)
    assert all_in(folder.inbox) == {"IMG_1.png", *RAW}
    originals.dispose_original(job_of(folder, "IMG_1.png"), folder)
    assert all_in(folder.inbox) == set()


# ── the inbox ────────────────────────────────────────────────────────────


def test_of_raw_and_picture_one_painting_is_made(place: Place) -> None:
    for number in range(3):
        place.drop(f"IMG_{number}.CR2", b"raw %d" % number)
        place.drop(f"IMG_{number}.JPG", b"photo %d" % number)
    place.run(70)
    assert {job.photo for job in place.jobs()} == {"IMG_0.JPG", "IMG_1.JPG", "IMG_2.JPG"}
    assert place.codes() == [LEFT_ALONE]
    (problem,) = place.ledger.snapshot(running=True).problems
    assert "3 raw files beside their pictures" in problem.message
    assert place.intake.is_idle()


def test_a_raw_file_that_was_queued_is_left_to_the_picture_that_comes_after_it(place: Place) -> None:
    place.drop("IMG_1.CR2", b"raw")
    place.run(20)
    assert place.only_job().state is JobState.QUEUED
    place.drop("IMG_1.JPG")
    place.run(70)
    assert {job.photo: job.state for job in place.jobs()} == {
        "IMG_1.CR2": JobState.CANCELLED,
        "IMG_1.JPG": JobState.QUEUED,
    }


def test_a_raw_file_whose_picture_is_taken_away_stands_for_itself(place: Place) -> None:
    place.drop("IMG_1.CR2", b"raw")
    picture = place.drop("IMG_1.JPG")
    place.run(20)
    picture.unlink()
    place.run(140)
    states = {job.photo: job.state for job in place.jobs()}
    assert states == {"IMG_1.JPG": JobState.CANCELLED, "IMG_1.CR2": JobState.QUEUED}


@pytest.mark.parametrize("sidecar", ["a.jpg.YAML", "A.Yml", "a.JSON"])
def test_a_sidecar_in_capitals_decides(place: Place, sidecar: str) -> None:
    place.drop("a.jpg")
    place.drop(sidecar, b'{"style": "the_scream"}')
    place.run(20)
    assert place.only_job().style == SCREAM


def test_a_sidecar_in_capitals_that_comes_later_pairs_its_photo_anew(place: Place) -> None:
    place.drop("a.jpg")
    place.run(20)
    place.drop("A.YAML", b"style: the_scream")
    place.run(140)
    assert place.only_job().style == SCREAM


def test_a_foreign_sidecar_does_not_hold_its_photo(place: Place) -> None:
    place.drop("a.jpg")
    place.drop("a.yml", b"UID: x\nTitle: Sea\n")
    place.run(20)
    assert place.only_job().state is JobState.QUEUED
    assert place.codes() == []
