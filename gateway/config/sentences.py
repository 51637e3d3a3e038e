"""What is wrong with a value, in words for operators: pydantic's errors as sentences, the nearest name, what was found.

What may be a secret is never quoted: only its type is told.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from pydantic import ValidationError

from gateway.config.lines import Path

_SECRET: Final = re.compile(r"secret|passw|token|inline|authorization|^headers$", re.IGNORECASE)
_EXPECTED: Final = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "missing": "this key",
}
_BOUNDS: Final = {
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "text that fits {pattern}",
}


_NAMES_COMPARED: Final = 1000
"""Comparing costs some 50 µs a name, for each name that is wrong."""


def explain(
    error: ValidationError, data: object, schema: Mapping[str, Any], also_known: Iterable[str] = ()
) -> Iterator[tuple[Path, str]]:
    """Give a path and a sentence for everything that a pydantic error complains of; see `Report.add_invalid`."""
    found = _by_path(error, data)
    for path, details in found.items():
        if details[0]["type"] == "too_short" and any(path == each[:-1] for each in found if each):
            continue  # it is long enough but for the items that are wrong, each of which is told
        keys = [*known_keys(schema, path[:-1]), *(also_known if len(path) == 1 else ())]
        yield path, _sentence(details, path, keys, schema)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give `; did you mean "crm"?` for the nearest of `known`; empty if none is near."""
    near = nearest(word, known)
    return f'; did you mean "{near}"?' if near else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """Give the one of `known` that is most like `word`; empty if none is near."""
    return next(iter(difflib.get_close_matches(word, islice(known, _NAMES_COMPARED), n=1)), "")


def found_text(value: object) -> str:
    """Write a value as TOML would, cut to 60 characters; tables and lists by their kind."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def known_keys(schema: Mapping[str, Any], path: Path) -> list[str]:
    """Name the keys that the JSON Schema `schema` has for the table at `path`."""
    return _keys(_nodes(schema, path))


def _nodes(schema: Mapping[str, Any], path: Path) -> list[Mapping[str, Any]]:
    nodes = _resolve(schema, schema)
    for part in path:
        nodes = [below for node in nodes for below in _step(schema, node, part)]
    return nodes


def _keys(nodes: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted({key for node in nodes for key in node.get("properties", {})})


def _step(schema: Mapping[str, Any], node: Mapping[str, Any], part: str | int) -> list[Mapping[str, Any]]:
    below = node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part)
    below = below or node.get("additionalProperties")
    return _resolve(schema, below) if isinstance(below, dict) else []


def _resolve(schema: Mapping[str, Any], node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "$ref" in node:
        return _resolve(schema, schema["$defs"][node["$ref"].rpartition("/")[2]])
    forms = [*node.get("anyOf", ()), *node.get("oneOf", ())]
    return [found for form in forms for found in _resolve(schema, form)] if forms else [node]


def _by_path(error: ValidationError, data: object) -> dict[Path, list[Mapping[str, Any]]]:
    """Group an error's details by path: each form that a value may have complains for itself."""
    found: dict[Path, list[Mapping[str, Any]]] = {}
    for detail in error.errors(include_url=False):
        path = real_path(detail["loc"], data)
        if detail["type"] == "missing":
            path = (*path, detail["loc"][-1])
        found.setdefault(path, []).append(detail)
    return found


def real_path(location: Path, data: Any) -> Path:  # noqa: ANN401 - whatever the operator wrote
    """Leave out of `location` what is no key: pydantic puts the names of a value's possible forms between them."""
    path: Path = ()
    for part in location:
        is_key = isinstance(data, dict) and part in data
        if is_key or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            path, data = (*path, part), data[part]
    return path


def _sentence(details: Sequence[Mapping[str, Any]], path: Path, keys: list[str], schema: Mapping[str, Any]) -> str:
    first = details[0]
    if first["type"] == "extra_forbidden":
        return f"unknown key{did_you_mean(str(path[-1]), keys) or _known(keys)}"
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    if first["type"] == "missing":
        return "expected this key, found none: write it"
    expected = " or ".join(dict.fromkeys(_expected(detail) for detail in details))
    if expected == "text in quotes" and any(node.get("type") == "object" for node in _nodes(schema, path)):
        expected = "text in quotes or a table"  # where both fit, what is neither is taken for a text
    found = _found(first["input"], path)
    remedy = _table(schema, path) if expected == "a table" else ""
    if expected == "a list" and found.startswith('"') and found.endswith('"'):
        remedy = f": write [{found}]"
    return f"expected {expected}, found {found}{remedy}"


def _table(schema: Mapping[str, Any], path: Path) -> str:
    """Tell what a table at `path` holds: its keys, or tables with names."""
    nodes = _nodes(schema, path)
    if any("$ref" in below for node in nodes if isinstance(below := node.get("additionalProperties"), dict)):
        return f": write [{'.'.join(map(str, path))}.NAME]"
    keys = _keys(nodes)
    return f"; its keys are {', '.join(keys)}" if keys else ""


def _expected(detail: Mapping[str, Any]) -> str:
    kind = detail["type"]
    return _EXPECTED.get(kind) or _bounds(kind, detail.get("ctx", {})) or str(detail["msg"])


def _known(keys: list[str]) -> str:
    return f"; known here: {', '.join(keys)}" if keys else ""


def _bounds(kind: str, context: Mapping[str, Any]) -> str:
    if kind == "literal_error":
        return str(context["expected"]).replace("'", '"')
    form = _BOUNDS.get(kind)
    return form.format(**context) if form else ""


def _found(value: object, path: Path) -> str:
    if any(_SECRET.search(str(part)) for part in path) and not isinstance(value, (dict, list, bool)):
        return "text that is not shown here" if isinstance(value, str) else "something else"
    return found_text(value)
