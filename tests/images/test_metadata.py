"""What a photo says of itself survives its painting; exiftool is the referee."""

import shutil
import struct
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from support.pictures import XMP, camera_exif, editor, exiftool, image, iptc_app13, made, referee

from nst_daemon.config.recipe import Format
from nst_daemon.images import exif
from nst_daemon.images.labels import read_keywords, read_provenance
from nst_daemon.images.loading import load_photo
from nst_daemon.images.saving import save_result

ABOUT = {
    "style": "starry_night + <the & scream>",
    "settings": '{"size": 1024, "style_layers": ["relu1_1"]}',
    "seed": "7",
    "weights": "original",
    "version": "0.1.0",
    "job_key": "0123abcd",
}
FORMATS = [Format.JPEG, Format.PNG, Format.TIFF, Format.WEBP, Format.AVIF]


def camera_photo(path: Path, **more: Any) -> Path:
    """Write a JPEG as it comes from a camera and an editor: EXIF with thumbnail, XMP, IPTC."""
    image().save(
        path,
        exif=camera_exif(orientation=6),
        xmp=XMP,
        extra=iptc_app13("river", "Tübingen"),
        dpi=(300, 300),
        **more,
    )
    return path


def painted(
    photo: Path, stem: Path, format: Format = Format.SAME, **about: str
) -> tuple[Path, tuple[str, ...]]:
    loaded = load_photo(photo, name=photo.name, max_megapixels=10)
    small = np.ascontiguousarray(loaded.rgb[::2, ::2])
    return save_result(small, stem, photo=loaded, format=format, quality=95, provenance={**ABOUT, **about})


# ── what survives ────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Result:
    """A painting of the camera's photo, and what exiftool says of it."""

    path: Path
    notes: tuple[str, ...]
    facts: dict[str, Any]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[Format, Result]:
    folder = tmp_path_factory.mktemp("results")
    photo = camera_photo(folder / "a.jpg")
    made = {format: painted(photo, folder / "out", format) for format in FORMATS}
    facts = referee(*(path for path, _ in made.values()))
    return {
        format: Result(path, notes, each)
        for (format, (path, notes)), each in zip(made.items(), facts, strict=True)
    }


@pytest.mark.parametrize("format", FORMATS)
def test_exif_survives_with_the_result_s_dimensions_and_upright(
    results: dict[Format, Result], format: Format
) -> None:
    facts = results[format].facts
    expected = {
        "IFD0:Make": "Fujica",
        "IFD0:Model": "ST 605",
        "IFD0:Orientation": 1,
        "IFD0:Artist": "Ada Ansel",
        "IFD0:Copyright": "(c) Ada",
        "IFD0:Software": "Ver1.0",
        "ExifIFD:DateTimeOriginal": "2024:05:06 07:08:09",
        "ExifIFD:ExifImageWidth": 24,
        "ExifIFD:ExifImageHeight": 32,
    }
    if format is Format.AVIF:
        del expected["IFD0:Orientation"]  # the format has its own, and without it a picture is upright
        assert "IFD0:Orientation" not in facts
    assert {key: facts.get(key) for key in expected} == expected
    assert facts["Composite:GPSLatitude"] == pytest.approx(48.52)
    assert facts["Composite:GPSLongitude"] == pytest.approx(9.05667, abs=1e-4)


@pytest.mark.parametrize("format", FORMATS)
def test_exiftool_finds_no_error_in_a_result(results: dict[Format, Result], format: Format) -> None:
    errors, *_ = results[format].facts["ExifTool:Validate"].split()
    assert errors == "0"


@pytest.mark.parametrize("format", FORMATS)
def test_the_thumbnail_of_the_unpainted_photo_is_gone(
    results: dict[Format, Result], format: Format, tmp_path: Path
) -> None:
    assert "IFD1:ThumbnailLength" in exiftool(camera_photo(tmp_path / "a.jpg"))
    result = results[format]
    assert not [key for key in result.facts if key.startswith("IFD1") or "Thumbnail" in key]
    assert b"stale thumbnail" not in result.path.read_bytes()


@pytest.mark.parametrize("format", FORMATS)
def test_xmp_survives_without_the_editor_s_history(results: dict[Format, Result], format: Format) -> None:
    facts = results[format].facts
    assert facts["XMP-dc:Title"] == "The tower & the river"
    assert facts["XMP-xmp:Rating"] == 4
    assert facts["XMP-dc:Subject"] == ["river", "starry_night"]
    assert facts["XMP-lr:HierarchicalSubject"] == "nst|starry_night"
    assert facts["XMP-tiff:Orientation"] == 1
    assert not [key for key in facts if "History" in key or key.startswith("XMP-crs")]


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.TIFF, Format.WEBP])
def test_exiv2_reads_the_packet_of_a_result(results: dict[Format, Result], format: Format) -> None:
    """GIMP, digiKam and darktable read XMP by it, and it is stricter than XML is."""
    if shutil.which("exiv2") is None:
        pytest.skip("NOT TESTED: exiv2 is missing. Debian: apt-get install exiv2")
    run = subprocess.run(
        ["exiv2", "-px", str(results[format].path)], capture_output=True, text=True, check=False
    )
    assert run.stderr == ""
    assert "The tower & the river" in run.stdout
    assert "Xmp.xmpMM.DocumentID" in run.stdout


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.TIFF])
def test_iptc_survives_byte_for_byte(results: dict[Format, Result], format: Format, tmp_path: Path) -> None:
    result = results[format]
    assert result.notes == ()
    assert result.facts["IPTC:Keywords"] == ["river", "Tübingen"]
    both = (camera_photo(tmp_path / "a.jpg"), result.path)
    photo, painting = (load_photo(path, name="a", max_megapixels=10).metadata.iptc for path in both)
    assert photo == painting is not None


def test_exiftool_finds_iptc_of_a_tiff_in_its_own_place_alone(results: dict[Format, Result]) -> None:
    words = [editor(), "-validate", "-warning", "-a", str(results[Format.TIFF].path)]
    warned = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    assert "warning" in warned.lower()  # of Deflate, and of what the photo's EXIF lacks
    assert "Photoshop" not in warned
    assert "Resolution" not in warned


def test_iptc_that_a_format_has_no_place_for_is_named_as_lost(results: dict[Format, Result]) -> None:
    assert any("IPTC" in note for note in results[Format.WEBP].notes)


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.TIFF])
def test_the_print_resolution_survives(results: dict[Format, Result], format: Format) -> None:
    with Image.open(results[format].path) as again:
        assert again.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("source", ["a.tif", "deep.tif", "a.png", "a.webp"])
def test_metadata_crosses_between_formats(tmp_path: Path, source: str) -> None:
    path = _described(tmp_path / source)
    for facts in referee(*(painted(path, tmp_path / "out", format)[0] for format in FORMATS)):
        assert (facts["IFD0:Make"], facts["IFD0:Artist"]) == ("Fujica", "Ada Ansel")
        assert facts["XMP-xmp:Rating"] == 4
        if source != "deep.tif":
            assert facts["ExifIFD:DateTimeOriginal"] == "2024:05:06 07:08:09"
            assert facts["Composite:GPSLatitude"] == pytest.approx(48.52)


def _described(path: Path) -> Path:
    """Write a photo with EXIF and XMP as its format holds them."""
    if path.name == "deep.tif":
        tags: list[Any] = [
            (271, 2, None, "Fujica", True),
            (315, 2, None, "Ada Ansel", True),
            (700, 1, len(XMP), XMP, True),
        ]
        tifffile.imwrite(path, np.asarray(image()).astype(np.uint16) * 257, photometric="rgb", extratags=tags)
    elif path.suffix == ".tif":
        described = Image.Exif()
        described.load(camera_exif(with_thumbnail=False))
        described[700] = XMP
        image().save(path, exif=described)
    elif path.suffix == ".png":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
        image().save(path, exif=camera_exif(), pnginfo=chunks)
    else:
        image().save(path, exif=camera_exif(), xmp=XMP)
    return path


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF])
def test_maker_notes_stay_where_they_were(tmp_path: Path, format: Format) -> None:
    photo = camera_photo(tmp_path / "a.jpg")
    result, _ = painted(photo, tmp_path / "out", format)

    def place(path: Path) -> int:
        raw = path.read_bytes()
        return raw.index(b"Maker\0\1\2\3") - raw.index(b"MM\0*")

    assert place(result) == place(photo)


def test_metadata_larger_than_jpeg_allows_is_left_out_with_a_note_and_provenance_stays(
    tmp_path: Path,
) -> None:
    packet = XMP.replace(b"The tower", b"The tower" * 9000)
    block = _with_maker_note(bytes(70_000))
    loaded = load_photo(camera_photo(tmp_path / "a.jpg"), name="a", max_megapixels=10)
    photo = replace(loaded, metadata=replace(loaded.metadata, xmp=packet, exif=block))
    result, notes = save_result(
        photo.rgb, tmp_path / "out", photo=photo, format=Format.SAME, quality=90, provenance=ABOUT
    )
    assert any("XMP" in note for note in notes)
    assert any("private notes" in note for note in notes)
    assert read_provenance(result) == ABOUT
    assert exiftool(result)["IFD0:Make"] == "Fujica"
    for format in (Format.PNG, Format.TIFF):
        result, notes = save_result(
            photo.rgb, tmp_path / "out", photo=photo, format=format, quality=90, provenance=ABOUT
        )
        assert not any("XMP" in note for note in notes)
        assert exiftool(result)["XMP-xmp:Rating"] == 4


def test_a_png_with_much_beside_its_pixels_is_read(tmp_path: Path) -> None:
    chunks = PngImagePlugin.PngInfo()
    packet = XMP.replace(b"<dc:title>", b"<dc:source>" + b"history " * 200_000 + b"</dc:source><dc:title>")
    chunks.add_itxt("XML:com.adobe.xmp", packet.decode(), zip=True)
    image().save(tmp_path / "a.png", pnginfo=chunks)
    result, notes = painted(tmp_path / "a.png", tmp_path / "out")
    assert notes == ()
    assert exiftool(result)["XMP-dc:Title"] == "The tower & the river"


def _with_maker_note(note: bytes) -> bytes:
    tags = Image.Exif()
    tags[0x010F] = "Fujica"
    tags[0x8769] = {0x9003: "2024:05:06 07:08:09", 0x927C: note}
    return tags.tobytes()[6:]


def test_a_broken_exif_block_is_left_out_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    image().save(path, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    result, notes = painted(path, tmp_path / "out")
    assert notes == ("Its EXIF is broken and was left out.",)
    assert not [key for key in exiftool(result) if key.startswith("IFD0")]


# ── EXIF blocks ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("order", ["<", ">"])
def test_only_the_changed_bytes_of_an_exif_block_change(order: str) -> None:
    block = _small_block(order, orientation=8)
    mended = exif.for_result(block, made(800, 600))
    assert mended is not None
    assert exif.orientation(block) == 8
    assert exif.orientation(mended) == 1
    assert sum(one != other for one, other in zip(block, mended, strict=True)) == 1


def _small_block(order: str, orientation: int) -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(order + "IH", 8, 1) + entry + bytes(4)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_makes_no_sense_is_upright(orientation: int) -> None:
    assert exif.orientation(_small_block("<", orientation)) == 1


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_no_exif_block_breaks_the_reader(data: st.DataObject) -> None:
    raw = bytearray(camera_exif()[6:])
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, 300))] = data.draw(st.integers(0, 255))
    block = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    exif.orientation(block)
    exif.is_adobe_rgb(block)
    exif.for_result(block, made(10, 10))
    exif.without_maker_note(block)


# ── provenance ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("source", ["with", "without"])
def test_a_result_says_of_itself_that_it_is_painted(tmp_path: Path, format: Format, source: str) -> None:
    path = tmp_path / "a.jpg"
    if source == "with":
        camera_photo(path)
    else:
        image().save(path)
    assert read_provenance(path) is None
    result, _ = painted(path, tmp_path / "out", format)
    assert read_provenance(result) == ABOUT
    facts = exiftool(result)
    assert facts["XMP-nst:Style"] == ABOUT["style"]
    assert facts["XMP-nst:JobKey"] == "0123abcd"


def test_a_painting_painted_again_tells_of_the_last_time_only(tmp_path: Path) -> None:
    once, _ = painted(camera_photo(tmp_path / "a.jpg"), tmp_path / "once")
    twice, _ = painted(once, tmp_path / "twice", style="the_scream")
    found = read_provenance(twice)
    assert found is not None
    assert found["style"] == "the_scream"
    assert twice.read_bytes().count(b"<nst:Style") == 1


def test_provenance_survives_an_editor_that_writes_the_file_again(tmp_path: Path) -> None:
    result, _ = painted(camera_photo(tmp_path / "a.jpg"), tmp_path / "out", Format.PNG)
    subprocess.run([editor(), "-q", "-XMP-dc:Title=Edited", "-overwrite_original", str(result)], check=True)
    found = read_provenance(result)
    assert found is not None
    assert found["job_key"] == "0123abcd"


def test_provenance_is_read_without_decoding(tmp_path: Path) -> None:
    result, _ = painted(camera_photo(tmp_path / "a.jpg"), tmp_path / "out")
    whole = result.read_bytes()
    result.write_bytes(whole[: whole.index(b"\xff\xda") + 20])
    assert read_provenance(result) == ABOUT


def test_values_that_xml_cannot_hold_are_made_harmless(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    image().save(path)
    result, _ = painted(path, tmp_path / "out", style="a\x00b\ud800c]]>&lt;")
    found = read_provenance(result)
    assert found is not None
    assert found["style"] == "a\ufffdb\ufffdc]]>&lt;"


def test_a_file_that_is_no_picture_has_no_provenance_and_no_keywords(tmp_path: Path) -> None:
    for content in (b"", b"words", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0\xff\xff\xff\xff"):
        (tmp_path / "a.jpg").write_bytes(content)
        assert read_provenance(tmp_path / "a.jpg") is None
        assert read_keywords(tmp_path / "a.jpg") == ()
    assert read_provenance(tmp_path / "gone.jpg") is None


def test_the_stream_of_a_picture_is_not_left_open(tmp_path: Path) -> None:
    path = camera_photo(tmp_path / "a.jpg")
    read_keywords(path)
    painted(path, tmp_path / "out")
    path.unlink()  # fails on Windows while the file is open
    assert not path.exists()
