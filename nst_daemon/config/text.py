"""YAML and JSON text -> plain values that know their lines. The only import of yaml.

Knows nothing of keys and their meaning. Booleans and numbers are those of YAML 1.2, so that `tray: off`
is the word "off" and `tv_weight: 1e-3` a number. A number keeps its spelling: `styles: 2024_05` is that
folder, and `steps: 1_000` a thousand.
"""

import difflib
import json
import math
import re
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Self

import yaml

from nst_daemon.errors import ConfigError

KeyPath = tuple[str | int, ...]  # ("rules", 0, "set", "size")

MAX_BYTES = 1_000_000  # of a config
MAX_DEPTH = 16  # of a config; its own shape needs 6
MAX_KEYS = 100_000  # aliases expanded, so that a few lines cannot stand for billions
HOSTILE_BYTES = 64_000  # of a sidecar, which anyone may have written
HOSTILE_DEPTH = 6  # regions: [{mask: sky.png, style: [mosaic, {pastel: 0.5}]}]
YAML = "tag:yaml.org,2002:"
NO_TEXT = re.compile("[\0\ud800-\udfff]")  # nothing can be called so: NUL, and half of a surrogate pair


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and at which key."""

    path: KeyPath
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The value of a text, and the line on which each key stands."""

    name: str
    value: object
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def describe(self, fault: Fault) -> str:
        """Return one line: file, line, key and what is wrong."""
        line = self._line(fault.path)
        where = f"{self.name}, line {line}" if line is not None else self.name
        return f"{where}: {spell(fault.path)}{fault.words}"

    def _line(self, path: KeyPath) -> int | None:
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def error(self, faults: Sequence[Fault]) -> ConfigError:
        """Return the error that lists all faults."""
        if len(faults) == 1:
            return ConfigError(self.describe(faults[0]), remedy=MEND, code=INVALID)
        by_line = sorted(faults, key=lambda fault: self._line(fault.path) or 0)
        listed = "".join(f"\n  {self.describe(fault)}" for fault in by_line)
        return ConfigError(f"{self.name} has {len(faults)} errors:{listed}\n", remedy=MEND, code=INVALID)


INVALID = "config_invalid"
MEND = "Mend that line; docs/config.md has every key."


def spell(path: KeyPath) -> str:
    """Return a key as a user would write it: `rules[0].set.size: `."""
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"{words.removeprefix('.')}: " if words else ""


def nearest(word: str, words: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return ", did you mean …?" for the likeliest of the words, or nothing."""
    near = difflib.get_close_matches(word, list(words), n=1, cutoff=cutoff)
    return f", did you mean {near[0]}?" if near else ""


class WrittenInt(int):
    """A whole number that is its own text where text is expected: `str` returns what was written."""

    def __new__(cls, written: str) -> Self:
        """Return the number of a text."""
        number = super().__new__(cls, written.replace("_", ""))
        number.written = written
        return number

    def __repr__(self) -> str:
        return self.written

    __str__ = __repr__
    written: str


class WrittenFloat(float):
    """As `WrittenInt`."""

    def __new__(cls, written: str) -> Self:
        """Return the number of a text, in the spelling of YAML or of JSON."""
        number = super().__new__(cls, re.sub(r"^([-+]?)\.(?=[a-zA-Z])", r"\1", written))  # .inf, .nan
        number.written = written
        return number

    def __str__(self) -> str:
        return self.written

    def __repr__(self) -> str:
        return self.written if math.isfinite(self) else super().__repr__()

    written: str


class _Loader(yaml.SafeLoader):
    """A safe loader with the plain words of YAML 1.2, a limit of depth, and lines."""

    is_hostile = False
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node; refuse what is nested too deep, and aliases where the text is hostile."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if self.is_hostile and (isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None)):
            raise yaml.MarkedYAMLError(problem="may not use & and *", problem_mark=event.start_mark)
        self.depth += 1
        if self.depth > (HOSTILE_DEPTH if self.is_hostile else MAX_DEPTH):
            raise yaml.MarkedYAMLError(problem="is nested too deep", problem_mark=event.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> str:
        """Return the text of a word; refuse one that no file can be called."""
        text = str(super().construct_scalar(node))
        if NO_TEXT.search(text):
            raise yaml.MarkedYAMLError(problem=f"{text!a} is no text", problem_mark=node.start_mark)
        return text


def _written(kind: Callable[[str], object]) -> Callable[[_Loader, yaml.ScalarNode], object]:
    return lambda loader, node: kind(loader.construct_scalar(node))


_Loader.yaml_constructors = {
    tag: construct
    for tag, construct in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in ("null", "bool", "str", "seq", "map")
}  # those of YAML 1.2: no sets, bytes and dates
_Loader.add_constructor(f"{YAML}int", _written(WrittenInt))
_Loader.add_constructor(f"{YAML}float", _written(WrittenFloat))
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9_]{0,18})", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"{YAML}{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def read(text: str | bytes, name: str, *, is_hostile: bool = False) -> Document:
    """Return the value of a YAML text; of a JSON text if the name ends in `.json`.

    Raises:
        ConfigError: it is no YAML, too large or too deep, or has a key twice.
    """
    limit = HOSTILE_BYTES if is_hostile else MAX_BYTES
    if len(text) > limit:
        raise ConfigError(f"{name}: has {len(text)} bytes, the limit is {limit}.")
    try:
        if Path(name).suffix.lower() == ".json":
            return _read_json(text, name)
        if isinstance(text, bytes):
            text, _ = decoded(text, name)
        return _read_yaml(text, name, is_hostile=is_hostile)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}, line {mark.line + 1}" if mark else name
        raise ConfigError(
            f"{where}: {error.problem or error.context}.", remedy=_hint(error), code=INVALID
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: is no text: {' '.join(str(error).split())}.") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: {error}.") from error


def decoded(raw: bytes, name: str) -> tuple[str, str]:
    """Return a text with its byte-order mark, and its encoding: that which its mark says, else UTF-8.

    Raises:
        ConfigError: it is no text.
    """
    marks = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
    encoding = marks.get(raw[:2], "utf-8")
    try:
        return raw.decode(encoding), encoding
    except UnicodeDecodeError as error:
        words = f"{name}: is no text: {error}."
        raise ConfigError(words, remedy="Save it as UTF-8.", code=INVALID) from error


def _hint(error: yaml.MarkedYAMLError) -> str:
    if "alias" in (error.context or "") or "alias" in (error.problem or ""):
        return 'Text that begins with * or & needs quotes: match: "*.jpg".'
    if "'\\t'" in (error.problem or ""):
        return "Indent with spaces, not with tabs."
    return "Mend that line; a word with : or # in it needs quotes."


def _read_yaml(text: str, name: str, *, is_hostile: bool) -> Document:
    loader = _Loader(text)
    loader.is_hostile = is_hostile
    try:
        node = loader.get_single_node()
        if node is None:
            return Document(name=name, value=None)
        marks = list(islice(_lines(node, (), ()), MAX_KEYS + 1))
        if len(marks) > MAX_KEYS:
            raise ValueError(f"has more than {MAX_KEYS} keys")
        lines = dict(reversed(marks))  # of a key that is there twice, the first
        document = Document(name=name, value=None, lines=lines)
        if twice := list(_twice(node, (), ())):
            raise document.error(twice)
        _make_keys_text(node)
        value = loader.construct_document(node)
        return Document(name=name, value=value, lines=lines)
    finally:
        loader.dispose()


def _children(node: yaml.Node, path: KeyPath) -> Iterator[tuple[KeyPath, yaml.Node, yaml.Node]]:
    """Yield (path, the node that marks the line, the node of the value)."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is no word", problem_mark=key.start_mark)
            yield (*path, str(key.value)), key, value
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*path, index), value, value


def _lines(node: yaml.Node, path: KeyPath, above: tuple[int, ...]) -> Iterator[tuple[KeyPath, int]]:
    if id(node) in above:
        raise yaml.MarkedYAMLError(problem="an alias contains itself", problem_mark=node.start_mark)
    for place, mark, value in _children(node, path):
        yield place, mark.start_mark.line + 1
        yield from _lines(value, place, (*above, id(node)))


def _twice(node: yaml.Node, path: KeyPath, above: tuple[int, ...]) -> Iterator[Fault]:
    seen: set[KeyPath] = set()
    for place, mark, value in _children(node, path):
        if place in seen:
            yield Fault(place, f"is there twice, again on line {mark.start_mark.line + 1}")
        seen.add(place)
        yield from _twice(value, place, (*above, id(node)))


def _make_keys_text(node: yaml.Node) -> None:
    """Let every key be the text that was written: 1_0 and 10 are two, and `off` and `true` are words."""
    for _, key, value in _children(node, ()):
        if isinstance(node, yaml.MappingNode) and key.tag != f"{YAML}merge":
            key.tag = f"{YAML}str"
        _make_keys_text(value)


def _read_json(text: str | bytes, name: str) -> Document:
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text))
        value = json.loads(
            text.removeprefix("\ufeff"),
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_int=WrittenInt,
            parse_float=WrittenFloat,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno} is no JSON: {error.msg}") from error
    if NO_TEXT.search(json.dumps(value, ensure_ascii=False)):
        raise ValueError("has half of a character")
    return Document(name=name, value=value)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError(f"one of the keys {reprlib.repr(list(unique))} is there twice")
    return unique


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no number")
