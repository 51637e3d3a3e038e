"""Finds the kinds that are installed, by their entry points; imports none but those that are wanted."""

from importlib.metadata import entry_points
from typing import Any, Literal, TypeAlias

from gateway.errors import PluginError
from gateway.kinds.target import TargetKind
from gateway.kinds.verifier import VerifierKind

Group: TypeAlias = Literal["targets", "verifiers", "transforms"]
"""The groups of kinds; `hookgate.` before it is the entry points' group."""


def load_kinds(group: Literal["targets", "verifiers"], wanted: set[str]) -> dict[str, Any]:
    """Load the kinds named in `wanted` from the entry points of `group`; names that nobody provides are left out.

    Raises PluginError if one of them cannot be imported or is no kind. Nothing else is imported.
    """
    expected = TargetKind if group == "targets" else VerifierKind
    kinds: dict[str, Any] = {}
    for entry in entry_points(group=f"hookgate.{group}"):
        if entry.name in wanted:
            kinds[entry.name] = _load(entry, expected)
    return kinds


def kind_names(group: Literal["targets", "verifiers"]) -> list[str]:
    """Name every installed kind of `group`, without importing it."""
    return sorted(entry.name for entry in entry_points(group=f"hookgate.{group}"))


def _load(entry: Any, expected: type) -> Any:  # noqa: ANN401 - an entry point holds anything
    try:
        kind = entry.load()
    except Exception as error:
        raise PluginError(f"plugin {entry.name!r} ({entry.value}) cannot be imported: {error}") from error
    if not isinstance(kind, expected):
        raise PluginError(
            f"plugin {entry.name!r} ({entry.value}) is no {expected.__name__}: mark it with @target or @verifier"
        )
    return kind
