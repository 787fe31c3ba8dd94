"""Sets the default style in the text of a config.yaml, and leaves every other character as it is. Pure."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from nst_daemon.config import Config, parse
from nst_daemon.config.example import spell
from nst_daemon.errors import ConfigError

MARK: Final = "\ufeff"
LINE: Final = re.compile("([^\r\n\x85\u2028\u2029]*)(\r\n|[\r\n\x85\u2028\u2029]|\\Z)")  # as YAML ends them
KEY: Final = r"""(?:style|"style"|'style')[ \t]*:"""
VALUE: Final = r"""(?P<value>[ \t]*(?:'[^']*'|"[^"]*"|[^#'"]*?))(?P<rest>[ \t]*(?:#.*)?)"""
LIVE: Final = re.compile(f"(?P<key>{KEY}){VALUE}")
SILENT: Final = re.compile(f"#[ \\t]?(?P<key>{KEY}){VALUE}")


def with_style(text: str, style: str, source: Path) -> str:
    """Return the text of a config with another default style: one line is changed, and nothing else.

    Raises:
        ConfigError: it is no config, or says `style` in a way that is not understood here.
    """
    before = parse(text, source)
    mark = MARK if text.startswith(MARK) else ""
    changed = f"{mark}{_changed(text.removeprefix(MARK), style)}"
    try:
        after = parse(changed, source)
    except ConfigError as error:
        raise _refusal(source) from error
    if _without_style(after) != _without_style(before):
        raise _refusal(source)
    if style not in {folder.style for folder in after.folders}:
        raise ConfigError(f"{source}: every folder has a style of its own.", remedy="Edit it by hand.")
    return changed


def _refusal(source: Path) -> ConfigError:
    return ConfigError(f"{source}: says style in a way that the menu cannot edit.", remedy="Edit it by hand.")


def _without_style(config: Config) -> Config:
    return replace(config, folders=tuple(replace(folder, style="") for folder in config.folders))


def _changed(text: str, style: str) -> str:
    lines = list(_lines(text))
    for pattern in (LIVE, SILENT):
        for index, (line, end) in enumerate(lines):
            if found := pattern.fullmatch(line):
                lines[index] = _line(found, style), end
                return "".join(f"{line}{end}" for line, end in lines)
    ends = [end for _, end in lines if end]
    new_line = ends[0] if ends else "\n"
    gap = new_line if lines and not lines[-1][1] else ""
    return f"{text}{gap}style: {spell(style)}{new_line}"


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield each line and its end."""
    for found in LINE.finditer(text):
        if found[0]:
            yield found[1], found[2]


def _line(found: re.Match[str], style: str) -> str:
    """Return a line with another value; its comment stays in its column where there is room."""
    line = f"{found['key']} {spell(style)}"
    comment = found["rest"].lstrip()
    if not comment:
        return line
    width = found.end("value") - found.start() + len(found["rest"]) - len(comment)
    return f"{line.ljust(width - 1)} {comment}"
