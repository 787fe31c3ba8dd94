"""Of the places where an editor may have put keywords: those of the first that asks for something. Pure."""

from collections.abc import Iterable

from nst_daemon.config.blends import asked_by


def first_that_speaks(sources: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the keywords of the first source that names a style or setting; else those of all."""
    every: list[str] = []
    for keywords in sources:
        if any(asked_by(keywords)):
            return keywords
        every += keywords
    return unique(every)


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """Return the values that are not empty, each once, in their order."""
    return tuple(dict.fromkeys(value for value in values if value))
