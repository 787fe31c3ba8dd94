"""Masks beside a photo: found, named, copied, carried by the job, and never taken for photos."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clock import FakeClock
from support.commands import Ask, ask, home, ledger, loaded, photo, submitted
from support.place import SCREAM, STARRY, Place

from nst_daemon import config
from nst_daemon.config.blends import blend_of, mask_name, regions_of
from nst_daemon.config.recipe import EVERYWHERE, Areas, Mask, Region, Style, job_key, resolve
from nst_daemon.folders import originals
from nst_daemon.folders.companions import photos_of
from nst_daemon.folders.masks import take_masks
from nst_daemon.folders.sidecars import find_sidecar
from nst_daemon.folders.walk import Kind, kind_of
from nst_daemon.ledger import Ledger, Verdict
from nst_daemon.ledger.jobs import JobState

__all__ = ["ask", "home", "ledger", "loaded", "photo"]  # fixtures

REGIONS = """
style: starry_night
mask: all.png
regions: [{mask: sky.png, style: starry_night}, {mask: ground.png, style: [starry_night, {the_scream: 0.5}]}]
"""


@pytest.fixture
def place(tmp_path: Path, clock: FakeClock) -> Iterator[Place]:
    made = Place(tmp_path, clock)
    yield made
    made.close()


# ── words ────────────────────────────────────────────────────────────────


def test_a_sidecar_names_a_mask_and_regions() -> None:
    sidecar = config.parse_sidecar(REGIONS, "a.yaml")
    assert sidecar.fault is None
    assert sidecar.mask == "all.png"
    assert sidecar.regions == (
        ("sky.png", (("starry_night", 1.0),)),
        ("ground.png", (("starry_night", 1.0), ("the_scream", 0.5))),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mask: ../sky.png", "no path"),
        ("mask: /etc/sky.png", "no path"),
        ("mask: https://example.org/sky.png", "no URL"),
        ("mask: 'C:\\sky.png'", "no path"),
        ("mask: .sky.png", "beside the photo"),
        ("mask: sky.jpg", "PNG"),
        ("mask: [a.png]", "PNG"),
        ('mask: "a\\nb.png"', "PNG"),
        ("regions: sky.png", "list"),
        ("regions: []", "list"),
        ("regions: [{mask: sky.png}]", "number 1"),
        ("regions: [{mask: sky.png, style: a, x: 1}]", "number 1"),
        ("regions: [{mask: sky.png, style: ../a}]", "no path"),
        (f"regions: [{', '.join(['{mask: a.png, style: b}'] * 9)}]", "1 to 8"),
    ],
)
def test_a_mask_or_region_that_cannot_be_is_refused(text: str, words: str) -> None:
    assert words in (config.parse_sidecar(text, "a.yaml").fault or "")


@given(st.text(max_size=40))
def test_no_mask_leads_out_of_the_folder(name: str) -> None:
    try:
        known = mask_name(f"{name}.png")
    except ValueError:
        return
    assert Path("/inbox/a.jpg").with_name(known).parent == Path("/inbox")


SCALARS = st.none() | st.booleans() | st.floats() | st.text(max_size=9)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=6), inner), max_leaves=12
)


@given(VALUES)
def test_whatever_stands_for_regions_is_read_or_refused(value: object) -> None:
    for read in (regions_of, blend_of, mask_name):
        try:
            read(value)
        except ValueError:
            continue


def test_masks_are_part_of_the_key_and_nothing_is_without_them() -> None:
    style = Style(name="a", path=Path("a"), sha256="a")
    sky, ground = (Mask(name="x", path=Path("x"), sha256=name) for name in ("sky", "ground"))
    cases = [
        EVERYWHERE,
        Areas(mask=sky),
        Areas(mask=ground),
        Areas(regions=(Region(mask=sky, styles=(style,)),)),
        Areas(regions=(Region(mask=sky, styles=(replace(style, sha256="b"),)),)),
    ]
    keys = {job_key("photo", (style,), resolve({}), "1", areas) for areas in cases}
    assert len(keys) == len(cases)
    assert job_key("photo", (style,), resolve({}), "1") in keys
    moved = Areas(mask=replace(sky, path=Path("elsewhere"), name="other.png"))
    assert job_key("photo", (style,), resolve({}), "1", moved) in keys


@pytest.mark.parametrize("name", ["a.mask.png", "a.jpg.mask.png", "A.MASK.PNG"])
def test_a_mask_by_its_name_is_a_sidecar_of_its_photo(tmp_path: Path, name: str) -> None:
    assert kind_of(Path(name)) is Kind.SIDECAR
    for other in ("a.jpg", "A.JPG", "b.jpg"):
        (tmp_path / other).touch()
    found = {path.name.lower() for path in photos_of(tmp_path / name)}
    assert found == {"a.jpg"}


# ── the inbox ────────────────────────────────────────────────────────────


def test_a_mask_comes_with_its_photo_and_makes_no_job_of_its_own(place: Place) -> None:
    place.drop("trip/a.mask.png", b"white")
    place.drop("trip/a.jpg")
    place.run()
    job = place.only_job()
    assert job.areas.mask is not None
    assert job.areas.mask.name == "a.mask.png"
    assert job.areas.mask.path.read_bytes() == b"white"
    assert job.areas.mask.path.parent == place.base / "state" / "photos"
    assert job.areas.mask.path in set().union(*place.ledger.jobs.copies())


def test_the_masks_that_a_sidecar_names_are_no_photos(place: Place) -> None:
    for name in ("sky.png", "ground.png", "all.png", "a.jpg", "other.png"):
        place.drop(name, name.encode())
    place.drop("a.yaml", REGIONS.encode())
    place.run()
    assert {job.photo for job in place.jobs()} == {"a.jpg", "other.png"}
    job = next(job for job in place.jobs() if job.photo == "a.jpg")
    assert [mask.path.read_bytes() for mask in job.areas.masks] == [b"all.png", b"sky.png", b"ground.png"]
    assert [style.name for style in job.areas.regions[1].styles] == [STARRY, SCREAM]
    assert place.verdict(place.inbox / "sky.png") is Verdict.MASK


def test_a_photo_waits_for_a_mask_that_is_not_there_yet(place: Place) -> None:
    place.drop("a.jpg")
    place.drop("a.yaml", b"mask: sky.png")
    place.run()
    assert place.only_job().state is JobState.HELD
    assert "sky.png" in (place.only_job().error or "")
    place.drop("sky.png", b"sky")
    place.run()
    job = place.only_job()
    assert job.state is JobState.QUEUED
    assert job.areas.mask is not None


def test_a_mask_that_comes_or_changes_while_the_job_waits_is_taken(place: Place) -> None:
    place.drop("a.jpg")
    place.run()
    key = place.only_job().key
    for content in (b"first", b"second"):
        place.drop("a.mask.png", content)
        place.run(70)
        job = place.only_job()
        assert job.areas.mask is not None
        assert job.areas.mask.path.read_bytes() == content
        assert job.key != key
        key = job.key
    (place.inbox / "a.mask.png").unlink()
    place.run(70)
    assert place.only_job().areas == EVERYWHERE


def test_a_picture_that_a_later_sidecar_calls_a_mask_loses_its_job(place: Place) -> None:
    place.drop("sky.png")
    place.run()
    place.drop("a.jpg", b"other")
    place.drop("a.yaml", b"mask: sky.png")
    place.run()
    states = {job.photo: job.state for job in place.jobs()}
    assert states == {"sky.png": JobState.CANCELLED, "a.jpg": JobState.QUEUED}


def test_a_photo_that_names_itself_as_a_mask_is_still_a_photo(place: Place) -> None:
    place.drop("a.png")
    place.drop("a.yaml", b"mask: a.png")
    place.run()
    assert place.only_job().areas.mask is not None


def test_a_link_is_no_mask(place: Place) -> None:
    (place.base / "secret.png").write_bytes(b"secret")
    place.drop("a.jpg")
    place.drop("a.yaml", b"mask: sky.png")
    (place.inbox / "sky.png").symlink_to(place.base / "secret.png")
    place.run()
    assert place.only_job().state is JobState.HELD


def test_an_unknown_style_of_a_region_holds_the_photo(place: Place) -> None:
    place.drop("sky.png", b"sky")
    place.drop("a.jpg")
    place.drop("a.yaml", b"regions: [{mask: sky.png, style: the_screem}]")
    place.run()
    assert "the_scream" in (place.only_job().error or "")


def test_masks_survive_a_restart(place: Place) -> None:
    for name in ("sky.png", "ground.png", "all.png", "a.jpg"):
        place.drop(name, name.encode())
    place.drop("a.yaml", REGIONS.encode())
    place.run()
    areas = place.only_job().areas
    place.restart()
    place.run(70)
    assert place.only_job().areas == areas
    assert len(areas.masks) == 3


# ── afterwards ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("has_failed", [False, True])
def test_masks_move_with_the_original(place: Place, has_failed: bool) -> None:
    for name in ("sky.png", "ground.png", "all.png", "a.jpg", "b.jpg"):
        place.drop(name, name.encode())
    place.drop("a.yaml", REGIONS.encode())
    place.drop("b.mask.png", b"b")
    place.run()
    folder = place.folders[0]
    for job in place.jobs():
        if has_failed:
            originals.fail_original(job, folder, "it broke")
        else:
            originals.dispose_original(job, folder)
    there = folder.failed if has_failed else folder.archive
    moved = {path.name for path in there.iterdir()}
    expected = {"sky.png", "ground.png", "all.png", "a.jpg", "a.yaml", "b.jpg", "b.mask.png"}
    assert moved - {"a.jpg.error.txt", "b.jpg.error.txt"} == expected
    assert list(place.inbox.iterdir()) == []


def test_a_mask_of_two_photos_stays_for_the_other(place: Place) -> None:
    place.drop("sky.png", b"sky")
    for name in ("a", "b"):
        place.drop(f"{name}.jpg", name.encode())
        place.drop(f"{name}.yaml", b"mask: sky.png")
    place.run()
    first, second = place.jobs()
    originals.dispose_original(first, place.folders[0])
    assert (place.inbox / "sky.png").exists()
    originals.dispose_original(second, place.folders[0])
    assert list(place.inbox.iterdir()) == []


def test_a_mask_gets_the_number_of_its_photo(place: Place) -> None:
    place.folders[0].archive.mkdir()
    (place.folders[0].archive / "a.jpg").write_bytes(b"older")
    place.drop("a.jpg")
    place.drop("a.jpg.mask.png", b"mask")
    place.run()
    originals.dispose_original(place.only_job(), place.folders[0])
    assert {path.name for path in place.folders[0].archive.iterdir()} == {
        "a.jpg",
        "a.2.jpg",
        "a.2.jpg.mask.png",
    }


# ── by command ───────────────────────────────────────────────────────────


def test_submit_carries_the_masks(ask: Ask, photo: Path, ledger: Ledger) -> None:
    photo.with_name("cat.mask.png").write_bytes(b"mask")
    photo.with_name("sky.png").write_bytes(b"sky")
    photo.with_name("cat.yaml").write_text("regions: [{mask: sky.png, style: woodcut}]")
    job = ledger.jobs.get(submitted(ask, photo))
    assert job is not None
    assert [mask.path.read_bytes() for mask in job.areas.masks] == [b"mask", b"sky"]
    explained = ask("explain", photo).out
    assert "region sky.png: woodcut" in explained


def test_submit_says_which_mask_is_missing(ask: Ask, photo: Path) -> None:
    photo.with_name("cat.yaml").write_text("mask: sky.png")
    answer = ask("submit", photo)
    assert (answer.code, answer.out) == (2, "")
    assert "sky.png" in answer.err


def test_one_copy_serves_a_mask_that_is_named_twice(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("mask: m.png\nregions: [{mask: m.png, style: x}]")
    (tmp_path / "m.png").write_bytes(b"m")
    masks = take_masks(tmp_path / "a.jpg", find_sidecar(tmp_path / "a.jpg"), tmp_path / "photos")
    assert masks.painting == masks.named["m.png"]
    assert len(list((tmp_path / "photos").iterdir())) == 1
