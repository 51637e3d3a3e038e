"""The three inputs that each end a stock hypercorn trio worker (one connection, no credentials) leave the daemon alive.

They come through the admin listener, the only place where hypercorn serves. Each is followed by an ordinary request
and an event.
"""

import base64

import pytest
import trio

from harness.daemon import running
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
H2C = (
    b"POST /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: %b\r\nContent-Length: 0\r\n\r\n"
)
WEBSOCKET = (
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
GOOD_SETTINGS = base64.urlsafe_b64encode(b"\x00\x03\x00\x00\x00\x64").rstrip(b"=")


def _frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _headers_with_high_byte_path():
    """HPACK: :method GET, :scheme http, :authority localhost, and a :path that holds the byte 0x80."""
    literal = b"\x82\x86" + b"\x41\x09localhost" + b"\x44\x02/\x80"
    return _frame(1, 0x05, 1, literal)


INPUTS = {
    "h2c upgrade, then DATA after the early reply": [
        H2C % GOOD_SETTINGS,
        PREFACE + SETTINGS + _frame(0, 1, 1, b"late"),
    ],
    "h2c upgrade with settings of 3 bytes": [H2C % base64.urlsafe_b64encode(b"abc")],
    "WebSocket upgrade and one trailing byte": [WEBSOCKET + b"\x00"],
    "WebSocket upgrade, the byte a little later": [WEBSOCKET, b"\x00"],
    "h2 by prior knowledge with a path byte of 0x80": [PREFACE + SETTINGS, _headers_with_high_byte_path()],
}


@pytest.mark.parametrize("what", INPUTS)
async def test_an_input_that_ends_stock_hypercorn_ends_only_its_connection(home, what):
    Settings(home).write()
    async with running(home) as daemon:
        for _ in range(3):
            await _say(home.admin, INPUTS[what])
        assert (await daemon.ask("/health")) == {"alive": True}
        assert daemon.running
        assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
        await daemon.wait_settled()
        assert await daemon.stop() == 0
    assert len(home.lines("audit.jsonl")) == 1


async def _say(path, pieces):
    """Send the pieces, read whatever comes until the daemon closes or a while has passed."""
    with trio.socket.socket(trio.socket.AF_UNIX) as connection:
        await connection.connect(str(path))
        with trio.move_on_after(0.5):
            for piece in pieces:
                try:
                    await connection.send(piece)
                except OSError:
                    return
                await trio.sleep(0.05)
            while await connection.recv(65536):
                pass
