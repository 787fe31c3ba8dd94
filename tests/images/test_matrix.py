"""Every format, mode, profile and orientation through the engine; exiftool is the referee.

`matrix` makes the photos, `verdicts` judges the paintings.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import verdicts
from support.matrix import MODES, cases, representatives, write_all
from support.pictures import eight, referee
from support.verdicts import Result

from nst_daemon.config.orders import Order
from nst_daemon.config.recipe import Format, Style, resolve
from nst_daemon.disk.files import file_sha256
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.engine.studio import Studio

# One block of VGG19 is enough: what is asked here are the ways in and out.
SMALL = {"content_layers": (), "style_layers": ("relu1_1",), "pyramid": 0, "steps": 1, "averaging": 0} | {
    "size": "original",
    "start_colors": "photo",  # else a step leaves little of the scene
}
OUT = {"jpeg": ".jpg", "png": ".png", "tiff": ".tif", "webp": ".webp", "avif": ".avif"}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, cache: Callable[[Path], Path]) -> Studio:
    return Studio(EngineSettings(device="cpu", cache_dir=cache(tmp_path_factory.mktemp("cache"))))


@pytest.fixture(scope="module")
def style(tmp_path_factory: pytest.TempPathFactory) -> Style:
    path = tmp_path_factory.mktemp("style") / "stripes.png"
    stripes = np.tile(np.array([[[0.9, 0.2, 0.1]], [[0.1, 0.3, 0.8]]], np.float32), (16, 32, 1))
    Image.fromarray(eight(stripes)).save(path)
    return Style(name="stripes", path=path, sha256=file_sha256(path))


@pytest.fixture(scope="module", params=MODES)
def results(
    request: pytest.FixtureRequest, studio: Studio, style: Style, tmp_path_factory: pytest.TempPathFactory
) -> list[Result]:
    """The paintings of all photos of one format."""
    folder = tmp_path_factory.mktemp("matrix")
    wanted = [case for case in cases() if case.suffix == request.param]
    paintings = [
        studio.fulfil(_order(photo, style, folder, **SMALL), lambda _: None, lambda: False).picture
        for photo in write_all(wanted, folder)
    ]
    found = zip(wanted, paintings, referee(*paintings), strict=True)
    return [verdicts.result(case, painting, facts) for case, painting, facts in found]


def _order(photo: Path, style: Style, folder: Path, **settings: object) -> Order:
    return Order(
        job=1,
        photo=photo,
        photo_name=photo.name,
        styles=(style,),
        recipe=resolve(settings),
        result=folder / f"out-{photo.name}",
    )


def test_the_matrix_is_as_large_as_it_says() -> None:
    assert len(list(cases())) == 1454
    assert len(list(representatives())) == 50


@pytest.mark.parametrize("verdict", verdicts.ALL)
def test_every_painting_of_a_format(
    results: list[Result], verdict: Callable[[Sequence[Result]], None]
) -> None:
    verdict(results)
    assert {each.suffix for each in results} == {each.case.written for each in results}


@pytest.mark.parametrize("form", OUT)
def test_every_mode_of_every_format_can_be_written_in_each_format(
    studio: Studio, style: Style, tmp_path: Path, form: str
) -> None:
    wanted = list(representatives())
    settings = {"size": "original", "strength": 0, "format": Format(form)}
    paintings = [
        studio.fulfil(_order(photo, style, tmp_path, **settings), lambda _: None, lambda: False).picture
        for photo in write_all(wanted, tmp_path)
    ]
    assert {painting.suffix for painting in paintings} == {OUT[form]}
    found = zip(wanted, paintings, referee(*paintings), strict=True)
    results = [verdicts.result(case, painting, facts) for case, painting, facts in found]
    for verdict in verdicts.ALL:
        verdict(results)
