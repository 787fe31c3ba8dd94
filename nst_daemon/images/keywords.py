"""An editor's keywords, and the styles and settings that they ask for.

Pure: knows neither files nor the library of styles.
"""

import re
from collections.abc import Iterable, Sequence

_HIERARCHICAL = re.compile(r"nst\s*[|/]\s*(?P<name>[^|/]+)", re.IGNORECASE)
_FLAT = re.compile(r"(?:nst|style)\s*:\s*(?P<name>.+)", re.IGNORECASE)


def style_keywords(keywords: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the styles and the settings that an editor's keywords ask for.

    `nst|x`, `nst/x`, `nst:x` and `style:x` are the style x; `nst:size=2048` is a setting, as text. Bare words
    never are: darktable splits `nst|x` into two words.
    """
    styles: dict[str, None] = {}
    settings: dict[str, str] = {}
    for keyword in keywords:
        match = _HIERARCHICAL.fullmatch(keyword.strip()) or _FLAT.fullmatch(keyword.strip())
        if match is None:
            continue
        name, equals, value = (part.strip() for part in match["name"].partition("="))
        if equals:
            settings.setdefault(name.lower(), value)
        elif name:
            styles[name] = None
    return tuple(styles), settings


def first_that_speaks(sources: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the keywords of the first source that names a style or setting; else those of all."""
    every: list[str] = []
    for keywords in sources:
        if any(style_keywords(keywords)):
            return keywords
        every += keywords
    return unique(every)


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """Return the values that are not empty, each once, in their order."""
    return tuple(dict.fromkeys(value for value in values if value))
