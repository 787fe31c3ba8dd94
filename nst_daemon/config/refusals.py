"""What pydantic refuses, in the user's words: got, allowed, and the nearest word of a closed set. Pure.

What is allowed is read from the JSON schema of an annotation: nothing is told twice.
"""

import operator
import reprlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache, reduce
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from nst_daemon.config.text import Fault, KeyPath, nearest

KINDS: Final[Mapping[str, str]] = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "keys with values",
}  # by type of JSON schema


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return what checks values against a dataclass; made once."""
    return TypeAdapter(kind)


def faults_of(
    error: ValidationError, kind: type, raw: Mapping[str, object], *, unknown: Callable[[KeyPath], str]
) -> Iterator[Fault]:
    """Yield all that is wrong with `raw` as a dataclass; `unknown` says so of a key that there is not."""
    for wrong in error.errors(include_url=False):
        path = wrong["loc"]
        if wrong["type"] == "missing":
            yield Fault(path, "is missing")
        elif wrong["type"] == "unexpected_keyword_argument":
            yield Fault(path, unknown(path))
        else:
            # Not the error's own input: that is lower case already.
            yield Fault(path, refusal(kind, path, reduce(operator.getitem, path, raw)))  # type: ignore[arg-type]


def refusal(kind: type, path: KeyPath, value: object) -> str:
    """Return "got …, allowed is …" for a key of a dataclass, with the nearest word of a closed set."""
    words = [word for schema in _alternatives(kind, path) for word in _words(schema)]
    near = nearest(value.lower(), words) if isinstance(value, str) else ""
    return f"got {reprlib.repr(value)}, allowed is {allowed(kind, path)}{near}"


def allowed(kind: type, path: KeyPath) -> str:
    """Return in words what a key of a dataclass allows."""
    return ", or ".join(_allowed(schema) for schema in _alternatives(kind, path))


@cache
def _schema(kind: type) -> Mapping[str, Any]:
    return adapter(kind).json_schema()


def _alternatives(kind: type, path: KeyPath) -> Iterator[Mapping[str, Any]]:
    """Yield the schemas of which a value needs to fit one; None is not told of: it is an empty key."""
    schema = _schema(kind)
    for part in path:
        schema = _resolved(schema["items"] if isinstance(part, int) else schema["properties"][part], kind)
    for one in schema.get("anyOf", [schema]):
        if one.get("type") != "null":
            yield _resolved(one, kind)


def _resolved(schema: Mapping[str, Any], kind: type) -> Mapping[str, Any]:
    if name := schema.get("$ref"):
        found: Mapping[str, Any] = _schema(kind)["$defs"][name.rpartition("/")[2]]
        return found
    return schema


def _allowed(schema: Mapping[str, Any]) -> str:
    if words := _words(schema):
        return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]
    if schema.get("type") in ("string", "array"):
        return str(schema.get("description", KINDS[schema["type"]]))
    kind, low, high = KINDS[schema.get("type", "object")], schema.get("minimum"), schema.get("maximum")
    if low is None:
        return kind
    if high is None:
        return f"{kind}, {_number(low)} or more"
    return f"{kind} from {_number(low)} to {_number(high)}"


def _words(schema: Mapping[str, Any]) -> list[str]:
    """Return the words of a closed set; none where it is open."""
    return [str(word) for word in schema.get("enum", [schema["const"]] if "const" in schema else [])]


def _number(limit: float) -> str:
    return f"{limit:g}" if isinstance(limit, float) else str(limit)
