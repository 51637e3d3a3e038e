"""What an `http` target makes of its options: signature, login, values of the message, compression, trace context."""

import base64
import gzip
import json
import os
from dataclasses import replace

import pytest
from hostile_http import OK, hostile, replies
from test_target_http import NOW, Fixed, deliver, seen, with_headers

from gateway.plugin import Delivered, Rejected, Request, SecretText
from gateway.targets.http_options import HttpOptions
from gateway.testing.target import sample_message
from gateway.verifiers.hmac import Hmac
from gateway.verifiers.hmac_options import HmacOptions

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
RAW = "a-secret-of-enough-bytes-one"
STANDARD = {
    "header": "webhook-signature",
    "shape": "list",
    "prefix": "v1,",
    "encoding": "base64",
    "key": "whsec",
    "template": "{id}.{timestamp}.{body}",
    "id": "header.webhook-id",
    "timestamp": "header.webhook-timestamp",
}


def payload(**values):
    raw = json.dumps(values).encode()
    return replace(sample_message(), payload=raw, content=raw)


def secret(text):
    return SecretText(text)


def verify(request, value, /, **options):
    """Prove a request with the scheme `hmac`. Raises VerificationError."""
    headers = tuple((name.encode(), value.encode("latin-1")) for name, value in request.headers.items())
    path = request.line.split(b" ")[1].decode()
    verifier = Hmac.build(HmacOptions(**options), value.encode())
    verifier.verify(Request("POST", path, "", headers, request.body, "127.0.0.1", NOW))


async def rejected(message, **options):
    """Give the reason of the rejection; nothing must have been sent."""
    async with hostile(replies(OK)) as server:
        url = server.url() + options.pop("path", "")
        outcome = await deliver({"url": url, **options}, message)
        assert isinstance(outcome, Rejected)
        assert server.connections == 0
        return outcome.reason


async def asked(message, path, **options):
    """Give the path and query that were asked for."""
    async with hostile(replies(OK)) as server:
        assert isinstance(await deliver({"url": server.url(path), **options}, message), Delivered)
        return server.requests[0].line.split(b" ")[1].decode()


async def test_a_signed_message_is_what_our_own_verifier_takes():
    request = await seen(payload(a=1), sign={"secret": secret(SECRET)})
    assert request.headers["webhook-timestamp"] == str(NOW // 1000)
    verify(request, SECRET, **STANDARD)


async def test_while_a_secret_is_exchanged_either_is_enough():
    other = "whsec_" + base64.b64encode(b"o" * 32).decode()
    request = await seen(payload(a=1), sign={"secret": secret(SECRET), "previous": secret(other)})
    verify(request, SECRET, **STANDARD)
    verify(request, other, **STANDARD)


@pytest.mark.parametrize(
    "words",
    [
        {"header": "X-Acme-Signature", "prefix": "sha256="},
        {"header": "X-Sig", "encoding": "base64", "algorithm": "sha512", "template": "{body}"},
        {"header": "X-Sig", "encoding": "base64url", "algorithm": "sha1", "shape": "list", "separator": ";"},
        {"header": "X-Sig", "template": "{timestamp}.{body}", "timestamp": "header.X-At", "timestamp_unit": "ms"},
        {"header": "X-Sig", "template": "{timestamp}.{body}", "timestamp": "header.X-At", "timestamp_unit": "iso8601"},
        {"header": "X-Sig", "template": "{timestamp}.{body}", "timestamp": "pair.t", "shape": "pairs", "label": "s"},
        {**STANDARD, "header": "svix-signature", "id": "header.svix-id", "timestamp": "header.svix-timestamp"},
    ],
)
async def test_the_words_of_the_scheme_hmac_sign_what_that_scheme_verifies(words):
    key = SECRET if words.get("key") == "whsec" else RAW
    verify(await seen(payload(a=1), sign={"secret": secret(key), **words}), key, **words)


async def test_every_try_is_signed_with_its_own_moment():
    class Later(Fixed):
        def now_ms(self):
            return NOW + 60_000

    async with hostile(replies(OK)) as server:
        options = {"url": server.url(), "sign": {"secret": secret(SECRET)}}
        for runtime in (Fixed(), Later()):
            await deliver(options, payload(a=1), runtime)
    first, again = (request.headers for request in server.requests)
    assert first["webhook-id"] == again["webhook-id"]
    assert int(again["webhook-timestamp"]) == int(first["webhook-timestamp"]) + 60
    assert first["webhook-signature"] != again["webhook-signature"]


async def test_what_is_signed_is_what_is_sent_also_when_it_is_compressed():
    message = payload(text="x" * 5000)
    request = await seen(message, sign={"secret": secret(SECRET)}, compress="gzip")
    assert request.headers["content-encoding"] == "gzip"
    assert gzip.decompress(request.body) == message.content
    verify(request, SECRET, **STANDARD)


@pytest.mark.parametrize("size", [16, 1023, 1024, 16 * 1024, 300_000])
async def test_content_of_1_kib_or_more_is_compressed_the_same_on_every_try(size):
    message = replace(sample_message(), content=b"a" * size)
    first, second = [await seen(message, compress="gzip") for _ in range(2)]
    assert first.body == second.body
    assert ("content-encoding" in first.headers) == (size >= 1024)
    if size >= 1024:
        assert first.body[4:8] == bytes(4)  # no time of day in it
    assert (gzip.decompress(first.body) if size >= 1024 else first.body) == message.content


async def test_content_that_would_not_shrink_goes_as_it_is():
    request = await seen(replace(sample_message(), content=os.urandom(2000)), compress="gzip")
    assert "content-encoding" not in request.headers
    assert len(request.body) == 2000


@pytest.mark.parametrize(
    ("auth", "value"),
    [
        ({"bearer": secret("t-1")}, "Bearer t-1"),
        ({"user": "Aladdin", "password": secret("open sesame")}, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ({"user": "test", "password": secret("123£")}, "Basic dGVzdDoxMjPCow=="),  # RFC 7617 section 2.1
    ],
)
async def test_the_login_goes_out_with_each_request(auth, value):
    assert (await seen(auth=auth)).headers["authorization"] == value


async def test_values_of_the_message_stand_in_path_and_query():
    message = payload(order={"id": "o 1/2"[:3]}, n=5)
    path = await asked(message, "/orders/{body.order.id}/state?n={body.n}&from={source}&t={event.type}")
    assert path == f"/orders/o%201/state?n=5&from={message.source}&t={message.type}"


async def test_values_of_the_message_stand_in_headers():
    message = payload(id="o-1", name="José 漢")
    headers = {"X-Order": "v1 {body.id}!", "X-Name": "{body.name}", "X-Braces": "{{x}}", "X-Event": "{event.id}"}
    found = (await seen(message, headers=headers)).headers
    assert (found["x-order"], found["x-braces"], found["x-event"]) == ("v1 o-1!", "{x}", message.id)
    assert found["x-name"].encode("latin-1").decode() == "José 漢"


async def test_a_secret_is_never_a_template():
    assert (await seen(headers={"X-Key": secret("{body.id}")})).headers["x-key"] == "{body.id}"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"id": "a\r\nX-Evil: 1"}, "header X-Order: a value holds a line end"),
        ({"id": "a\nb"}, "line end"),
        ({"id": "a\0b"}, "control"),
        ({"id": "a\x85b"}, "control"),
        ({"id": "a\u2028b"}, "control"),
        ({"id": "a" * 4097}, "longer than 4096 bytes"),
        ({}, "nothing at body.id"),
        ({"id": None}, "nothing at body.id"),
    ],
)
async def test_R12_a_header_that_a_value_would_break_rejects_the_message(values, words):
    reason = await rejected(payload(**values), headers={"X-Order": "{body.id}"})
    assert words in reason
    assert "Evil" not in reason


async def test_R13_a_url_that_a_value_would_change_rejects_the_message():
    assert await rejected(payload(id="../admin"), path="/{body.id}") == (
        "url: a value for the path holds a slash or backslash, which would be a border of it"
    )


async def test_a_payload_that_is_no_json_has_no_values():
    message = replace(sample_message(), payload=b"<a/>")
    assert (await rejected(message, path="/{body.id}")).startswith("payload: it is no JSON")
    assert await asked(message, "/{event.id}") == f"/{message.id}"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_method_without_content_sends_none(method):
    async with hostile(replies(OK)) as server:
        await deliver({"url": server.url("/x"), "method": method, "sign": {"secret": secret(SECRET)}}, payload(a=1))
    (request,) = server.requests
    assert request.line.startswith(method.encode() + b" /x ")
    assert request.body == b""
    assert not {"content-type", "content-length"} & set(request.headers)
    verify(request, SECRET, **STANDARD)


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (PARENT, PARENT),
        (PARENT[:-2] + "00", PARENT[:-2] + "00"),
        ("01" + PARENT[2:-2] + "ff-more", PARENT[:-2] + "01"),
        ("cc" + PARENT[2:-2] + "02", PARENT[:-2] + "00"),
    ],
)
async def test_a_trace_that_came_goes_on_with_its_state(given, sent):
    message = with_headers(traceparent=given, tracestate="a=1,b=2")
    found = (await seen(message, traceparent=True)).headers
    assert (found["traceparent"], found["tracestate"]) == (sent, "a=1,b=2")


@pytest.mark.parametrize(
    "given",
    [
        "",
        "nonsense",
        "ff" + PARENT[2:],
        PARENT + "-more",
        PARENT.upper(),
        PARENT + " ",
        "00-" + "0" * 32 + PARENT[35:],
        PARENT[:36] + "0" * 16 + "-01",
        f"{PARENT}, {PARENT}",
    ],
)
async def test_a_trace_that_is_none_is_replaced_by_one_that_all_tries_share(given):
    message = with_headers(traceparent=given, tracestate="a=1")
    first = (await seen(message, traceparent=True)).headers
    again = (await seen(replace(message, attempt=2, target="other"), traceparent=True)).headers
    other = (await seen(replace(message, id="evt_0000000000000002"), traceparent=True)).headers
    assert first["traceparent"] == again["traceparent"] != other["traceparent"]
    assert first["traceparent"].startswith("00-")
    assert first["traceparent"].endswith("-01")
    assert len(first["traceparent"]) == 55
    assert "tracestate" not in first


@pytest.mark.parametrize("state", ["x" * 513, "a=\x01"])
async def test_a_trace_state_that_is_too_long_or_none_stays_behind(state):
    found = (await seen(with_headers(traceparent=PARENT, tracestate=state), traceparent=True)).headers
    assert found["traceparent"] == PARENT
    assert "tracestate" not in found


async def test_without_the_key_no_trace_goes_along():
    assert "traceparent" not in (await seen(with_headers(traceparent=PARENT))).headers


SIGN = {"secret": secret(RAW), "header": "X-Sig"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "http://{body.host}/"}, "path or query only"),
        ({"url": "http://host/{claims.a}"}, "cannot stand in a url"),
        ({"url": "http://host/{header.x}"}, "cannot stand in a url"),
        ({"headers": {"X": "{query.a}"}}, "cannot stand in header X"),
        ({"headers": {"X": '{"a": 1}'}}, "{{"),
        ({"headers": {"{body.a}": "x"}}, "no header name"),
        ({"headers": {"X": "{body.a}\r\nY: 1"}}, "line end"),
        ({"headers": {"Host": "{body.a}"}}, "'Host'"),
        ({"headers": {"Webhook-Id": "{body.a}"}}, "webhook-id"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "one name twice"),
        ({"auth": {}}, "either bearer"),
        ({"auth": {"user": "u"}}, "user and password"),
        ({"auth": {"bearer": secret("t"), "user": "u", "password": secret("p")}}, "either bearer"),
        ({"auth": {"user": "a:b", "password": secret("p")}}, "colon"),
        ({"auth": {"bearer": secret("hush hush")}}, "cannot be sent"),
        ({"auth": {"user": "u", "password": secret("hush\n")}}, "cannot be sent"),
        ({"auth": {"bearer": secret("t")}, "headers": {"authorization": "x"}}, "authorization is written by auth"),
        ({"sign": {"secret": secret(SECRET)}, "headers": {"webhook-signature": "x"}}, "written by sign"),
        ({"sign": {"secret": secret(SECRET)}, "pass_headers": ["webhook-timestamp"]}, "written by sign"),
        ({"sign": {**SIGN, "header": "Content-Type"}}, "written by sign"),
        ({"sign": {**SIGN, "header": "Webhook-Id"}}, "written by sign"),
        ({"sign": {**SIGN, "header": "Host"}}, "'Host'"),
        ({"sign": {**SIGN, "header": "X Sig"}}, "no header name"),
        ({"compress": "gzip", "headers": {"Content-Encoding": "x"}}, "written by compress"),
        ({"compress": "br"}, "compress"),
        ({"traceparent": True, "pass_headers": ["tracestate"]}, "written by traceparent"),
        ({"sign": {"secret": secret("hush" * 9)}}, "whsec_ or whsk_"),
        ({"sign": {"secret": secret(SECRET), "previous": secret("hush" * 9)}}, "previous: "),
        ({"sign": {"secret": secret(SECRET), "encoding": "hex"}}, "encoding is for a style of your own"),
        ({"sign": {**SIGN, "secret": secret("hush")}}, "at least 24"),
        ({"sign": {**SIGN, "previous": secret(RAW)}}, "two signatures need"),
        ({"sign": {**SIGN, "template": "{id}"}}, "does not cover the body"),
        ({"sign": {**SIGN, "template": "{timestamp}{body}"}}, "need each other"),
        ({"sign": {**SIGN, "timestamp": "header.x"}}, "need each other"),
        ({"sign": {**SIGN, "template": "{timestamp}{body}", "timestamp": "pair.t"}}, "header.NAME"),
        ({"sign": {**SIGN, "template": "{timestamp}{body}", "timestamp": "header."}}, "header.NAME"),
        ({"sign": {**SIGN, "template": "{timestamp}{body}", "timestamp": "header.x-sig"}}, "two have one name"),
        ({"sign": {**SIGN, "id": "x"}}, "header.NAME"),
        ({"sign": {**SIGN, "separator": ","}}, "separator"),
        ({"sign": {**SIGN, "shape": "list", "separator": ""}}, "separator"),
        ({"sign": {**SIGN, "shape": "pairs", "label": "a=b"}}, "label"),
        (
            {"sign": {**SIGN, "shape": "pairs", "label": "t", "template": "{timestamp}{body}", "timestamp": "pair.t"}},
            "label",
        ),
        ({"sign": {**SIGN, "prefix": "é"}}, "printable"),
        ({"sign": {**SIGN, "prefix": "a\r\nb"}}, "printable"),
    ],
)
def test_options_that_contradict_themselves_are_refused_with_the_reason(options, words):
    with pytest.raises(ValueError) as caught:
        HttpOptions(**{"url": "http://host/", **options})
    text = str([{**error, "input": "", "ctx": ""} for error in caught.value.errors(include_url=False)])
    assert words in text
    assert "hush" not in text


def test_no_secret_is_shown_by_options():
    options = HttpOptions(url="http://host/", auth={"bearer": secret("hush")}, sign={"secret": secret(SECRET)})
    assert "hush" not in f"{options!r} {options.model_dump()} {options.model_dump_json()}"
    assert SECRET not in f"{options!r} {options.model_dump()} {options.model_dump_json()}"
