"""Other names for what providers send: types by table or glob, and values inside a payload.

Aliases change what rules and routes see, never the bytes that are stored and delivered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.core.model import Json
from gateway.core.selector import Path, Scope, Selector, follow

ALIASES_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class _Renaming:
    """A glob with one `*`, and how what it fits is called here."""

    head: str
    tail: str
    meant_head: str
    meant_tail: str

    def meant(self, text: str) -> str | None:
        long_enough = len(text) >= len(self.head) + len(self.tail)
        if not long_enough or not text.startswith(self.head) or not text.endswith(self.tail):
            return None
        return self.meant_head + text[len(self.head) : len(text) - len(self.tail)] + self.meant_tail


class TypeNames:
    """What the types of a provider are called here."""

    __slots__ = ("_exact", "_globs")

    def __init__(self, table: Mapping[str, str]) -> None:
        """Compile a table of types as sent and as meant; one `*` on both sides is the same text. Raises ValueError."""
        _check(table)
        self._exact = {sent: meant for sent, meant in table.items() if "*" not in sent + meant}
        self._globs = tuple(_renaming(sent, meant) for sent, meant in table.items() if "*" in sent + meant)

    def meant(self, text: str) -> str:
        """Give the name of `text` here: the exact entry, else the first glob that fits, else `text` itself."""
        found = self._exact.get(text)
        if found is None:
            found = next((meant for renaming in self._globs if (meant := renaming.meant(text)) is not None), text)
        return found


class ValueNames:
    """For one selector, the values that a provider sends and what they mean (a published misspelling, say)."""

    __slots__ = ("_holder", "_name", "_root", "_table", "_through_lists")

    def __init__(self, selector: Selector, table: Mapping[str, str]) -> None:
        """Compile; ValueError unless the selector ends in a key of the body or the claims."""
        if selector.root not in ("body", "claims") or not selector.path[-1]:
            raise ValueError(f"expected a selector of a key in body or claims, found {selector.text!r}")
        _check(table)
        *above, last = selector.path
        self._holder: Path = (*above, last[:-1])
        self._through_lists = bool(above)
        self._name = last[-1]
        self._root = Scope._fields.index(selector.root)
        self._table = dict(table)

    def apply(self, scope: Scope) -> None:
        """Put the meant values into the parsed document of `scope`."""
        if self._through_lists:
            for each in follow(scope[self._root], self._holder):
                self._put(each)
            return
        holder: Json = scope[self._root]
        try:
            for key in self._holder[0]:
                holder = holder[key]
        except (KeyError, TypeError):
            return
        self._put(holder)

    def _put(self, holder: Json) -> None:
        sent = holder.get(self._name) if type(holder) is dict else None
        if type(sent) is str and sent in self._table:
            holder[self._name] = self._table[sent]


def _renaming(sent: str, meant: str) -> _Renaming:
    if sent.count("*") != 1 or meant.count("*") != 1:
        raise ValueError(f'expected one * on both sides, found "{sent}" = "{meant}"')
    return _Renaming(*sent.split("*"), *meant.split("*"))


def _check(table: object) -> None:
    if not isinstance(table, Mapping) or not 0 < len(table) <= ALIASES_MAX:
        raise ValueError(f"expected a table of 1 to {ALIASES_MAX} names, as sent and as meant")
    for sent, meant in table.items():
        if not isinstance(meant, str) or not sent or not meant:
            raise ValueError(f'expected "as sent" = "as meant", found {sent!r} = {meant!r}')
