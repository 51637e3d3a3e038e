"""The operators of `match`: each compiles what the operator wrote into a test of one value.

Nothing is converted: text is compared with text, numbers with numbers (1 and 1.0 are equal), true and false with
themselves. Regular expressions run on RE2, whose time is linear in the text (row D5). An operand that cannot be used is
told as ValueError.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import re2

from gateway.core.model import Json
from gateway.core.pattern import Pattern

Test: TypeAlias = Callable[[Json], bool]

REGEX_CHARACTERS_MAX: Final = 1000
LIST_MAX: Final = 10_000

_QUIET: Final = re2.Options()
_QUIET.log_errors = False  # it would write to stderr, past the log


def equal_to(operand: Any) -> Test:  # noqa: ANN401 - whatever the operator wrote
    """Fit what equals `operand`, or one of it if it is a list."""
    values = operand if isinstance(operand, list) else [operand]
    if not values or len(values) > LIST_MAX:
        raise ValueError(f"expected 1 to {LIST_MAX} values, found {len(values)}")
    texts, numbers, booleans = set[str](), set[float](), set[bool]()
    for value in values:
        if isinstance(value, str):
            texts.add(value)
        elif isinstance(value, bool):
            booleans.add(value)
        else:
            numbers.add(_number(value, "text, a number, true or false"))

    def fits(value: Json) -> bool:
        if type(value) is str:
            return value in texts
        if type(value) is bool:
            return value in booleans
        return (type(value) is int or type(value) is float) and value in numbers

    return fits


def one_of(operand: Any) -> Test:  # noqa: ANN401 - whatever the operator wrote
    """Fit what equals one of a list."""
    if not isinstance(operand, list):
        raise ValueError(f"expected a list of values, found {operand!r}")  # noqa: TRY004 - for the operator
    return equal_to(operand)


def glob(operand: Any) -> Test:  # noqa: ANN401 - whatever the operator wrote
    """Fit text that a glob, or one of a list of globs, describes."""
    pattern = Pattern(operand if isinstance(operand, list) else [operand])
    return lambda value: type(value) is str and pattern.matches(value)


def regex(operand: Any) -> Test:  # noqa: ANN401 - whatever the operator wrote
    """Fit text in which the RE2 expression is found somewhere; `^` and `$` tie it to the ends."""
    if not isinstance(operand, str) or not 0 < len(operand) <= REGEX_CHARACTERS_MAX:
        raise ValueError(f"expected an RE2 expression of 1 to {REGEX_CHARACTERS_MAX} characters, found {operand!r:.80}")
    try:
        search = re2.compile(operand, _QUIET).search
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if error.args else "unknown"
        raise ValueError(f"{operand!r} is no RE2 expression (which has no look-around): {reason}") from None

    def fits(value: Json) -> bool:
        try:
            return type(value) is str and search(value) is not None
        except UnicodeEncodeError:  # a lone surrogate: no text that an expression could mean
            return False

    return fits


def contains(operand: Any) -> Test:  # noqa: ANN401 - whatever the operator wrote
    """Fit a list that holds `operand`, or text that holds it."""
    if isinstance(operand, (list, dict)):
        raise ValueError("expected one value; for several write any_of or all_of")  # noqa: TRY004 - for the operator
    same = equal_to(operand)

    def fits(value: Json) -> bool:
        if type(value) is list:
            return any(same(item) for item in value)
        return type(value) is str and isinstance(operand, str) and operand in value

    return fits


def _ordering(holds: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    def compile_operand(operand: Any) -> Test:  # noqa: ANN401 - whatever the operator wrote
        if isinstance(operand, str):
            return lambda value: type(value) is str and holds(value, operand)
        limit = _number(operand, "a number or text")
        return lambda value: (type(value) is int or type(value) is float) and holds(value, limit)

    return compile_operand


def _number(value: Any, expected: str) -> float:  # noqa: ANN401 - whatever the operator wrote
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
        raise ValueError(f"expected {expected}, found {value!r:.80}")
    return value


OPERATORS: Final[Mapping[str, Callable[[Any], Test]]] = {
    "eq": equal_to,
    "in": one_of,
    "glob": glob,
    "regex": regex,
    "gt": _ordering(lambda value, limit: value > limit),
    "gte": _ordering(lambda value, limit: value >= limit),
    "lt": _ordering(lambda value, limit: value < limit),
    "lte": _ordering(lambda value, limit: value <= limit),
    "contains": contains,
}
