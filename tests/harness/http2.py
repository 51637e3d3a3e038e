"""A client of HTTP/2 over TLS: h2 on a trio stream, one connection, as many requests at once as a test wants."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

from harness.senders import Answer, Signed


class Http2:
    """One connection. Tests may use `h2` and `stream` themselves: `h2.send_…`, then `flush`."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.stream = stream
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self.events: list[Any] = []
        """All that came, in order."""
        self.ended = False
        self._news = trio.Event()
        self._writing = trio.Lock()

    async def flush(self) -> None:
        """Send what h2 has to say."""
        async with self._writing:
            await self.stream.send_all(self.h2.data_to_send())

    async def push(self, data: bytes) -> None:
        """Send bytes as they are, if the server still takes any."""
        with suppress(trio.BrokenResourceError):
            async with self._writing:
                await self.stream.send_all(data)

    def headers(self, method: str, path: str, *more: tuple[str, str]) -> list[tuple[str, str]]:
        """The headers of a request."""
        pseudo = [(":method", method), (":scheme", "https"), (":authority", "hooks.example"), (":path", path)]
        return pseudo + [(name.lower(), value) for name, value in more]

    async def begin(self, method: str, path: str, *more: tuple[str, str], end: bool = False) -> int:
        """Send a request's headers; gives its stream."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, self.headers(method, path, *more), end_stream=end)
        await self.flush()
        return stream

    async def send(self, request: Signed) -> Answer:
        """Send one request and wait for its answer."""
        stream = await self.begin("POST", request.path, *request.headers)
        await self.send_body(stream, request.body)
        return await self.answer(stream)

    async def send_body(self, stream: int, body: bytes) -> None:
        """Send a whole body, as the server's windows allow."""
        while body:
            size = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(body))
            if size:
                self.h2.send_data(stream, body[:size])
                body = body[size:]
                await self.flush()
            else:
                await self.wait_news()
        self.h2.end_stream(stream)
        await self.flush()

    async def answer(self, stream: int) -> Answer:
        """Wait for a whole answer. Raises ConnectionResetError if there will be none."""
        while True:
            mine = [event for event in self.events if getattr(event, "stream_id", None) == stream]
            if any(isinstance(event, StreamEnded) for event in mine):
                break
            if self.ended or any(isinstance(event, StreamReset) for event in mine):
                raise ConnectionResetError(f"stream {stream} got no whole answer: {mine}")
            await self.wait_news()
        head = next(event for event in mine if isinstance(event, ResponseReceived))
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        body = b"".join(event.data for event in mine if isinstance(event, DataReceived))
        return Answer(int(headers[":status"]), headers, body)

    async def wait_news(self) -> None:
        """Wait until something came, or the server closed."""
        await self._news.wait()

    async def wait_end(self) -> None:
        """Wait until the server has closed the connection."""
        while not self.ended:
            await self.wait_news()

    @property
    def goodbye(self) -> ConnectionTerminated | None:
        """The server's GOAWAY."""
        return next((event for event in self.events if isinstance(event, ConnectionTerminated)), None)

    async def read(self) -> None:
        """Take what comes until the end; runs beside the test."""
        try:
            while data := await self.stream.receive_some(65536):
                for event in self.h2.receive_data(data):
                    self.events.append(event)
                    if isinstance(event, DataReceived):
                        self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                await self.flush()
                self._tell()
        except (trio.BrokenResourceError, trio.ClosedResourceError, ProtocolError):
            pass
        self.ended = True
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()


@asynccontextmanager
async def http2(
    address: tuple[str, int], context: ssl.SSLContext, name: str, *, begin: bool = True
) -> AsyncIterator[Http2]:
    """Connect by TLS with ALPN h2; `begin` sends the preface."""
    stream = trio.SSLStream(await trio.open_tcp_stream(*address), context, server_hostname=name, https_compatible=True)
    try:
        await stream.do_handshake()
        assert stream.selected_alpn_protocol() == "h2"
        client = Http2(stream)
        if begin:
            client.h2.initiate_connection()
            await client.flush()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.read)
            yield client
            nursery.cancel_scope.cancel()
    finally:
        await trio.aclose_forcefully(stream)
