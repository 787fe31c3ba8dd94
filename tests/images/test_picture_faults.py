"""A sick disk is never told as a sick photo: what cannot be read now is neither gone nor broken."""

import builtins
import errno
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, features
from support.faults import Faults
from support.heic import write_heic
from support.pictures import ABOUT, image, load, png16, scene, sixteen, stored

from nst_daemon.config.recipe import Format
from nst_daemon.errors import ConditionError, FileConditionError, IncompletePhotoError, PhotoError, Trouble
from nst_daemon.folders.sidecars import xmp_beside
from nst_daemon.images.labels import read_keywords, read_provenance
from nst_daemon.images.limits import MAX_BYTES
from nst_daemon.images.loading import load_mask, load_photo, load_style
from nst_daemon.images.saving import save_result
from nst_daemon.intake.inspection import Readable
from nst_daemon.intake.reading import read_photo

KINDS = ["a.jpg", "a.mpo", "a.png", "deep.png", "a.tif", "deep.tif", "lzw.tif", "a.webp", "a.gif", "a.bmp"]
ERRORS = [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENODEV, errno.EACCES, errno.EINTR, errno.ENOMEM]
if features.check("avif"):
    KINDS.append("a.avif")


def photo_of(folder: Path, name: str) -> Path:
    match name:
        case "deep.png":
            return png16(folder / name, sixteen(scene()))
        case "deep.tif":
            tifffile.imwrite(folder / name, sixteen(scene()), photometric="rgb", compression="zlib")
            return folder / name
        case "lzw.tif":
            return stored(folder, name, compression="tiff_lzw")
    return stored(folder, name)


@pytest.mark.parametrize("call", ["open", "read", "stat"])
@pytest.mark.parametrize("name", KINDS)
def test_one_call_that_fails_is_a_condition_whatever_the_format(
    tmp_path: Path, faults: Faults, name: str, call: str
) -> None:
    path = photo_of(tmp_path, name)
    for number in ERRORS:
        faults.heal()
        faults.fail(call, number, at=path)
        with pytest.raises(ConditionError) as caught:
            load(path)
        assert isinstance(caught.value, FileConditionError)
        assert caught.value.path == path
    faults.heal()
    assert load(path).width


def test_a_heic_is_read_through_the_same_door(tmp_path: Path, faults: Faults) -> None:
    image().save(tmp_path / "a.png")
    path = write_heic(tmp_path / "a.png", tmp_path / "a.heic")
    faults.fail("read", errno.EIO, at=path)
    with pytest.raises(ConditionError):
        load(path)
    assert load(path).format == "heic"


def test_a_camera_raw_photo_is_read_through_the_same_door(tmp_path: Path, faults: Faults) -> None:
    path = photo_of(tmp_path, "a.tif").rename(tmp_path / "a.nef")
    faults.fail("read", errno.EIO, at=path)
    with pytest.raises(ConditionError):
        load(path)


def test_a_later_read_that_fails_is_a_condition_too(tmp_path: Path, faults: Faults) -> None:
    path = tmp_path / "a.bmp"
    Image.fromarray(np.full((3000, 2000, 3), 90, np.uint8)).save(path)
    faults.fail("read", errno.EIO, at=path, first=2)
    with pytest.raises(ConditionError):
        load(path)
    assert faults.struck == 1


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_masks_styles_keywords_and_provenance_say_so_as_well(
    tmp_path: Path, faults: Faults, number: int
) -> None:
    path = photo_of(tmp_path, "a.png")
    faults.fail_for_ever("read", number=number, at=path)
    for read in (
        lambda: load_mask(path, name="a", max_megapixels=1),
        lambda: load_style(path, name="a", max_megapixels=1),
        lambda: read_keywords(path),
        lambda: read_provenance(path),
        lambda: read_photo(path, 1),
    ):
        with pytest.raises(ConditionError):
            read()


def test_an_editor_s_sidecar_that_cannot_be_read_leaves_its_keywords_open(
    tmp_path: Path, faults: Faults
) -> None:
    path = photo_of(tmp_path, "a.jpg")
    sidecar = tmp_path / "a.jpg.xmp"
    sidecar.write_bytes(b"<x/>")
    faults.fail("read", errno.EIO, at=sidecar)
    with pytest.raises(ConditionError):
        read_photo(path, 1)
    faults.fail("scandir", errno.ESTALE, at=tmp_path)
    with pytest.raises(ConditionError):
        xmp_beside(path)
    assert read_keywords(path, sidecars=xmp_beside(path)) == ()


def test_a_right_that_is_missing_is_said_as_such(tmp_path: Path, faults: Faults) -> None:
    path = photo_of(tmp_path, "a.jpg")
    faults.fail("open", errno.EACCES, at=path)
    with pytest.raises(FileConditionError) as caught:
        load(path)
    assert caught.value.trouble is Trouble.UNREADABLE


def test_no_file_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FUSE with direct_io refuses it, and an error of the disk below a map ends the process."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr("mmap.mmap", refuse)
    for name in ("a.tif", "deep.tif", "lzw.tif"):
        path = photo_of(tmp_path, name)
        assert load(path).format == "tiff"
        assert read_keywords(path) == ()


def test_a_photo_that_is_gone_is_not_refused(tmp_path: Path) -> None:
    with pytest.raises(IncompletePhotoError, match="not there"):
        load(tmp_path / "gone.jpg")


@pytest.mark.parametrize("where", ["reading", "decoding", "finishing"])
def test_memory_that_is_short_is_no_word_about_the_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    path = photo_of(tmp_path, "a.jpg")

    def short(*_: object, **__: object) -> None:
        raise MemoryError

    place = {
        "reading": "nst_daemon.disk.read_bytes",
        "decoding": "PIL.ImageFile.ImageFile.load",
        "finishing": "nst_daemon.images.profiles.to_srgb",
    }[where]
    monkeypatch.setattr(place, short)
    with pytest.raises(FileConditionError, match="at the moment") as caught:
        load(path)
    assert caught.value.trouble is Trouble.BUSY
    if where == "reading":
        with pytest.raises(ConditionError):
            read_keywords(path)


def test_what_reads_well_and_is_no_picture_is_refused_by_its_name(tmp_path: Path) -> None:
    for name, head, word in (
        ("a.jxl", b"\xff\x0a" + bytes(range(100)), "JPEG XL"),
        ("b.psd", b"8BPS\0\1" + bytes(range(1, 100)), "Photoshop"),
        ("c.jp2", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(range(1, 100)), "JPEG 2000"),
        ("d.jpg", b"These are words" * 9, "no picture"),
    ):
        (tmp_path / name).write_bytes(head)
        with pytest.raises(PhotoError, match=word) as caught:
            load(tmp_path / name)
        assert "Export it as JPEG" in caught.value.remedy


def test_a_file_beyond_all_limits_is_not_read(tmp_path: Path, faults: Faults) -> None:
    path = tmp_path / "a.tif"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(PhotoError, match="the limit is"):
        load(path)
    assert ("read", path) not in faults.made


@pytest.mark.parametrize(
    ("call", "number", "code"),
    [
        ("open", errno.EROFS, "read_only"),
        ("write", errno.ENOSPC, "disk_full"),
        ("write", errno.EIO, "folder_unreachable"),
        ("fsync", errno.EIO, "folder_unreachable"),
    ],
)
def test_a_result_that_cannot_be_written_is_a_condition(
    tmp_path: Path, faults: Faults, call: str, number: int, code: str
) -> None:
    photo = load(photo_of(tmp_path, "a.jpg"))

    def save() -> Path:
        return save_result(
            photo.rgb, tmp_path / "out", photo=photo, format=Format.SAME, quality=90, provenance=ABOUT
        )[0]

    faults.fail(call, number, at=tmp_path / "out.jpg")
    with pytest.raises(ConditionError) as caught:
        save()
    assert caught.value.code == code
    result = save()
    with Image.open(io.BytesIO(result.read_bytes())) as again:
        assert again.size == (photo.width, photo.height)


def test_a_folder_and_a_pipe_are_no_photos(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="no ordinary file"):
        load_photo(tmp_path, name="a", max_megapixels=1)


def test_a_decoder_that_the_system_cannot_load_is_no_word_about_the_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image().save(tmp_path / "a.png")
    path = write_heic(tmp_path / "a.png", tmp_path / "a.heic")
    real = builtins.__import__

    def load_no_library(name: str, *rest: Any) -> Any:
        if name in ("pi_heif", "rawpy"):
            raise ImportError(f"{name}.so: cannot open shared object file: Too many open files")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", load_no_library)
    with pytest.raises(ConditionError, match="Too many open files"):
        load(path)
    with pytest.raises(ConditionError, match="rawpy"):
        load(photo_of(tmp_path, "a.tif").rename(tmp_path / "a.nef"))


def test_memory_that_a_codec_lacks_is_known_by_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: object) -> None:
        raise OSError("out of memory error when reading image file")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", short)
    with pytest.raises(ConditionError, match="at the moment"):
        load(photo_of(tmp_path, "a.bmp"))


def test_a_photo_is_read_once(tmp_path: Path, faults: Faults) -> None:
    path = photo_of(tmp_path, "a.jpg")
    answer = read_photo(path, 1)
    assert isinstance(answer, Readable)
    assert [call for call, place in faults.made if place == path].count(
        "read"
    ) <= 3  # to its end, and once more
