"""Every format, mode, profile and orientation through the engine; exiftool is the referee.

What is asked of each result: upright, the right size, the same profile, depth, alpha and tags.
"""

import functools
import itertools
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from pictures import (
    ADOBE_RGB,
    DISPLAY_P3,
    PROPHOTO,
    SRGB,
    XMP,
    camera_exif,
    eight,
    grey_profile,
    iptc_app13,
    matrix_profile,
    png16,
    referee,
    scene,
    sixteen,
)
from PIL import Image, PngImagePlugin

from nst_daemon.engine.settings import EngineSettings
from nst_daemon.engine.studio import Studio
from nst_daemon.images import load_photo
from nst_daemon.recipe import Order, Painting, Style, resolve

WIDTH, HEIGHT = 24, 16  # px, upright
ORIENTATIONS = range(1, 9)
PROFILES = {
    "none": None,
    "srgb": matrix_profile(SRGB),
    "adobe": matrix_profile(ADOBE_RGB, 2.2),
    "p3": matrix_profile(DISPLAY_P3),
    "prophoto": matrix_profile(PROPHOTO, 1.8),
}
GREYS = {"none": None, "grey": grey_profile(2.2)}
MODES = {
    "jpg": ("RGB", "L", "CMYK"),
    "png": ("RGB", "RGBA", "L", "LA", "P", "RGB16", "RGBA16", "L16"),
    "tif": ("RGB", "RGBA", "L", "CMYK", "RGB16", "RGBA16", "L16"),
    "webp": ("RGB", "RGBA"),
    "avif": ("RGB", "RGBA"),
}
KEPT = {
    "IFD0:Make": "Fujica",
    "IFD0:Artist": "Ada Ansel",
    "IFD0:Copyright": "(c) Ada",
    "ExifIFD:DateTimeOriginal": "2024:05:06 07:08:09",
    "XMP-xmp:Rating": 4,
    "XMP-dc:Title": "The tower & the river",
}


@dataclass(frozen=True)
class Case:
    suffix: str
    mode: str
    profile: str
    orientation: int

    @property
    def name(self) -> str:
        return f"{self.mode}-{self.profile}-{self.orientation}.{self.suffix}"

    @property
    def is_grey(self) -> bool:
        return self.mode in ("L", "LA", "L16")

    @property
    def has_alpha(self) -> bool:
        return self.mode in ("RGBA", "LA", "RGBA16")

    @property
    def icc(self) -> bytes | None:
        return (GREYS if self.is_grey else PROFILES)[self.profile]

    @property
    def has_metadata(self) -> bool:
        """Whether this test can write any: the plain writers of deep pictures here cannot."""
        return not self.mode.endswith("16")


def cases(*, orientations: Any = ORIENTATIONS) -> Iterator[Case]:
    for suffix, modes in MODES.items():
        for mode in modes:
            profiles: Any = GREYS if mode in ("L", "LA", "L16") else PROFILES
            if mode in ("CMYK", "P"):
                profiles = ("none",)
            if mode.endswith("16"):
                profiles = ("none",) if suffix == "png" else profiles
            for profile, orientation in itertools.product(profiles, orientations):
                if mode.endswith("16") and orientation > 1 and suffix == "png":
                    continue
                yield Case(suffix, mode, profile, orientation)


@functools.cache
def _lying(orientation: int) -> Any:
    """Return the scene as a camera stores it that is held as `orientation` says."""
    turns = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: p.swapaxes(0, 1)[::-1],
        7: lambda p: p.swapaxes(0, 1)[::-1, ::-1],
        8: lambda p: p.swapaxes(0, 1)[:, ::-1],
    }
    rgba = np.dstack([scene(WIDTH, HEIGHT), np.linspace(0.2, 1, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)])
    return np.ascontiguousarray(turns[orientation](rgba.astype(np.float32)))


def write(case: Case, path: Path) -> Path:
    rgba = _lying(case.orientation)
    if case.mode.endswith("16"):
        return _write_deep(case, path, rgba)
    picture = Image.fromarray(eight(rgba)).convert("RGBA" if case.has_alpha else "RGB")
    picture = picture.quantize(200) if case.mode == "P" else picture.convert(case.mode)
    options: dict[str, Any] = {"exif": camera_exif(orientation=case.orientation), "icc_profile": case.icc}
    if case.suffix == "png":
        about = PngImagePlugin.PngInfo()
        about.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options["pnginfo"] = about
    elif case.suffix == "tif":
        tags = Image.Exif()
        tags.load(camera_exif(orientation=case.orientation, with_thumbnail=False))
        tags[700] = XMP
        options["exif"] = tags
    else:
        options["xmp"] = XMP
    if case.suffix == "jpg":
        options |= {"extra": iptc_app13("river"), "quality": 98}
    if case.suffix == "webp":
        options |= {"lossless": True, "exact": True}
    picture.save(path, **{key: value for key, value in options.items() if value is not None})
    return path


def _write_deep(case: Case, path: Path, rgba: Any) -> Path:
    channels = {"L16": slice(0, 1), "RGB16": slice(0, 3), "RGBA16": slice(0, 4)}[case.mode]
    pixels = sixteen(rgba[..., channels])
    if case.suffix == "png":
        return png16(path, pixels)
    tags = [(274, "H", 1, case.orientation, True)]
    if case.icc:
        tags.append((34675, "B", len(case.icc), case.icc, True))  # type: ignore[arg-type]
    tifffile.imwrite(
        path,
        pixels[..., 0] if case.is_grey else pixels,
        photometric="minisblack" if case.is_grey else "rgb",
        extrasamples=["unassalpha"] if case.has_alpha else None,
        extratags=tags,
        metadata=None,
        compression="zlib",
    )
    return path


# ── the results ──────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Result:
    case: Case
    painting: Painting
    facts: dict[str, Any]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    folder = tmp_path_factory.mktemp("matrix")
    studio = Studio(EngineSettings(device="cpu", cache_dir=folder / "cache"))
    stripes = np.tile(np.array([[[0.9, 0.2, 0.1]], [[0.1, 0.3, 0.8]]], np.float32), (16, 32, 1))
    Image.fromarray(eight(stripes)).save(folder / "style.png")
    style = Style(name="stripes", path=folder / "style.png", sha256="stripes")
    # One block of VGG19 is enough: what is asked here are the ways in and out.
    layers = {"content_layers": (), "style_layers": ("relu1_1",), "pyramid": 0, "steps": 1, "averaging": 0}
    layers |= {"start_colors": "photo"}  # else a step leaves little of the scene
    made: list[tuple[Case, Painting]] = []
    for number, case in enumerate(cases()):
        photo = write(case, folder / case.name)
        order = Order(
            job=number,
            photo=photo,
            photo_name=photo.name,
            styles=(style,),
            recipe=resolve({"size": "original", **layers}),
            result=folder / f"out-{number}",
        )
        made.append((case, studio.fulfil(order, lambda _: None, lambda: False)))
    after = referee(*(painting.picture for _, painting in made))
    return [Result(case, painting, facts) for (case, painting), facts in zip(made, after, strict=True)]


def _wrong(results: list[Result], expected: Any, found: Any) -> list[str]:
    return [
        f"{each.case.name}: {found(each)!r}, not {expected(each)!r}"
        for each in results
        if found(each) != expected(each)
    ]


def test_the_matrix_is_as_large_as_it_says() -> None:
    assert len(list(cases())) > 350
    assert len({case.suffix for case in cases()}) == 5


def test_every_result_is_of_its_photos_format_and_upright(results: list[Result]) -> None:
    assert not _wrong(results, lambda r: f".{r.case.suffix}", lambda r: r.painting.picture.suffix)
    assert not _wrong(
        results,
        lambda r: (WIDTH, HEIGHT),
        lambda r: (
            (r.facts["File:ImageWidth"], r.facts["File:ImageHeight"])
            if "File:ImageWidth" in r.facts
            else (r.painting.width, r.painting.height)
        ),
    )
    assert not _wrong(
        [r for r in results if r.case.has_metadata or r.case.suffix == "tif"],
        lambda r: 1,
        lambda r: r.facts.get("IFD0:Orientation", r.facts.get("File:Orientation", 1)),
    )


def test_every_result_shows_the_scene_the_right_way_round(results: list[Result]) -> None:
    """As the same photo lying straight does: what a step of painting changes, it changes in both."""
    upright: dict[tuple[str, str, str], Any] = {}
    for each in results:
        case = each.case
        shown = load_photo(each.painting.picture, name="x", max_megapixels=1).rgb.mean(-1)
        straight = upright.setdefault((case.suffix, case.mode, case.profile), shown)
        assert shown.shape == (HEIGHT, WIDTH), case.name
        near = np.abs(shown - straight).mean()
        for turned in (straight[::-1], straight[:, ::-1], straight[::-1, ::-1]):
            assert near < 0.3 * np.abs(shown - turned).mean(), case.name


def test_the_tags_that_must_survive_are_equal(results: list[Result]) -> None:
    told = [each for each in results if each.case.has_metadata]
    assert len(told) > 300
    for tag, value in KEPT.items():
        assert not _wrong(told, lambda r, tag=tag, value=value: value, lambda r, tag=tag: r.facts.get(tag))
    for tag, place in (("GPS:GPSLatitude", 48.52), ("GPS:GPSLongitude", 9.05667)):
        assert all(each.facts[tag] == pytest.approx(place, abs=1e-4) for each in told)
    jpegs = [each for each in told if each.case.suffix == "jpg"]
    assert not _wrong(jpegs, lambda r: "river", lambda r: r.facts.get("IPTC:Keywords"))


def test_every_result_says_how_it_was_made_and_no_file_is_broken(results: list[Result]) -> None:
    names = [[name for name in each.facts if name.endswith(":JobKey")] for each in results]
    assert all(names)
    warned = [
        (each.case.name, text)
        for each in results
        for name, text in each.facts.items()
        if name.endswith((":Warning", ":Error"))
        # Deflate is Adobe's addition to TIFF; every reader knows it, and the referee calls it invalid.
        and "Compression" not in str(text)
        and "MakerNote" not in str(text)  # the photo's own are made up
    ]
    assert not warned


def test_every_result_has_its_photos_profile_depth_and_alpha(results: list[Result]) -> None:
    for each in results:
        photo = load_photo(each.painting.picture, name="x", max_megapixels=1)
        case = each.case
        expected = None if case.is_grey else case.icc
        assert photo.metadata.icc == expected, case.name
        is_deep = case.mode.endswith("16")
        assert photo.bits == (16 if is_deep else 8), case.name
        assert (photo.alpha is not None) is case.has_alpha, case.name
        if photo.alpha is not None:
            assert photo.alpha.shape == (HEIGHT, WIDTH), case.name
            ramp = np.linspace(0.2, 1, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)
            loss = 0.05 if case.suffix == "avif" else 1.01 / (65535 if is_deep else 255)
            assert np.abs(photo.alpha - ramp).max() < loss, case.name


# ── colour ───────────────────────────────────────────────────────────────


def _ciede2000(one: Any, other: Any) -> Any:
    """Return ΔE2000 of CIE Lab. Source: Sharma, Wu and Dalal 2005, eq. 2 to 22."""
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(one, -1, 0), np.moveaxis(other, -1, 0)
    mean_chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(mean_chroma**7 / (mean_chroma**7 + 25.0**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    turn = (h2 - h1 + 180) % 360 - 180
    turn = np.where(c1 * c2 == 0, 0, turn)
    hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    mean = np.where(c1 * c2 == 0, h1 + h2, (h1 + turn / 2) % 360)
    t = (
        1
        - 0.17 * np.cos(np.radians(mean - 30))
        + 0.24 * np.cos(np.radians(2 * mean))
        + 0.32 * np.cos(np.radians(3 * mean + 6))
        - 0.20 * np.cos(np.radians(4 * mean - 63))
    )
    sl = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)
    sc, sh = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t
    rotation = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    rotation = rotation * np.sin(np.radians(60 * np.exp(-(((mean - 275) / 25) ** 2))))
    parts = (l2 - l1) / sl, (c2 - c1) / sc, hue / sh
    return np.sqrt(sum(part**2 for part in parts) + rotation * parts[1] * parts[2])


def _lab(encoded: Any, columns: Any, gamma: float) -> Any:
    """Return CIE Lab of D50 by a profile's own colorants."""
    xyz = (encoded**gamma) @ np.asarray(columns) / np.array([0.9642, 1.0, 0.8249])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def test_the_measure_of_colour_is_the_published_one() -> None:
    pairs = np.array(
        [
            [[50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485]],
            [[50.0, 2.5, 0.0], [73.0, 25.0, -18.0]],
            [[60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387]],
            [[2.0776, 0.0795, -1.1350], [0.9033, -0.0636, -0.5514]],
        ]
    )
    found = _ciede2000(pairs[:, 0], pairs[:, 1])
    assert found == pytest.approx([2.0425, 27.1492, 1.2644, 0.9082], abs=1e-4)


@pytest.mark.parametrize(
    ("columns", "gamma"), [(ADOBE_RGB, 2.19921875), (DISPLAY_P3, 2.19921875), (PROPHOTO, 1.80078125)]
)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_colours_within_srgb_come_back_within_one_delta_e(
    tmp_path: Path, columns: Any, gamma: float, suffix: str
) -> None:
    """What sRGB can show of a wide-gamut picture goes in and out unpainted with ΔE2000 below 1."""
    profile = matrix_profile(columns, gamma)
    to_profile = np.linalg.inv(np.asarray(columns))
    steps = np.linspace(0.04, 0.96, 8)
    patches = np.array(list(itertools.product(steps, steps, steps))).reshape(16, 32, 3)
    linear = np.where(patches <= 0.04045, patches / 12.92, ((patches + 0.055) / 1.055) ** 2.4)
    encoded = np.clip(linear @ np.asarray(SRGB) @ to_profile, 0, 1) ** (1 / gamma)
    stored = sixteen(encoded.astype(np.float32))
    path = tmp_path / f"wide.{suffix}"
    if suffix == "tif":
        tags: list[Any] = [(34675, "B", len(profile), profile, True)]
        tifffile.imwrite(path, stored, photometric="rgb", extratags=tags)
    else:
        stored = (eight(encoded.astype(np.float32)) * np.uint16(257)).astype(np.uint16)
        Image.fromarray((stored // 257).astype(np.uint8)).save(path, icc_profile=profile)
    order = Order(
        job=1,
        photo=path,
        photo_name=path.name,
        styles=(),
        recipe=resolve({"size": "original", "strength": 0}),
        result=tmp_path / "out",
    )
    studio = Studio.__new__(Studio)  # strength 0 needs no network
    studio.settings = EngineSettings(device="cpu", cache_dir=tmp_path)
    studio.device = torch.device("cpu")
    painting = studio.fulfil(order, lambda _: None, lambda: False)
    if suffix == "tif":
        back = tifffile.imread(painting.picture) / 65535
    else:
        with Image.open(painting.picture) as image:
            back = np.asarray(image) / 255
            assert image.info["icc_profile"] == profile
    difference = _ciede2000(_lab(stored / 65535, columns, gamma), _lab(back, columns, gamma))
    assert difference.max() < (0.05 if suffix == "tif" else 1.0)


def test_heic_by_libheif(tmp_path: Path) -> None:
    program = shutil.which("heif-enc")
    if program is None:
        pytest.skip("heif-enc, which writes HEIC, is not installed")
    picture = Image.fromarray(eight(scene(64, 48)))
    profile = matrix_profile(DISPLAY_P3)
    picture.save(tmp_path / "a.png", icc_profile=profile)
    run = subprocess.run(
        [program, "-q", "95", "-o", tmp_path / "a.heic", tmp_path / "a.png"], capture_output=True, check=False
    )
    if run.returncode:
        pytest.skip(f"heif-enc cannot: {run.stderr[-200:]!r}")
    photo = load_photo(tmp_path / "a.heic", name="a.heic", max_megapixels=1)
    assert (photo.width, photo.height, photo.format) == (64, 48, "heic")
    assert photo.metadata.icc == profile
