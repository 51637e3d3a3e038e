"""Loads the store's SQL: each statement stands in a `.sql` file under a line `-- name: purpose`.

A statement for many rows holds `:rows` (or `:ids`) and is expanded to fixed sizes only, so that the prepared statements
stay few; no value ever becomes part of a statement's text.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import apsw

FOLDER: Final = Path(__file__).parent / "sql"
SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_HEADING: Final = re.compile(r"^-- (\w+): \S.*\n", re.MULTILINE)

Values: TypeAlias = list[Any]
"""The values of one or many rows, one after the other."""


def load_statements(noun: str) -> Mapping[str, str]:
    """Read `sql/<noun>.sql`; statements by name."""
    pieces = _HEADING.split((FOLDER / f"{noun}.sql").read_text("utf-8"))
    return MappingProxyType({name: text.strip() for name, text in zip(pieces[1::2], pieces[2::2], strict=True)})


class RowStatement:
    """A statement over rows of `width` values each, in place of `:rows`.

    Rows of NULL pad them to one of the sizes, so each chunk is one call: every call into SQLite may wait for the
    interpreter's lock. The statement must pass over rows whose first value is NULL.
    """

    def __init__(self, text: str, width: int) -> None:
        row = "(" + ",".join("?" * width) + ")"
        self._width = width
        self._texts = {size: text.replace(":rows", ",".join([row] * size)) for size in SIZES}

    def execute(self, cursor: apsw.Cursor, values: Values) -> list[tuple[Any, ...]]:
        """Carry it out for all rows in `values`; give the rows it returned."""
        width = self._width
        found: list[tuple[Any, ...]] = []
        for start in range(0, len(values), SIZES[-1] * width):
            chunk = values[start : start + SIZES[-1] * width]
            size = fitting(len(chunk) // width)
            chunk += [None] * (size * width - len(chunk))
            found += cursor.execute(self._texts[size], chunk)
        return found


class ListStatement:
    """A statement over a list of values, in place of `:ids`; padded with the last one, so each chunk is one call."""

    def __init__(self, text: str) -> None:
        self._texts = {size: text.replace(":ids", ",".join("?" * size)) for size in SIZES}

    def run(self, cursor: apsw.Cursor, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Carry it out for all `values`; give the rows it returned."""
        found: list[tuple[Any, ...]] = []
        for start in range(0, len(values), SIZES[-1]):
            chunk = values[start : start + SIZES[-1]]
            size = fitting(len(chunk))
            found += cursor.execute(self._texts[size], [*chunk, *[chunk[-1]] * (size - len(chunk))]).fetchall()
        return found


def fitting(count: int) -> int:
    """Give the smallest size that holds `count` rows (1 to 256)."""
    return 1 << (count - 1).bit_length()
