"""What may be changed of one node of a syntax tree: each change with its words and the node that takes its place."""

import ast
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from harness.mutation.sql import STATEMENT, changed_sql

Change: TypeAlias = tuple[str, ast.AST]

_COMPARISONS: Final[dict[type, type]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: Final[dict[type, type]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
_SWAPPED_NAMES: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
FOR_PEOPLE: Final = frozenset({"description", "examples", "title"})
"""Arguments that only documentation reads."""
_LOG: Final = frozenset({"debug", "info", "warning", "error", "exception", "critical"})


def is_documentation(node: ast.AST) -> bool:
    """Tell whether it is a text that stands by itself."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def is_export(node: ast.AST) -> bool:
    """Tell whether it names what the type checker takes for given away."""
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


def is_prose(node: ast.AST) -> bool:
    """Tell whether the texts in it are for people: what is raised, and sentences."""
    if isinstance(node, ast.JoinedStr):
        text = "".join(str(each.value) for each in node.values if isinstance(each, ast.Constant))
        return _is_sentence(text) and not STATEMENT.search(text)
    return isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error"))


def changed_statement(node: ast.AST) -> Iterator[Change]:
    """Leave it out where what follows still runs; turn `break` and `continue` round; let handlers raise again."""
    match node:
        case ast.Delete(targets=[ast.Name(), *_]):
            pass  # it tells the reader that a name is not used
        case ast.Expr() | ast.Raise() | ast.Delete() if not _is_unreachable(node):
            yield f"without {_short(node)}", ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]) | ast.AugAssign():
            yield f"without {_short(node)}", ast.Pass()
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and not value.value):
            yield "returns None", ast.Return(ast.Constant(None))
        case ast.Break():
            yield "break → continue", ast.Continue()
        case ast.Continue():
            yield "continue → break", ast.Break()
        case ast.ExceptHandler() if not isinstance(node.body[0], ast.Raise):
            yield "handler raises again", ast.ExceptHandler(node.type, node.name, [ast.Raise()])
    if isinstance(node, ast.AugAssign) and type(node.op) in _OPERATORS:
        new = _OPERATORS[type(node.op)]()
        yield f"{_sign(node.op)}= → {_sign(new)}=", ast.AugAssign(node.target, new, node.value)


def _is_unreachable(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and ast.unparse(node.value).startswith("assert_never(")


def changed_expression(node: ast.AST, parent: ast.AST, field: str, *, prose: bool) -> Iterator[Change]:
    """Give what may be changed of one expression; `prose`: texts in it are for people."""
    if field in ("test", "ifs", "guard"):
        yield from _turned_round(node)
    match node:
        case ast.Compare():
            yield from _compared_otherwise(node)
        case ast.BoolOp(op=op, values=values):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield f"{_sign(op)} → {_sign(other)}", ast.BoolOp(other, values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "without not", operand
        case ast.BinOp(op=op) if type(op) in _OPERATORS:
            new = _OPERATORS[type(op)]()
            yield f"{_sign(op)} → {_sign(new)}", ast.BinOp(node.left, new, node.right)
        case ast.Slice() if not prose:
            yield from _cut_otherwise(node)
        case ast.Name(id=name) if name in _SWAPPED_NAMES and field == "func":
            yield f"{name} → {_SWAPPED_NAMES[name]}", ast.Name(_SWAPPED_NAMES[name], ast.Load())
        case ast.Call():
            yield from _with_fewer_arguments(node, prose=prose)
        case ast.Constant():
            yield from _changed_constant(node, parent, prose=prose)


def _compared_otherwise(node: ast.Compare) -> Iterator[Change]:
    for index, old in enumerate(node.ops):
        new = _COMPARISONS[type(old)]()
        changed = ast.Compare(node.left, [*node.ops[:index], new, *node.ops[index + 1 :]], node.comparators)
        yield f"{_sign(old)} → {_sign(new)}", changed


def _cut_otherwise(node: ast.Slice) -> Iterator[Change]:
    for bound in ("lower", "upper"):
        if getattr(node, bound) is not None:
            left = {"lower": node.lower, "upper": node.upper, "step": node.step, bound: None}
            yield f"slice without its {bound} bound", ast.Slice(**left)


def _turned_round(node: ast.AST) -> Iterator[Change]:
    if not isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant):
        yield "condition turned round", ast.UnaryOp(ast.Not(), node)


def _with_fewer_arguments(node: ast.Call, *, prose: bool) -> Iterator[Change]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if prose or name in _LOG or (isinstance(node.func, ast.Name) and node.func.id in ("zip", "cast", "dataclass")):
        return
    for index, keyword in enumerate(node.keywords):
        if not isinstance(keyword.value, ast.Constant) and keyword.arg not in FOR_PEOPLE:
            rest = [*node.keywords[:index], *node.keywords[index + 1 :]]
            yield f"without argument {keyword.arg or '**'}=", ast.Call(node.func, node.args, rest)


def _changed_constant(node: ast.Constant, parent: ast.AST, *, prose: bool) -> Iterator[Change]:
    match node.value:
        case bool() as truth:
            if not (isinstance(parent, ast.keyword) and parent.arg == "strict"):
                yield f"{truth} → {not truth}", ast.Constant(not truth)
        case int() | float() as number if not prose:
            yield f"{number} → {number + 1}", ast.Constant(number + 1)
        case bytes() as raw if not prose:
            yield f"{_short_text(raw)} → XX…", ast.Constant(b"XX" + raw)
        case str() as text if STATEMENT.search(text) and not prose:
            for change, new in changed_sql(text):
                yield change, ast.Constant(new)
        case str() as text if not prose and not _is_sentence(text) and not _tells(parent, text):
            yield f"{_short_text(text)} → XX…", ast.Constant("XX" + text)
            words = text.split()
            if len(words) > 1:
                for index, word in enumerate(words):
                    yield f"without the word {word}", ast.Constant(" ".join([*words[:index], *words[index + 1 :]]))


def _is_sentence(text: str) -> bool:
    words = text.split()
    return len(words) > 3 and 2 * sum(word.strip(",.:;'()").isalpha() for word in words) > len(words)


def _tells(parent: ast.AST, text: str) -> bool:
    """Tell whether it names a type, or is a piece of what people read."""
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name):
        return parent.func.id in ("cast", "TypeVar")
    return isinstance(parent, ast.JoinedStr) and " " in text


def _sign(operator: ast.AST) -> str:
    left, right = ast.Name("a"), ast.Name("b")
    match operator:
        case ast.cmpop():
            return ast.unparse(ast.Compare(left, [operator], [right]))[2:-2]
        case ast.boolop():
            return ast.unparse(ast.BoolOp(operator, [left, right]))[2:-2]
        case _:
            return ast.unparse(ast.BinOp(left, operator, right))[2:-2]


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 60 else text[:59] + "…"


def _short_text(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 30 else text[:29] + "…"
