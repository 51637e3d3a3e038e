"""Mutants of one module: which there are, and the code of each.

A mutant is a change of one place of the syntax tree: another comparison, a condition turned round, a number one higher,
a statement left out, an argument left out, a result that is None, a handler that raises again. Left alone are what no
behaviour hangs on: annotations, documentation, imports, `__all__`, the switches of `@dataclass`, and prose for people.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Final, NamedTuple

from harness.mutation.nodes import (
    FOR_PEOPLE,
    changed_expression,
    changed_statement,
    is_documentation,
    is_export,
    is_prose,
)

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_FIELDS_LEFT_ALONE: Final = frozenset({"annotation", "returns", "decorator_list", "bases", "format_spec"})


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    path: str
    """Of the module, from the project's root."""
    number: int
    """Its place among all mutants of the module."""
    lines: tuple[int, int]
    """First and last line of the statement, or of the changed expression, of which a test must run one."""
    place: str
    """The function or class it is in, dotted; empty in the module itself."""
    change: str
    line: str
    """What stands at its first line, without the indentation."""
    inside: bool
    """True if it changes nothing before a function is called."""

    def __str__(self) -> str:
        return f"{self.path}:{self.lines[0]} {self.place or 'module'}: {self.change}"


class _Site(NamedTuple):
    node: ast.AST
    place: str
    change: str
    inside: bool
    apply: Callable[[], None]


def mutants(path: str, source: str) -> list[Mutant]:
    """Give all mutants of a module, in order of their place; the same source gives the same list."""
    text = source.splitlines()
    return [
        Mutant(
            path,
            number,
            (site.node.lineno, site.node.end_lineno or site.node.lineno),
            site.place,
            site.change,
            text[site.node.lineno - 1].strip(),
            site.inside,
        )
        for number, site in enumerate(_sites(ast.parse(source)))
    ]


def mutated(mutant: Mutant, source: str, file: str) -> CodeType:
    """Compile the module with that one change. Raises SyntaxError if the change gives no module."""
    tree = ast.parse(source)
    site = next(site for number, site in enumerate(_sites(tree)) if number == mutant.number)
    site.apply()
    try:
        return compile(ast.fix_missing_locations(tree), file, "exec", dont_inherit=True)
    except ValueError as error:
        raise SyntaxError(str(error)) from error


def _sites(tree: ast.AST) -> Iterator[_Site]:
    yield from _walk(tree, "", inside=False, prose=False)


def _walk(node: ast.AST, place: str, *, inside: bool, prose: bool) -> Iterator[_Site]:
    prose = prose or is_prose(node)
    for field, value in ast.iter_fields(node):
        if _is_left_alone(node, field):
            continue
        within = inside or (isinstance(node, _FUNCTIONS) and field == "body")
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or is_documentation(child) or is_export(child):
                continue
            holder = index if isinstance(value, list) else None
            if hasattr(child, "lineno"):
                changes = changed_statement(child) if isinstance(child, ast.stmt | ast.excepthandler) else ()
                for change, new in (*changes, *changed_expression(child, node, field, prose=prose)):
                    yield _Site(child, place, change, within, _putting(node, field, holder, new))
            named = f"{place}.{child.name}".lstrip(".") if isinstance(child, _SCOPES) else place
            yield from _walk(child, named, inside=within, prose=prose)


def _putting(node: ast.AST, field: str, index: int | None, new: ast.AST) -> Callable[[], None]:
    def put() -> None:
        if index is None:
            setattr(node, field, new)
        else:
            getattr(node, field)[index] = new

    return put


def _is_left_alone(node: ast.AST, field: str) -> bool:
    if field in _FIELDS_LEFT_ALONE or (isinstance(node, ast.keyword) and node.arg in FOR_PEOPLE):
        return True
    if isinstance(node, ast.ClassDef) and field == "keywords":
        return True
    return isinstance(node, ast.Subscript) and field == "slice" and ast.unparse(node.value) in ("Literal", "Callable")
