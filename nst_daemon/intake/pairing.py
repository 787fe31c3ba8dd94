"""Photo, sidecar, keywords and rules -> the styles and settings it gets, and why. Pure.

The first that speaks decides on the style: sidecar, keywords, first matching rule, first sub-folder that is
the name of a style, default. Settings add up: the config's `set`, over it those of the rule, the keywords
and the sidecar.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from nst_daemon.config import parse_assignments
from nst_daemon.config.blends import (
    Blend,
    Levels,
    Regions,
    asked_by,
    blend_of,
    spell_blend,
    spell_setting,
    style_key,
)
from nst_daemon.config.globs import matches
from nst_daemon.config.recipe import Rule, Sidecar
from nst_daemon.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One painting to make of a photo."""

    blend: Blend  # names as the library spells them
    settings: Mapping[str, object]  # checked, partial; `recipe.resolve` completes them
    regions: Regions = ()  # parts of it in styles of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """What a photo gets: more than one choice where its keywords name several styles."""

    choices: tuple[Choice, ...]
    reasons: tuple[str, ...]  # a line for each source, in order


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpaired:
    """Why a photo must wait."""

    reason: str
    near: tuple[str, ...] = ()  # styles that are spelt alike
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Source:
    """What one source says: nothing, or one style or blend a painting."""

    name: str
    blends: tuple[Blend, ...]
    words: str


@dataclass(slots=True)
class _Settings:
    """Settings with the name of the source that had the last word on each."""

    values: dict[str, object] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def put(self, settings: Mapping[str, object], origin: str) -> None:
        self.values.update(settings)
        self.origins.update(dict.fromkeys(settings, origin))

    def reason(self) -> str:
        said = [f"{key} {spell_setting(value)} ({self.origins[key]})" for key, value in self.values.items()]
        return f"settings: {', '.join(said) if said else 'the defaults'}"


def pair(
    photo: PurePath,
    *,
    sidecar: Sidecar | None,
    keywords: Sequence[str],
    rules: Sequence[Rule],
    default_style: str,
    settings: Mapping[str, object],
    styles: Collection[str],
) -> Paired | Unpaired:
    """Return what a photo gets, or why it must wait; `photo` is relative to its inbox.

    An unknown style never falls back to the next source: the photo waits.
    """
    if sidecar is not None and sidecar.fault is not None:
        return _unusable("sidecar", sidecar.fault)
    asked, assignments = asked_by(keywords)
    try:
        of_keywords = parse_assignments(assignments, name="keyword")
    except ConfigError as error:
        return _unusable("keywords", error.message)
    rule = next((rule for rule in rules if matches(rule.match, photo)), None)
    total = _Settings()
    total.put(settings, "set")
    if rule is not None:
        total.put(rule.set, f"rule {rule.match}")
    total.put(of_keywords, "keywords")
    if sidecar is not None:
        total.put(sidecar.set, sidecar.path.name)
    spellings = {style_key(style): style for style in styles}
    sources = (
        _from_sidecar(sidecar),
        _from_keywords(asked, spellings),
        _from_rules(rule, rules),
        _from_folders(photo, spellings),
        _Source("default", (blend_of(default_style),), f"style {default_style}"),
    )
    winner = next(source for source in sources if source.blends)
    reasons = tuple(_reason(source, winner) for source in sources)
    regions = () if sidecar is None else sidecar.regions
    return _settle(winner, regions, total, spellings, reasons)


def _settle(
    winner: _Source,
    regions: Regions,
    total: _Settings,
    spellings: Mapping[str, str],
    reasons: tuple[str, ...],
) -> Paired | Unpaired:
    asked = [(name, winner.name) for blend in winner.blends for name, _ in blend]
    asked += [(name, "sidecar's regions") for _, blend in regions for name, _ in blend]
    unknown = {name: source for name, source in asked if style_key(name) not in spellings}
    if unknown:
        near = _near(list(unknown), spellings)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        sources = " and ".join(dict.fromkeys(unknown.values()))
        reason = f"No style named {' or '.join(unknown)} in the library (asked for by its {sources}).{hint}"
        return Unpaired(reason=reason, near=near, reasons=reasons)
    spelt = tuple((mask, _spelt(blend, spellings)) for mask, blend in regions)
    choices = tuple(
        Choice(blend=_spelt(blend, spellings), settings=dict(total.values), regions=spelt)
        for blend in winner.blends
    )
    words = [f"region {mask}: {spell_blend(blend)}" for mask, blend in spelt]
    return Paired(choices=choices, reasons=(*reasons, *words, total.reason()))


def _spelt(blend: Blend, spellings: Mapping[str, str]) -> Blend:
    """Return a blend with its names as the library spells them."""
    return tuple((spellings[style_key(name)], share) for name, share in blend)


def _from_sidecar(sidecar: Sidecar | None) -> _Source:
    if sidecar is None:
        return _Source("sidecar", (), "there is none")
    if sidecar.style is None:
        return _Source("sidecar", (), f"{sidecar.path.name} names no style")
    return _Source("sidecar", (sidecar.style,), f"{sidecar.path.name} says {spell_blend(sidecar.style)}")


def _unusable(source: str, fault: str) -> Unpaired:
    return Unpaired(reason=f"Its {source} cannot be used: {fault}", reasons=(f"{source}: {fault}",))


def _from_keywords(asked: Sequence[Levels], spellings: Mapping[str, str]) -> _Source:
    """Return the styles of the keywords; of a hierarchy the whole or the last level that names one."""
    names: dict[str, str] = {}
    for levels in asked:
        known = (level for level in levels if style_key(level) in spellings)
        name = next(known, levels[min(1, len(levels) - 1)])
        names.setdefault(style_key(name), name)
    if not names:
        return _Source("keywords", (), "none names a style")
    blends = tuple(((name, 1.0),) for name in names.values())
    return _Source("keywords", blends, f"they say {' and '.join(names.values())}")


def _from_rules(rule: Rule | None, rules: Sequence[Rule]) -> _Source:
    if rule is None:
        return _Source("rules", (), f"none of {len(rules)} matches" if rules else "there are none")
    if rule.style is None:
        return _Source("rules", (), f"{rule.match} matches, and names no style")
    blend = blend_of(rule.style)
    return _Source("rules", (blend,), f"{rule.match} matches and says {spell_blend(blend)}")


def _from_folders(photo: PurePath, spellings: Mapping[str, str]) -> _Source:
    folder = next((part for part in photo.parts[:-1] if style_key(part) in spellings), None)
    if folder is None:
        return _Source("sub-folder", (), "none is the name of a style")
    return _Source("sub-folder", (((folder, 1.0),),), f"{folder} is the name of a style")


def _reason(source: _Source, winner: _Source) -> str:
    if source is winner:
        return f"{source.name}: {source.words} ← decides"
    return f"{source.name}: {source.words}{' (not asked any more)' if source.blends else ''}"


def _near(unknown: Sequence[str], spellings: Mapping[str, str]) -> tuple[str, ...]:
    keys = [
        key
        for name in unknown
        for key in difflib.get_close_matches(style_key(name), spellings, n=3, cutoff=0.5)
    ]
    return tuple(spellings[key] for key in dict.fromkeys(keys))
