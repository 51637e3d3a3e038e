"""The stored head of a request: everything but the secrets, and back again."""

from gateway.core.head import decode_head, encode_head
from gateway.core.model import Request

REQUEST = Request(
    "POST",
    "/hooks/acme",
    "a=1&key=hush&b=2",
    ((b"host", b"x"), (b"x-token", b"hush"), (b"authorization", b"Basic aHVzaA=="), (b"x-empty", b"")),
    b"{}",
    "192.0.2.7",
    0,
)


def test_a_head_reads_back_as_it_was_written():
    line, client, headers = decode_head(encode_head(REQUEST, (), ()))
    assert (line, client) == ("POST /hooks/acme?a=1&key=hush&b=2", "192.0.2.7")
    assert headers == ((b"host", b"x"), (b"x-token", b"hush"), (b"x-empty", b""))


def test_consumed_headers_and_query_parameters_are_stored_nowhere():
    head = encode_head(REQUEST, (b"x-token",), ("key",))
    assert b"hush" not in head
    assert decode_head(head)[0] == "POST /hooks/acme?a=1&b=2"


def test_authorization_and_cookies_are_never_stored():
    request = REQUEST._replace(headers=((b"cookie", b"hush"), (b"proxy-authorization", b"hush")))
    assert b"hush" not in encode_head(request, (), ("key",))


def test_a_head_that_retention_took_reads_as_empty():
    assert decode_head(b"") == ("", "", ())
