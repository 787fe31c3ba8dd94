"""The engine in its own process: warm, cancelled, dead, and gone with its parent."""

import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from nst_daemon.config.orders import Order, Painting, Progress
from nst_daemon.config.recipe import Style, resolve
from nst_daemon.disk.files import file_sha256
from nst_daemon.engine.process import EngineDiedError, EngineProcess, probe
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import (
    CancelledError,
    EngineError,
    MissingError,
    OutOfMemoryError,
    PhotoError,
    StyleError,
)

Cache = Callable[[Path], Path]
TINTS = {0: (1.0, 0.7, 0.3), 2: (0.2, 0.5, 1.0)}  # a warm photo, a cold style


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, cache: Cache) -> Iterator[EngineProcess]:
    engine = EngineProcess(_settings(cache(tmp_path_factory.mktemp("cache"))))
    engine.warm_up()
    yield engine
    engine.end()


def _settings(cache: Path, device: str = "cpu") -> EngineSettings:
    return EngineSettings(device=device, cache_dir=cache)


def _picture(path: Path, seed: int, size: tuple[int, int] = (64, 48)) -> Path:
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    wave = 127 + 120 * np.sin((x * (1 + seed) + y) / 5)
    tint = TINTS[seed]
    Image.fromarray((np.stack([wave, 255 - wave, x + y], axis=-1) * tint).astype(np.uint8)).save(path)
    return path


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def _mean(path: Path) -> NDArray[np.float64]:
    with Image.open(path) as image:
        mean: NDArray[np.float64] = np.asarray(image.convert("RGB"), float).mean((0, 1))
    return mean


def _pixels(path: Path) -> NDArray[np.float64]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), float)


def _finish(engine: EngineProcess, order: Order) -> Painting:
    return engine.paint(order, on_progress=lambda _: None, should_stop=lambda: False)


def _order(folder: Path, job: int = 1, **settings: object) -> Order:
    style = _picture(folder / "style.png", seed=2)
    return Order(
        job=job,
        photo=_picture(folder / "photo.png", seed=0),
        photo_name="photo.png",
        styles=(Style(name="stripes", path=style, sha256=file_sha256(style)),),
        recipe=resolve({"size": 64, "steps": 3, "pyramid": 0, **settings}),
        result=folder / "painting",
        key="key",
    )


def _paint(engine: EngineProcess, order: Order, stop: Callable[[], bool] = lambda: False) -> list[Progress]:
    seen: list[Progress] = []
    engine.paint(order, on_progress=seen.append, should_stop=stop)
    return seen


def test_an_order_becomes_a_file_and_the_second_loads_nothing(engine: EngineProcess, tmp_path: Path) -> None:
    first = _finish(engine, _order(tmp_path))
    assert _size(first.picture) == (64, 48)
    assert (first.width, first.height, first.device) == (64, 48, "cpu")
    assert engine.is_warm
    assert engine.facts.state == "warm"
    pid = engine.pid
    second = _finish(engine, _order(tmp_path, job=2))
    assert engine.pid == pid
    assert second.seconds_to_first_step < 2.0  # loading torch and the network alone takes longer


def test_the_same_order_gives_the_same_bytes(engine: EngineProcess, tmp_path: Path) -> None:
    order = _order(tmp_path)
    first = _finish(engine, order).picture.read_bytes()
    assert _finish(engine, order).picture.read_bytes() == first


@pytest.mark.parametrize("mode", ["luminance", "histogram"])
def test_original_colours_are_nearer_to_the_photo(engine: EngineProcess, tmp_path: Path, mode: str) -> None:
    strong: dict[str, Any] = {"style_weight": 50.0, "steps": 8, "format": "png"}
    styled = _mean(_finish(engine, _order(tmp_path, **strong)).picture)
    kept = _mean(_finish(engine, _order(tmp_path, preserve_color=mode, **strong)).picture)
    photo = _mean(tmp_path / "photo.png")
    assert np.abs(kept - photo).sum() < 0.6 * np.abs(styled - photo).sum()


def test_strength_0_gives_the_photo_and_half_lies_between(engine: EngineProcess, tmp_path: Path) -> None:
    none, half, full = (
        _pixels(_finish(engine, _order(tmp_path, strength=strength, format="png")).picture)
        for strength in (0.0, 0.5, 1.0)
    )
    assert np.abs(none - _pixels(tmp_path / "photo.png")).max() <= 1
    assert np.abs(half - (none + full) / 2).max() <= 2
    assert np.abs(full - none).mean() > 5


@pytest.mark.parametrize(
    ("name", "suffix"), [("jpeg", ".jpg"), ("png", ".png"), ("tiff", ".tif"), ("webp", ".webp")]
)
def test_the_format_decides_the_file(engine: EngineProcess, tmp_path: Path, name: str, suffix: str) -> None:
    painting = _finish(engine, _order(tmp_path, format=name, steps=1))
    assert painting.picture.suffix == suffix
    with Image.open(painting.picture) as image:
        assert image.format == name.upper()


def test_quality_decides_the_size_of_a_jpeg(engine: EngineProcess, tmp_path: Path) -> None:
    sizes = [
        _finish(engine, _order(tmp_path, format="jpeg", quality=quality, steps=1)).picture.stat().st_size
        for quality in (20, 98)
    ]
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("settings", [{}, {"preserve_color": "luminance"}, {"strength": 0.5}])
def test_the_last_preview_looks_like_the_painting(
    engine: EngineProcess, tmp_path: Path, settings: dict[str, Any]
) -> None:
    preview = tmp_path / "outbox" / ".preview" / "1.jpg"
    preview.parent.parent.mkdir()
    order = _order(tmp_path, steps=16, pyramid=32, **settings)
    painting = _finish(engine, replace(order, preview=preview))
    assert _size(preview) == _size(painting.picture)
    assert np.abs(_pixels(preview) - _pixels(painting.picture)).mean() < 8  # of 255: it is a JPEG


def test_an_outbox_that_is_gone_costs_the_preview_and_not_the_painting(
    engine: EngineProcess, tmp_path: Path
) -> None:
    preview = tmp_path / "outbox" / ".preview" / "1.jpg"
    assert _finish(engine, replace(_order(tmp_path), preview=preview)).picture.exists()
    assert not (tmp_path / "outbox").exists()


def test_a_report_is_drawn_on_request(engine: EngineProcess, tmp_path: Path) -> None:
    painting = _finish(engine, _order(tmp_path, report=True))
    assert painting.report is not None
    assert min(_size(painting.report)) > 500


@pytest.mark.parametrize(("size", "expected"), [(96, (96, 72)), ("original", (64, 48))])
def test_the_size_is_the_longer_side_or_the_photos_own(
    engine: EngineProcess, tmp_path: Path, size: object, expected: tuple[int, int]
) -> None:
    assert _size(_finish(engine, _order(tmp_path, size=size, steps=1)).picture) == expected


def test_a_photo_or_style_that_cannot_be_read_leaves_the_engine_warm(
    engine: EngineProcess, tmp_path: Path
) -> None:
    order = _order(tmp_path)
    order.photo.write_text("no picture")
    with pytest.raises(PhotoError, match=r"photo\.png"):
        _paint(engine, order)
    broken = tmp_path / "broken.png"
    broken.write_text("no picture either")
    order = _order(tmp_path)
    bad_style = Order(
        job=1,
        photo=order.photo,
        photo_name="photo.png",
        styles=(Style(name="broken", path=broken, sha256=file_sha256(broken)),),
        recipe=order.recipe,
        result=order.result,
    )
    with pytest.raises(StyleError):
        _paint(engine, bad_style)
    assert engine.is_warm


def test_what_the_engine_logs_arrives_in_the_daemons_log(
    cache: Cache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = EngineProcess(_settings(cache(tmp_path)))
    with caplog.at_level(logging.WARNING), pytest.raises(EngineError, match="smaller steps did not help"):
        _paint(engine, _order(tmp_path, tv_weight=1e300))  # more than a float32 holds
    assert any("the loss became" in record.message for record in caplog.records)
    assert engine.pid is None  # after an error of its own it is not used again


def test_a_running_order_is_cancelled_within_a_step(engine: EngineProcess, tmp_path: Path) -> None:
    seen: list[Progress] = []
    with pytest.raises(CancelledError):
        engine.paint(
            _order(tmp_path, steps=50_000), on_progress=seen.append, should_stop=lambda: len(seen) >= 1
        )
    assert engine.is_warm
    assert seen[-1].step < 5_000


def test_a_killed_engine_costs_one_order_and_starts_again(cache: Cache, tmp_path: Path) -> None:
    engine = EngineProcess(_settings(cache(tmp_path)))

    def kill(_: Progress) -> None:
        assert engine.pid is not None
        psutil.Process(engine.pid).kill()

    with pytest.raises(EngineDiedError, match="exit code"):
        engine.paint(_order(tmp_path, steps=50_000), on_progress=kill, should_stop=lambda: False)
    assert not engine.is_warm
    assert _paint(engine, _order(tmp_path))[-1].fraction == 1.0
    engine.end()


def test_an_ended_engine_is_gone_and_can_start_again(cache: Cache, tmp_path: Path) -> None:
    states: list[str] = []
    engine = EngineProcess(_settings(cache(tmp_path)), on_facts=lambda facts: states.append(facts.state))
    engine.warm_up()
    pid = engine.pid
    assert pid is not None
    engine.end()
    assert not psutil.pid_exists(pid)
    assert states == ["starting", "warm", "cold"]


def test_a_device_that_is_not_there_is_named_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"cannot use the device 'xpu:9'.*cpu"):
        probe(_settings(tmp_path, "xpu:9"))


def _own_an_engine(cache: Path, told: "multiprocessing.connection.Connection") -> None:
    engine = EngineProcess(_settings(cache))
    engine.warm_up()
    told.send(engine.pid)
    order = _order(cache, steps=50_000)
    engine.paint(order, on_progress=told.send, should_stop=lambda: False)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_an_engine_ends_with_its_killed_parent_in_the_middle_of_a_painting(
    tmp_path: Path, cache: Cache, wait_for: Callable[..., None]
) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    # Not a daemon process: those may have no children.
    parent = context.Process(target=_own_an_engine, args=(cache(tmp_path), theirs))
    parent.start()
    theirs.close()
    engine_pid = ours.recv()
    ours.recv()  # it is painting
    assert parent.pid is not None
    os.kill(parent.pid, 9)
    parent.join()
    wait_for(lambda: not _runs(engine_pid), seconds=2.0, what="the end of an engine without a parent")
    ours.close()


def test_memory_that_runs_out_is_met_with_smaller_tiles_and_said(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nst_daemon.engine.studio import Studio

    studio = Studio(_settings(cache(tmp_path)))
    budgets: list[int] = []
    paint = studio.painter.paint

    def run_out(*arguments: Any, **keywords: Any) -> Any:
        budgets.append(keywords["memory"])
        if len(budgets) < 3:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")
        return paint(*arguments, **keywords)

    monkeypatch.setattr(studio.painter, "paint", run_out)
    painting = studio.fulfil(_order(tmp_path), lambda _: None, lambda: False)
    assert budgets == sorted(budgets, reverse=True)
    assert len(set(budgets)) == 3
    assert any("smaller tiles" in note for note in painting.notes)


def test_an_accelerator_without_memory_leaves_the_painting_to_the_cpu(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nst_daemon.engine import devices, studio

    room = studio.Studio(_settings(cache(tmp_path)))
    tries: list[int] = []

    def run_out(*_: Any, memory: int, **__: Any) -> Any:
        tries.append(memory)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 bytes")

    monkeypatch.setattr(room.painter, "paint", run_out)
    room.device = torch.device("cuda:0")  # as far as the studio knows
    monkeypatch.setattr(devices, "free_bytes", lambda device, system_free: system_free)
    monkeypatch.setattr(devices, "describe", str)
    monkeypatch.setattr(torch.accelerator, "empty_cache", lambda: None)
    painting = room.fulfil(_order(tmp_path), lambda _: None, lambda: False)
    assert len(set(tries)) == studio.MEMORY_TRIES
    assert painting.notes == ("Memory ran out on cuda:0; painted on the CPU.",)
    assert painting.picture.is_file()


def test_memory_that_never_suffices_ends_the_job_with_a_remedy(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nst_daemon.engine.studio import Studio

    studio = Studio(_settings(cache(tmp_path)))

    def run_out(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(studio.painter, "paint", run_out)
    with pytest.raises(OutOfMemoryError, match="lower `size`"):
        studio.fulfil(_order(tmp_path), lambda _: None, lambda: False)
