"""A text as a literal of a plug-in's language, whatever is in it. Pure."""

from collections.abc import Callable, Mapping
from typing import Final


def python_literal(text: str) -> str:
    """Return a Python string."""
    return ascii(text)


def lua_literal(text: str) -> str:
    """Return a Lua string: bytes that are no plain letters are spelt by their numbers."""
    return '"' + "".join(_by_number(byte, r"\{:03d}") for byte in _bytes(text)) + '"'


def scheme_literal(text: str) -> str:
    r"""Return a Script-Fu string: TinyScheme knows `\"`, `\\` and `\xhh`, and takes UTF-8 as it is.

    Raises:
        ValueError: the text is no Unicode, which TinyScheme cannot hold.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{text!a} has bytes that are no UTF-8, which GIMP 2.10 cannot read") from error
    spelt = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in spelt) + '"'


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _by_number(byte: int, spelling: str) -> str:
    is_plain = 0x20 <= byte < 0x7F and chr(byte) not in '"\\'
    return chr(byte) if is_plain else spelling.format(byte)


LITERALS: Final[Mapping[str, Callable[[str], str]]] = {
    ".py": python_literal,
    ".lua": lua_literal,
    ".scm": scheme_literal,
}  # by the ending of a plug-in's file
