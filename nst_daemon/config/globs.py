"""Whether a path matches a glob of the config. Pure; the same on every platform.

    portraits/**    everything in that folder, however deep; so does portraits/
    trip/*.jpg      in that folder itself: * and ? stay within one name
    *.png           no slash: the name counts, in every folder

Upper and lower case are one, so that *.jpg finds IMG_4711.JPG. A path and its decomposed twin (macOS) are
one as well.
"""

import re
import unicodedata
from functools import lru_cache
from pathlib import PurePath

_TOKENS = re.compile(
    r"(?P<folders>\*\*/)|(?P<rest>\*\*)|(?P<star>\*)|(?P<one>\?)|(?P<set>\[!?\]?[^\]]*\])|.", re.S
)


def matches(pattern: str, path: PurePath) -> bool:
    """Return whether the pattern matches a path relative to its inbox."""
    return _compiled(pattern).fullmatch(plain(path.as_posix())) is not None


def plain(text: str) -> str:
    """Return what all spellings of a name share: upper and lower case, composed and decomposed are one."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    glob = plain(pattern.replace("\\", "/")).removeprefix("./").lstrip("/")
    if glob.endswith("/"):
        glob += "**"
    if "/" not in glob and not pattern.startswith("/"):
        glob = f"**/{glob}"
    try:
        return re.compile("".join(_regex(token) for token in _TOKENS.finditer(glob)), re.S)
    except re.error:  # a set such as [z-a]: only its own spelling matches
        return re.compile(re.escape(glob))


def _regex(token: re.Match[str]) -> str:
    match token.lastgroup:
        case "folders":
            return r"(?:[^/]+/)*"
        case "rest":
            return r".*"
        case "star":
            return r"[^/]*"
        case "one":
            return r"[^/]"
        case "set":
            inner = token[0][1:-1].replace("\\", r"\\")
            return f"[^/{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
    return re.escape(token[0])
