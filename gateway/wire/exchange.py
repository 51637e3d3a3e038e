"""One request and its reply on one open connection.

The head of the reply decides: once it is complete, the body gets `BODY_SECONDS` more (unless the client was made for
another time) and is cut there. So an endpoint that answers 200 and then resets, drips or floods has answered 200.
"""

import ssl
from typing import Final

import trio

from gateway.wire.dial import tls_cause
from gateway.wire.failures import ClosedError, TlsError
from gateway.wire.http_reply import MAX_BODY, HttpReply, ReplyReader
from gateway.wire.streams import Stream

BODY_SECONDS: Final = 2.0
JOIN_SIZE: Final = 64 * 1024
"""Up to this size head and body leave in one write."""


class SilentEndError(ClosedError):
    """The connection ended before one byte of the reply."""


class Connection:
    """An open connection; `exchange` again only while it is `reusable` and `quiet`."""

    def __init__(
        self, stream: Stream, place: str, body_max: int = MAX_BODY, body_seconds: float = BODY_SECONDS
    ) -> None:
        self._stream = stream
        self._place = place
        self._body_seconds = body_seconds
        self._reader = ReplyReader(body_max)

    @property
    def reusable(self) -> bool:
        """True after an exchange that leaves the connection good for another."""
        return self._reader.reusable

    def quiet(self) -> bool:
        """Tell whether nothing has come since the last reply: neither the end nor bytes that nobody asked for."""
        return self._stream.quiet()

    def close(self) -> None:
        """Close at once."""
        self._stream.close()

    async def exchange(self, head: bytes, body: bytes) -> HttpReply:
        """Send a request and read the reply. Raises WireError; the connection is then good for nothing."""
        reader = self._reader
        reader.start()
        failure = await self._send(head, body)
        try:
            while not reader.has_head:
                data = await self._stream.receive()
                if not data:
                    raise self._ended(failure)
                reader.feed(data)
        except ssl.SSLError as error:
            raise TlsError(f"{self._place}: {tls_cause(error)}") from error
        except OSError as error:
            raise self._ended(failure or error) from error
        if not reader.complete and not reader.over:
            await self._read_body()
        if failure is not None:
            reader.over = True
        return reader.reply()

    async def _send(self, head: bytes, body: bytes) -> OSError | None:
        """Send everything; a failure is given back, for a reply may have come before all was sent (413)."""
        try:
            if len(body) <= JOIN_SIZE:
                await self._stream.send_all(head + body)
            else:
                await self._stream.send_all(head)
                await self._stream.send_all(body)
        except OSError as error:
            return error
        return None

    async def _read_body(self) -> None:
        with trio.move_on_after(self._body_seconds):
            while not self._reader.complete and not self._reader.over:
                try:
                    data = await self._stream.receive()
                except OSError:
                    self._reader.over = True
                    return
                if data:
                    self._reader.feed(data)
                else:
                    self._reader.end()

    def _ended(self, cause: OSError | None) -> ClosedError:
        how = (cause.strerror or str(cause)).lower() if cause else "closed"
        text = f"{self._place} ended the connection before its reply was complete: {how}"
        return ClosedError(text) if self._reader.begun else SilentEndError(text)
