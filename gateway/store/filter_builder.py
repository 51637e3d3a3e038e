"""Fills the filters of sealed generations off the hot path, a slice at a time, and keeps them for the next start.

Runs in the checkpointer's thread, between its checkpoints; the filter of a generation is asked only once it is whole.
"""

from collections.abc import Callable
from typing import Any, Final

import apsw

from gateway.store.key_filter import KeyFilter, words_for
from gateway.store.statements import load_statements

_SQL: Final = load_statements("keys")
SLICE: Final = 2000


class FilterBuilder:
    """Brings the filters in line with the sealed generations; every method but `sealed` runs in one thread."""

    def __init__(
        self,
        connect: Callable[[], apsw.Connection],
        key_filter: KeyFilter,
        most_bytes: int,
        post: Callable[[Callable[[], object]], None],
        keep: Callable[[int, bytes], None],
    ) -> None:
        self._connect = connect
        self._connection: apsw.Connection | None = None
        self._filter = key_filter
        self._most_bytes = most_bytes
        self._post = post
        self._keep = keep
        self._wanted: list[int] = []
        self._known: set[int] = set()
        self._filling: int | None = None
        self._last = b""

    def sealed(self, numbers: list[int]) -> None:
        """These generations are sealed, newest first; from any thread."""
        self._post(lambda: self._set_wanted(numbers))

    def close(self) -> None:
        """Close the connection; what is not filled yet is not wanted any more."""
        self._wanted, self._filling = [], None
        if self._connection is not None:
            self._connection.close()

    def _set_wanted(self, numbers: list[int]) -> None:
        for number in self._known - set(numbers):
            self._filter.forget(number)
            self._known.discard(number)
        idle = self._filling is None and not self._wanted
        if self._filling is not None and self._filling not in numbers:
            self._filling = None
        self._wanted = [number for number in numbers if number not in self._known and number != self._filling]
        if idle and self._wanted:
            self._post(self._step)

    def _step(self) -> None:
        try:
            if self._filling is not None:
                self._fill(self._filling)
            elif self._wanted:
                self._begin(self._wanted.pop(0))
        except apsw.SQLError:  # its table is gone: it has expired, and `sealed` is about to tell
            self._filling = None
        if self._filling is not None or self._wanted:
            self._post(self._step)

    def _begin(self, number: int) -> None:
        connection = self._connected()
        kept = connection.execute(_SQL["load_filter"], (number,)).get
        if kept is not None and self._filter.restore(number, kept, self._most_bytes):
            self._known.add(number)
            self._filter.finish(number)
            return
        count = connection.execute(_statement("count_keys", number)).get
        if self._filter.begin(number, words_for(count, self._most_bytes)):
            self._known.add(number)
            self._filling, self._last = number, b""

    def _fill(self, number: int) -> None:
        slices = self._connected().execute(_statement("scan_keys", number), (self._last, SLICE))
        rows: list[tuple[Any, ...]] = slices.fetchall()
        keys = [key for (key,) in rows]
        self._filter.add(number, keys)
        if len(keys) == SLICE:
            self._last = keys[-1]
            return
        self._filling = None
        self._filter.finish(number)
        self._keep(number, self._filter.dump(number))

    def _connected(self) -> apsw.Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection


def _statement(name: str, number: int) -> str:
    return _SQL[name].replace(":generation", f"key_{number}")
