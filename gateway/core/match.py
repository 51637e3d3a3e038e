"""`match`: conditions on the values of an event, as an operator writes them in a TOML table.

A condition is `selector = value | [values] | { operator = operand, … }`; all conditions of a table must hold; `any_of`,
`all_of` and `none_of` take lists of tables. A selector with `[]` gives many values: the condition holds if one of them
fits, `not` if none does. An absent value fits only `not`, `none_of` and `exists = false`; JSON's null is a value that
exists.

What an operator means for one value is `core.operators`; how a table is read is `core.match_table`.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import orjson

from gateway.core.model import Json
from gateway.core.operators import Test
from gateway.core.selector import ABSENT, Scope, Selector

GroupKind: TypeAlias = Literal["any_of", "all_of", "none_of"]
_SHORT_MAX: Final = 60


class Verdict(NamedTuple):
    """One condition with what came of it, for people."""

    depth: int
    """How many groups it stands in."""
    holds: bool
    condition: str
    found: str
    """What the event has there, cut to 60 characters; empty for a group."""

    def __str__(self) -> str:
        found = f"; found {self.found}" if self.found else ""
        return f"{'  ' * self.depth}{'yes' if self.holds else 'no '} {self.condition}{found}"


class Condition:
    """What must hold for the values of one selector."""

    __slots__ = ("_absent_fits", "_first", "_fits", "_never", "_present_fits", "_selector", "_text")

    def __init__(
        self, selector: Selector, text: str, fits: Sequence[Test], never: Sequence[Test], exists: bool | None
    ) -> None:
        self._selector = selector
        self._first = selector.value if len(selector.path) == 1 else None
        self._text = text
        self._fits = tuple(fits)
        self._never = tuple(never)
        self._absent_fits = not fits and exists is not True
        self._present_fits = exists is not False

    def holds(self, scope: Scope) -> bool:
        """Tell whether the condition holds."""
        if self._first is None:
            return self._holds_for(self._selector.values(scope))
        value = self._first(scope)  # by far the most usual case, without a list
        if value is ABSENT:
            return self._absent_fits
        return self._present_fits and self._fits_one(value) and not any(test(value) for test in self._never)

    def explain(self, scope: Scope, depth: int) -> list[Verdict]:
        """Give the condition with its verdict."""
        values = self._selector.values(scope)
        found = ", ".join(short_text(value) for value in values[:3]) + (", …" if len(values) > 3 else "")
        return [Verdict(depth, self.holds(scope), self._text, found or "nothing")]

    def _holds_for(self, values: list[Json]) -> bool:
        if not values:
            return self._absent_fits
        if not self._present_fits or (self._fits and not any(self._fits_one(value) for value in values)):
            return False
        return not any(test(value) for value in values for test in self._never)

    def _fits_one(self, value: Json) -> bool:
        return all(test(value) for test in self._fits)


class Group:
    """Tables of conditions of which any, all or none must hold."""

    __slots__ = ("_kind", "_matches")

    def __init__(self, kind: GroupKind, matches: "Sequence[Match]") -> None:
        self._kind = kind
        self._matches = tuple(matches)

    def holds(self, scope: Scope) -> bool:
        """Tell whether as many of the tables hold as the group asks for."""
        if self._kind == "all_of":
            return all(match.matches(scope) for match in self._matches)
        return any(match.matches(scope) for match in self._matches) is (self._kind == "any_of")

    def explain(self, scope: Scope, depth: int) -> list[Verdict]:
        """Give the group and, indented, its tables."""
        below = [verdict for match in self._matches for verdict in match.explain(scope, depth + 1)]
        return [Verdict(depth, self.holds(scope), self._kind, ""), *below]


class Match:
    """A compiled `match` table. Immutable, pure, never raises."""

    __slots__ = ("_nodes", "selectors")

    def __init__(self, nodes: Sequence[Condition | Group], selectors: Sequence[Selector]) -> None:
        self._nodes = tuple(nodes)
        self.selectors = tuple(selectors)
        """Every selector it reads."""

    def matches(self, scope: Scope) -> bool:
        """Tell whether all conditions hold."""
        return all(node.holds(scope) for node in self._nodes)

    def explain(self, scope: Scope, depth: int = 0) -> list[Verdict]:
        """Give each condition with its verdict, in the order they were written."""
        return [verdict for node in self._nodes for verdict in node.explain(scope, depth)]


def short_text(value: Json) -> str:
    """Write a value as JSON for people, cut to 60 characters."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:
        text = type(value).__name__
    return text if len(text) <= _SHORT_MAX else f"{text[:_SHORT_MAX]}…"
