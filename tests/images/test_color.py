"""Colours go from a photo's profile to sRGB and back."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from support.pictures import (
    ADOBE_RGB,
    DISPLAY_P3,
    LOSSY,
    PROPHOTO,
    SRGB,
    STEP,
    Picture,
    eight,
    exiftool,
    far,
    grey_profile,
    image,
    load,
    matrix_profile,
    save,
    scene,
    sixteen,
    stored,
    table_profile,
)

from nst_daemon.config.recipe import Format


def lab(rgb: Picture) -> Any:
    """Return CIE Lab of sRGB, by its own formula."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / (matrix @ np.ones(3))
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1
    )


def delta_e(one: Picture, other: Picture) -> float:
    return float(np.linalg.norm(lab(one) - lab(other), axis=-1).max())


def by_littlecms(path: Path, profile: bytes) -> Picture:
    """Return an image file in sRGB as LittleCMS, the referee, converts it."""
    with Image.open(path) as picture:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        # Not the default, perceptual, which these profiles do not distinguish.
        converted = ImageCms.profileToProfile(picture, source, target, outputMode="RGB")
        assert converted is not None
        return (np.asarray(converted) / 255).astype(np.float32)


PROFILES = {
    "Display P3": matrix_profile(DISPLAY_P3),
    "Adobe RGB": matrix_profile(ADOBE_RGB, 2.19921875),
    "ProPhoto": matrix_profile(PROPHOTO, 1.8),
}


@pytest.mark.parametrize("name", PROFILES)
def test_wide_gamuts_are_converted_as_littlecms_does(tmp_path: Path, name: str) -> None:
    path = stored(tmp_path, "a.png", icc_profile=PROFILES[name])
    assert far(load(path).rgb, by_littlecms(path, PROFILES[name])) <= 2.5 * STEP


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("format", [Format.PNG, Format.TIFF])
def test_a_colour_goes_to_srgb_and_back_to_its_profile_unchanged(
    tmp_path: Path, name: str, format: Format
) -> None:
    muted = 0.4 + 0.2 * scene()  # within sRGB's gamut: beyond it the way is one-way
    path = stored(tmp_path, "a.png", image(muted), icc_profile=PROFILES[name])
    photo = load(path)
    result, notes = save(photo, tmp_path / "out", format)
    assert notes == ()
    with Image.open(result) as again, Image.open(path) as before:
        assert again.info["icc_profile"] == PROFILES[name]
        assert np.abs(np.asarray(again).astype(int) - np.asarray(before).astype(int)).max() <= 1
    assert delta_e(load(result).rgb, photo.rgb) < 1.0


def test_a_deep_photo_of_a_wide_gamut_keeps_its_depth_on_the_way(tmp_path: Path) -> None:
    pixels = sixteen(0.35 + 0.3 * scene())
    profile = PROFILES["Adobe RGB"]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", iccprofile=profile)
    result, _ = save(load(tmp_path / "a.tif"), tmp_path / "out")
    assert exiftool(result)["ICC_Profile:ProfileDescription"] == "nst test"
    assert np.abs(tifffile.imread(result).astype(int) - pixels).max() <= 6


def test_an_embedded_srgb_profile_changes_nothing_and_is_kept(tmp_path: Path) -> None:
    for profile in (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), matrix_profile(SRGB)):
        photo = load(stored(tmp_path, "a.png", icc_profile=profile))
        assert np.array_equal(eight(photo.rgb), eight(scene()))
        result, _ = save(photo, tmp_path / "out")
        with Image.open(result) as again:
            assert again.info["icc_profile"] == profile


def test_a_grey_profile_is_applied_and_the_result_is_srgb(tmp_path: Path) -> None:
    grey = image().convert("L")
    photo = load(stored(tmp_path, "a.png", grey, icc_profile=grey_profile(1.8)))
    linear = (np.asarray(grey) / 255) ** 1.8
    expected = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(photo.rgb[..., 0] - expected).max() < STEP
    result, _ = save(photo, tmp_path / "out")
    with Image.open(result) as again:
        assert "icc_profile" not in again.info


def test_a_grey_photo_with_an_rgb_profile_is_read_by_it(tmp_path: Path) -> None:
    profile = PROFILES["Adobe RGB"]
    photo = load(stored(tmp_path, "a.png", image().convert("L"), icc_profile=profile))
    assert np.ptp(photo.rgb, axis=-1).max() < 1e-3
    assert photo.metadata.icc == profile


@pytest.mark.parametrize(
    "profile", [b"no profile", matrix_profile(SRGB)[:200], b"\0" * 500, grey_profile(2.2)]
)
def test_a_profile_that_is_broken_or_of_another_kind_is_left_out_with_a_note(
    tmp_path: Path, profile: bytes
) -> None:
    photo = load(stored(tmp_path, "a.jpg", icc_profile=profile, quality=98, subsampling=0))
    assert far(photo.rgb, scene()) < LOSSY
    assert "sRGB" in photo.notes[0]
    assert photo.metadata.icc is None


def test_a_camera_s_mark_of_adobe_rgb_counts_as_its_profile(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x8769] = {0xA001: 65535, 0xA005: {1: "R03"}}
    path = stored(tmp_path, "a.png", image(0.4 + 0.2 * scene()), exif=tags)
    assert far(load(path).rgb, by_littlecms(path, PROFILES["Adobe RGB"])) <= 2.5 * STEP
    result, _ = save(load(path), tmp_path / "out")
    assert far(load(result).rgb, load(path).rgb) <= 2.5 * STEP


def test_a_cmyk_photo_is_converted_by_its_own_profile_and_painted_in_srgb(tmp_path: Path) -> None:
    # Corners in the order CMYK, K changing first. This paper is white, black ink black, all others grey.
    corners = [
        (0.0 if black else 100.0 - 20 * inks, 0.0, 0.0)
        for inks in (0, 1, 1, 2, 1, 2, 2, 3)
        for black in (0, 1)
    ]
    picture = Image.merge("CMYK", [Image.new("L", (32, 32), value) for value in (255, 0, 0, 0)])
    photo = load(stored(tmp_path, "a.tif", picture, icc_profile=table_profile(b"CMYK", corners)))
    assert photo.notes == ()
    assert photo.metadata.icc is None
    assert far(photo.rgb[:1, :1], np.full((1, 1, 3), 0.7761, np.float32)) < 3 * STEP  # of L* = 80
    result, _ = save(photo, tmp_path / "out")
    with Image.open(result) as again:
        assert (again.mode, "icc_profile" in again.info) == ("RGB", False)


def test_a_profile_of_tables_is_applied_and_where_it_works_one_way_only_the_result_is_srgb(
    tmp_path: Path,
) -> None:
    corners = [(100.0 * (r + g + b) / 3, 0.0, 0.0) for r in (0, 1) for g in (0, 1) for b in (0, 1)]
    path = stored(
        tmp_path,
        "a.png",
        Image.new("RGB", (32, 32), (255, 255, 0)),
        icc_profile=table_profile(b"RGB ", corners),
    )
    photo = load(path)
    assert np.ptp(photo.rgb) < 3 * STEP  # yellow is grey to this profile
    result, notes = save(photo, tmp_path / "out")
    assert "one way only" in notes[0]
    with Image.open(result) as again:
        assert "icc_profile" not in again.info
