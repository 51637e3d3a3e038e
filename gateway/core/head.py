"""The head of a request as it is stored: one blob, without the secrets that its verifier consumed.

The form is the request's own: `METHOD path?query`, the client's address, then `name: value` lines, joined by LF. No
value can hold LF (the listener refuses it), so it needs no escaping.
"""

from collections.abc import Collection

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


def _without(query: str, names: Collection[str]) -> str:
    return "&".join(piece for piece in query.split("&") if piece.partition("=")[0] not in names)
