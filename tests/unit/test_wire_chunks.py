"""Chunked bodies, fed whole and in every pair of pieces."""

import pytest

from gateway.errors import RequestError
from gateway.wire.chunks import ChunkedBody

BODY = b"5\r\nhello\r\n1;name=value\r\n-\r\n00A;x\r\n0123456789\r\n0\r\nContent-Lengthy: dropped\r\n\r\n"
NEXT = b"POST /next"


def test_a_body_is_the_same_however_it_is_cut():
    for cut in range(len(BODY + NEXT) + 1):
        body = ChunkedBody(16)
        body.feed((BODY + NEXT)[:cut])
        body.feed((BODY + NEXT)[cut:])
        assert (body.complete, bytes(body.content), body.rest) == (True, b"hello-0123456789", NEXT)


@pytest.mark.parametrize("end", range(len(BODY)))
def test_a_body_is_complete_with_its_last_byte_and_not_before(end):
    body = ChunkedBody(16)
    body.feed(BODY[:end])
    assert not body.complete


def test_a_body_over_its_limit_is_refused_by_the_size_line_alone():
    body = ChunkedBody(15)
    with pytest.raises(RequestError) as caught:
        body.feed(b"5\r\nhello\r\nB\r\n")
    assert (caught.value.status, bytes(body.content)) == (413, b"hello")


@pytest.mark.parametrize(
    "line", [b"FFFFFFFFFFFFFFFF\r\n", b"100000000\r\n", b"5;" + b"x" * 300, b"\r\n", b"5\n", b"g\r\n", b" 5\r\n"]
)
def test_H7_a_size_line_that_is_no_bounded_hex_number_is_refused(line):
    with pytest.raises(RequestError) as caught:
        ChunkedBody(1 << 62).feed(line)
    assert caught.value.status == 400


def test_small_chunks_are_taken_as_long_as_framing_stays_within_content():
    body = ChunkedBody(1_000_000)
    body.feed(b"8\r\n12345678\r\n" * 50_000 + b"0\r\n\r\n")
    assert len(body.content) == 400_000
