"""A corpus of hostile files through intake, reader, ledger, worker and the engine's own process.

Each ends as a painting, or as a clear error with its original, to the byte, in `failed/`.
"""

import functools
import io
import itertools
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.clock import FakeClock
from support.desk import easel_with
from support.heic import write_heic
from support.pictures import XMP, camera_exif, eight, scene
from support.place import SCREAM, STARRY, Place

from nst_daemon.engine.process import EngineProcess
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.intake.readers import Readers
from nst_daemon.ledger.jobs import Job, JobState
from nst_daemon.painting.disposal import Disposal
from nst_daemon.painting.worker import Worker

Cache = Callable[[Path], Path]
SMALL = {
    "size": 32,
    "steps": 1,
    "pyramid": 0,
    "averaging": 0,
    "content_layers": (),
    "style_layers": ("relu1_1",),
}
LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">'
    + b"".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">'.encode() for i in range(9))
    + b"]><x:xmpmeta xmlns:x='adobe:ns:meta/'>&j;</x:xmpmeta>"
)
NAMES = (
    "new\nline.jpg",
    "carriage\rreturn.jpg",
    "quo'te\".jpg",
    "bell\x07\x1b[31m.jpg",
    "$(touch x); `y`.jpg",
    "-rf.jpg",
    "100%s%n.jpg",
    "naïve — 猫 🐈.jpg",
    "n" * 251 + ".jpg",
    "é" * 125 + ".jpg",
    "dots...and spaces  .jpg",
    "CON.jpg",
    "back\\slash.jpg",
    "latin-\udce9.jpg",  # a byte that is no UTF-8
)


def encoded(kind: str, seed: int, **options: Any) -> bytes:
    """Return a small good picture, another one for each seed."""
    stream = io.BytesIO()
    Image.fromarray(np.roll(eight(scene(48, 32)), seed, axis=1)).save(stream, kind, **options)
    return stream.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_of(width: int, height: int, rows: bytes) -> bytes:
    """Return a PNG of one bit a pixel, with whatever lies in its rows."""
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows, 1)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def float_tiff(value: float) -> bytes:
    pixels = scene(48, 32).copy()
    pixels[3, 4] = value
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, photometric="rgb")
    return stream.getvalue()


def looping_tiff() -> bytes:
    """Return a TIFF whose directory is its own follower and names a strip far outside."""
    tags = {256: 48, 257: 32, 258: 8, 259: 1, 262: 1, 273: 0xFFFFFF00, 278: 32, 279: 0xFFFF}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 8)


def resized(kind: str, place: int, form: str, *sides: int) -> bytes:
    """Return a small picture that says at a place of its file that it has other sides."""
    content = bytearray(encoded(kind, 1))
    struct.pack_into(form, content, place, *sides)
    return bytes(content)


def stuffed(name: bytes, head: bytes) -> bytes:
    """Return a small PNG with a chunk that unpacks to 64 MB of zeros."""
    whole = encoded("PNG", 3)
    return whole[:33] + chunk(name, head + zlib.compress(bytes(64 << 20), 9)) + whole[33:]


def scans() -> bytes:
    """Return a JPEG that repeats its last scan two thousand times."""
    whole = encoded("JPEG", 8, progressive=True)
    at = whole.rindex(b"\xff\xda")
    return whole[:at] + whole[at:-2] * 2000 + whole[-2:]


@functools.cache
def heic() -> bytes:
    """Return a small HEIC; empty where libheif's program is not installed."""
    if shutil.which("heif-enc") is None:
        return b""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.png").write_bytes(encoded("PNG", 9))
        return write_heic(Path(folder) / "a.png", Path(folder) / "a.heic").read_bytes()


def good() -> Iterator[tuple[str, bytes]]:
    """Yield a good file of each kind, to be spoilt."""
    for kind in ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "GIF", "BMP"):
        yield kind.lower().replace("jpeg", "jpg"), encoded(kind, 1)
    yield "mpo", encoded("MPO", 1, save_all=True, append_images=[Image.new("RGB", (48, 32))])
    stream = io.BytesIO()
    tifffile.imwrite(stream, (scene(48, 32) * 65535).astype(np.uint16), photometric="rgb", compression="zlib")
    yield "tiff", stream.getvalue()
    if heic():
        yield "heic", heic()


def transparent() -> bytes:
    stream = io.BytesIO()
    Image.new("RGBA", (48, 32), (200, 10, 10, 0)).save(stream, "PNG")
    return stream.getvalue()


def truncated() -> Iterator[tuple[str, bytes]]:
    for (number, (suffix, whole)), tenth in itertools.product(enumerate(good()), range(1, 10)):
        yield f"cut-{number}-{tenth}.{suffix}", whole[: len(whole) * tenth // 10]


def flipped() -> Iterator[tuple[str, bytes]]:
    random = np.random.default_rng(7)
    for (number, (suffix, whole)), turn in itertools.product(enumerate(good()), range(5)):
        content = bytearray(whole)
        for place in random.integers(0, len(content), 4):
            content[place] ^= 1 << int(random.integers(0, 8))
        yield f"flipped-{number}-{turn}.{suffix}", bytes(content)


def odd() -> Iterator[tuple[str, bytes]]:
    yield "empty.jpg", b""
    yield "zeros.jpg", bytes(5000)
    yield "text.jpg", b"I am no picture, but I say that I am one.\n" * 5
    yield "script.png", b"#!/bin/sh\nrm -rf /\n"
    yield "png-by-another-name.jpg", encoded("PNG", 30)
    yield "jpeg-by-another-name.tif", encoded("JPEG", 31)
    yield "one-pixel.png", png_of(1, 1, b"\0\0")
    yield "line.png", png_of(30_000, 1, bytes(3751))
    yield "column.png", png_of(1, 30_000, bytes(60_000))
    yield "huge.png", png_of(20_000, 20_000, bytes(20_000 * 2_501))
    yield "bomb.png", png_of(60_000, 60_000, bytes(1000))
    yield "says-more.png", png_of(64, 64, b"\0")
    yield "holds-more.png", png_of(48, 32, bytes(20_000_000))
    yield "bomb.gif", resized("GIF", 6, "<HH", 65_000, 65_000)
    yield "bomb.bmp", resized("BMP", 18, "<ii", 60_000, 60_000)
    yield "negative.bmp", resized("BMP", 18, "<ii", -48, 32)
    yield "bomb.jpg", resized("JPEG", encoded("JPEG", 1).index(b"\xff\xc0") + 5, ">HH", 65_500, 65_500)
    yield "scans.jpg", scans()
    yield "profile-bomb.png", stuffed(b"iCCP", b"x\0\0")
    yield "text-bomb.png", stuffed(b"zTXt", b"x\0\0")
    yield "xmp-bomb.png", stuffed(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0")
    yield "nan.tif", float_tiff(float("nan"))
    yield "infinite.tif", float_tiff(float("inf"))
    yield "loop.tif", looping_tiff()
    yield "invisible.png", transparent()
    yield "broken-exif.jpg", encoded("JPEG", 32, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f" + bytes(40))
    whole = camera_exif()
    yield "cut-exif.jpg", encoded("JPEG", 33, exif=whole[: len(whole) // 2])
    yield "laughs.jpg", encoded("JPEG", 34, xmp=LAUGHS)
    yield "broken-xmp.jpg", encoded("JPEG", 35, xmp=XMP[: len(XMP) // 2])
    yield "not-a-profile.jpg", encoded("JPEG", 36, icc_profile=b"profile" * 50)
    yield "no-raw.dng", encoded("TIFF", 37)


def named() -> Iterator[tuple[str, bytes]]:
    for number, name in enumerate(NAMES):
        yield name, encoded("JPEG", 20, quality=60 + number)


CORPUS = {"truncated": truncated, "flipped": flipped, "odd": odd, "named": named}
PAINTED = {  # whatever is wrong with these leaves a picture
    "png-by-another-name.jpg",
    "jpeg-by-another-name.tif",
    "broken-exif.jpg",
    "cut-exif.jpg",
    "laughs.jpg",
    "broken-xmp.jpg",
    "not-a-profile.jpg",
    "holds-more.png",
    "scans.jpg",
    "profile-bomb.png",
    "text-bomb.png",
    "xmp-bomb.png",
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, cache: Cache) -> Iterator[EngineProcess]:
    folder = cache(tmp_path_factory.mktemp("cache"))
    engine = EngineProcess(EngineSettings(device="cpu", cache_dir=folder))
    engine.warm_up()
    yield engine
    engine.end()


@pytest.fixture
def place(tmp_path: Path, clock: FakeClock) -> Iterator[Place]:
    made = Place(tmp_path, clock)
    made.close()
    for name in (STARRY, SCREAM):
        (made.styles / f"{name}.jpg").write_bytes(encoded("JPEG", 5))
    made.folders = [replace(made.folders[0], set=SMALL)]
    with Readers(PhotoReader()) as reader:
        made.reader = reader  # type: ignore[assignment]
        made.open()
        yield made
        made.close()


def worked_off(place: Place, engine: EngineProcess) -> dict[str, Job]:
    """Let everything happen; return the jobs by the names that their photos had."""
    place.run(700.0, step=20.0)  # what breaks off is waited for
    worker = Worker(
        ledger=place.ledger,
        easel=easel_with(engine, idle_seconds=1e9),
        disposal=Disposal(place.ledger, tuple(place.folders), clock=place.clock),
        state_dir=place.base,
        should_stop=lambda: False,
        clock=place.clock,
    )
    while worker.tick():
        pass
    return {job.photo: job for job in place.jobs()}


@pytest.mark.parametrize("make", CORPUS.values(), ids=CORPUS)
def test_every_hostile_file_ends_as_a_picture_or_as_an_error_with_its_original_safe(
    place: Place, engine: EngineProcess, make: Callable[[], Iterator[tuple[str, bytes]]]
) -> None:
    corpus = {}
    for name, content in make():
        try:
            place.drop(name, content)
        except OSError:
            continue  # this file system cannot have such a name
        corpus[name] = content
    pid = engine.pid
    jobs = worked_off(place, engine)
    waits = {name for name, content in corpus.items() if not content}  # for its writer, without an end
    assert len(jobs) == len(corpus) - len(waits)
    safe = {path.read_bytes() for path in place.base.glob("failed/*")}
    painted = {path.read_bytes() for path in place.base.glob("archive/*")}
    states = {job.original.name: job for job in jobs.values()}
    for name, content in corpus.items():
        if name in waits:
            continue
        job = states[name]
        if job.state is JobState.DONE:
            assert content in painted, name
            assert job.result is not None
            with Image.open(job.result) as picture:
                assert max(picture.size) == 32, name
        else:
            assert job.state is JobState.FAILED, (name, job.error)
            assert content in safe, name
            assert job.error and len(job.error) < 500 and job.error.isprintable(), name
            assert "bug" not in job.error and "Error:" not in job.error, job.error
    if make is named:
        assert {job.state for job in jobs.values()} == {JobState.DONE}
    if make is odd:
        assert {name for name, job in states.items() if job.state is JobState.DONE} == PAINTED
    assert {path.name for path in place.inbox.iterdir()} == waits
    wrong = set(place.codes()) - {"first_photos"}  # that there were some before the first start
    assert wrong == ({"photo_incomplete"} if waits else set())
    assert engine.pid == pid  # no file ended the engine
    notes = list(place.base.glob("failed/*.error.txt"))
    assert len(notes) == sum(job.state is JobState.FAILED for job in jobs.values())


BOMB = b"a: &a [x, x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\nstyle: *c\n"
SIDECARS = {
    "aliases": BOMB,
    "levels": b"style: " + b"[" * 100 + b"a" + b"]" * 100,
    "braces": b"{set: " * 100 + b"x" + b"}" * 100,
    "tag": b"style: !!python/object/apply:os.system ['touch x']",
    "binary": bytes(range(256)),
    "long": b"style: " + b"a" * 200_000,
    "path": b"mask: ../../../etc/passwd.png",
    "regions": b"regions: [" + b"{mask: a.png, style: b}, " * 4000 + b"]",
    "number": b"set: {seed: " + b"9" * 10_000 + b"}",
}


def test_every_hostile_sidecar_holds_its_photo_and_says_why(place: Place, engine: EngineProcess) -> None:
    for number, (name, content) in enumerate(SIDECARS.items()):
        place.drop(f"{name}.jpg", encoded("JPEG", 3, quality=50 + number))
        place.drop(f"{name}.yaml", content)
    place.drop("good.jpg", encoded("JPEG", 4))
    jobs = worked_off(place, engine)
    assert jobs.pop("good.jpg").state is JobState.DONE
    for name, job in jobs.items():
        assert job.state is JobState.HELD, (name, job.error)
        assert job.original.is_file()
        assert job.error and job.error.startswith("Its sidecar cannot be used"), name
        assert len(job.error) < 1000, name


def test_hostile_masks_hold_their_photo_alone(place: Place, engine: EngineProcess) -> None:
    masks = {
        "cut": encoded("PNG", 1)[:200],
        "text": b"I am no picture, but I say that I am one.",
        "huge": png_of(20_000, 20_000, bytes(20_000 * 2_501)),
        "line": png_of(30_000, 1, bytes(3751)),
    }
    for number, (name, content) in enumerate(masks.items()):
        place.drop(f"{name}.jpg", encoded("JPEG", 6, quality=50 + number))
        place.drop(f"{name}.mask.png", content)
    place.drop("good.jpg", encoded("JPEG", 7))
    place.drop("good.mask.png", encoded("PNG", 7))
    jobs = worked_off(place, engine)
    assert jobs.pop("good.jpg").state is JobState.DONE
    for name, job in jobs.items():
        assert job.state is JobState.HELD, name
        assert "Mask" in (job.error or "")
        assert (place.inbox / name).is_file()
        assert (place.inbox / f"{Path(name).stem}.mask.png").is_file()
