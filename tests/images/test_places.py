"""`strip_gps`: a result that does not say where the photo was taken; exiftool is the referee."""

import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pictures import ABOUT, XMP, camera_exif, editor, exiftool, image, load, stored

from nst_daemon.config.recipe import Format
from nst_daemon.images import exif, tiff, xmp
from nst_daemon.images.saving import save_result

GPS_XMP = XMP.replace(
    b'xmp:Rating="4"',
    b'xmp:Rating="4" xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="48,31.2N"',
).replace(b"<dc:title>", b"<exif:GPSLongitude>9,3.4E</exif:GPSLongitude><dc:title>")


def _painted(tmp_path: Path, format: Format, **options: Any) -> dict[str, Any]:
    photo = load(stored(tmp_path, "a.jpg", exif=camera_exif(), xmp=GPS_XMP))
    path, _ = save_result(
        photo.rgb,
        tmp_path / "out",
        photo=photo,
        format=format,
        quality=95,
        provenance=ABOUT,
        **options,
    )
    return exiftool(path)


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.TIFF, Format.WEBP, Format.AVIF])
def test_places_stay_unless_they_are_to_go(tmp_path: Path, format: Format) -> None:
    kept = _painted(tmp_path, format)
    assert kept["GPS:GPSLatitudeRef"] == "N"
    assert kept["XMP-exif:GPSLatitude"] == pytest.approx(48.52)
    stripped = _painted(tmp_path, format, strip_gps=True)
    assert not [name for name in stripped if "GPS" in name and "XMP-nst" not in name.replace(" ", "")]
    for name in ("IFD0:Make", "IFD0:Artist", "ExifIFD:DateTimeOriginal", "XMP-xmp:Rating", "XMP-dc:Title"):
        assert stripped[name] == kept[name]
    assert not [name for name in stripped if "Warning" in name and name not in kept]


def test_no_byte_of_the_place_is_left_and_no_maker_note_is_moved() -> None:
    block = exif.strip_prefix(camera_exif())
    stripped = exif.without_gps(block)
    assert len(stripped) == len(block)
    assert stripped.index(b"Maker\0") == block.index(b"Maker\0")
    whole = exif.tree_of(block)
    assert whole is not None
    for entry in whole.children[0x8825].fields.values():
        if len(entry.value) > 4:
            assert entry.value in block
            assert entry.value not in stripped
    assert exif.orientation(stripped) == exif.orientation(block)


def test_what_cannot_be_read_is_left_to_be_left_out() -> None:
    assert exif.without_gps(b"II*\0") == b"II*\0"
    assert xmp.without_gps(b"<broken") == b"<broken"
    without = exif.strip_prefix(image().getexif().tobytes())
    assert exif.without_gps(without) == without


def test_a_block_whose_directories_lie_over_each_other_is_left_out() -> None:
    """Found by fuzzing: the directory of places is the one that points to it."""
    block = bytearray(exif.strip_prefix(camera_exif(with_thumbnail=False)))
    order = "<" if block[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", block, 4)
    entry = tiff.parse(bytes(block)).directory(first)[0][0x8825]
    struct.pack_into(order + "I", block, entry.at, first)
    assert exif.without_gps(bytes(block)) == b""


@given(st.data())
def test_a_damaged_block_never_breaks_us(data: st.DataObject) -> None:
    block = bytearray(exif.strip_prefix(camera_exif()))
    for _ in range(data.draw(st.integers(1, 6))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    stripped = exif.without_gps(bytes(block))
    tree = exif.tree_of(stripped) if stripped else None
    assert tree is None or 0x8825 not in tree.children


def test_a_place_that_exiftool_wrote_goes_too(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.jpg")
    tags = ["-GPSLatitude=48.5", "-GPSLatitudeRef=N", "-XMP:GPSAltitude=300", "-Artist=Ada", "-q"]
    subprocess.run([editor(), "-overwrite_original", *tags, str(path)], check=True)
    photo = load(path)
    bare = replace(photo, metadata=photo.metadata.without_gps())
    result, _ = save_result(
        bare.rgb, tmp_path / "out", photo=bare, format=Format.SAME, quality=95, provenance=ABOUT
    )
    facts = exiftool(result)
    assert facts["IFD0:Artist"] == "Ada"
    assert not [name for name in facts if "GPS" in name]
