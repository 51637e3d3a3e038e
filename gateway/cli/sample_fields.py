"""The places of a sample's body that `hookgate send --field` may change, and the change.

A name that is in no sample is most often a slip, and would be sent and answered 2xx like any other; so only what the
sample has is changed, what the source's rules and routes read, and whatever a table without keys is meant to hold.
Pure.
"""

import json
import shlex
from collections.abc import Collection, Iterator
from typing import Any, Final, TypeAlias

from gateway.blueprint.values import Blueprint, Source
from gateway.cli.failures import Failure
from gateway.config.sentences import did_you_mean, nearest
from gateway.core.selector import Path

Keys: TypeAlias = tuple[str, ...]
SHOWN_MAX: Final = 60
"""Places that are named in a problem; no preset's sample has as many."""


def places_read(blueprint: Blueprint, source: Source) -> frozenset[Keys]:
    """Give the places that the rules and routes of `source` read of a body, items of lists without their numbers."""
    matches = [route.match for route in blueprint.routes.values() if route.source == source.name and route.match]
    paths = [each.path for match in matches for each in match.selectors if each.root == "body"]
    return frozenset(_keys(path) for path in [*paths, *source.identify.body_paths])


def change(body: Any, field: str, read: Collection[Keys], command: str) -> None:  # noqa: ANN401 - JSON
    """Set one place of `body`: `a.b=c`, list items by number.

    The value is JSON if it reads as such, else text; where text stands, a number or a bare word stays text.

    Raises Failure for a place that neither the body has nor `read` names; `command` is what was typed without it.
    """
    name, equals, text = field.partition("=")
    if not equals or not isinstance(body, (dict, list)):
        found = "" if equals else ", found no ="
        raise Failure(
            f"--field {field!r}: expected a place in the sample's body, as in data.state=completed{found}",
            "hookgate send --help",
        )
    keys = tuple(name.split("."))
    if not _set(body, keys, text, anew=_without_numbers(keys) in read):
        raise _unknown(body, name, text, command)


def _set(at: Any, keys: Keys, value: str, *, anew: bool) -> bool:  # noqa: ANN401 - JSON
    """Set the place, unless it is not there; a table without keys takes any, and so does every one with `anew`."""
    for number, text in enumerate(keys, 1):
        key: Any = text
        if isinstance(at, list) and text.isascii() and text.isdecimal() and int(text[:9]) < len(at):
            key = int(text)
        elif not isinstance(at, dict) or not (text in at or anew or not at):
            return False
        if number == len(keys):
            held = at[key] if isinstance(at, list) else at.get(key)
            at[key] = _value(value, like=held)
            return True
        at = at[key] if isinstance(at, list) else at.setdefault(key, {})
    return False


def _unknown(body: Any, name: str, text: str, command: str) -> Failure:  # noqa: ANN401 - JSON
    known = list(_places(body))
    more = f", and {len(known) - SHOWN_MAX} more" if len(known) > SHOWN_MAX else ""
    meant = nearest(name, known) or "PLACE"
    return Failure(
        f"--field {name}: the sample has no such place{did_you_mean(name, known)}",
        f"{command} --field {shlex.quote(f'{meant}={text}')}",
        [f"it has: {', '.join(known[:SHOWN_MAX])}{more}"],
    )


def _places(value: Any, above: str = "") -> Iterator[str]:  # noqa: ANN401 - JSON
    """Name the values of a body, and its empty tables and lists."""
    for key, each in enumerate(value) if isinstance(value, list) else value.items():
        if isinstance(each, (dict, list)) and each:
            yield from _places(each, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def _keys(path: Path) -> Keys:
    return tuple(key for part in path for key in part)


def _without_numbers(keys: Keys) -> Keys:
    return tuple(key for key in keys if not key.isdecimal())


def _value(text: str, like: Any) -> Any:  # noqa: ANN401 - JSON
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if not isinstance(like, str) or isinstance(value, (str, dict, list)) else text
