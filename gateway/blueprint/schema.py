"""The JSON Schema (2020-12) of a configuration file, with the options of every installed kind: for editors."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final, Literal

from pydantic import BaseModel

from gateway.config.load import config_schema
from gateway.plugin import kind_names, load_kinds
from gateway.provider_api.fetch_options import FetchOptions
from gateway.provider_api.options import ApiOptions

Node = dict[str, Any]


def schema() -> Node:
    """Give the schema. Imports every installed plugin; raises PluginError if one cannot be."""
    whole = deepcopy(config_schema())
    definitions: Node = whole["$defs"]
    _describe_targets(definitions)
    _describe_pollers(definitions)
    _describe_verify(definitions)
    definitions["SendTransform"].pop("x-options")
    plain: Node = _plain({key: value for key, value in whole.items() if key != "title"})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Hookgate configuration",
        **plain,
    }


def kind_options(group: Literal["targets", "verifiers"]) -> dict[str, type[BaseModel]]:
    """Give the options model of every installed kind, by name."""
    kinds = load_kinds(group, set(kind_names(group)))
    return {name: kinds[name].options for name in sorted(kinds)}


def _plain(node: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Leave out what a TOML file cannot say: null, and the defaults of whole tables, whose keys have their own."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _plain(value) for key, value in node.items() if not (key == "default" and value in (None, {}))}
    if isinstance(plain.get("default"), dict) and "$ref" in plain:
        del plain["default"]
    forms = [form for form in plain.get("anyOf", ()) if form != {"type": "null"}]
    if len(forms) == 1 and len(plain["anyOf"]) > 1:
        del plain["anyOf"]
        return {**forms[0], **plain}
    return {**plain, "anyOf": forms} if forms else plain


def _describe_targets(definitions: Node) -> None:
    common = definitions["Target"]
    definitions["Fetch"] = _options("fetch", FetchOptions, definitions)
    common["properties"]["fetch"] = {
        "$ref": "#/$defs/Fetch",
        "description": common["properties"]["fetch"]["description"],
    }
    forms = []
    for name, model in kind_options("targets").items():
        options = _options(name, model, definitions)
        properties = {**common["properties"], **options.get("properties", {})}
        properties["type"] = {**properties["type"], "const": name}
        forms.append(
            {
                "title": f'Target of type "{name}"',
                "type": "object",
                "description": options.get("description", ""),
                "properties": properties,
                "required": [*common["required"], *options.get("required", [])],
                "additionalProperties": False,
            }
        )
    definitions["Target"] = {"description": common["description"], "anyOf": forms}


def _describe_pollers(definitions: Node) -> None:
    node = definitions["Poller"]
    node["properties"] |= _options("poller", ApiOptions, definitions)["properties"]
    node["additionalProperties"] = False
    del node["x-options"]


def _describe_verify(definitions: Node) -> None:
    """Allow the options of every scheme and require none: a preset may give the scheme and some of its options."""
    found: dict[str, list[Node]] = {}
    for name, model in kind_options("verifiers").items():
        for key, node in _options(name, model, definitions).get("properties", {}).items():
            found.setdefault(key, []).append({**node, "description": f"{name}: {node.get('description', '')}"})
    for table in ("Verify", "RouteVerify"):
        node = definitions[table]
        node["properties"] |= {key: nodes[0] if len(nodes) == 1 else {"anyOf": nodes} for key, nodes in found.items()}
        node["additionalProperties"] = False
        del node["x-options"]


def _options(kind: str, model: type[BaseModel], definitions: Node) -> Node:
    """Give the schema of a kind's options; what it refers to goes into `definitions` under the kind's name."""
    node: Node = _sharing(model.model_json_schema(ref_template=f"#/$defs/{kind}.{{model}}"), kind)
    below: Mapping[str, Node] = {name: each for name, each in node.pop("$defs", {}).items() if name not in _SHARED}
    if "Smtp" in below:  # the rest comes from `[smtp]`
        below["Smtp"].pop("required", None)
        node["required"] = [key for key in node.get("required", []) if key != "smtp"]
    definitions.update({f"{kind}.{name}": each for name, each in below.items()})
    return node


_SHARED: Final = ("SecretReference",)
"""Tables that the configuration itself has too: not described once more for each kind."""


def _sharing(node: Any, kind: str) -> Any:  # noqa: ANN401 - any part of a schema
    """Let a kind's schema refer to the tables that it shares with the configuration."""
    if isinstance(node, list):
        return [_sharing(each, kind) for each in node]
    if not isinstance(node, dict):
        return node
    own = {f"#/$defs/{kind}.{name}": f"#/$defs/{name}" for name in _SHARED}
    return {key: own.get(each, each) if key == "$ref" else _sharing(each, kind) for key, each in node.items()}
