"""The pictures of an order: what is decoded is what was hashed, and no larger than it is needed."""

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.faults import Faults

from nst_daemon.config.orders import Order
from nst_daemon.config.recipe import Mask, Style, resolve
from nst_daemon.disk.files import file_sha256
from nst_daemon.engine import inputs as inputs_module
from nst_daemon.engine.inputs import Inputs, longest_style
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.engine.studio import is_out_of_memory
from nst_daemon.errors import CopyError, FileConditionError, JobError, MaskError, StyleError
from nst_daemon.images.loading import load_style

RED, BLUE = (220, 30, 20), (10, 20, 120)


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(EngineSettings(device="cpu", cache_dir=tmp_path / "cache"))


def picture(path: Path, color: tuple[int, int, int] = RED, size: tuple[int, int] = (96, 64)) -> Path:
    Image.new("RGB", size, color).save(path)
    return path


def style_at(path: Path) -> Style:
    return Style(name=path.stem, path=path, sha256=file_sha256(path))


def order_of(photo: Path) -> Order:
    return Order(
        job=1,
        photo=photo,
        photo_name="cat.png",
        photo_sha256=file_sha256(photo),
        styles=(),
        recipe=resolve({"size": 64}),
        result=photo.with_name("out"),
    )


def test_a_style_that_was_replaced_is_refused_and_nothing_is_kept_under_its_hash(
    inputs: Inputs, tmp_path: Path
) -> None:
    style = style_at(picture(tmp_path / "mine.png"))
    picture(style.path, BLUE)
    with pytest.raises(StyleError, match="another than the one that was asked for"):
        inputs.sources([style], 64)
    picture(style.path, RED)
    (source,) = inputs.sources([style], 64)
    assert np.allclose(source.rgb[0, 0] * 255, RED, atol=1)


def test_a_style_that_is_replaced_while_it_is_decoded_is_refused_and_not_kept(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    style = style_at(picture(tmp_path / "mine.png"))
    load = load_style

    def slow(path: Path, **options: object) -> object:
        picture(tmp_path / "new.png", BLUE).replace(path)
        return load(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(inputs_module, "load_style", slow)
    with pytest.raises(StyleError, match="changed while it was read"):
        inputs.sources([style], 64)
    assert inputs._held_bytes() == 0


@pytest.mark.parametrize("fault", ["gone", "text", "half", "empty"])
def test_a_style_that_is_not_whole_is_no_fault_of_the_photo_and_belongs_into_the_styles_folder(
    inputs: Inputs, tmp_path: Path, fault: str
) -> None:
    path = picture(tmp_path / "mine.jpg", size=(400, 300))
    whole = path.read_bytes()
    path.write_bytes({"text": b"<html>404</html>", "half": whole[:900], "empty": b""}.get(fault, whole))
    style = style_at(path)
    if fault == "gone":
        path.unlink()
    with pytest.raises(StyleError, match=r"Style picture mine") as caught:
        inputs.sources([style], 64)
    assert "inbox" not in str(caught.value)


def test_a_disk_that_does_not_answer_is_a_condition_and_no_fault_of_style_mask_or_photo(
    inputs: Inputs, tmp_path: Path, faults: Faults
) -> None:
    path = picture(tmp_path / "mine.png")
    style, mask, order = (
        style_at(path),
        Mask(name="m.png", path=path, sha256=file_sha256(path)),
        order_of(path),
    )
    reads: list[Callable[[], object]] = [
        lambda: inputs.sources([style], 64),
        lambda: inputs.mask(mask, 8, 8),
        lambda: inputs.photo(order),
    ]
    for number in (errno.EIO, errno.ESTALE, errno.EACCES):
        for call in ("lstat", "open", "read"):
            for read in reads:
                faults.fail(call, number, at=path)
                with pytest.raises(FileConditionError):
                    read()
                faults.heal()
    assert all(read() is not None for read in reads)


def test_a_scans_margin_is_cut_where_that_is_asked_for_and_the_two_are_kept_apart(
    inputs: Inputs, tmp_path: Path
) -> None:
    scan = np.full((120, 120, 3), 245, np.uint8)
    scan[10:110, 10:110] = np.random.default_rng(0).integers(0, 200, (100, 100, 3))
    Image.fromarray(scan).save(tmp_path / "scan.png")
    style = style_at(tmp_path / "scan.png")
    for _ in range(2):
        (whole,) = inputs.sources([style], 64)
        (cut,) = inputs.sources([style], 64, cut_margins=True)
        assert whole.rgb.shape == cut.rgb.shape == (64, 64, 3)
        assert whole.rgb[0].min() > 0.9
        assert cut.rgb[0].max() < 0.9
    (as_it_is,) = inputs.sources([style], 200, cut_margins=True)
    assert as_it_is.rgb.shape == (100, 100, 3)
    assert as_it_is.rgb.base is None  # it does not hold on to the margin


def test_a_mask_or_a_photo_that_is_another_by_now_is_not_read(inputs: Inputs, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    order = order_of(path)
    mask = Mask(name="m.png", path=path, sha256=order.photo_sha256)
    for change in (lambda: picture(path, BLUE), path.unlink):
        change()
        with pytest.raises(MaskError, match=r"Mask m\.png is"):
            inputs.mask(mask, 8, 8)
        with pytest.raises(CopyError, match=r"cat\.png"):
            inputs.photo(order)
    picture(path)
    assert inputs.photo(replace(order, photo_sha256="")).width == 96


def test_a_style_is_read_no_larger_than_its_painting_needs_it(inputs: Inputs, tmp_path: Path) -> None:
    style = style_at(picture(tmp_path / "large.jpg", size=(1600, 1200)))
    (source,) = inputs.sources([style], 64)
    assert source.rgb.shape == (48, 64, 3)
    (source,) = inputs.sources([style], 1000)
    assert source.rgb.shape == (750, 1000, 3)
    (source,) = inputs.sources([style], 5000)
    assert source.rgb.shape == (1200, 1600, 3)


def test_a_style_that_is_not_larger_than_needed_is_as_it_is_in_its_file(
    inputs: Inputs, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    (source,) = inputs.sources([style_at(tmp_path / "noise.png")], 80)
    assert np.array_equal(source.rgb, noise.astype(np.float32) / 255)


def test_what_a_style_can_be_of_use_for_grows_with_its_scale_and_where_it_is_the_start() -> None:
    assert longest_style(resolve({}), 64, 48) == 64
    assert longest_style(resolve({"style_scale": 2.5}), 48, 64) == 160
    assert longest_style(resolve({"style_scale": 0.1}), 64, 64) == 6
    assert longest_style(resolve({"init": "style", "style_scale": 0.5}), 64, 48) == 128


def test_kept_styles_are_bounded_by_their_bytes_and_by_the_limit_of_memory(tmp_path: Path) -> None:
    limit = 8 * 1_000_000
    inputs = Inputs(EngineSettings(device="cpu", cache_dir=tmp_path, memory_limit=limit))
    for number in range(8):
        path = picture(tmp_path / f"{number}.png", (number, 9, 9), size=(200, 200))  # 480 kB as floats
        inputs.sources([style_at(path)], 4096)
    assert 0 < inputs._held_bytes() <= limit // inputs_module.SHARE_OF_LIMIT
    huge = style_at(picture(tmp_path / "huge.png", size=(400, 400)))
    (source,) = inputs.sources([huge], 4096)
    assert source.rgb.shape == (400, 400, 3)
    assert inputs._held_bytes() == 0


def test_a_kept_style_is_not_read_again_and_is_held_once_for_all_sizes_that_show_it_whole(
    inputs: Inputs, tmp_path: Path
) -> None:
    style = style_at(picture(tmp_path / "mine.png"))
    first = inputs.sources([style], 96)[0].rgb
    assert inputs.sources([style], 512)[0].rgb is first
    style.path.unlink()
    assert inputs.sources([style], 96)[0].rgb is first


def test_the_limit_of_megapixels_is_the_configs(tmp_path: Path) -> None:
    style = style_at(picture(tmp_path / "museum.png", size=(2000, 1500)))
    small, large = (
        Inputs(EngineSettings(device="cpu", cache_dir=tmp_path, max_megapixels=most)) for most in (2.0, 4.0)
    )
    with pytest.raises(StyleError, match=r"3\.0 megapixels, the limit is 2\..*max_megapixels"):
        small.sources([style], 64)
    assert large.sources([style], 64)[0].rgb.shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB, other allocations: 1 GB)"), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be …"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("could not create a memory object"), False),
        (ValueError("DefaultCPUAllocator: "), False),
        (JobError("memory"), False),
    ],
)
def test_out_of_memory_is_known_by_its_allocator_and_never_by_a_word(
    error: Exception, is_memory: bool
) -> None:
    assert is_out_of_memory(error) is is_memory


def test_the_cpus_allocator_is_known_by_what_it_really_says() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert is_out_of_memory(caught.value)
