"""Reads a `match` table as TOML gives it and compiles it, or tells everything that is wrong with it by key path.

The likeliest slip, a dotted key without quotes (TOML makes nested tables of it), is answered with the line to write.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias, cast

from gateway.core.match import Condition, Group, GroupKind, Match, short_text
from gateway.core.operators import OPERATORS, Test
from gateway.core.problems import Findings, KeyPath, unknown
from gateway.core.selector import ROOTS, FindField, Selector, parse_selector

DEPTH_MAX: Final = 8
CONDITIONS_MAX: Final = 1000
GROUPS: Final = ("any_of", "all_of", "none_of")
KEYS: Final = (*OPERATORS, "not", "exists")

Tests: TypeAlias = tuple[list[Test], list[Test], bool | None]
"""What a value must fit, what it must not fit, whether it must exist."""
Operand: TypeAlias = Any
"""Whatever the operator wrote."""


def parse_match(table: Operand, field: FindField | None = None) -> Match:
    """Compile a `match` table; `field` finds `event.NAME`.

    Raises ProblemsError with everything that is wrong with it.
    """
    reader = _Reader(field)
    match = reader.match(table, (), 0)
    if len(match.selectors) > CONDITIONS_MAX:
        reader.findings.add((), f"more than {CONDITIONS_MAX} conditions")
    reader.findings.check()
    return match


class _Reader:
    """Reads one table; what is wrong goes into `findings`, and reading goes on."""

    def __init__(self, field: FindField | None) -> None:
        self.findings = Findings()
        self._field = field

    def match(self, table: Operand, path: KeyPath, depth: int) -> Match:
        nodes: list[Condition | Group] = []
        selectors: list[Selector] = []
        if not isinstance(table, Mapping) or not table:
            self.findings.add(path, f'expected a table such as {{ "body.state" = "done" }}, found {short_text(table)}')
            table = {}
        for key, operand in table.items():
            if key in GROUPS:
                below = self._group(operand, (*path, key), depth)
                nodes.append(Group(cast("GroupKind", key), below))
                selectors += [selector for match in below for selector in match.selectors]
            elif selector := self._selector(key, operand, (*path, key)):
                nodes.append(self._condition(selector, operand, (*path, key)))
                selectors.append(selector)
        return Match(nodes, selectors)

    def _group(self, operand: Operand, path: KeyPath, depth: int) -> list[Match]:
        if depth >= DEPTH_MAX:
            self.findings.add(path, f"groups more than {DEPTH_MAX} deep")
        elif not isinstance(operand, list) or not operand:
            self.findings.add(path, f"expected a list of tables, found {short_text(operand)}")
        else:
            return [self.match(table, (*path, index), depth + 1) for index, table in enumerate(operand)]
        return []

    def _selector(self, key: str, operand: Operand, path: KeyPath) -> Selector | None:
        if key in ROOTS and (lines := list(_quoted_lines(key, operand))):
            self.findings.add(path, f"a key with dots must be quoted: write {' and '.join(lines)}")
            return None
        try:
            return parse_selector(key, self._field)
        except ValueError as error:
            self.findings.add(path, str(error))
            return None

    def _condition(self, selector: Selector, operand: Operand, path: KeyPath) -> Condition:
        fits, never, exists = self._tests(operand, path)
        always_text = not selector.path and selector.root != "field" and selector.text != "event.occurred_at"
        for wrong in [value for value in _scalars(operand) if always_text and not isinstance(value, str)]:
            self.findings.add(path, f'{selector.text} is always text: write "{short_text(wrong)}" in quotes')
        return Condition(selector, f"{selector.text} {_written(operand)}", fits, never, exists)

    def _tests(self, operand: Operand, path: KeyPath) -> Tests:
        if not isinstance(operand, Mapping):
            return self._operator("eq", operand, path), [], None
        fits: list[Test] = []
        never: list[Test] = []
        exists: bool | None = None
        if not operand:
            self.findings.add(path, f"expected an operator, one of {', '.join(KEYS)}; found an empty table")
        for name, value in operand.items():
            if name == "not":
                never.append(self._negated(value, (*path, name)))
            elif name == "exists":
                exists = self._exists(value, (*path, name))
            else:
                fits += self._operator(name, value, (*path, name))
        return fits, never, exists

    def _operator(self, name: str, operand: Operand, path: KeyPath) -> list[Test]:
        if name not in OPERATORS:
            self.findings.add(path, unknown(name, KEYS, "operator"))
            return []
        try:
            return [OPERATORS[name](operand)]
        except ValueError as error:
            self.findings.add(path, str(error))
            return []

    def _negated(self, operand: Operand, path: KeyPath) -> Test:
        """`not` takes whatever a condition takes, but neither `not` nor `exists` again."""
        nested = [key for key in ("not", "exists") if isinstance(operand, Mapping) and key in operand]
        for key in nested:
            self.findings.add((*path, key), f"{key} has no meaning inside not")
        fits = [] if nested else self._tests(operand, path)[0]
        return lambda value: all(test(value) for test in fits)

    def _exists(self, operand: Operand, path: KeyPath) -> bool:
        if not isinstance(operand, bool):
            self.findings.add(path, f"expected true or false, found {short_text(operand)}")
        return operand is True


def _quoted_lines(key: str, operand: Operand) -> Iterator[str]:
    """Write the conditions that were meant by a nested table, each with its key in quotes."""
    if not isinstance(operand, Mapping) or not operand or set(operand) <= set(KEYS):
        return
    for name, below in operand.items():
        piece = name if name.replace("_", "").replace("-", "").isalnum() else f'\\"{name}\\"'
        lines = list(_quoted_lines(f"{key}.{piece}", below))
        yield from lines or [f'"{key}.{piece}" = {_toml(below)}']


def _scalars(operand: Operand) -> Iterator[Operand]:
    if isinstance(operand, Mapping):
        for name, value in operand.items():
            if name != "exists":
                yield from _scalars(value)
    elif isinstance(operand, list):
        yield from operand
    else:
        yield operand


def _written(operand: Operand) -> str:
    if not isinstance(operand, Mapping):
        return f"{'in' if isinstance(operand, list) else '='} {short_text(operand)}"
    return ", ".join(f"{name} {short_text(value)}" for name, value in operand.items())


def _toml(operand: Operand) -> str:
    if not isinstance(operand, Mapping):
        return short_text(operand)
    return "{ " + ", ".join(f"{name} = {_toml(value)}" for name, value in operand.items()) + " }"
