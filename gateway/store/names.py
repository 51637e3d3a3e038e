"""Keeps names (sources, types, targets …) as small numbers, with a bounded map both ways in memory.

Owned by the writer thread. Whenever a transaction, or a part of one, is rolled back, all must be forgotten: SQLite
gives the same numbers again, to other names.
"""

from typing import Final

import apsw

from gateway.store.codes import NameKind

LIMIT: Final = 20_000
"""Names of one kind kept in memory; types and versions come from senders, so they are not trusted to be few."""


class Numbers(dict[str, int]):
    """The numbers of one kind's names; looking one up that is new gives it a number, in the transaction under way."""

    def __init__(self, cursor: apsw.Cursor, kind: NameKind) -> None:
        super().__init__()
        self._cursor = cursor
        self._kind = int(kind)

    def __missing__(self, text: str) -> int:
        """Find the number in the table, or insert the name."""
        number = self.known(text)
        if number is None:
            row = (self._kind, text)
            number = self._cursor.execute("INSERT INTO name(kind, text) VALUES (?, ?) RETURNING id", row).get
        if len(self) >= LIMIT:
            self.clear()
        self[text] = number
        return number

    def known(self, text: str) -> int | None:
        """Give the number of a name that was used before; None if it never was."""
        if text in self:
            return self[text]
        number: int | None = self._cursor.execute(
            "SELECT id FROM name WHERE kind = ? AND text = ?", (self._kind, text)
        ).get
        return number


class Texts(dict[int, str]):
    """The names by number."""

    def __init__(self, cursor: apsw.Cursor) -> None:
        super().__init__()
        self._cursor = cursor

    def __missing__(self, number: int) -> str:
        """Read the name."""
        text: str = self._cursor.execute("SELECT text FROM name WHERE id = ?", (number,)).get
        if len(self) >= LIMIT:
            self.clear()
        self[number] = text
        return text


class NameBook:
    """All kept names."""

    def __init__(self, cursor: apsw.Cursor) -> None:
        self.sources = Numbers(cursor, NameKind.SOURCE)
        self.credentials = Numbers(cursor, NameKind.CREDENTIAL)
        self.types = Numbers(cursor, NameKind.TYPE)
        self.versions = Numbers(cursor, NameKind.VERSION)
        self.routes = Numbers(cursor, NameKind.ROUTE)
        self.targets = Numbers(cursor, NameKind.TARGET)
        self.texts = Texts(cursor)
        self._all = (self.sources, self.credentials, self.types, self.versions, self.routes, self.targets)

    def forget(self) -> None:
        """Names may have changed, or may not be there any more: read them again."""
        for numbers in self._all:
            numbers.clear()
        self.texts.clear()
