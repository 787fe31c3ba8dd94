import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_daemon import config
from nst_daemon.config.recipe import PreserveColor, Preset, resolve
from nst_daemon.config.text import read
from nst_daemon.errors import ConfigError

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────


def test_checked_settings_have_the_types_of_a_recipe() -> None:
    checked = config.check_settings(
        {
            "preset": "FINE",
            "size": "original",
            "style_layers": "conv_1, relu3_1",
            "report": "yes",
            "quality": "90",
        }
    )
    recipe = resolve(checked)
    assert recipe.preset is Preset.FINE
    assert recipe.style_layers == ("conv1_1", "relu3_1")
    assert (recipe.size, recipe.report, recipe.quality) == ("original", True, 90)


@pytest.mark.parametrize(
    ("written", "meant"),
    [(True, PreserveColor.LUMINANCE), (False, PreserveColor.OFF), ("histogram", PreserveColor.HISTOGRAM)],
)
def test_preserve_color_may_be_true(written: object, meant: PreserveColor) -> None:
    assert config.check_settings({"preserve_color": written}) == {"preserve_color": meant}


@pytest.mark.parametrize("preset", Preset)
def test_every_recipe_survives_its_own_settings(preset: Preset) -> None:
    recipe = resolve({"preset": preset})
    assert resolve(config.check_settings(recipe.as_settings())) == recipe


def test_assignments_are_read_like_yaml() -> None:
    assert config.parse_assignments(["size=2048", "tv_weight=1e-3", "preserve_color=true", "size=64"]) == {
        "size": 64,
        "tv_weight": 0.001,
        "preserve_color": PreserveColor.LUMINANCE,
    }


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("sise=3", "did you mean size?"),
        ("size", "key=value"),
        ("=3", "key=value"),
        ("format=jpg", "jpeg?"),
        ("size=[", "size"),
    ],
)
def test_a_wrong_assignment_is_explained(assignment: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse_assignments([assignment])
    assert words in str(caught.value)


# ── sidecars ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jpg.yaml", "style: [starry_night, {the_scream: 0.4}]\nset: {size: 2048, preserve_color: true}"),
        (
            "a.json",
            '\ufeff{\n\t"style": ["starry_night", {"the_scream": 0.4}],\n'
            '\t"set": {"size": 2048, "preserve_color": true}}',
        ),
    ],
)
def test_a_sidecar_names_styles_and_settings(name: str, text: str) -> None:
    sidecar = config.parse_sidecar(text.encode(), name)
    assert sidecar.fault is None
    assert sidecar.style == (("starry_night", 1.0), ("the_scream", 0.4))
    assert sidecar.set == {"size": 2048, "preserve_color": PreserveColor.LUMINANCE}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.yaml", "style: ../../etc/passwd", "no path"),
        ("a.yaml", "style: https://example.org/x.jpg", "no URL"),
        ("a.yaml", "style: C:\\x.jpg", "no path"),
        ("a.yaml", "style: .hidden", "no path"),
        ("a.yaml", "style: []", "0 styles"),
        ("a.yaml", "style: [a, A]", "twice"),
        ("a.yaml", "style: [{a: 0}]", "above 0"),
        ("a.yaml", "style: [{a: .inf}]", "above 0"),
        ("a.yaml", "stlye: mosaic", "line 1: stlye: is no key of a sidecar, did you mean style?"),
        ("a.yaml", "style: x\nset: {size: 9}", "line 2: set.size"),
        ("a.yaml", "set: {sise: 9}", "did you mean size?"),
        ("a.yaml", "set: &a {size: 64}", "& and *"),
        ("a.yaml", "[" * 20_000, "too deep"),
        ("a.yaml", "x" * 100_000, "limit"),
        ("a.yaml", "just words", "no keys"),
        ("a.yaml", "!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a.json", '{"style": "a", "style": "b"}', "twice"),
        ("a.yaml", 'style: "\\ud800"', "is no text"),
        ("a.json", '{"style": "\\ud800"}', "half of a character"),
        ("a.json", '{"style": "a",', "line 1"),
        ("a.json", "[" * 20_000, "a.json"),
        ("a.json", '{"set": {"size": NaN}}', "NaN"),
        ("a.json", '{"set": {"size": ' + "9" * 5000 + "}}", "a.json"),
    ],
)
def test_a_sidecar_that_cannot_be_used_says_why(name: str, text: str, words: str) -> None:
    assert words in (config.parse_sidecar(text, name).fault or "")


def test_the_json_of_another_program_asks_for_nothing() -> None:
    sidecar = config.parse_sidecar('{"title": "IMG_1.jpg", "geoData": {}}', "IMG_1.jpg.json")
    assert (sidecar.style, sidecar.fault) == (None, None)


def test_an_empty_sidecar_asks_for_nothing() -> None:
    assert config.parse_sidecar(b"# later\n", "a.yaml").fault is None


@given(st.binary(max_size=100), st.sampled_from(["a.yaml", "a.json"]))
def test_no_sidecar_raises(text: bytes, name: str) -> None:
    sidecar = config.parse_sidecar(text, name)
    assert sidecar.fault is None or sidecar.fault.startswith(name)


def test_words_and_numbers_are_those_of_yaml_1_2() -> None:
    value = read("[on, yes, 010, 1e-3, 2024-01-01, 12:30, true, 7, ~]", "x").value
    assert value == ["on", "yes", "010", 0.001, "2024-01-01", "12:30", True, 7, None]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "style: 2020_01\nset: {steps: 1_0}"),
        ("a.YML", "style: [2020_01]\nset: {steps: 1_0}"),
        ("a.yaml", "style: [{2020_01: 0.5}]\nset: {steps: 10}"),
        ("a.yaml", "regions: [{mask: a.png, style: 2020_01}]\nstyle: 2020_01\nset: {steps: 10}"),
    ],
)
def test_a_style_that_looks_like_a_number_is_called_as_it_is_written(name: str, text: str) -> None:
    sidecar = config.parse_sidecar(text, name)
    assert sidecar.fault is None
    blends = [sidecar.style, *(blend for _, blend in sidecar.regions)]
    assert {name for blend in blends for name, _ in blend or ()} == {"2020_01"}
    assert sidecar.set == {"steps": 10}


def test_a_number_in_json_is_a_styles_name_as_it_is_written() -> None:
    assert config.parse_sidecar('{"style": 1e3}', "a.JSON").style == (("1e3", 1.0),)
    assert config.parse_assignments(["steps=1_000", "strength=.5"]) == {"steps": 1000, "strength": 0.5}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(("name", "text"), [("a.yaml", "style: étude\r\n"), ("a.Json", '{"style": "étude"}')])
def test_a_sidecar_is_read_in_every_encoding_of_unicode(name: str, text: str, encoding: str) -> None:
    if encoding.endswith(("le", "be")):
        text = f"\ufeff{text}"
    assert config.parse_sidecar(text.encode(encoding), name).style == (("étude", 1.0),)


@pytest.mark.parametrize(
    "text",
    ['{"title": "IMG_1.jpg", "description": ""}', "title: My trip\n", "title: My trip\ndate: 2026-11-29\n"],
)
def test_a_title_alone_is_another_programs(text: str) -> None:
    name = "a.jpg.json" if text.startswith("{") else "a.yaml"
    assert not config.parse_sidecar(text, name).is_ours


def test_a_sidecar_says_what_people_call_the_photo_and_that_somebody_waits() -> None:
    sidecar = config.parse_sidecar('style: mosaic\ntitle: "a\'b"\nattended: true\nwhole: true\n', "a.yaml")
    assert (sidecar.title, sidecar.attended, sidecar.fault) == ("a'b", True, None)


@pytest.mark.parametrize("line", ["whole: 1", "attended: perhaps", "title: [a]", f"title: {'a' * 501}"])
def test_an_editors_key_that_is_wrong_is_a_fault(line: str) -> None:
    assert config.parse_sidecar(f"style: mosaic\n{line}\n", "a.yaml").fault is not None
