"""Keywords in files that exiftool and darktable wrote themselves."""

import shutil
import subprocess
from pathlib import Path

import pytest
from support.pictures import editor, stored

from nst_daemon.config.blends import asked_by
from nst_daemon.folders.sidecars import xmp_beside
from nst_daemon.images.labels import read_keywords


def tagged(path: Path, *tags: str) -> Path:
    words = [editor(), "-q", "-overwrite_original", "-codedcharacterset=utf8", *tags, str(path)]
    subprocess.run(words, check=True)
    return path


def styles_of(path: Path) -> tuple[str, ...]:
    return tuple(levels[0] for levels in asked_by(read_keywords(path, sidecars=xmp_beside(path)))[0])


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "a.avif"])
@pytest.mark.parametrize(
    ("tag", "style"),
    [
        ("-XMP-lr:HierarchicalSubject=nst|starry_night", "starry_night"),
        ("-XMP-digiKam:TagsList=nst/starry_night", "starry_night"),
        ("-XMP-dc:Subject=nst:starry night", "starry night"),
        ("-XMP-dc:Subject=style:großes_meer", "großes_meer"),
    ],
)
def test_exiftools_keywords_are_read_in_every_format(tmp_path: Path, name: str, tag: str, style: str) -> None:
    assert styles_of(tagged(stored(tmp_path, name), "-XMP-dc:Subject=river", tag)) == (style,)


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_exiftools_iptc_keywords_are_read(tmp_path: Path, name: str) -> None:
    path = tagged(stored(tmp_path, name), "-IPTC:Keywords=river", "-IPTC:Keywords=style:großes_meer")
    assert styles_of(path) == ("großes_meer",)


def test_exiftools_sidecar_speaks_before_the_photo(tmp_path: Path) -> None:
    path = tagged(stored(tmp_path, "a.jpg"), "-XMP-lr:HierarchicalSubject=nst|inside")
    sidecar = tmp_path / "a.jpg.xmp"
    words = ["-XMP-lr:HierarchicalSubject=nst|beside", "-XMP-dc:Subject=nst:size=2048"]
    subprocess.run([editor(), "-q", *words, str(sidecar)], check=True)
    assert asked_by(read_keywords(path, sidecars=xmp_beside(path))) == ((("beside",),), ("size=2048",))


def test_two_styles_of_a_bag_are_two_styles(tmp_path: Path) -> None:
    bag = [f"-XMP-lr:HierarchicalSubject={word}" for word in ("nst|one", "places|sea", "nst|two")]
    assert styles_of(tagged(stored(tmp_path, "a.jpg"), *bag)) == ("one", "two")


@pytest.mark.slow  # and a large program, which .ci/run does not install
@pytest.mark.parametrize(
    ("tag", "styles"),
    [
        ("-XMP-dc:Subject=nst:starry_night", ("starry_night",)),
        # By default darktable exports `nst|starry_night` as two bare words, which never count.
        ("-XMP-lr:HierarchicalSubject=nst|starry_night", ()),
    ],
)
def test_a_photo_that_darktable_exported(tmp_path: Path, tag: str, styles: tuple[str, ...]) -> None:
    program = shutil.which("darktable-cli")
    if program is None:
        pytest.skip("darktable-cli is not installed")
    path = tagged(stored(tmp_path, "a.jpg"), tag)
    target = tmp_path / "out.jpg"
    core = ["--core", "--configdir", str(tmp_path / "dt"), "--library", ":memory:", "--disable-opencl"]
    subprocess.run([program, str(path), str(target), *core], check=True, capture_output=True, timeout=100)
    assert styles_of(target) == styles
    assert "starry_night" in "".join(read_keywords(target))
