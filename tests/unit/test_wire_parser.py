"""Heads: what is read from a good one; the table of bad ones is in the integration tests, with their replies."""

import httptools
import pytest

from gateway.errors import RequestError
from gateway.wire.parser import CHUNKED, _frame, check_partial, parse_head

HOST = b"Host: h\r\n"


def test_a_head_gives_method_path_query_and_headers_as_sent():
    raw = b"POST /a/%2e?x=?&y HTTP/1.1\r\nHost: h\r\nX-Mixed-Case: v:1 \r\nEmpty:\r\nHigh: \xe9\r\n\r\n"
    head = parse_head(raw, 10)
    assert (head.method, head.path, head.query) == ("POST", "/a/%2e", "x=?&y")
    assert head.headers == ((b"host", b"h"), (b"x-mixed-case", b"v:1"), (b"empty", b""), (b"high", b"\xe9"))
    assert (head.length, head.keep_alive, head.expects_continue) == (0, True, False)


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        (b"", 0),
        (b"Content-Length: 0\r\n", 0),
        (b"Content-Length: 17 \r\n", 17),
        (b"Content-Length: 007\r\n", 7),
        (b"content-LENGTH: 999999999999999999\r\n", 999999999999999999),
        (b"Transfer-Encoding: chunked\r\n", CHUNKED),
        (b"Transfer-Encoding: Chunked\r\n", CHUNKED),
    ],
)
def test_a_head_says_how_much_body_follows(headers, length):
    assert parse_head(b"POST / HTTP/1.1\r\n" + HOST + headers + b"\r\n", 10).length == length


@pytest.mark.parametrize(
    ("version", "headers", "keeps"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: keep-alive\r\n", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: x , CLOSE\r\n", False),
        (b"1.1", b"Connection: close\r\nConnection: keep-alive\r\n", False),
        (b"1.1", b"Connection: closed\r\n", True),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: keep-alive\r\n", False),
    ],
)
def test_a_connection_stays_on_http_1_1_unless_the_client_says_close(version, headers, keeps):
    assert parse_head(b"GET / HTTP/" + version + b"\r\n" + HOST + headers + b"\r\n", 10).keep_alive is keeps


@pytest.mark.parametrize(("version", "expects"), [(b"1.1", True), (b"1.0", False)])
def test_only_http_1_1_is_asked_to_continue(version, expects):
    head = parse_head(b"POST / HTTP/" + version + b"\r\n" + HOST + b"Expect: 100-Continue\r\n\r\n", 10)
    assert head.expects_continue is expects


def test_a_host_may_be_absent_only_in_http_1_0():
    assert parse_head(b"GET / HTTP/1.0\r\n\r\n", 10).headers == ()
    with pytest.raises(RequestError, match="host"):
        parse_head(b"GET / HTTP/1.1\r\n\r\n", 10)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET http://other.example/ HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /#fragment HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n\r\n",
    ],
)
def test_what_llhttp_alone_would_take_is_refused(raw):
    httptools.HttpRequestParser(object()).feed_data(raw)
    with pytest.raises(RequestError):
        parse_head(raw, 10)


@pytest.mark.parametrize(
    "framing",
    [
        [(b"content-length", b"3"), (b"content-length", b"3")],
        [(b"content-length", b"3"), (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"chunked"), (b"content-length", b"3")],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [(b"content-length", b"+3")],
    ],
)
def test_H4_H5_our_own_reading_of_the_length_does_not_lean_on_llhttp(framing):
    with pytest.raises(RequestError):
        _frame([(b"host", b"h"), *framing], http_1_1=True)


def test_a_head_of_16_KiB_costs_time_in_proportion_to_its_size():
    value = b"a" * 16_000
    for raw in (
        b"GET /" + value,
        b"A" * 16_000,
        b"GET / HTTP/1.1\r\n" + b"a" * 16_000,
        b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 4_000,
    ):
        with pytest.raises(RequestError):
            parse_head(raw + b"\0\r\n\r\n", 10_000)


@pytest.mark.parametrize("partial", [b"", b"G", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\r\nHost: h\r"])
def test_a_head_that_may_still_become_good_is_waited_for(partial):
    for checked in range(len(partial) + 1):
        check_partial(partial, checked)


@pytest.mark.parametrize("broken", [b"\n", b"GET /\n", b"GET / HTTP/1.1\rH", b"GET / HTTP/1.1\r\r", b"GET /\0"])
def test_a_head_that_cannot_become_good_is_refused_with_its_last_byte(broken):
    with pytest.raises(RequestError) as caught:
        check_partial(broken, len(broken) - 1)
    assert caught.value.status == 400
