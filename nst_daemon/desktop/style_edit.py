"""Sets the default style in the text of a config.yaml, and leaves every other character as it is. Pure."""

import re
from pathlib import Path
from typing import Final

from nst_daemon.config import parse
from nst_daemon.config.example import spell
from nst_daemon.errors import ConfigError

VALUE: Final = r"""(?P<value>[ \t]*(?:'[^'\n]*'|"[^"\n]*"|[^\n#'"]*?))(?P<rest>[ \t]*(?:#[^\n]*)?)$"""
LIVE: Final = re.compile(rf"^style:{VALUE}", re.M)
SILENT: Final = re.compile(rf"^#[ \t]?style:{VALUE}", re.M)


def with_style(text: str, style: str, source: Path) -> str:
    """Return the text of a config with another default style.

    Raises:
        ConfigError: the text is no config, or says `style` in a way that is not understood here.
    """
    line = f"style: {spell(style)}"
    for pattern in (LIVE, SILENT):
        if found := pattern.search(text):
            # The comment stays in its column where there is room.
            width = found.end("value") - found.start() + len(found["rest"]) - len(found["rest"].lstrip())
            comment = found["rest"].lstrip()
            written = f"{line.ljust(width - 1)} {comment}" if comment else line
            changed = text[: found.start()] + written + text[found.end() :]
            break
    else:
        changed = f"{text.rstrip()}\n{line}\n" if text.strip() else f"{line}\n"
    if style not in {folder.style for folder in parse(changed, source).folders}:
        raise ConfigError(f"{source}: every folder has a style of its own.", remedy="Edit it by hand.")
    return changed
