"""The bytes of replies."""

import pytest

from gateway.wire.reply import Reply, encode_reply, error_reply

DATE = b"Sat, 21 Nov 2026 22:14:00 GMT"


def test_a_reply_is_written_as_http_says():
    reply = Reply(200, b"ok", headers=((b"X-A", b"1"), (b"x-b", b"")))
    assert encode_reply(reply, DATE, close=True, head_only=False) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 2\r\n"
        b"Date: Sat, 21 Nov 2026 22:14:00 GMT\r\nX-A: 1\r\nx-b: \r\n\r\nok"
    )


@pytest.mark.parametrize(("status", "line"), [(299, b"HTTP/1.1 299 "), (418, b"HTTP/1.1 418 I'm a Teapot")])
def test_any_final_status_can_be_sent(status, line):
    assert encode_reply(Reply(status), DATE, close=False, head_only=False).split(b"\r\n")[0] == line


@pytest.mark.parametrize("status", [0, 99, 100, 199, 600])
def test_a_status_that_is_not_final_is_an_error(status):
    with pytest.raises(ValueError, match="expected 200 to 599"):
        encode_reply(Reply(status), DATE, close=False, head_only=False)


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_content_has_neither_length_nor_type_nor_body(status):
    written = encode_reply(Reply(status, b"dropped"), DATE, close=False, head_only=False)
    assert b"\r\nContent-" not in written
    assert written.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("pair", [(b"X", b"a\r\nY: b"), (b"X", b"a\nb"), (b"X\r\nY", b"a"), (b"", b"a"), (b"X", b"\0")])
def test_a_header_that_could_split_the_reply_is_an_error(pair):
    with pytest.raises(ValueError, match="cannot be sent"):
        encode_reply(Reply(200, headers=(pair,)), DATE, close=False, head_only=False)


@pytest.mark.parametrize("status", [400, 405, 408, 413, 417, 431, 500, 503, 505])
def test_an_error_reply_says_its_status_in_words_and_closes(status):
    reply = error_reply(status)
    assert reply.close
    assert reply.body == reply.body.lower()
    assert dict(reply.headers) == {405: {b"Allow": b"POST"}, 503: {b"Retry-After": b"5"}}.get(status, {})
