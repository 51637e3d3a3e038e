"""The reference of every key, as Markdown: written from the schema, so that it tells what the program does."""

from collections.abc import Iterator
from typing import Any, Final

from gateway.blueprint.schema import Node, kind_options, schema

HEAD: Final = """# Configuration reference

Written by `hookgate schema --markdown` from the program itself; change the docstrings there, not this page.
`config.example.toml` is the tour.

Durations are written "500ms", "30s", "2m", "1.5h", "3d"; sizes "512B", "64KiB", "1MiB". An unknown key is an error.
Where a value can be one text or glob or a list of them, `*` stands for any text, dots included.
"""

_TITLES: Final = {
    "sources": "sources.NAME",
    "routes": "routes.NAME",
    "targets": "targets.NAME",
    "policies": "policies.NAME",
    "pollers": "pollers.NAME",
}


def reference() -> str:
    """Give the page. Imports every installed plugin; raises PluginError if one cannot be."""
    writer = _Writer(schema())
    return "\n".join([HEAD, *writer.page()]) + "\n"


_VERIFY_KEYS: Final = ("scheme", "secret", "all_of", "any_of")


class _Writer:
    def __init__(self, whole: Node) -> None:
        self._whole = whole
        self._waiting: list[tuple[str, Node]] = []

    def page(self) -> Iterator[str]:
        yield from self._table("Top level", {**self._whole, "description": ""})
        while self._waiting:
            path, node = self._waiting.pop(0)
            later, self._waiting = self._waiting, []
            if path == "targets.NAME":
                yield from self._targets(path, node)
            elif path.endswith(".verify"):
                yield from self._table(f"[{path}]", self._without_options(node), path)
            else:
                yield from self._table(f"[{path}]", node, path)
            self._waiting += later  # the tables below a table follow it
        yield from self._table("Secret", self._whole["$defs"]["SecretReference"])
        yield from self._schemes()

    def _targets(self, path: str, node: Node) -> Iterator[str]:
        forms = node["anyOf"]
        common = set.intersection(*(set(form["properties"]) for form in forms))
        shared = {key: value for key, value in forms[0]["properties"].items() if key in common}
        shared["type"] = {key: value for key, value in shared["type"].items() if key != "const"}
        yield from self._table(
            f"[{path}]", {"description": node["description"], "properties": shared, "required": ["type"]}, path
        )
        for form in forms:
            own = {key: value for key, value in form["properties"].items() if key not in common}
            kind = form["properties"]["type"]["const"]
            yield from self._table(f'[{path}] with type = "{kind}"', {**form, "properties": own}, f"{path} ({kind})")

    def _schemes(self) -> Iterator[str]:
        for name, model in kind_options("verifiers").items():
            node = self._whole["$defs"]["Verify"]["properties"]
            own = model.model_json_schema()
            properties = {key: self._of_scheme(node[key], name) for key in own.get("properties", {})}
            table = {**own, "properties": properties}
            yield from self._table(f'verify with scheme = "{name}"', table, f"verify ({name})")

    @staticmethod
    def _of_scheme(node: Node, scheme: str) -> Node:
        forms = node["anyOf"] if "description" not in node else [node]
        found = next(form for form in forms if form["description"].startswith(f"{scheme}: "))
        return {**found, "description": found["description"].removeprefix(f"{scheme}: ")}

    @staticmethod
    def _without_options(node: Node) -> Node:
        properties = {key: value for key, value in node["properties"].items() if key in _VERIFY_KEYS}
        text = f"{node['description']} The options of each scheme are listed below."
        return {**node, "properties": properties, "description": text}

    def _table(self, title: str, node: Node, path: str = "") -> Iterator[str]:
        yield f"\n## {title}\n"
        if node.get("description"):
            yield f"{_one_line(node['description'])}\n"
        properties = node.get("properties", {})
        if not properties:
            yield "No keys of its own."
            return
        yield "| key | value | default | |"
        yield "|---|---|---|---|"
        for key, value in properties.items():
            default = _default(value, key in node.get("required", ()))
            text = _one_line(value.get("description", "")).replace("|", "\\|")
            yield f"| `{key}` | {self._type(value, _below(path, key))} | {default} | {text} |"

    def _type(self, node: Node, path: str) -> str:
        if "$ref" in node:
            return self._reference(node["$ref"].rpartition("/")[2], path)
        forms = node.get("anyOf") or node.get("oneOf")
        if forms:
            return " or ".join(dict.fromkeys(self._type(form, path) for form in forms))
        if "enum" in node:
            return " or ".join(f'`"{value}"`' for value in node["enum"])
        if node.get("type") == "array":
            return f"list of {self._type(node.get('items', {}), path)}"
        if node.get("type") == "object":
            return self._mapping(node, path)
        return _scalar(node)

    def _mapping(self, node: Node, path: str) -> str:
        below = node.get("additionalProperties")
        if isinstance(below, dict) and "$ref" in below:
            self._type(below, _TITLES.get(path, f"{path}.NAME"))
            return "tables by name"
        if isinstance(below, dict) and below.get("type") == "object":
            return "table of tables"
        return "table"

    def _reference(self, name: str, path: str) -> str:
        definition = self._whole["$defs"][name]
        if name == "SecretReference":
            return "[secret](#secret)"
        self._waiting.append((path, definition))
        return "table, see below"


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _scalar(node: Node) -> str:
    pattern = node.get("pattern", "")
    if "KiB" in pattern:
        return "size"
    if "ms|" in pattern:
        return "duration"
    bounds = [f"{node[key]}" for key in ("minimum", "maximum") if key in node]
    names = {"string": "text", "boolean": "true or false", "integer": "whole number", "number": "number"}
    text = names.get(str(node.get("type")), "any value")
    return f"{text}, {' to '.join(bounds)}" if len(bounds) > 1 else text


def _default(node: Node, required: bool) -> str:
    if required:
        return "**required**"
    value: Any = node.get("default")
    if value in (None, "", [], {}) or isinstance(value, dict):
        return ""
    return f"`{_toml(value)}`"


def _toml(value: Any) -> str:  # noqa: ANN401 - a default
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
