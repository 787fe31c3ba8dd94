"""Photos are read as they look, and results carry what the photo carried."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import (
    ADOBE_RGB,
    DISPLAY_P3,
    HEIGHT,
    PROPHOTO,
    SRGB,
    WIDTH,
    XMP,
    Picture,
    camera_exif,
    eight,
    exiftool,
    grey_profile,
    image,
    matrix_profile,
    scene,
    sixteen,
)
from PIL import Image, ImageCms, features

from nst_daemon.errors import ConditionError, IncompletePhotoError, PhotoError, StyleError
from nst_daemon.images import Photo, load_photo, load_style, read_provenance, resize, save_result
from nst_daemon.recipe import Format

ABOUT = {"style": "starry_night", "settings": '{"size": 1024}', "seed": "7", "job_key": "abc"}
LOSSY = 0.06  # the most that a codec at high quality moves a colour of the smooth test picture
STEP = 1 / 255


def load(path: Path, max_megapixels: float = 10) -> Photo:
    return load_photo(path, name=path.name, max_megapixels=max_megapixels)


def save(
    photo: Photo, stem: Path, format: Format = Format.SAME, rgb: Picture | None = None
) -> tuple[Path, Any]:
    return save_result(
        photo.rgb if rgb is None else rgb, stem, photo=photo, format=format, quality=95, provenance=ABOUT
    )


def stored(tmp_path: Path, name: str, picture: Image.Image | None = None, **options: Any) -> Path:
    path = tmp_path / name
    (picture or image()).save(path, **options)
    return path


def far(one: Picture, other: Picture) -> float:
    assert one.shape == other.shape
    return float(np.abs(one - other).max())


# ── formats ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "options", "kind", "limit"),
    [
        ("a.jpg", {"quality": 98, "subsampling": 0}, "jpeg", LOSSY),
        ("a.jpg", {"quality": 98, "subsampling": 0, "progressive": True}, "jpeg", LOSSY),
        (
            "a.mpo",
            {"quality": 98, "save_all": True, "append_images": [Image.new("RGB", (64, 48))]},
            "jpeg",
            LOSSY,
        ),
        ("a.png", {}, "png", STEP),
        ("a.tif", {}, "tiff", STEP),
        ("a.tif", {"compression": "tiff_lzw"}, "tiff", STEP),
        ("a.tif", {"compression": "tiff_adobe_deflate"}, "tiff", STEP),
        ("a.tif", {"save_all": True, "append_images": [Image.new("RGB", (64, 48))]}, "tiff", STEP),
        ("a.webp", {"lossless": True}, "webp", STEP),
        ("a.bmp", {}, "bmp", STEP),
    ],
)
def test_a_photo_of_each_format_is_read_as_it_looks(
    tmp_path: Path, name: str, options: dict[str, Any], kind: str, limit: float
) -> None:
    photo = load(stored(tmp_path, name, **options))
    assert (photo.format, photo.bits, photo.alpha) == (kind, 8, None)
    assert photo.rgb.dtype == np.float32
    assert far(photo.rgb, scene()) < limit


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_an_avif_photo_is_read_as_it_looks(tmp_path: Path) -> None:
    photo = load(stored(tmp_path, "a.avif", quality=95, subsampling="4:4:4"))
    assert photo.format == "avif"
    assert far(photo.rgb, scene()) < LOSSY


def test_a_gif_gives_its_first_frame(tmp_path: Path) -> None:
    first = Image.new("RGB", (32, 32), (255, 0, 0))
    path = stored(
        tmp_path, "a.gif", first, save_all=True, append_images=[Image.new("RGB", (32, 32), (0, 0, 255))]
    )
    assert far(load(path).rgb[:1, :1], np.array([[[1, 0, 0]]], np.float32)) < STEP


def test_a_palette_photo_is_read_in_its_colours(tmp_path: Path) -> None:
    photo = load(stored(tmp_path, "a.png", image().quantize(256)))
    assert np.abs(photo.rgb - scene()).mean() < 0.02


def test_a_grey_photo_becomes_rgb(tmp_path: Path) -> None:
    photo = load(stored(tmp_path, "a.jpg", image().convert("L")))
    assert photo.rgb.shape == (HEIGHT, WIDTH, 3)
    assert np.ptp(photo.rgb, axis=-1).max() == 0


def test_a_cmyk_photo_is_read_in_its_colours_and_says_that_they_are_a_guess(tmp_path: Path) -> None:
    photo = load(stored(tmp_path, "a.jpg", image().convert("CMYK"), quality=98))
    assert far(photo.rgb, scene()) < LOSSY
    assert "CMYK" in photo.notes[0]


def test_the_kind_is_told_by_the_bytes_and_not_by_the_extension(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.jpg").rename(tmp_path / "a.png")
    assert load(path).format == "jpeg"


def test_transparency_is_kept_as_alpha(tmp_path: Path) -> None:
    picture = image()
    picture.putalpha(Image.linear_gradient("L").resize((WIDTH, HEIGHT)))
    photo = load(stored(tmp_path, "a.png", picture))
    assert photo.alpha is not None
    assert photo.alpha[0, 0] < 0.02
    assert photo.alpha[-1, 0] > 0.98
    assert far(photo.rgb, scene()) < STEP


def test_an_opaque_alpha_channel_is_no_transparency(tmp_path: Path) -> None:
    assert load(stored(tmp_path, "a.png", image().convert("RGBA"))).alpha is None


def test_a_transparent_palette_entry_is_transparency(tmp_path: Path) -> None:
    picture = Image.new("P", (32, 32), 1)
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.paste(0, (0, 0, 16, 32))
    photo = load(stored(tmp_path, "a.png", picture, transparency=0))
    assert photo.alpha is not None
    assert (photo.alpha[0, 0], photo.alpha[0, 31]) == (0, 1)


# ── orientation ──────────────────────────────────────────────────────────


def turned(orientation: int) -> Image.Image:
    """Return the scene as a camera that was held in that way stores it."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    return image().transpose(undo[orientation]) if orientation in undo else image()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "deep.tif"])
def test_each_orientation_is_applied_once(tmp_path: Path, name: str, orientation: int) -> None:
    picture, path = turned(orientation), tmp_path / name
    if name == "deep.tif":
        pixels = np.asarray(picture).astype(np.uint16) * 257
        tifffile.imwrite(path, pixels, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    elif name == "a.tif":
        picture.save(path, tiffinfo={274: orientation})
    else:
        picture.save(path, exif=camera_exif(orientation=orientation), quality=98)
    photo = load(path)
    assert photo.rgb.shape == (HEIGHT, WIDTH, 3)
    assert far(photo.rgb, scene()) < 0.1


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
def test_a_result_is_upright_and_says_so(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    turned(6).save(path, exif=camera_exif(orientation=6), quality=98)
    result, _ = save(load(path), tmp_path / "out")
    facts = exiftool(result)
    assert facts.get("IFD0:Orientation", 1) == 1
    assert far(load(result).rgb, scene()) < 0.1


# ── sixteen bits ─────────────────────────────────────────────────────────


def png16(path: Path, pixels: Any, *, filters: str = "all", interlaced: bool = False) -> Path:
    """Write a 16-bit PNG by the plainest of means, with each row's filter chosen in turn."""
    height, width, channels = pixels.shape
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    passes = (
        [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
        if interlaced
        else [(0, 0, 1, 1)]
    )
    raw = b""
    for top, left, down, right in passes:
        part = pixels[top::down, left::right]
        raw += _filtered(part.astype(">u2"), filters) if part.size else b""
    head = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, int(interlaced))
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def _filtered(part: Any, filters: str) -> bytes:
    height, width, channels = part.shape
    size, out = 2 * channels, bytearray()
    above = bytes(width * size)
    for row in range(height):
        line = part[row].tobytes()
        kind = row % 5 if filters == "all" else 0
        out.append(kind)
        for at, byte in enumerate(line):
            left = line[at - size] if at >= size else 0
            corner = above[at - size] if at >= size else 0
            up = above[at]
            guess = left + up - corner
            near = min((left, up, corner), key=lambda each: abs(guess - each))
            out.append((byte - [0, left, up, (left + up) // 2, near][kind]) & 255)
        above = line
    return bytes(out)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_of_sixteen_bits_is_read_to_the_last_bit(
    tmp_path: Path, channels: int, interlaced: bool
) -> None:
    pixels = np.random.default_rng(channels).integers(0, 65536, (21, 18, channels), np.uint16)
    photo = load(png16(tmp_path / "a.png", pixels, interlaced=interlaced))
    colors = pixels[..., :3] if channels > 2 else np.repeat(pixels[..., :1], 3, axis=-1)
    assert photo.bits == 16
    assert np.array_equal(sixteen(photo.rgb), colors)
    if channels in (2, 4):
        assert photo.alpha is not None
        assert np.array_equal(sixteen(photo.alpha), pixels[..., -1])


def strip_tiff(path: Path, pixels: Any, compression: int, unpacked: Any) -> Path:
    """Write a 16-bit TIFF whose strips Pillow's libtiff packed, as bytes of a grey picture."""
    height, width, channels = pixels.shape
    raw = np.ascontiguousarray(unpacked).view(np.uint8).reshape(height, -1)
    stream = io.BytesIO()
    name = {5: "tiff_lzw", 8: "tiff_adobe_deflate", 32773: "packbits"}[compression]
    Image.fromarray(raw).save(stream, "TIFF", compression=name)
    with Image.open(stream) as grey:
        tags = grey.tag_v2  # type: ignore[attr-defined]
        strips = [stream.getvalue()[at : at + size] for at, size in zip(tags[273], tags[279], strict=True)]
        rows = tags[278]
    fields = {
        256: [width], 257: [height], 258: [16] * channels, 259: [compression], 262: [2],
        277: [channels], 278: [rows], 317: [2],
    }  # fmt: skip
    return _classic_tiff(path, fields, strips)


def _classic_tiff(path: Path, fields: dict[int, list[int]], strips: list[bytes]) -> Path:
    body, offsets = b"", []
    for strip in strips:
        offsets.append(8 + len(body))
        body += strip
    fields = {**fields, 273: offsets, 279: [len(strip) for strip in strips]}
    at = 8 + len(body)
    spare, entries = b"", b""
    end = at + 2 + 12 * len(fields) + 4
    for tag, values in sorted(fields.items()):
        packed = struct.pack(f"<{len(values)}I", *values)
        entries += struct.pack("<HHI", tag, 4, len(values))
        if len(packed) > 4:
            entries += struct.pack("<I", end + len(spare))
            spare += packed
        else:
            entries += packed
    directory = struct.pack("<H", len(fields)) + entries + bytes(4) + spare
    path.write_bytes(b"II*\0" + struct.pack("<I", at) + body + directory)
    return path


@pytest.mark.parametrize("compression", [5, 8, 32773])
def test_a_packed_tiff_of_sixteen_bits_is_read_to_the_last_bit(tmp_path: Path, compression: int) -> None:
    pixels = sixteen(scene(40, 200))
    change = pixels.copy()
    change[:, 1:] -= pixels[:, :-1]
    photo = load(strip_tiff(tmp_path / "a.tif", pixels, compression, change))
    assert photo.bits == 16
    assert np.array_equal(sixteen(photo.rgb), pixels)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"compression": "zlib"},
        {"bigtiff": True},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "rowsperstrip": 7, "byteorder": ">"},
        {"tile": (16, 32)},
        {"bigtiff": True, "tile": (32, 16), "byteorder": ">"},
    ],
)
def test_every_layout_of_a_deep_tiff_is_read_to_the_last_bit(tmp_path: Path, options: dict[str, Any]) -> None:
    pixels = sixteen(scene(70, 50))
    given = np.moveaxis(pixels, -1, 0) if "planarconfig" in options else pixels
    tifffile.imwrite(tmp_path / "a.tif", given, photometric="rgb", **options)
    photo = load(tmp_path / "a.tif")
    assert photo.bits == 16
    assert np.array_equal(sixteen(photo.rgb), pixels)


def test_a_deep_grey_tiff_with_white_at_zero_is_turned_round(tmp_path: Path) -> None:
    pixels = sixteen(scene())[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    assert np.array_equal(sixteen(load(tmp_path / "a.tif").rgb)[..., 1], 65535 - pixels)


def test_a_float_tiff_is_read_and_what_is_brighter_than_white_is_clipped_with_a_note(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", scene() * 2, photometric="rgb")
    photo = load(tmp_path / "a.tif")
    assert far(photo.rgb, np.clip(scene() * 2, 0, 1)) == 0
    assert "clipped" in photo.notes[0]


def test_a_deep_tiff_with_alpha_keeps_it(tmp_path: Path) -> None:
    pixels = np.dstack([sixteen(scene()), sixteen(scene())[..., 0]])
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    photo = load(tmp_path / "a.tif")
    assert photo.alpha is not None
    assert np.array_equal(sixteen(photo.alpha), pixels[..., 3])


def test_colours_with_alpha_multiplied_into_them_are_read_as_they_were(tmp_path: Path) -> None:
    alpha = np.full((HEIGHT, WIDTH, 1), 0.5, np.float32)
    pixels = sixteen(np.concatenate([scene() * 0.5, alpha], axis=-1))
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["assocalpha"])
    assert far(load(tmp_path / "a.tif").rgb, scene()) < 1e-4


def test_a_dng_under_another_name_is_refused(tmp_path: Path) -> None:
    tags: list[Any] = [(50706, 1, 4, (1, 4, 0, 0), True)]
    tifffile.imwrite(tmp_path / "a.tif", sixteen(scene()), photometric="rgb", extratags=tags)
    with pytest.raises(PhotoError, match="camera raw"):
        load(tmp_path / "a.tif")


@pytest.mark.parametrize("source", ["png", "tif"])
@pytest.mark.parametrize("format", [Format.PNG, Format.TIFF])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_sixteen_bits_in_are_sixteen_bits_out(
    tmp_path: Path, source: str, format: Format, with_alpha: bool
) -> None:
    pixels = sixteen(scene(33, 27))
    if with_alpha:
        pixels = np.dstack([pixels, pixels[..., 1]])
    path = tmp_path / f"a.{source}"
    if source == "png":
        png16(path, pixels)
    else:
        extra: dict[str, Any] = {"extrasamples": ["unassalpha"]} if with_alpha else {}
        tifffile.imwrite(path, pixels, photometric="rgb", **extra)
    result, _ = save(load(path), tmp_path / "out", format)
    again = load(result)
    assert again.bits == 16
    assert np.array_equal(sixteen(again.rgb), pixels[..., :3])
    bits = exiftool(result)["PNG:BitDepth" if format is Format.PNG else "IFD0:BitsPerSample"]
    assert str(bits).split()[0] == "16"
    if with_alpha:
        assert again.alpha is not None
        assert np.array_equal(sixteen(again.alpha), pixels[..., 3])


def test_other_programs_read_our_deep_files_alike(tmp_path: Path) -> None:
    pixels = sixteen(scene())
    photo = load(png16(tmp_path / "a.png", pixels))
    result, _ = save(photo, tmp_path / "out", Format.TIFF)
    with Image.open(result) as read:
        assert np.abs(np.asarray(read).astype(int) - eight(scene())).max() <= 1
    result, _ = save(photo, tmp_path / "out", Format.PNG)
    with Image.open(result) as read:
        assert np.abs(np.asarray(read).astype(int) - eight(scene())).max() <= 1


def test_jpeg_and_webp_of_a_deep_photo_have_eight_bits(tmp_path: Path) -> None:
    photo = load(png16(tmp_path / "a.png", sixteen(scene())))
    for format in (Format.JPEG, Format.WEBP):
        assert load(save(photo, tmp_path / "out", format)[0]).bits == 8


# ── colour ───────────────────────────────────────────────────────────────


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


# ── limits and broken files ──────────────────────────────────────────────


def test_a_photo_beyond_the_limit_is_refused_before_it_is_decoded_and_the_key_is_named(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bomb.png"
    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
        + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    )  # fmt: skip
    with pytest.raises(PhotoError, match=r"3,600\.0 megapixels, the limit is 200") as caught:
        load(path, max_megapixels=200)
    assert "max_megapixels" in caught.value.remedy


def test_a_deep_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = png16(tmp_path / "a.png", np.zeros((16, 16, 3), np.uint16))
    raw = bytearray(path.read_bytes())
    struct.pack_into(">II", raw, 16, 60000, 60000)
    path.write_bytes(raw)
    with pytest.raises(PhotoError, match="megapixels"):
        load(path)
    _classic_tiff(
        tmp_path / "a.tif",
        {256: [60000], 257: [60000], 258: [16, 16, 16], 259: [1], 262: [2], 277: [3], 278: [1]},
        [b"x"],
    )
    with pytest.raises(PhotoError, match="megapixels"):
        load(tmp_path / "a.tif")


def test_a_deep_png_that_unpacks_to_more_than_it_says_is_not_unpacked(tmp_path: Path) -> None:
    path = png16(tmp_path / "a.png", np.zeros((300, 64, 3), np.uint16), filters="none")
    raw = bytearray(path.read_bytes())
    struct.pack_into(">I", raw, 20, 20)
    struct.pack_into(">I", raw, 29, zlib.crc32(raw[12:29]))
    path.write_bytes(raw)
    assert load(path).rgb.shape == (20, 64, 3)


@pytest.mark.parametrize("size", [(1, 1), (15, 100), (20, 4000)])
def test_a_photo_that_is_too_small_or_a_strip_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(PhotoError, match=f"{size[0]} × {size[1]} px"):
        load(stored(tmp_path, "a.png", Image.new("RGB", size)))


def test_an_empty_file_may_still_grow(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(IncompletePhotoError, match=r"a\.jpg is empty"):
        load(tmp_path / "a.jpg")


def test_a_file_of_zeros_may_still_grow(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(bytes(5000))
    with pytest.raises(IncompletePhotoError):
        load(tmp_path / "a.jpg")


def test_what_is_no_picture_is_refused_and_will_not_grow_into_one(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("These are words, and no picture at all.")
    with pytest.raises(PhotoError, match="no picture") as caught:
        load(tmp_path / "a.jpg")
    assert not isinstance(caught.value, IncompletePhotoError)
    assert caught.value.remedy


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="no ordinary file"):
        load(tmp_path)
    with pytest.raises(PhotoError, match="not there"):
        load(tmp_path / "gone.jpg")


def test_camera_raw_is_refused_and_its_preview_not_painted(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.tif").rename(tmp_path / "a.NEF")
    with pytest.raises(PhotoError, match="camera raw"):
        load(path)


def test_a_wholly_transparent_photo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="transparent"):
        load(stored(tmp_path, "a.png", Image.new("RGBA", (32, 32), (9, 9, 9, 0))))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_floats_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    pixels = scene()
    pixels[3, 4, 1] = value
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    with pytest.raises(PhotoError, match="NaN or infinite"):
        load(tmp_path / "a.tif")


def test_a_name_with_control_characters_cannot_break_a_message(tmp_path: Path) -> None:
    with pytest.raises(PhotoError) as caught:
        load_photo(tmp_path / "none", name="a\n\x1b[31mb.jpg", max_megapixels=1)
    assert caught.value.message.isprintable()


def of_kind(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / f"a.{kind}"
    if kind == "deep.png":
        return png16(path, sixteen(scene()))
    if kind == "deep.tif":
        tifffile.imwrite(path, sixteen(scene()), photometric="rgb", compression="zlib")
        return path
    options: dict[str, Any] = {"exif": camera_exif(), "xmp": XMP} if kind in ("jpg", "webp") else {}
    return stored(tmp_path, path.name, **options)


KINDS = ["jpg", "png", "tif", "webp", "gif", "bmp", "deep.png", "deep.tif"]
if features.check("avif"):
    KINDS.append("avif")


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_cut_at_each_tenth_is_known_to_be_incomplete(tmp_path: Path, kind: str) -> None:
    path = of_kind(tmp_path, kind)
    whole = path.read_bytes()
    for tenth in range(10):
        path.write_bytes(whole[: len(whole) * tenth // 10])
        with pytest.raises(IncompletePhotoError):
            load(path)
    path.write_bytes(whole)
    load(path)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bits_give_a_picture_or_a_photo_error(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    path = tmp_path / f"whole.{kind}"
    if not path.exists():
        of_kind(tmp_path, kind).rename(path)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    broken = tmp_path / f"broken.{kind}"
    broken.write_bytes(raw)
    read_provenance(broken)
    try:
        photo = load(broken, max_megapixels=1)
    except PhotoError as error:
        assert error.remedy
    else:
        assert np.isfinite(photo.rgb).all()
        save(photo, tmp_path / "out")


def test_a_style_that_cannot_be_read_is_a_style_error(tmp_path: Path) -> None:
    (tmp_path / "monet.jpg").write_text("no picture")
    with pytest.raises(StyleError, match=r"monet\.jpg"):
        load_style(tmp_path / "monet.jpg")


def test_a_transparent_style_lies_on_white(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (32, 32), (0, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 16, 32))
    style = load_style(stored(tmp_path, "a.png", picture))
    assert (style[0, 0].tolist(), style[0, 31].tolist()) == ([1, 1, 1], [0, 0, 0])


# ── resizing ─────────────────────────────────────────────────────────────


def test_resizing_keeps_a_flat_colour_and_the_mean() -> None:
    flat = np.full((40, 60, 3), 0.3, np.float32)
    assert np.allclose(resize(flat, 17, 23), 0.3, atol=1e-6)
    assert np.abs(resize(scene(), 16, 12).mean() - scene().mean()) < 0.01


def test_resizing_never_rings_beyond_black_and_white() -> None:
    edge = np.zeros((32, 32, 3), np.float32)
    edge[:, 16:] = 1
    for size in (11, 77):
        result = resize(edge, size, size)
        assert (result.min(), result.max()) == (0, 1)


def test_resizing_smooths_what_is_finer_than_the_result() -> None:
    stripes = np.zeros((64, 64, 3), np.float32)
    stripes[:, ::2] = 1
    assert np.abs(resize(stripes, 8, 8)[2:-2, 2:-2] - 0.5).max() < 0.02


# ── writing ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.TIFF, Format.WEBP])
def test_each_format_can_be_asked_for(tmp_path: Path, format: Format) -> None:
    result, notes = save(load(stored(tmp_path, "a.png")), tmp_path / "some.dotted.name", format)
    assert result.name == f"some.dotted.name.{ {'jpeg': 'jpg', 'tiff': 'tif'}.get(format, format) }"
    assert notes == ()
    assert far(load(result).rgb, scene()) < LOSSY


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.jpg", ".jpg"), ("a.png", ".png"), ("a.tif", ".tif"), ("a.webp", ".webp")]
)
def test_same_is_the_photo_s_own_format(tmp_path: Path, name: str, suffix: str) -> None:
    result, notes = save(load(stored(tmp_path, name)), tmp_path / "out")
    assert (result.suffix, notes) == (suffix, ())


@pytest.mark.parametrize("name", ["a.gif", "a.bmp"])
def test_same_of_a_format_that_holds_no_metadata_is_png_with_a_note(tmp_path: Path, name: str) -> None:
    result, notes = save(load(stored(tmp_path, name)), tmp_path / "out")
    assert result.suffix == ".png"
    assert "PNG" in notes[0]


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_same_of_avif_is_avif(tmp_path: Path) -> None:
    result, _ = save(load(stored(tmp_path, "a.avif", quality=95)), tmp_path / "out")
    assert result.suffix == ".avif"
    assert read_provenance(result) == ABOUT


def test_a_jpeg_keeps_its_colours_at_full_resolution(tmp_path: Path) -> None:
    result, _ = save(load(stored(tmp_path, "a.png")), tmp_path / "out", Format.JPEG)
    assert exiftool(result)["File:YCbCrSubSampling"] == "1 1"


@pytest.mark.parametrize("format", [Format.SAME, Format.TIFF, Format.WEBP])
def test_alpha_comes_back_at_the_result_s_size(tmp_path: Path, format: Format) -> None:
    picture = image()
    picture.putalpha(Image.linear_gradient("L").resize((WIDTH, HEIGHT)))
    photo = load(stored(tmp_path, "a.png", picture))
    result, _ = save(photo, tmp_path / "out", format, resize(photo.rgb, 32, 24))
    again = load(result)
    assert again.alpha is not None
    assert again.alpha.shape == (24, 32)
    assert far(again.alpha, resize(photo.alpha, 32, 24)) < 0.03  # type: ignore[arg-type]


def test_a_jpeg_of_a_transparent_photo_lies_on_white_with_a_note(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 16, 32))
    result, notes = save(load(stored(tmp_path, "a.png", picture)), tmp_path / "out", Format.JPEG)
    assert "white" in notes[0]
    assert load(result).rgb[0, 31].min() > 0.95


def test_a_full_disk_is_a_condition_and_not_the_photo_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    photo = load(stored(tmp_path, "a.png"))
    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(ConditionError) as caught:
        save(photo, tmp_path / "out")
    assert caught.value.code == "disk_full"


def test_a_photo_crosses_to_another_process(tmp_path: Path) -> None:
    import pickle

    photo = load(stored(tmp_path, "a.jpg", exif=camera_exif(), xmp=XMP))
    assert pickle.loads(pickle.dumps(photo)).metadata == photo.metadata


@pytest.fixture
def heic(tmp_path: Path) -> Path:
    pytest.importorskip("pi_heif", reason="HEIC needs pi-heif")
    return tmp_path / "a.heic"


def test_heic_without_its_reader_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    (tmp_path / "a.heic").write_bytes(struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic")
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(PhotoError, match="pi-heif is not installed") as caught:
        load(tmp_path / "a.heic")
    assert "pip install" in caught.value.remedy


def test_a_broken_heic_is_a_photo_error(heic: Path) -> None:
    heic.write_bytes(struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + bytes(200))
    with pytest.raises(PhotoError):
        load(heic)
