from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_daemon.config.blends import Blend
from nst_daemon.config.recipe import Rule, Sidecar
from nst_daemon.intake.pairing import Paired, Unpaired, pair

STYLES = ("starry_night", "The Scream", "mosaic", "etching", "woodcut")


def ask(photo: str = "a.jpg", **said: Any) -> Paired | Unpaired:
    defaults: dict[str, Any] = {
        "sidecar": None,
        "keywords": (),
        "rules": (),
        "default_style": "mosaic",
        "settings": {},
        "styles": STYLES,
    }
    return pair(PurePosixPath(photo), **(defaults | said))


def paired(photo: str = "a.jpg", **said: Any) -> Paired:
    answer = ask(photo, **said)
    assert isinstance(answer, Paired)
    return answer


def blends(answer: Paired) -> list[Blend]:
    return [choice.blend for choice in answer.choices]


def sidecar(*blend: tuple[str, float], **settings: object) -> Sidecar:
    return Sidecar(path=Path("a.jpg.yaml"), style=blend or None, set=settings)


def test_without_a_word_the_default_decides() -> None:
    answer = paired()
    assert blends(answer) == [(("mosaic", 1.0),)]
    assert answer.reasons[-2] == "default: style mosaic ← decides"


def test_a_sidecar_may_blend() -> None:
    answer = paired(sidecar=sidecar(("starry_night", 1.0), ("the_scream", 0.4)))
    assert blends(answer) == [(("starry_night", 1.0), ("The Scream", 0.4))]


@pytest.mark.parametrize(
    "keyword",
    [
        "nst|starry_night",
        "nst/starry_night",
        "nst:starry_night",
        "style:starry_night",
        "NST | Starry Night",
        "Style: starry-night",
    ],
)
def test_a_keyword_of_the_editor_names_the_style(keyword: str) -> None:
    assert blends(paired(keywords=("holiday", keyword))) == [(("starry_night", 1.0),)]


def test_bare_words_are_never_a_style() -> None:
    # darktable splits nst|starry_night into these two words of dc:subject.
    assert blends(paired(keywords=("nst", "starry_night"))) == [(("mosaic", 1.0),)]


def test_two_styles_in_the_keywords_make_two_paintings() -> None:
    answer = paired(keywords=("nst|starry_night", "style:Starry Night", "nst:etching"))
    assert blends(answer) == [(("starry_night", 1.0),), (("etching", 1.0),)]


def test_keywords_may_carry_settings_between_rule_and_sidecar() -> None:
    answer = paired(
        keywords=("nst:size=20", "nst|steps=2", "nst/starry_night"),
        rules=(Rule(match="*", set={"size": 64, "steps": 64, "quality": 64}),),
        sidecar=sidecar(steps=3),
    )
    assert blends(answer) == [(("starry_night", 1.0),)]
    assert answer.choices[0].settings == {"size": 20, "steps": 3, "quality": 64}


def test_a_wrong_setting_in_a_keyword_makes_the_photo_wait() -> None:
    answer = ask(keywords=("nst:sise=64",))
    assert isinstance(answer, Unpaired)
    assert "did you mean size?" in answer.reason


def test_the_first_matching_rule_wins() -> None:
    rules = (
        Rule(match="portraits/**", style="etching", set={"size": 64}),
        Rule(match="**", style="woodcut", set={"size": 32, "steps": 5}),
    )
    answer = paired("portraits/x/a.jpg", rules=rules)
    assert blends(answer) == [(("etching", 1.0),)]
    assert answer.choices[0].settings == {"size": 64}


def test_a_rule_without_a_style_leaves_the_style_to_the_others() -> None:
    answer = paired("woodcut/a.jpg", rules=(Rule(match="*.jpg", set={"size": 64}),))
    assert blends(answer) == [(("woodcut", 1.0),)]
    assert answer.choices[0].settings == {"size": 64}


def test_the_first_sub_folder_that_is_a_style_names_it() -> None:
    assert blends(paired("trip/The scream/etching/a.jpg")) == [(("The Scream", 1.0),)]


def test_the_files_own_name_is_no_sub_folder() -> None:
    assert blends(paired("etching")) == [(("mosaic", 1.0),)]


def test_settings_add_up_and_the_nearest_to_the_photo_wins() -> None:
    answer = paired(
        settings={"size": 1, "steps": 1, "quality": 1},
        rules=(Rule(match="*", set={"size": 2, "steps": 2}),),
        sidecar=sidecar(size=3),
    )
    assert answer.choices[0].settings == {"size": 3, "steps": 2, "quality": 1}
    assert answer.reasons[-1] == "settings: size 3 (a.jpg.yaml), steps 2 (rule *), quality 1 (set)"


def test_a_rules_settings_count_although_a_sidecar_names_the_style() -> None:
    answer = paired(
        rules=(Rule(match="*", style="etching", set={"size": 2}),), sidecar=sidecar(("woodcut", 1.0))
    )
    assert blends(answer) == [(("woodcut", 1.0),)]
    assert answer.choices[0].settings == {"size": 2}


@pytest.mark.parametrize(
    "said",
    [
        {"sidecar": sidecar(("stary_night", 1.0))},
        {"sidecar": sidecar(("mosaic", 1.0), ("stary_night", 0.2))},
        {"keywords": ("nst|stary_night",)},
        {"rules": (Rule(match="*", style="stary_night"),)},
        {"default_style": "stary_night"},
    ],
)
def test_an_unknown_style_waits_and_names_the_near_ones(said: dict[str, Any]) -> None:
    answer = ask("etching/a.jpg" if "default_style" not in said else "a.jpg", **said)
    assert isinstance(answer, Unpaired)
    assert answer.near == ("starry_night",)
    assert "stary_night" in answer.reason
    assert "Did you mean starry_night?" in answer.reason


def test_a_sidecar_that_cannot_be_used_makes_the_photo_wait() -> None:
    answer = ask(sidecar=Sidecar(path=Path("a.yaml"), fault="a.yaml, line 1: is nested too deep."))
    assert isinstance(answer, Unpaired)
    assert "line 1" in answer.reason


def test_the_reasons_name_every_source_in_order() -> None:
    answer = paired("woodcut/a.jpg", rules=(Rule(match="*", style="etching"),), keywords=("x",))
    assert [reason.partition(":")[0] for reason in answer.reasons] == [
        "sidecar",
        "keywords",
        "rules",
        "sub-folder",
        "default",
        "settings",
    ]
    assert [reason for reason in answer.reasons if "decides" in reason] == [
        "rules: * matches and says etching ← decides"
    ]
    assert "not asked any more" in answer.reasons[3]


@given(
    in_sidecar=st.booleans(),
    in_keywords=st.booleans(),
    in_rule=st.booleans(),
    in_folder=st.booleans(),
)
def test_the_first_source_that_speaks_decides(
    in_sidecar: bool, in_keywords: bool, in_rule: bool, in_folder: bool
) -> None:
    answer = paired(
        "woodcut/a.jpg" if in_folder else "trip/a.jpg",
        sidecar=sidecar(("starry_night", 1.0)) if in_sidecar else sidecar(size=9),
        keywords=("nst|The Scream",) if in_keywords else ("trip",),
        rules=(Rule(match="x/**", style="mosaic"), Rule(match="*", style="etching" if in_rule else None)),
    )
    oracle = [
        (in_sidecar, "starry_night"),
        (in_keywords, "The Scream"),
        (in_rule, "etching"),
        (in_folder, "woodcut"),
        (True, "mosaic"),
    ]
    assert blends(answer) == [((next(style for speaks, style in oracle if speaks), 1.0),)]


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(), max_size=3),
    *[st.dictionaries(st.sampled_from("abc"), st.integers(), max_size=3)] * 2,
)
def test_each_setting_comes_from_the_last_source_that_has_it(
    of_config: dict[str, int], of_rule: dict[str, int], of_sidecar: dict[str, int]
) -> None:
    answer = paired(settings=of_config, rules=(Rule(match="*", set=of_rule),), sidecar=sidecar(**of_sidecar))
    for key in "abc":
        expected = of_sidecar.get(key, of_rule.get(key, of_config.get(key)))
        assert answer.choices[0].settings.get(key) == expected


@pytest.mark.parametrize(
    ("keyword", "styles", "painted"),
    [
        ("nst|oil|thick", ("mosaic", "oil"), "oil"),
        ("nst|oil|thick", ("mosaic", "thick", "oil"), "thick"),
        ("nst/Oil/fine/thick", ("mosaic", "oil"), "oil"),
        ("nst|oil|thick", ("mosaic", "oil|thick", "oil", "thick"), "oil|thick"),
    ],
)
def test_a_deeper_hierarchy_of_keywords_names_the_style_that_there_is(
    keyword: str, styles: tuple[str, ...], painted: str
) -> None:
    assert blends(paired(keywords=(keyword,), styles=styles)) == [((painted, 1.0),)]


def test_a_deeper_hierarchy_that_names_no_style_waits_for_its_last_level() -> None:
    answer = ask(keywords=("nst|oil|wodcut",))
    assert isinstance(answer, Unpaired)
    assert "No style named wodcut" in answer.reason
    assert answer.near == ("woodcut",)


def test_a_hierarchy_and_its_parent_make_one_painting() -> None:
    answer = paired(keywords=("nst|mosaic", "nst|mosaic|fine", "nst:Mosaic"), styles=STYLES)
    assert blends(answer) == [(("mosaic", 1.0),)]
