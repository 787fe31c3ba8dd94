import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.clock import FakeClock
from torch import Tensor

from nst_daemon.engine.preview import EVERY_SECONDS, LONGEST, NO_PREVIEW, Picture, Preview


class Canvas:
    """A picture that counts how often somebody has asked for it."""

    def __init__(self, width: int = 64, height: int = 48, color: tuple[float, ...] = (1.0, 0.5, 0.0)) -> None:
        self.pixels = torch.tensor(color).view(1, 3, 1, 1).expand(1, 3, height, width)
        self.asked = 0

    def __call__(self) -> Tensor:
        self.asked += 1
        return self.pixels


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".preview" / "12.jpg"


def test_a_preview_is_written_every_ten_seconds_and_asked_for_only_then(path: Path, clock: FakeClock) -> None:
    preview, canvas = Preview(path, clock=clock), Canvas()
    preview.look(canvas)
    clock.advance(EVERY_SECONDS - 0.1)
    preview.look(canvas)
    assert (canvas.asked, path.exists()) == (0, False)
    clock.advance(0.1)
    preview.look(canvas)
    preview.look(canvas)
    assert (canvas.asked, path.exists()) == (1, True)
    clock.advance(EVERY_SECONDS)
    preview.look(canvas)
    assert canvas.asked == 2


def test_the_end_of_a_scale_is_always_seen(path: Path, clock: FakeClock) -> None:
    preview, canvas = Preview(path, clock=clock), Canvas()
    preview.look(canvas, is_scale_over=True)
    preview.look(canvas, is_scale_over=True)
    assert canvas.asked == 2
    clock.advance(EVERY_SECONDS - 0.1)
    preview.look(canvas)  # the end of the scale was seen a moment ago
    assert canvas.asked == 2


def test_it_is_a_jpeg_of_the_pictures_colours_and_shape(path: Path, clock: FakeClock) -> None:
    Preview(path, clock=clock).look(Canvas(), is_scale_over=True)
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 48))
        assert np.allclose(np.asarray(image)[24, 32], (255, 128, 0), atol=3)


def test_a_large_picture_is_made_small(path: Path, clock: FakeClock) -> None:
    Preview(path, clock=clock).look(Canvas(3 * LONGEST, LONGEST), is_scale_over=True)
    with Image.open(path) as image:
        assert image.size == (LONGEST, round(LONGEST / 3))


def test_what_is_still_to_be_done_with_the_painting_is_done_with_its_preview(
    path: Path, clock: FakeClock
) -> None:
    def finish(picture: Picture) -> Picture:
        return 1 - picture

    Preview(path, finish=finish, clock=clock).look(Canvas(), is_scale_over=True)
    with Image.open(path) as image:
        assert np.allclose(np.asarray(image)[24, 32], (0, 128, 255), atol=3)


def test_a_new_one_replaces_the_last_and_leaves_nothing_beside_it(path: Path, clock: FakeClock) -> None:
    preview = Preview(path, clock=clock)
    preview.look(Canvas(color=(0.0, 0.0, 0.0)), is_scale_over=True)
    preview.look(Canvas(color=(1.0, 1.0, 1.0)), is_scale_over=True)
    with Image.open(path) as image:
        assert np.asarray(image).mean() > 250
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), torch.OutOfMemoryError(), MemoryError()]
)
def test_a_preview_that_cannot_be_written_is_reported_once_and_the_painting_goes_on(
    path: Path,
    clock: FakeClock,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        raise error

    caplog.set_level(logging.INFO)
    preview, canvas = Preview(path, clock=clock), Canvas()
    with monkeypatch.context() as patch:
        patch.setattr("nst_daemon.engine.preview.save_preview", refuse)
        for _ in range(3):
            preview.look(canvas, is_scale_over=True)
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert list(path.parent.iterdir()) == []
    preview.look(canvas, is_scale_over=True)  # there is room again
    assert path.exists()


def test_an_outbox_that_is_not_there_is_not_made(path: Path, tmp_path: Path, clock: FakeClock) -> None:
    tmp_path.rmdir()
    Preview(path, clock=clock).look(Canvas(), is_scale_over=True)
    assert not tmp_path.exists()
    tmp_path.mkdir()


def test_without_a_path_nothing_is_asked_for() -> None:
    canvas = Canvas()
    NO_PREVIEW.look(canvas, is_scale_over=True)
    assert canvas.asked == 0
