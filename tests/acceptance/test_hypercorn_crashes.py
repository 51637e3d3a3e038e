"""The three inputs that each end a stock hypercorn trio worker (one connection, no credentials) leave the daemon alive.

They come through both listeners where hypercorn serves: the admin's, and ingress with `http = "hypercorn"`. Each is
followed by an ordinary request and an event.
"""

import base64
import subprocess
import sys

import pytest
import trio

from harness.daemon import running
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
H2C = (
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: %b\r\n\r\n"
)
WEBSOCKET = (
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
GOOD_SETTINGS = base64.urlsafe_b64encode(b"\x00\x03\x00\x00\x00\x64").rstrip(b"=")


def _frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


AUTHORITY = b"\x41\x09localhost"
POST = b"\x83\x86\x84" + AUTHORITY
"""HPACK: :method POST, :scheme http, :path /."""
HIGH_BYTE = b"\x82\x86" + AUTHORITY + b"\x44\x02/\x80"
"""HPACK: :method GET, :scheme http, and a :path that holds the byte 0x80."""

INPUTS = {
    "h2c upgrade, then DATA after an early reply": [
        H2C % GOOD_SETTINGS,
        PREFACE + SETTINGS + _frame(1, 0x04, 3, POST),
        _frame(0, 1, 3, b"late"),
    ],
    "h2c upgrade with settings of 3 bytes": [H2C % base64.urlsafe_b64encode(b"abc")],
    "WebSocket upgrade and one trailing byte": [WEBSOCKET + b"\x00"],
    "h2 by prior knowledge with a path byte of 0x80": [PREFACE + SETTINGS, _frame(1, 0x05, 1, HIGH_BYTE)],
}


@pytest.mark.parametrize("listener", ["admin", "ingress"])
@pytest.mark.parametrize("what", INPUTS)
async def test_an_input_that_ends_stock_hypercorn_ends_only_its_connection(home, what, listener):
    Settings(home, server='http = "hypercorn"').write()
    async with running(home) as daemon:
        for _ in range(3):
            await _say(str(home.admin) if listener == "admin" else ("127.0.0.1", daemon.port), INPUTS[what])
        assert (await daemon.ask("/health")) == {"alive": True}
        assert daemon.running
        assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
        await daemon.wait_settled()
        assert await daemon.stop() == 0
    assert len(home.lines("audit.jsonl")) == 1


STOCK = """
import sys, trio
from hypercorn.config import Config
from hypercorn.trio import serve

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"early"})

config = Config()
config.bind = [sys.argv[1]]
trio.run(serve, app, config)
"""


@pytest.fixture
def stock(home):
    address = home.folder / "stock.sock"
    command = [sys.executable, "-c", STOCK, f"unix:{address}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield process, str(address)
    process.kill()
    process.wait()


@pytest.mark.parametrize("what", INPUTS)
async def test_the_same_input_ends_a_stock_hypercorn(stock, what):
    """Without this the tests above could pass on inputs that harm nobody."""
    process, address = stock
    with trio.fail_after(60):
        while process.poll() is None:
            try:
                await _say(address, INPUTS[what])
            except OSError:
                await trio.sleep(0.05)
    assert process.returncode == 1


async def _say(place, pieces):
    """Send the pieces, read whatever comes until the server closes or a while has passed."""
    family = trio.socket.AF_UNIX if isinstance(place, str) else trio.socket.AF_INET
    with trio.socket.socket(family) as connection:
        await connection.connect(place)
        with trio.move_on_after(0.5):
            try:
                for piece in pieces:
                    await connection.send(piece)
                    await trio.sleep(0.1)
                while await connection.recv(65536):
                    pass
            except OSError:
                return
