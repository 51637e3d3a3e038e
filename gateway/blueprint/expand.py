"""The configuration in its long form, as TOML: includes put in, self-contained routes written out."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.blueprint.expansion import Expansion
from gateway.blueprint.presets import Presets
from gateway.config.load import NAMED, Loaded


def expand(loaded: Loaded) -> str:
    """Give the long form; it loads to the same blueprint. Raises ConfigError if a route cannot be expanded."""
    report = loaded.report()
    expansion = Expansion(loaded, Presets(loaded, report), report)
    expansion.run()
    report.check()
    return write_toml(expansion.data)


def write_toml(data: Mapping[str, Any]) -> str:
    """Write a configuration as TOML, a table for each source, route and target."""
    return "\n".join(_document(data)).lstrip("\n") + "\n"


def _document(data: Mapping[str, Any]) -> Iterator[str]:
    tables = {key: value for key, value in data.items() if key != "include"}
    yield from _pairs({key: value for key, value in tables.items() if key == "alerts"})
    for key, value in tables.items():
        if key in NAMED:
            for name, table in value.items():
                yield from _table(f"{key}.{_key(name)}", table)
        elif key != "alerts":
            yield from _table(key, value)


def _table(path: str, table: Mapping[str, Any]) -> Iterator[str]:
    below = table.get("credentials", {})
    yield from ("", f"[{path}]")
    yield from _pairs({key: value for key, value in table.items() if key != "credentials"})
    if below:
        yield from ("", f"[{path}.credentials]")
        yield from _pairs(below)


def _pairs(table: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{_key(key)} = {_value(value)}" for key, value in table.items())


def _value(value: Any) -> str:  # noqa: ANN401 - whatever TOML can hold
    if isinstance(value, dict):
        return "{ " + ", ".join(_pairs(value)) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    # JSON's escapes are TOML's, but for one character that TOML wants escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    bare = key.replace("-", "").replace("_", "")
    return key if bare.isascii() and bare.isalnum() else _value(key)
