"""What a painting says of itself, and a painting like it."""

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.commands import SAMPLE, Ask, ask, home

from nst_daemon import __version__
from nst_daemon.cli import paint as cli_paint
from nst_daemon.config.orders import Order
from nst_daemon.config.recipe import Areas, Mask, Region, Style, resolve
from nst_daemon.engine.process import EngineProcess
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import ConfigError
from nst_daemon.images import provenance
from nst_daemon.images.labels import read_provenance

__all__ = ["ask", "home"]  # fixtures


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, cache: Callable[[Path], Path]) -> Iterator[EngineProcess]:
    folder = cache(tmp_path_factory.mktemp("cache"))
    engine = EngineProcess(EngineSettings(device="cpu", cache_dir=folder))
    engine.warm_up()
    yield engine
    engine.end()


@pytest.fixture
def engine(warm: EngineProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all commands share one engine: each would start its own."""
    monkeypatch.setattr(cli_paint, "engine_of", lambda _: nullcontext(warm))


MOSAIC = Style(name="mosaic", path=Path("m.jpg"), sha256="m")
ETCHING = Style(name="etching", path=Path("e.jpg"), sha256="e", weight=0.4)
ORDER = Order(
    job=1,
    photo=Path("a.jpg"),
    photo_name="a.jpg",
    styles=(MOSAIC, ETCHING),
    recipe=resolve({"preset": "draft", "size": 640, "style_layers": ("relu1_1", "relu3_1"), "seed": 7}),
    result=Path("out"),
    key="0123",
)


def test_style_and_settings_come_back_as_they_were() -> None:
    model = provenance.likeness(provenance.of_order(ORDER, weights="original"), weights="original")
    assert model.blend == (("mosaic", 1.0), ("etching", 0.4))
    assert resolve(model.settings) == ORDER.recipe
    assert list(model.notes(ORDER.styles)) == []


def test_what_differs_from_then_is_said() -> None:
    mask = Mask(name="sky.png", path=Path("x"), sha256="x")
    areas = Areas(mask=mask, regions=(Region(mask=mask, styles=(MOSAIC,)),))
    said = provenance.of_order(replace(ORDER, areas=areas), weights="torchvision")
    said |= {"version": "0.0.9", "settings": json.dumps({"size": 64, "sparkle": 1})}
    model = provenance.likeness(said, weights="original")
    notes = " ".join(model.notes((replace(MOSAIC, sha256="new"),)))
    for word in ("torchvision", "0.0.9", "sparkle", "masks", "mosaic"):
        assert word in notes
    assert model.settings == {"size": 64, "figures": "on"}  # there was no choice then


def test_regions_are_told_by_their_masks_and_styles() -> None:
    sky, ground = (Mask(name=f"{name}.png", path=Path("x"), sha256="x") for name in ("sky", "ground"))
    regions = (Region(mask=sky, styles=(MOSAIC,)), Region(mask=ground, styles=(MOSAIC, ETCHING)))
    order = replace(ORDER, areas=Areas(mask=sky, regions=regions), recipe=resolve({"report": True}), key="")
    lines = list(provenance.described(provenance.of_order(order, weights="original")))
    assert lines[-5:-1] == [
        "mask: sky.png",
        "region sky.png: mosaic",
        "region ground.png: mosaic 1 + etching 0.4",
        "weights: original",
    ]
    assert "report: true" in lines
    assert not [line for line in lines if line.startswith("job key")]


@pytest.mark.parametrize(
    "text", ["", "[", "7", "[7]", '[{"mask": 1}]', '[{"mask": "a", "styles": [{"name": "/"}]}]']
)
def test_regions_that_make_no_sense_are_shown_as_they_are(text: str) -> None:
    assert f"regions: {text}" in list(provenance.described({"style": "a", "regions": text}))


def test_a_painting_of_the_first_days_has_the_names_of_its_styles_only() -> None:
    model = provenance.likeness({"style": "mosaic+etching", "settings": "{}"}, weights="original")
    assert model.blend == (("mosaic", 1.0), ("etching", 1.0))


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"style": "../../etc/passwd"},
        {"style": "a", "settings": "["},
        {"style": "a", "settings": "[]"},
        {"style": "a", "settings": '{"size": -1}'},
        {"style": "a", "settings": "[" * 50_000},
        {"styles": '[{"share": 1}]'},
        {"styles": '[{"name": "a", "share": "x"}]'},
        {"styles": "7"},
        {"style": "a", "settings": "x" * 200_000},
    ],
    ids=lambda said: str(said)[:40],
)
def test_nonsense_is_refused_and_still_shown(said: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        provenance.likeness(said, weights="original")
    assert len(list(provenance.described(said))) == len(said)


@given(
    st.dictionaries(st.sampled_from(["style", "styles", "settings", "version", "mask", "regions"]), st.text())
)
def test_no_provenance_breaks_us(said: dict[str, str]) -> None:
    list(provenance.described(said))


def test_a_painting_is_explained_and_painted_once_more(ask: Ask, engine: None, tmp_path: Path) -> None:
    first, second, other = (tmp_path / f"{name}.png" for name in ("first", "second", "other"))
    small = ("--set", "size=32", "--set", "steps=2", "--set", "pyramid=0", "--set", "seed=5")
    assert ask("render", SAMPLE, "--style", "[swirling_oil, {pastel: 0.5}]", "-o", first, *small).code == 0
    explained = ask("explain", first)
    assert explained.code == 0
    for line in ("style: swirling_oil 1 + pastel 0.5", "size: 32", "seed: 5", f"version: {__version__}"):
        assert line in explained.out.splitlines()
    assert ask("render", SAMPLE, "--like", first, "-o", second).code == 0
    assert second.read_bytes() == first.read_bytes()
    answer = ask("render", SAMPLE, "--like", first, "-o", other, "--set", "size=40", "--style", "pastel")
    assert answer.code == 0
    said = read_provenance(other)
    assert said is not None
    assert (said["style"], json.loads(said["settings"])["size"]) == ("pastel", 40)
    assert json.loads(said["settings"])["steps"] == 2


def test_a_photo_is_no_model(ask: Ask, tmp_path: Path) -> None:
    answer = ask("render", SAMPLE, "--like", SAMPLE, "-o", tmp_path / "a.png")
    assert (answer.code, answer.out) == (2, "")
    assert "no painting of ours" in answer.err


def test_without_style_the_sidecar_decides_or_nobody(ask: Ask, engine: None, tmp_path: Path) -> None:
    photo = tmp_path / "cat.jpg"
    photo.write_bytes(SAMPLE.read_bytes())
    target = tmp_path / "a.png"
    assert ask("render", photo, "-o", target).code == 2
    (tmp_path / "cat.yaml").write_text("style: pastel\nset: {size: 32, steps: 1, pyramid: 0}")
    assert ask("render", photo, "-o", target).code == 0
    said = read_provenance(target)
    assert said is not None
    assert said["style"] == "pastel"
    assert json.loads(said["settings"])["size"] == 32
