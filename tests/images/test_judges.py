"""Colours and tags of photos that say them in unusual places; others than ours judge the paintings."""

import binascii
import io
import struct
import subprocess
import zlib
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin, features
from support.heic import coloured, write_heic
from support.judges import JUDGES, Color, Judge, imagemagick
from support.pictures import (
    ADOBE_RGB,
    DISPLAY_P3,
    XMP,
    camera_exif,
    editor,
    exiftool,
    load,
    matrix_profile,
    save,
    stored,
)

from nst_daemon.config.recipe import Format
from nst_daemon.images.labels import read_keywords
from nst_daemon.images.photo import Photo
from nst_daemon.images.saving import resize

FORMATS = [each for each in Format if each is not Format.SAME]
if not features.check("avif"):
    FORMATS.remove(Format.AVIF)
SIZE = (100, 60)
PLACE = (50, 30)
NEAR = 3  # steps of 8 bits that codecs and other roundings move a flat colour


def flat(color: Color) -> Image.Image:
    return Image.new("RGB", SIZE, color)


def of_profile(color: Color, profile: bytes) -> Color:
    """Return a colour of a profile in sRGB, as LittleCMS has it."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    shown = ImageCms.profileToProfile(flat(color), source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert shown is not None
    red, green, blue = shown.getpixel((0, 0))  # type: ignore[misc]
    return int(red), int(green), int(blue)


def chunk(name: bytes, data: bytes, *, check: int | None = None) -> bytes:
    crc = zlib.crc32(name + data) if check is None else check
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)


def with_chunks(path: Path, *chunks: bytes) -> Path:
    """Put chunks behind the header of a PNG."""
    raw = path.read_bytes()
    path.write_bytes(raw[:33] + b"".join(chunks) + raw[33:])
    return path


def nclx(path: Path, color: Color, primaries: int, transfer: int) -> Path:
    """Write an AVIF that tells its colours by numbers."""
    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    flat(color).save(path, quality=100, subsampling="4:4:4")
    raw = bytearray(path.read_bytes())
    struct.pack_into(">HH", raw, raw.index(b"nclx") + 4, primaries, transfer)
    path.write_bytes(raw)
    return path


def same(one: Color, other: Color, near: int = NEAR) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= near


def shown(photo: Photo) -> Color:
    red, green, blue = (round(float(value) * 255) for value in photo.rgb[PLACE[1], PLACE[0]])
    return red, green, blue


def judged(photo: Photo, folder: Path, format: Format, judge: Judge) -> Color:
    result, _ = save(photo, folder / "out", format)
    return judge(result, PLACE, folder)


# ── colours that no profile tells ────────────────────────────────────────


def marked_adobe(path: Path, color: Color, **options: Any) -> Path:
    tags = Image.Exif()
    tags[0x8769] = {0xA001: 65535, 0xA005: {1: "R03"}, 0xA500: 2.2}
    flat(color).save(path, exif=tags, **options)
    return path


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("format", FORMATS)
def test_adobe_rgb_that_exif_alone_tells_looks_right_to_others_in_every_format(
    tmp_path: Path, format: Format, judge: str
) -> None:
    color = (90, 160, 110)
    photo = load(marked_adobe(tmp_path / "_MG_0001.jpg", color, quality=100, subsampling=0))
    expected = of_profile(color, matrix_profile(ADOBE_RGB, 2.19921875))
    assert not same(expected, color, 10)
    assert same(judged(photo, tmp_path, format, JUDGES[judge]), expected)


@pytest.mark.parametrize("format", FORMATS)
def test_no_painting_of_it_says_that_it_is_adobe_rgb(tmp_path: Path, format: Format) -> None:
    photo = load(marked_adobe(tmp_path / "a.jpg", (90, 160, 110)))
    result, _ = save(photo, tmp_path / "out", format)
    facts = exiftool(result)
    assert facts.get("ExifIFD:ColorSpace", 1) == 1
    assert facts.get("InteropIFD:InteropIndex", "R98") == "R98"
    assert "ExifIFD:Gamma" not in facts
    assert not [name for name in facts if name.startswith("ICC_Profile:")]


def test_a_camera_s_second_spelling_of_adobe_rgb_counts(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x8769] = {0xA001: 2}
    photo = load(stored(tmp_path, "a.jpg", flat((90, 160, 110)), exif=tags, quality=100, subsampling=0))
    assert same(shown(photo), of_profile((90, 160, 110), matrix_profile(ADOBE_RGB, 2.19921875)))


def test_what_a_file_says_of_srgb_itself_counts_more_than_exif(tmp_path: Path) -> None:
    path = with_chunks(marked_adobe(tmp_path / "a.png", (90, 160, 110)), chunk(b"sRGB", b"\0"))
    assert shown(load(path)) == (90, 160, 110)


# ImageMagick 6 reads no profile of an AVIF.
@pytest.mark.parametrize(
    ("judge", "format"), [case for case in product(JUDGES, FORMATS) if case != ("ImageMagick", Format.AVIF)]
)
def test_a_profile_that_is_kept_looks_right_to_others(tmp_path: Path, format: Format, judge: str) -> None:
    color, profile = (90, 160, 110), matrix_profile(ADOBE_RGB, 2.19921875)
    photo = load(stored(tmp_path, "a.png", flat(color), icc_profile=profile))
    assert same(judged(photo, tmp_path, format, JUDGES[judge]), of_profile(color, profile))


@pytest.mark.parametrize("format", FORMATS)
def test_display_p3_told_by_numbers_is_converted(tmp_path: Path, format: Format) -> None:
    color = (120, 200, 90)
    expected = of_profile(color, matrix_profile(DISPLAY_P3))
    avif = load(nclx(tmp_path / "p3.avif", color, 12, 13))
    png = load(with_chunks(stored(tmp_path, "p3.png", flat(color)), chunk(b"cICP", bytes([12, 13, 0, 1]))))
    for photo in (avif, png):
        assert same(shown(photo), expected)
        assert same(judged(photo, tmp_path, format, imagemagick), expected)


def test_a_heic_that_tells_display_p3_by_numbers_is_converted(tmp_path: Path) -> None:
    flat((120, 200, 90)).save(tmp_path / "a.png")
    path = write_heic(tmp_path / "a.png", tmp_path / "a.heic")
    path.write_bytes(coloured(path.read_bytes(), 12, 13))
    assert same(shown(load(path)), of_profile((120, 200, 90), matrix_profile(DISPLAY_P3)), 5)


def test_numbers_that_say_srgb_or_nothing_change_nothing(tmp_path: Path) -> None:
    for primaries, transfer in ((1, 13), (1, 1), (2, 2)):
        assert same(shown(load(nclx(tmp_path / "a.avif", (20, 220, 30), primaries, transfer))), (20, 220, 30))


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_brought_to_white_and_a_note_says_so(tmp_path: Path, transfer: int, name: str) -> None:
    ramp = np.repeat(np.linspace(0, 255, 256).astype(np.uint8)[None, :, None], 3, axis=-1)
    path = tmp_path / "a.png"
    Image.fromarray(np.repeat(ramp, 32, axis=0)).save(path)
    photo = load(with_chunks(path, chunk(b"cICP", bytes([9, transfer, 0, 1]))))
    assert name in photo.notes[0]
    grey = photo.rgb[0, :, 1]
    assert np.all(np.diff(grey) >= 0)
    assert grey[0] == pytest.approx(0, abs=0.01)
    white = {16: 148, 18: 191}[transfer]  # 203 cd/m² is 58 % of PQ and 75 % of HLG: BT.2408
    assert 0.85 < grey[white] < 0.99
    assert grey[255] > 0.99
    assert load(nclx(tmp_path / "a.avif", (90, 90, 90), 9, transfer)).notes == photo.notes


@pytest.mark.parametrize("color", [(128, 64, 32), (10, 120, 250)])
@pytest.mark.parametrize("gamma", [1.0, 1 / 1.8])
def test_a_png_s_gamma_is_applied_as_others_do(tmp_path: Path, color: Color, gamma: float) -> None:
    path = with_chunks(
        stored(tmp_path, "a.png", flat(color)), chunk(b"gAMA", struct.pack(">I", round(1e5 * gamma)))
    )
    photo = load(path)
    expected = tuple(round(255 * _srgb((value / 255) ** (1 / gamma))) for value in color)
    assert same(shown(photo), expected, 1)  # type: ignore[arg-type]
    assert same(judged(photo, tmp_path, Format.PNG, imagemagick), shown(photo), 1)


def _srgb(light: float) -> float:
    return light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def test_the_gamma_and_the_primaries_of_srgb_change_nothing(tmp_path: Path) -> None:
    points = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    for chunks in (
        (chunk(b"gAMA", struct.pack(">I", 45455)),),
        (chunk(b"gAMA", struct.pack(">I", 45455)), chunk(b"cHRM", points)),
        (chunk(b"gAMA", bytes(4)),),
        (chunk(b"gAMA", struct.pack(">I", 45455)), chunk(b"cHRM", bytes(32))),
    ):
        path = with_chunks(stored(tmp_path, "a.png", flat((128, 64, 32))), *chunks)
        assert shown(load(path)) == (128, 64, 32)


def test_primaries_of_a_png_are_applied(tmp_path: Path) -> None:
    points = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)  # Adobe RGB's
    gamma = chunk(b"gAMA", struct.pack(">I", round(1e5 / 2.19921875)))
    path = with_chunks(stored(tmp_path, "a.png", flat((90, 160, 110))), gamma, chunk(b"cHRM", points))
    assert same(shown(load(path)), of_profile((90, 160, 110), matrix_profile(ADOBE_RGB, 2.19921875)))


def test_deep_and_grey_pngs_follow_their_gamma_too(tmp_path: Path) -> None:
    linear = chunk(b"gAMA", struct.pack(">I", 100000))
    grey = Image.new("L", SIZE, 64)
    assert same(shown(load(with_chunks(stored(tmp_path, "g.png", grey), linear))), (137, 137, 137), 1)
    deep = Image.fromarray(np.full((SIZE[1], SIZE[0]), 64 * 257, np.uint16))
    photo = load(with_chunks(stored(tmp_path, "d.png", deep), linear))
    assert (photo.bits, same(shown(photo), (137, 137, 137), 1)) == (16, True)


def test_a_profile_in_a_bitmap_counts(tmp_path: Path) -> None:
    profile, pixels = matrix_profile(DISPLAY_P3), stored(tmp_path, "a.bmp", flat((120, 200, 90)))
    raw = pixels.read_bytes()
    body = raw[54:]
    head = bytearray(124)
    head[:40] = raw[14:54]
    struct.pack_into("<I", head, 0, 124)
    struct.pack_into("<4s", head, 56, b"DEBM")
    struct.pack_into("<II", head, 112, 124 + len(body), len(profile))
    pixels.write_bytes(
        b"BM" + struct.pack("<IHHI", 14 + 124 + len(body) + len(profile), 0, 0, 138) + head + body + profile
    )
    assert same(shown(load(pixels)), of_profile((120, 200, 90), profile))


# ── PNG's many places ────────────────────────────────────────────────────


def raw_profile(name: str, data: bytes) -> tuple[str, str]:
    digits = binascii.hexlify(data).decode()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"Raw profile type {name}", f"\n{name}\n{len(data):8d}\n{lines}\n"


def with_texts(path: Path, *texts: tuple[str, bytes], zipped: bool = True) -> Path:
    said = PngImagePlugin.PngInfo()
    for name, data in texts:
        said.add_text(*raw_profile(name, data), zip=zipped)
    Image.linear_gradient("L").resize((80, 50)).convert("RGB").save(path, pnginfo=said)
    return path


def test_what_imagemagick_writes_into_a_png_is_read(tmp_path: Path) -> None:
    jpeg = stored(tmp_path, "p.jpg", exif=camera_exif(with_thumbnail=False))
    words = ["-XMP-dc:Subject=nst:mosaic", "-IPTC:Keywords=river", "-q", "-overwrite_original"]
    subprocess.run([editor(), *words, str(jpeg)], check=True)
    png = tmp_path / "im.png"
    imagemagick(jpeg, (1, 1), tmp_path)  # skips where it is not installed
    subprocess.run(["convert", jpeg, png], check=True)
    assert "nst:mosaic" in read_keywords(png)
    result, _ = save(load(png), tmp_path / "out", Format.TIFF)
    facts = exiftool(result)
    assert (facts["IFD0:Make"], facts["XMP-dc:Subject"]) == ("Fujica", "nst:mosaic")
    assert facts["IPTC:Keywords"] == "river"


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["exif", "APP1"])
def test_exif_as_text_turns_a_png_and_is_kept(tmp_path: Path, name: str, zipped: bool) -> None:
    block = camera_exif(orientation=6, with_thumbnail=False)
    photo = load(with_texts(tmp_path / "a.png", (name, block), zipped=zipped))
    assert (photo.width, photo.height) == (50, 80)
    result, _ = save(photo, tmp_path / "out")
    facts = exiftool(result)
    assert (facts["IFD0:Make"], facts["IFD0:Orientation"]) == ("Fujica", 1)


def test_xmp_and_iptc_as_text_are_read(tmp_path: Path) -> None:
    record = b"\x1c\x02\x19\0\x09nst:grove"
    block = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + record
    adobe = b"http://ns.adobe.com/xap/1.0/\0"
    for number, texts in enumerate(
        ([("xmp", XMP)], [("APP1", adobe + XMP)], [("iptc", block)], [("iptc", record)], [("8bim", block)])
    ):
        found = read_keywords(with_texts(tmp_path / f"{number}.png", *texts))
        assert ("nst|starry_night" in found) or ("nst:grove" in found), texts[0][0]


def test_a_png_keeps_its_iptc_as_others_read_it(tmp_path: Path) -> None:
    path = tagged(
        stored(tmp_path, "a.jpg"), "-IPTC:Keywords=river", "-IPTC:City=Tübingen", "-charset", "iptc=utf8"
    )
    result, notes = save(load(path), tmp_path / "out", Format.PNG)
    assert notes == ()
    assert exiftool(result)["IPTC:Keywords"] == "river"
    again, _ = save(load(result), tmp_path / "again", Format.JPEG)
    assert exiftool(again)["IPTC:Keywords"] == "river"


def test_a_raw_profile_that_makes_no_sense_is_left_out(tmp_path: Path) -> None:
    said = PngImagePlugin.PngInfo()
    said.add_text("Raw profile type exif", "\nexif\n   many\nzz")
    said.add_text("Raw profile type xmp", "")
    said.add_text("Raw profile type iptc", "\niptc\n99999999\nff")
    flat((9, 9, 9)).save(tmp_path / "a.png", pnginfo=said)
    assert load(tmp_path / "a.png").metadata.exif is None
    assert read_keywords(tmp_path / "a.png") == ()


def test_a_colour_profile_as_text_counts(tmp_path: Path) -> None:
    profile = matrix_profile(DISPLAY_P3)
    said = PngImagePlugin.PngInfo()
    said.add_text(*raw_profile("icc", profile), zip=True)
    flat((120, 200, 90)).save(tmp_path / "a.png", pnginfo=said)
    assert same(shown(load(tmp_path / "a.png")), of_profile((120, 200, 90), profile))


@pytest.mark.parametrize("depth", ["8 bits", "16 bits"])
@pytest.mark.parametrize(
    "damaged",
    [
        chunk(b"iCCP", b"x\0\0" + zlib.compress(matrix_profile(DISPLAY_P3)), check=7),
        chunk(b"iCCP", b"x\0\0no zlib at all"),
        chunk(b"eXIf", camera_exif()[6:], check=7),
        chunk(b"tRNS", bytes(6), check=7),
        chunk(b"zTXt", b"Raw profile type exif\0\0no zlib"),
    ],
    ids=["icc-sum", "icc-zlib", "exif-sum", "trns-sum", "text-zlib"],
)
def test_a_damaged_chunk_hides_none_behind_it(tmp_path: Path, damaged: bytes, depth: str) -> None:
    picture = flat((128, 64, 32))
    if depth == "16 bits":
        picture = Image.fromarray(np.full((SIZE[1], SIZE[0]), 9000, np.uint16))
    path = stored(tmp_path, "a.png", picture)
    behind = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
    photo = load(with_chunks(path, damaged, behind))
    assert photo.alpha is None
    assert any("damaged" in note and damaged[4:8].decode() in note for note in photo.notes)
    assert "nst|starry_night" in read_keywords(path)
    result, _ = save(photo, tmp_path / "out")
    assert exiftool(result)["XMP-xmp:Rating"] == 4


# ── sizes and ids ────────────────────────────────────────────────────────


def tagged(path: Path, *words: str) -> Path:
    program = [editor(), "-q", "-m", "-overwrite_original"]
    subprocess.run([*program, *words, str(path)], check=True)
    return path


def panorama(path: Path, left: int = 0, top: int = 0, full: tuple[int, int] = (2048, 1024)) -> Path:
    Image.linear_gradient("L").resize((2048, 1024)).convert("RGB").save(path)
    said = {
        "ProjectionType": "equirectangular",
        "FullPanoWidthPixels": full[0],
        "FullPanoHeightPixels": full[1],
        "CroppedAreaImageWidthPixels": 2048,
        "CroppedAreaImageHeightPixels": 1024,
        "CroppedAreaLeftPixels": left,
        "CroppedAreaTopPixels": top,
    }
    return tagged(path, *(f"-XMP-GPano:{name}={value}" for name, value in said.items()))


@pytest.mark.parametrize("format", FORMATS)
def test_a_panorama_is_as_large_as_its_painting(tmp_path: Path, format: Format) -> None:
    photo = load(panorama(tmp_path / "pano.jpg"))
    result, _ = save(photo, tmp_path / "out", format, resize(photo.rgb, 512, 256))
    facts = exiftool(result)
    sizes = {name: facts[f"XMP-GPano:{name}"] for name in ("FullPanoWidthPixels", "FullPanoHeightPixels")}
    assert sizes == {"FullPanoWidthPixels": 512, "FullPanoHeightPixels": 256}
    assert facts["XMP-GPano:CroppedAreaImageWidthPixels"] == 512
    assert facts["XMP-GPano:CroppedAreaImageHeightPixels"] == 256
    assert facts["XMP-GPano:ProjectionType"] == "equirectangular"


def test_a_part_of_a_panorama_lies_where_it_lay(tmp_path: Path) -> None:
    photo = load(panorama(tmp_path / "pano.jpg", left=1024, top=512, full=(4096, 2048)))
    result, _ = save(photo, tmp_path / "out", rgb=resize(photo.rgb, 512, 256))
    facts = exiftool(result)
    names = ("FullPanoWidthPixels", "FullPanoHeightPixels", "CroppedAreaLeftPixels", "CroppedAreaTopPixels")
    assert [facts[f"XMP-GPano:{name}"] for name in names] == [1024, 512, 256, 128]


REGION = (
    "-RegionInfo={AppliedToDimensions={W=%d,H=%d,Unit=pixel},RegionList=[{Name=Ada,Type=Face,"
    "Area={X=0.2,Y=0.3,W=0.1,H=0.2,Unit=normalized}}]}"
)


def test_regions_and_sizes_follow_the_painting(tmp_path: Path) -> None:
    words = [REGION % (300, 200), "-EXIF:ExifImageWidth=300", "-EXIF:ExifImageHeight=200"]
    words += ["-EXIF:SubjectArea=150 100 30 30", "-EXIF:FocalPlaneXResolution=3000"]
    words += ["-XMP-exif:ExifImageWidth=300", "-XMP-crs:CropRight=0.5", "-XMP-crs:HasCrop=True"]
    path = tagged(stored(tmp_path, "a.jpg", Image.new("RGB", (300, 200), "tan")), *words)
    photo = load(path)
    result, _ = save(photo, tmp_path / "out", rgb=resize(photo.rgb, 60, 40))
    facts = exiftool(result)
    assert (facts["ExifIFD:ExifImageWidth"], facts["ExifIFD:ExifImageHeight"]) == (60, 40)
    assert facts["XMP-exif:ExifImageWidth"] == 60
    assert (
        facts["XMP-mwg-rs:RegionAppliedToDimensionsW"],
        facts["XMP-mwg-rs:RegionAppliedToDimensionsH"],
    ) == (
        60,
        40,
    )
    assert (facts["XMP-mwg-rs:RegionAreaX"], facts["XMP-mwg-rs:RegionAreaH"]) == (0.2, 0.2)
    assert facts["ExifIFD:FocalPlaneXResolution"] == pytest.approx(600)
    assert not [name for name in facts if "SubjectArea" in name or "XMP-crs" in name]


@pytest.mark.parametrize(
    ("orientation", "area"),
    [
        (1, (0.2, 0.3, 0.1, 0.2)),
        (3, (0.8, 0.7, 0.1, 0.2)),
        (6, (0.7, 0.2, 0.2, 0.1)),
        (8, (0.3, 0.8, 0.2, 0.1)),
    ],
)
def test_a_face_stays_on_its_face_when_the_photo_is_turned(
    tmp_path: Path, orientation: int, area: tuple[float, ...]
) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    path = stored(tmp_path, "a.jpg", Image.new("RGB", (300, 200), "tan"), exif=tags)
    photo = load(tagged(path, REGION % (300, 200)))
    facts = exiftool(save(photo, tmp_path / "out")[0])
    found = tuple(facts[f"XMP-mwg-rs:RegionArea{name}"] for name in "XYWH")
    assert found == pytest.approx(area)
    assert facts["XMP-mwg-rs:RegionAppliedToDimensionsW"] == photo.width


IDS = {
    "XMP-xmpMM:DocumentID": "xmp.did:photo-document",
    "XMP-xmpMM:InstanceID": "xmp.iid:photo-instance",
    "XMP-xmpMM:OriginalDocumentID": "xmp.did:photo-original",
    "XMP-exif:ImageUniqueID": "aaaabbbbccccddddeeeeffff00001111",
    "EXIF:ImageUniqueID": "aaaabbbbccccddddeeeeffff00001111",
    "IPTC:UniqueDocumentID": "photo-unique",
    "IPTC:Keywords": "river",
    "XMP-iptcExt:DigitalImageGUID": "photo-guid",
    "XMP-dc:Identifier": "photo-identifier",
    "XMP-digiKam:ImageUniqueID": "photo-digikam",
    "XMP-GCamera:BurstID": "photo-burst",
}


@pytest.mark.parametrize("format", FORMATS)
def test_a_painting_has_ids_of_its_own_and_says_whence_it_is(tmp_path: Path, format: Format) -> None:
    path = tagged(stored(tmp_path, "a.jpg"), *(f"-{name}={value}" for name, value in IDS.items()))
    tagged(path, "-Photoshop:IPTCDigest=new")
    before = exiftool(path)
    result, _ = save(load(path), tmp_path / "out", format)
    facts = exiftool(result)
    kept = {
        name: value for name, value in facts.items() if "photo-" in str(value) or "aaaabbbb" in str(value)
    }
    assert kept == {
        "XMP-xmpMM:DerivedFromDocumentID": "xmp.did:photo-document",
        "XMP-xmpMM:DerivedFromInstanceID": "xmp.iid:photo-instance",
    }
    for name in ("XMP-xmpMM:DocumentID", "XMP-xmpMM:InstanceID", "ExifIFD:ImageUniqueID"):
        assert facts[name], name
        assert facts[name] != before[name], name
    if format in (Format.JPEG, Format.TIFF):
        assert facts["IPTC:Keywords"] == "river"
        assert facts.get("Photoshop:IPTCDigest") == facts.get("File:CurrentIPTCDigest")


def test_two_paintings_of_a_photo_have_different_ids_and_one_job_the_same(tmp_path: Path) -> None:
    photo = load(stored(tmp_path, "a.jpg"))
    first, _ = save(photo, tmp_path / "one")
    again, _ = save(photo, tmp_path / "again")
    other, _ = save(photo, tmp_path / "other", rgb=resize(photo.rgb, 32, 24))
    ids = [exiftool(path)["XMP-xmpMM:DocumentID"] for path in (first, again, other)]
    assert ids[0] == ids[1] != ids[2]


def apple_note(**strings: str) -> bytes:
    """Return private notes as an iPhone writes them."""
    numbers = {"BurstUUID": 0x000B, "ContentIdentifier": 0x0011, "ImageUniqueID": 0x0015}
    head = b"Apple iOS\0\0\1MM"
    entries, words = struct.pack(">HHII", 0x0001, 9, 1, 14), b""
    start = len(head) + 2 + 12 * (1 + len(strings)) + 4
    for name, text in strings.items():
        entries += struct.pack(">HHII", numbers[name], 2, len(text) + 1, start + len(words))
        words += text.encode() + b"\0"
    return head + struct.pack(">H", 1 + len(strings)) + entries + bytes(4) + words


@pytest.mark.parametrize("format", FORMATS)
def test_an_iphone_s_film_and_burst_are_not_the_painting_s(tmp_path: Path, format: Format) -> None:
    tags = Image.Exif()
    tags[0x010F] = "Apple"
    uuid = "5F3B2C1A-0000-4444-8888-0123456789AB"
    tags[0x8769] = {0x927C: apple_note(BurstUUID=uuid, ContentIdentifier=uuid, ImageUniqueID=uuid)}
    path = stored(tmp_path, "a.jpg", exif=tags)
    assert list(exiftool(path).values()).count(uuid) == 3
    facts = exiftool(save(load(path), tmp_path / "out", format)[0])
    assert facts["Apple:MakerNoteVersion"] == 14
    assert not [name for name, value in facts.items() if value == uuid]


def test_a_canon_s_id_that_its_raw_file_has_too_is_not_the_painting_s(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x010F], tags[0x0110] = "Canon", "Canon EOS"
    mine = struct.pack("<HHHI4sHHI4sI", 2, 0x0010, 4, 1, b"\x69\1\0\x80", 0x0028, 1, 16, b"HERE", 0)
    tags[0x8769] = {0x927C: mine + bytes(range(1, 17))}
    block = tags.tobytes()
    at = block.index(mine) - 6 + len(mine)  # offsets count from behind "Exif"
    path = stored(tmp_path, "a.jpg", exif=block.replace(b"HERE", struct.pack("<I", at)))
    assert exiftool(path)["Canon:ImageUniqueID"]
    facts = exiftool(save(load(path), tmp_path / "out")[0])
    assert ("Canon:CanonModelID" in facts, "Canon:ImageUniqueID" in facts) == (True, False)


def test_the_words_of_the_photo_are_all_still_there(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.jpg", exif=camera_exif(), xmp=XMP)
    facts = exiftool(save(load(path), tmp_path / "out")[0])
    assert facts["IFD0:Make"] == "Fujica"
    assert facts["XMP-dc:Title"] == "The tower & the river"
    assert "XMP-xmpMM:HistoryAction" not in facts
