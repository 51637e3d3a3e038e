"""What is wrong with a text that is no TOML: where, what was expected, what stands there, and what to write.

The parser names the rule that failed, not what to do, and it stops where it can go no further, which may be lines
behind a bracket or a quote that is never closed. Of the text no more than one sign is told: it may be a secret's. Pure.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from gateway.config.strings import opened_brackets, unclosed_string

NAMES: Final = "letters, digits, - and _"
NO_QUOTES: Final = "expected a value, found text without quotes: write it in quotes"
CURLY: Final = ("\u201c", "\u201d", "\u201e", "\u2018", "\u2019", "\u00ab")
_BEGUN: Final = re.compile(r"[=\[,][ \t]*([\w.+:-]+)$")
_GOES_ON: Final = re.compile(r"[\w.+:/%-]")
_WORD: Final = re.compile(r"[\w+-]++")
_MEANT: Final = {
    **dict.fromkeys(("true", "yes", "on"), "write true"),
    **dict.fromkeys(("false", "no", "off"), "write false"),
    **dict.fromkeys(("none", "null", "nil"), "leave the key out, TOML has no empty value"),
}


class Mistake(NamedTuple):
    """One mistake: where it stands in the text, counted in characters from 0, and the sentence about it."""

    at: int
    message: str


_Judge: TypeAlias = Callable[[str, int], Mistake]


def find_mistake(text: str, rule: str, at: int) -> Mistake:
    """Tell what the parser means that stopped at `at` with the words `rule`."""
    judge = next((judge for words, judge in _JUDGES.items() if rule.startswith(words)), None)
    return Mistake(at, rule) if judge is None else judge(text, at)


def line_of(text: str, at: int) -> int:
    """Give the number of a place's line, from 1."""
    return text.count("\n", 0, at) + 1


def _found(text: str, at: int) -> str:
    sign = text[at : at + 1]
    if not sign:
        return "the end of the file"
    if sign == "\n":
        return "the end of the line"
    if sign.isalnum() or sign == "_":
        return "other text"
    return f"'{sign}'" if sign == '"' else f'"{sign}"' if sign.isprintable() else f"U+{ord(sign):04X}"


def _value(text: str, at: int) -> Mistake:
    word = _WORD.match(text, at)
    if word is None:
        remedy = "one" if text[at : at + 1] in ("", "\n") else "text in quotes"
        if text[at : at + 1] in CURLY:
            remedy = 'text in straight quotes, "…"'
        return Mistake(at, f"expected a value, found {_found(text, at)}: write {remedy}")
    if meant := _MEANT.get(word[0].lower()):
        return Mistake(at, f"expected a value, found {word[0]}: {meant}")
    return Mistake(at, NO_QUOTES)


def _unquoted(text: str, at: int) -> int | None:
    """Give the beginning of text without quotes that begins like another value: `5s`, `127.0.0.1`, `truework`."""
    begun = _BEGUN.search(text[text.rfind("\n", 0, at) + 1 : at])
    return at - len(begun[1]) if begun and _GOES_ON.match(text, at) else None


def _rest(text: str, at: int) -> Mistake:
    if (start := _unquoted(text, at)) is not None:
        return Mistake(start, NO_QUOTES)
    remedy = 'write one key a line, and values such as "30s" in quotes'
    if {text[at - 1], text[at]} & {'"', "'"}:
        remedy = 'quotes within a text are written \\", or the text stands in single quotes'
    return Mistake(at, f"expected the end of the line, found {_found(text, at)}: {remedy}")


def _statement(text: str, at: int) -> Mistake:
    remedy = f"keys with other signs than {NAMES} stand in quotes, and a comment begins with #"
    if text[at] == "\ufeff":
        remedy = "save the file as UTF-8 without a byte order mark"
    return Mistake(at, f"expected a key or a [table], found {_found(text, at)}: {remedy}")


def _key(text: str, at: int) -> Mistake:
    return Mistake(at, f"expected a name, found {_found(text, at)}: one with other signs than {NAMES} stands in quotes")


def _equals(text: str, at: int) -> Mistake:
    remedy = "write = instead" if text[at : at + 1] == ":" else "write key = value, and the name of a table as [name]"
    return Mistake(at, f'expected "=" after the key, found {_found(text, at)}: {remedy}')


def _table(signs: str) -> _Judge:
    remedy = f"close it, and put names with other signs than {NAMES} in quotes"

    def judge(text: str, at: int) -> Mistake:
        return Mistake(at, f'expected "{signs}" after the name of the table, found {_found(text, at)}: {remedy}')

    return judge


def _twice(text: str, at: int) -> Mistake:
    """A key or a table that has a value already: the parser stops behind it, the eye wants its beginning."""
    start = text.rfind("\n", 0, at) + 1
    if opened := opened_brackets(text[:start]):  # a value of several lines
        start = text.rfind("\n", 0, opened[0]) + 1
    statement = text[start:at].lstrip()
    name = f"{statement.rstrip()}]" if statement.startswith("[") else statement.partition("=")[0].rstrip()
    first = _first_of(text[:start], name)
    where = f" on line {first}" if first else ""
    return Mistake(at - len(statement), f"expected each name once, found one that stands{where} already: keep one")


def _first_of(before: str, name: str) -> int | None:
    """Give the line that says `name` already: of a table anywhere, of a key since the last table."""
    for number, line in sorted(enumerate(before.split("\n"), 1), reverse=True):
        said = line.strip()
        if name.startswith("["):
            if said.startswith(name):
                return number
        elif said.startswith("["):
            return None
        elif said.partition("=")[0].rstrip() == name:
            return number
    return None


def _unclosed(sign: str, what: str) -> _Judge:
    def judge(text: str, at: int) -> Mistake:
        opened = opened_brackets(text[:at])
        if (start := _unquoted(text, at)) is not None:
            return Mistake(start, NO_QUOTES)
        where = f" that begins on line {line_of(text, opened[-1])}" if opened else ""
        return Mistake(at, f'expected "," or "{sign}" in the {what}{where}, found {_found(text, at)}: write it there')

    return judge


def _string(text: str, at: int) -> Mistake:
    """A text that does not end, told where it begins if that is another line; or a sign that no text may hold."""
    if text[at : at + 1] not in ("", "\n"):
        remedy = "write it as \\u and four hex digits, in double quotes"
        return Mistake(at, f"expected text, found {_found(text, at)}: {remedy}")
    opened = None if text[at : at + 1] else unclosed_string(text)
    begins = at if opened is None else opened
    return Mistake(begins, f"expected the quotes that end this text, found {_found(text, at)}: close it")


def _escape(text: str, at: int) -> Mistake:
    start = text.rfind("\\", 0, at)
    remedy = "write \\\\ for a backslash, or the text in single quotes"
    return Mistake(max(start, 0), f'expected an escape such as \\n or \\", found another: {remedy}')


def _fixed(sentence: str) -> _Judge:
    return lambda _text, at: Mistake(at, sentence)


_CLOSED: Final = _fixed("expected a table that is still open, found one that was written as a whole: add the key there")
_HEX: Final = _fixed("expected the hex digits of a character after \\x, \\u (four) or \\U (eight): write them")
_DATE: Final = _fixed("expected a date that exists: write text in quotes")
_JUDGES: Final[dict[str, _Judge]] = {
    "Invalid value": _value,
    "Expected newline": _rest,
    "Invalid statement": _statement,
    "Invalid initial character": _key,
    "Expected '='": _equals,
    "Expected ']]": _table("]]"),
    "Expected ']": _table("]"),
    "Cannot declare": _twice,
    "Cannot overwrite": _twice,
    "Duplicate inline table key": _twice,
    "Cannot mutate": _CLOSED,
    "Cannot redefine": _CLOSED,
    "Unclosed array": _unclosed("]", "list"),
    "Unclosed inline table": _unclosed("}", "table"),
    "Unterminated string": _string,
    "Expected \"'": _string,
    "Illegal character": _string,
    "Found invalid character": _string,
    "Unescaped": _escape,
    "Invalid hex": _HEX,
    "Escaped character": _HEX,
    "Invalid date": _DATE,
}
"""By the first words of the parser's message."""
