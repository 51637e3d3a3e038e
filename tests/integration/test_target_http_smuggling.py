"""Rows R12 and R13 on the wire: whatever a payload holds, a request is exactly the one that was configured.

A server that keeps every byte it got. What it got must be, byte by byte, what the configuration says with the values in
their places: the same request line, the same headers in the same order, nothing else.
"""

import json
import random
from dataclasses import replace
from functools import partial
from urllib.parse import quote

import trio
from test_target_http import Fixed

from gateway.plugin import Context, Delivered, Rejected
from gateway.targets.http import Http
from gateway.targets.http_options import HttpOptions
from gateway.testing.target import sample_message

MESSAGES = 5_000
ALPHABET = (
    "aZ09-._~/\\%?#&=+;:@ !$'()*,<>\"{}[]|^`\t\r\n\0\x0b\x0c\x1c\x1f\x7f\x80\x85\xa0éß漢🎈\u2028\u2029\u200b\ufeff"
)
HOSTILE = (
    "a\r\nX-Evil: 1",
    "a\nX-Evil: 1",
    "a\rX-Evil: 1",
    "a\r\n\r\nGET /evil HTTP/1.1\r\nHost: evil\r\n\r\n",
    " HTTP/1.1\r\nHost: evil",
    "x HTTP/1.1",
    "a\u010d\u010aX-Evil: 1",  # whose low bytes are CR and LF
    "a\uff0d\uff0aX-Evil: 1",
    "\u560d\u560aX-Evil: 1",
    "%0d%0aX-Evil: 1",
    "%250d%250a",
    "../../evil",
    "..",
    ".",
    "..%2f..%2fevil",
    "%2e%2e",
    "..;/evil",
    "//evil.example/",
    "\\\\evil.example\\",
    "@evil.example",
    "#evil",
    "?evil=1",
    "&evil=1",
    "http://evil.example/",
    "\0",
    "a\0b",
    "",
    " ",
    "\t",
    "a" * 1024,
    "a" * 1025,
    "é" * 512,
    "é" * 513,
    "a" * 100_000,
    "{body.b}",
    "{{evil}}",
    "{event.__class__}",
    "%s%n",
    "\u202eevil",
    "chunked\r\nTransfer-Encoding: chunked",
)
OPTIONS = {
    "method": "PUT",
    "headers": {"X-Fixed": "fixed", "X-One": "{body.a}", "X-Two": "<{body.b}>"},
}
REPLY = b"HTTP/1.1 204 No Content\r\n\r\n"


class Capture:
    """Answers once the one content is there that every message of the test has, and keeps the bytes before it."""

    content = b"--the-content--"

    def __init__(self):
        self.requests = []

    async def serve(self, stream):
        seen = b""
        while data := await stream.receive_some(65536):
            seen += data
            while self.content in seen:
                head, _, seen = seen.partition(self.content)
                self.requests.append(head)
                await stream.send_all(REPLY)
        assert seen == b""


def expected(port, message, one, two):
    """Give the bytes that the configuration asks for, or None where a value must not be sent."""
    try:
        target = f"/fixed/{quote(one, safe='')}/end?q={quote(two, safe='')}"
    except UnicodeEncodeError:
        return None
    lines = [
        f"PUT {target} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "X-Fixed: fixed",
        "User-Agent: hookgate",
        f"webhook-id: {message.id}",
        "hookgate-attempt: 1",
        "hookgate-hops: 1",
        f"Content-Type: {message.content_type}",
        f"X-One: {one}",
        f"X-Two: <{two}>",
        f"Content-Length: {len(message.content)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


def values():
    draw = random.Random(20)
    for one in HOSTILE:
        for two in ("v", *HOSTILE[:6]):
            yield one, two
            yield two, one
    for _ in range(MESSAGES - 14 * len(HOSTILE)):
        one, two = ("".join(draw.choices(ALPHABET, k=draw.choice([1, 2, 3, 5, 40]))) for _ in range(2))
        yield one, two


def must_not_be_sent(one, two):
    """The rule in the words of the documentation, written anew."""
    controls = any(ord(letter) < 32 or 127 <= ord(letter) < 160 or letter in "\u2028\u2029" for letter in one + two)
    too_long = max(len(one.encode()), len(two.encode())) > 1024
    return controls or too_long or not one or not two or "/" in one or "\\" in one or one in {".", ".."}


async def test_R12_R13_5000_hostile_values_smuggle_no_byte(nursery):
    capture = Capture()
    (listener,) = await nursery.start(partial(trio.serve_tcp, capture.serve, 0, host="127.0.0.1"))
    port = listener.socket.getsockname()[1]
    url = f"http://127.0.0.1:{port}/fixed/{{body.a}}/end?q={{body.b}}"
    target = Http.build(HttpOptions(url=url, **OPTIONS))
    await target.open(Context(name="crm", runtime=Fixed(), connections=1))
    sent = 0
    for one, two in values():
        payload = json.dumps({"a": one, "b": two}).encode()
        message = replace(sample_message(), payload=payload, content=Capture.content, content_type="text/plain")
        outcome = await target.deliver(message)
        if must_not_be_sent(one, two):
            assert isinstance(outcome, Rejected), (one, two)
            assert "evil" not in outcome.reason.lower()
        else:
            assert isinstance(outcome, Delivered), (one, two, outcome)
            sent += 1
            assert capture.requests[-1] == expected(port, message, one, two)
        assert len(capture.requests) == sent
    assert sent > 500
    assert MESSAGES - sent > 500
    await target.close()
    nursery.cancel_scope.cancel()
