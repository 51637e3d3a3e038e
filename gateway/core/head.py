"""The head of a request as it is stored: one blob, without the secrets that its verifier consumed.

The form is the request's own: `METHOD path?query`, the client's address, then `name: value` lines, joined by LF. No
value can hold LF (the listener refuses it), so it needs no escaping.
"""

from collections.abc import Collection, Iterator, Mapping

from gateway.core.model import Headers, Request

ALWAYS_SECRET = frozenset({b"authorization", b"cookie", b"proxy-authorization"})


def encode_head(request: Request, consumed: Collection[bytes], consumed_query: Collection[str]) -> bytes:
    """Give the blob to store for `request`; headers and query parameters named as consumed are left out."""
    query = _without(request.query, consumed_query) if consumed_query else request.query
    target = f"{request.path}?{query}" if query else request.path
    first = f"{request.method} {target}\n{request.client}".encode("latin-1", "replace")
    kept = [b"%b: %b" % pair for pair in request.headers if pair[0] not in consumed and pair[0] not in ALWAYS_SECRET]
    return b"\n".join([first, *kept])


def decode_head(head: bytes) -> tuple[str, str, Headers]:
    """Give back the request line, the client's address and the headers of a stored head.

    Empty ones of an empty head.
    """
    line, _, rest = head.partition(b"\n")
    client, _, lines = rest.partition(b"\n")
    pairs = (entry.partition(b": ") for entry in lines.split(b"\n") if entry)
    return line.decode("latin-1"), client.decode("latin-1"), tuple((name, value) for name, _, value in pairs)


class StoredHeaders(Mapping[str, str]):
    """The headers of a stored head by lower-case name, read when somebody asks; one that was sent twice is joined."""

    __slots__ = ("_head", "_read")

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._read: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, str]:
        if self._read is None:
            self._read = {}
            for name, value in decode_head(self._head)[2]:
                key, text = name.decode("latin-1"), value.decode("latin-1")
                self._read[key] = f"{self._read[key]}, {text}" if key in self._read else text
        return self._read


def content_type(head: bytes) -> str | None:
    """Give the content type of a stored head without reading the rest; None if it has none."""
    start = head.find(b"\ncontent-type: ")
    if start < 0:
        return None
    end = head.find(b"\n", start + 1)
    return head[start + 15 : end if end > 0 else None].decode("latin-1")


def _without(query: str, names: Collection[str]) -> str:
    return "&".join(piece for piece in query.split("&") if piece.partition("=")[0] not in names)
