"""Changes of SQL: small enough that it still runs, so that only a test of what it says can notice."""

import re
from collections.abc import Iterator
from typing import Final

STATEMENT: Final = re.compile(
    r"\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|WHERE|VALUES|JOIN|ORDER BY|LIMIT|PRAGMA|AND|UNION)\b"
)
_CHANGES: Final = (
    (r" AND ", " OR "),
    (r" OR (?!IGNORE|REPLACE|ROLLBACK)", " AND "),
    (r"<=", "<"),
    (r">=", ">"),
    (r"(?<![<>])<(?![=>])", "<="),
    (r"(?<![<>|-])>(?![=>])", ">="),
    (r"(?<= )= (?!excluded)", "<> "),
    (r"IS NULL", "IS NOT NULL"),
    (r"IS NOT NULL", "IS NULL"),
    (r" DESC\b", ""),
    (r"\bDISTINCT ", ""),
    (r" OR IGNORE\b", ""),
    (r"\bNOT EXISTS\b", "EXISTS"),
    (r"\bNOT IN\b", "IN"),
    (r" \+ 1\b", " + 2"),
    (r" - 1\b", " - 2"),
    (r"\bmin\(", "max("),
    (r"\bmax\(", "min("),
    (r" LIMIT (?=[?0-9])", " LIMIT 1 + "),
)


def changed_sql(text: str) -> Iterator[tuple[str, str]]:
    """Give each change of one statement, or a piece of it, and the text that it gives."""
    for pattern, new in _CHANGES:
        for found in re.finditer(pattern, text):
            near = text[max(found.start() - 12, 0) : found.end() + 12]
            changed = text[: found.start()] + new + text[found.end() :]
            yield f"SQL …{near}…: {found[0].strip()} → {new.strip() or 'nothing'}", changed
