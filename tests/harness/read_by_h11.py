"""What h11, another reader of HTTP/1.1, makes of the bytes of one connection: for comparing where messages end."""

from typing import NamedTuple

import h11


class Read(NamedTuple):
    """One request as somebody read it."""

    method: bytes
    path: bytes
    query: bytes
    body: bytes


def read_by_h11(data: bytes) -> list[Read]:
    """Give the requests that h11 finds in `data` before the first that it refuses, or that is not whole."""
    found: list[Read] = []
    while data:
        # A line end left over from the request before is passed over (RFC 9112, 2.2); h11 refuses it.
        read, data = _first(data.removeprefix(b"\r\n"))
        if read is None:
            break
        found.append(read)
    return found


def _first(data: bytes) -> tuple[Read | None, bytes]:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=64 * 1024)
    connection.receive_data(data)
    try:
        head = connection.next_event()
        if not isinstance(head, h11.Request):
            return None, b""
        body = b""
        while isinstance(event := connection.next_event(), h11.Data):
            body += event.data
    except h11.RemoteProtocolError:
        return None, b""
    if not isinstance(event, h11.EndOfMessage):
        return None, b""
    path, _, query = head.target.partition(b"?")
    return Read(head.method, path, query, body), connection.trailing_data[0]
