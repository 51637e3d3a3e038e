"""The shapes of a signature header: bare, a list, or `name=value` pairs, in groups while a provider rotates its secret.

A shape cuts the header's text into groups of candidate signatures; it judges none of them. Entries of unknown
versions are left out here, so that they can never stand in for the known one.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from gateway.plugin import SignatureShape, VerificationError

MAX_ENTRIES: Final = 32
"""Providers send two or three; more is somebody trying signatures."""


class Group(NamedTuple):
    """Signatures that belong together, with the pairs beside them."""

    signatures: tuple[bytes, ...]
    pairs: Mapping[str, bytes]
    """What stands beside the signatures (`t=…`); a name sent twice in a group stands here as an empty value."""


_NO_PAIRS: Final[Mapping[str, bytes]] = {}

Cutter: TypeAlias = Callable[[bytes], list[Group]]


def make_cutter(shape: SignatureShape, separator: str | None, group: str, label: str) -> Cutter:
    """Give the function that cuts a signature header. Raises ValueError if the options do not fit the shape."""
    if shape != "pairs" and group:
        raise ValueError('group is for shape = "pairs" only')
    if shape == "plain":
        if separator is not None:
            raise ValueError('separator is for shape = "list" or "pairs" only')
        return lambda text: [Group((text,), _NO_PAIRS)]
    between = ((" " if shape == "list" else ",") if separator is None else separator).encode()
    if not between:
        raise ValueError("separator is empty: expected the text between two entries")
    if shape == "list":
        return lambda text: [Group(tuple(_cut(text, between)), _NO_PAIRS)]
    if not label:
        raise ValueError('shape = "pairs" needs label: the name that the signature has in its header')
    outer = group.encode()
    return lambda text: [_pairs(part, between, label) for part in (_cut(text, outer) if outer else [text])]


def join_pairs(pairs: Mapping[str, bytes], separator: str | None) -> bytes:
    """Write `name=value` pairs as a provider would."""
    return (
        ("," if separator is None else separator)
        .encode()
        .join(b"%b=%b" % (name.encode(), value) for name, value in pairs.items())
    )


def _cut(text: bytes, separator: bytes) -> list[bytes]:
    entries = text.split(separator, MAX_ENTRIES)
    if len(entries) > MAX_ENTRIES:
        raise VerificationError("signature", f"the signature header has more than {MAX_ENTRIES} entries")
    return entries


def _pairs(text: bytes, separator: bytes, label: str) -> Group:
    signatures: list[bytes] = []
    pairs: dict[str, bytes] = {}
    for entry in _cut(text, separator):
        raw_name, equals, value = entry.partition(b"=")
        if not equals:
            raise VerificationError("signature", "an entry of the signature header is no name=value pair")
        name = raw_name.decode("latin-1")
        if name == label:
            signatures.append(value)
        else:
            pairs[name] = b"" if name in pairs else value
    return Group(tuple(signatures), pairs)
