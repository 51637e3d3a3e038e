"""Rows of the catalogue that parsers, keys, workers, helpers and replies show by themselves."""

import json
import socket
import subprocess
import sys

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from verify_harness import NOW

from gateway.core.document import parse_document, parse_form, refuse_repeated_keys
from gateway.core.model import TargetDown
from gateway.core.selector import ABSENT, Scope, parse_selector
from gateway.errors import RequestError, VerificationError
from gateway.exec_helper import protocol
from gateway.plugin_host import describe
from gateway.plugin_host.codec import read_outcome
from gateway.plugin_host.frames import FrameError, FrameReader, write_frame
from gateway.plugin_host.job import Job as PluginJob
from gateway.provider_api.paging import Paging, PagingError, Place
from gateway.runtime import Runtime
from gateway.targets.http_token import _read_token
from gateway.targets.retry_after import retry_after
from gateway.verifiers.certificates import read_certificate
from gateway.verifiers.jwks import KEYS_MAX, read_key_set
from gateway.verifiers.places import read_json
from gateway.verifiers.shapes import MAX_ENTRIES, make_cutter
from gateway.wire.failures import ReplyError
from gateway.wire.http_reply import HttpReply, ReplyReader


@pytest.mark.parametrize(
    "raw",
    [
        b'{"id":1,"\\u0069d":2}',
        b'{"\\u0069d":1,"id":2}',
        b'{"i\\u0064":1,"\\u0069d":1}',
        b'{"data":{"id":1},"d\\u0061ta":{"id":2}}',
    ],
)
def test_D8_a_key_that_is_written_twice_in_two_spellings_is_400_where_a_rule_reads_it(raw):
    with pytest.raises(RequestError, match="twice"):
        refuse_repeated_keys(raw, parse_document(raw), [(("id",),), (("data", "id"),)])


@pytest.mark.parametrize(
    "raw",
    [
        b'"\\ud800"',
        b'"\xed\xa0\x80"',
        b'"\xc0\xaf"',
        b'"\xff"',
        '"a"'.encode("utf-16"),
        '"a"'.encode("utf-32"),
        b'\xef\xbb\xbf"a"',
        b'"a\x00b"',
        b'"a\nb"',
    ],
)
def test_D9_text_that_is_no_utf_8_or_holds_what_json_must_escape_is_400(raw):
    with pytest.raises(RequestError):
        parse_document(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"01",
        b"+1",
        b".5",
        b"1.",
        b"0x1",
        b"1e",
        b"1_000",
        b"--1",
        b"[1,]",
        b"{,}",
        b"// x\n1",
        b"'a'",
        b"{a:1}",
        b"1 2",
        b"[1][2]",
        b"True",
        b"\x0b1",
        b"\xc2\xa01",
    ],
)
def test_D10_what_lenient_parsers_take_for_json_is_400(raw):
    with pytest.raises(RequestError):
        parse_document(raw)


def test_D11_a_form_of_too_many_fields_or_of_broken_text_is_400():
    assert len(parse_form(b"&".join(b"a%d=1" % n for n in range(1000)))) == 1000
    for raw in (b"&".join([b"a=1"] * 1001), b"a=%ff", b"%ff=a", b"a=\xff", b"a=%ed%a0%80"):
        with pytest.raises(RequestError):
            parse_form(raw)
    assert parse_form(b"a[]=1&a[]=2&b=%2541&%61=x&&=") == {"a[]": ["1", "2"], "b": "%41", "a": "x", "": ""}


@pytest.mark.parametrize("body", ["text", 5, None, True, [], [{"id": 1}], {"data": "id"}, {"data": {"ID": 1}}, {}])
def test_D12_a_selector_finds_nothing_where_the_shape_is_another(body):
    scope = Scope(None, body, body, None, "acme")
    for text in ("body.data.id", "body.data[].id", "claims.data.id", 'body."data.id"', "body.data.id.x"):
        assert parse_selector(text).value(scope) is ABSENT
        assert parse_selector(text).values(scope) == []


@pytest.mark.parametrize("claims", [b'{"exp":1,"exp":9999999999}', b'{"exp":9999999999,"\\u0065xp":1}'])
def test_J10_a_claim_that_counts_and_stands_twice_is_refused(claims):
    with pytest.raises(VerificationError, match="twice"):
        read_json(claims, [(("exp",),)])


_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
JWK = {**jwt.get_algorithm_by_name("ES256").to_jwk(_KEY, as_dict=True), "kid": "k"}


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "RSA"},
        {"kty": 5},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"crv": "P-521"},
        {"crv": ["P-256"]},
        {"x": 5},
        {"x": "AA"},
        {"y": None},
        {"x": "\u00e9" * 43},
        {"use": "enc"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"d": "AA"},
        {"kid": ["k"]},
        {"kid": None},
    ],
)
def test_J11_a_published_key_that_is_not_sound_or_for_something_else_is_not_seen(change):
    keys = {"keys": [{**JWK, **change}, None, 5, "x", [JWK]]}
    assert not read_key_set(orjson.dumps(keys), "ES256")


def test_J12_of_two_published_keys_of_one_name_neither_counts_nor_any_of_too_many():
    other = {
        **JWK,
        **jwt.get_algorithm_by_name("ES256").to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True),
    }
    assert set(read_key_set(orjson.dumps({"keys": [JWK]}), "ES256")) == {"k"}
    assert not read_key_set(orjson.dumps({"keys": [JWK, other]}), "ES256")
    assert not read_key_set(orjson.dumps({"keys": [{**JWK, "kid": str(n)} for n in range(KEYS_MAX + 1)]}), "ES256")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"x" * 65_536,
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        b"-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----",
        b"\x30\x82\x01\x00" * 64,
        b"-----BEGIN CERTIFICATE-----" * 1000,
    ],
)
def test_S20_a_document_in_the_place_of_a_certificate_that_is_none_proves_nothing(document):
    assert read_certificate(document) is None


def test_S21_of_more_signatures_than_providers_send_none_is_looked_at():
    cut = make_cutter("list", " ", "", "v1")
    assert len(cut(b" ".join([b"v1,x"] * MAX_ENTRIES))[0].signatures) == MAX_ENTRIES
    for shape, text in (("list", b" ".join([b"v1,x"] * (MAX_ENTRIES + 1))), ("pairs", b",".join([b"v1=x"] * 5000))):
        with pytest.raises(VerificationError, match="more than 32 entries"):
            make_cutter(shape, None, "", "v1")(text)


@pytest.mark.parametrize(
    "header",
    [
        {"outcome": "retry", "text": "x", "after": 10**400},
        {"outcome": "retry", "text": "x", "after": float("nan")},
        {"outcome": "retry", "text": "x", "after": True},
        {"outcome": "retry", "text": "x", "after": -1},
        {"outcome": "retry", "text": None},
        {"outcome": ["retry"], "text": "x"},
        {"outcome": "in_flight", "text": "x"},
        {},
    ],
)
def test_G6_an_outcome_of_a_worker_that_is_none_is_a_broken_contract(header):
    with pytest.raises(FrameError):
        read_outcome(header)


def test_G6_a_frame_of_a_worker_beyond_its_bounds_or_without_a_table_is_a_broken_contract():
    deep = b"[" * 100_000
    for frame in (b"\xff" * 8, b"\x00\x00\x00\x02\x00\x00\x00\x00[]", len(deep).to_bytes(4, "big") + bytes(4) + deep):
        with pytest.raises(FrameError):
            list(FrameReader(1 << 20, 1 << 20).feed(frame))
    assert isinstance(read_outcome({"outcome": "target_down", "text": "a\x1b[31m\r\nb" * 1000}), TargetDown)


GOOD = {
    "ready": True,
    "schema": {},
    "timeout": 5,
    "concurrency": 2,
    "send": "payload",
    "replay": "yes",
    "problems": [],
    "asked": [],
}


@pytest.mark.parametrize(
    "change",
    [
        {"schema": None},
        {"schema": []},
        {"timeout": "5"},
        {"timeout": -1},
        {"concurrency": 1.5},
        {"concurrency": -1},
        {"send": "all"},
        {"send": []},
        {"replay": 5},
        {"problems": 5},
        {"problems": [["x"]]},
        {"asked": None},
        {"asked": [5]},
    ],
)
def test_G7_a_worker_that_describes_what_no_plugin_is_leaves_its_targets_down(monkeypatch, change):
    class Named:
        name, origin = "odd", "a file"

    monkeypatch.setattr(describe, "hello", lambda *_: {})
    monkeypatch.setattr(
        Runtime, "ask_worker", staticmethod(lambda *_: (b"".join(write_frame({**GOOD, **change})), 0)), raising=True
    )
    found = describe.describe(PluginJob(Named(), None))
    assert found.down == "its worker answered what describes no plugin"


JOB = {"argv": ["/bin/true"], "env": {"A": "b"}, "cwd": "/", "timeout_seconds": 5.0, "output_bytes": 100}
BAD_JOBS = [
    {"argv": "/bin/true"},
    {"argv": []},
    {"argv": None},
    {"argv": [5]},
    {"env": []},
    {"env": None},
    {"env": {"A": 5}},
    {"cwd": 5},
    {"timeout_seconds": "5"},
    {"timeout_seconds": float("nan")},
    {"timeout_seconds": 0},
    {"timeout_seconds": 10**400},
    {"timeout_seconds": True},
    {"output_bytes": -1},
    {"output_bytes": "1"},
    {"stdin": "x"},
    {"more": 1},
]


@pytest.mark.parametrize("change", BAD_JOBS)
def test_X6_a_job_for_the_helper_that_is_none_is_refused(change):
    assert protocol.decode_job((JOB, b"")).argv == ("/bin/true",)
    with pytest.raises(protocol.ProtocolError):
        protocol.decode_job(({**JOB, **change}, b""))


@pytest.mark.parametrize(
    "sent",
    [
        protocol.encode({**JOB, "env": []}),
        b"\xff" * 8,
        protocol.PREFIX.pack(2, 0) + b"[]",
        protocol.PREFIX.pack(200_000, 0) + b"[" * 200_000,
        b"\x00\x00",
        protocol.PREFIX.pack(50, 0) + b"{",
    ],
)
def test_X6_the_helper_answers_what_is_no_job_with_a_refusal_and_no_traceback(sent):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        run = subprocess.Popen([sys.executable, "-m", "gateway.exec_helper"], stdin=theirs, stderr=subprocess.PIPE)
        theirs.close()
        ours.sendall(sent)
        ours.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: ours.recv(65536), b""))
        _, said = run.communicate(timeout=20)
    header = json.loads(answer[protocol.PREFIX.size :])
    assert (header["frame"], header["how"]) == ("ended", "refused")
    assert b"Traceback" not in said


ENDED = {"frame": "ended", "how": "exit", "number": 0, "detail": "", "survivors": 0, "output": None}


@pytest.mark.parametrize(
    "change",
    [
        {"how": "well"},
        {"how": ["exit"]},
        {"number": "0"},
        {"number": None},
        {"number": True},
        {"detail": 5},
        {"survivors": 0.5},
    ],
)
def test_X7_an_end_of_a_run_that_is_none_is_told_as_no_helper(change):
    assert protocol.decode_ended((ENDED, b"x")).output == b"x"
    with pytest.raises(protocol.ProtocolError):
        protocol.decode_ended(({**ENDED, **change}, b""))
    with pytest.raises(protocol.ProtocolError):
        protocol.decode_header(b"[" * 100_000)


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"-1",
        b"1.5",
        b"+5",
        b"0x10",
        b"\xd9\xa1",
        b"5 seconds",
        b"1e3",
        b"Mon, 99 Foo 2026 12:00:00 GMT",
        b"Sat, 21 Nov 2026 12:00:00 PST",
        b"tomorrow",
        b"5, 10",
        b"\x00",
    ],
)
def test_R15_a_retry_after_that_is_none_is_as_if_there_were_none(written):
    assert retry_after(written, NOW * 1000) is None


def test_R15_a_retry_after_beyond_all_bounds_is_a_number_that_the_policy_caps():
    for written in (b"9" * 30, b"Fri, 31 Dec 9999 23:59:59 GMT"):
        found = retry_after(written, NOW * 1000)
        assert found is None or found >= 86_400
    assert retry_after(b"Sun, 06 Nov 1994 08:49:37 GMT", NOW * 1000) in {None, 0.0}


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 2\r\nContent-Length: 3",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked",
        b"Content-Length: -1",
        b"Content-Length: 99999999999999999999",
        b"Transfer-Encoding: chunked, identity",
        b"Content-Length: +2",
        b"Content-Length: 2 3",
    ],
)
def test_R16_a_reply_whose_end_is_in_doubt_is_refused_or_never_reuses_its_connection(head):
    reader = ReplyReader()
    try:
        reader.feed(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\nok")
    except ReplyError:
        return
    reader.end()
    assert not reader.reusable


def test_R17_a_second_reply_that_nobody_asked_for_spoils_the_connection():
    reader = ReplyReader()
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
    assert (reader.reply().status, reader.reply().body, reader.reusable) == (200, b"ok", False)


def test_R18_the_head_of_a_reply_may_come_byte_by_byte_and_its_body_be_larger_than_what_is_kept():
    reader = ReplyReader(10)
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000 + b"\r\nContent-Length: 50\r\n\r\n" + b"z" * 50:
        reader.feed(bytes([byte]))
    assert (len(reader.reply().body), reader.reply().truncated, reader.reusable) == (10, True, False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"access_token":"t"}',
        b'{"access_token":"","token_type":"bearer"}',
        b'{"access_token":"a b","token_type":"bearer"}',
        b'{"access_token":"a\\r\\nX: y","token_type":"bearer"}',
        b'{"access_token":"\\u00e9","token_type":"bearer"}',
        b'{"access_token":["t"],"token_type":"bearer"}',
        b'{"access_token":"t","token_type":"mac"}',
        b'{"access_token":"t","token_type":null}',
        b"[" * 100_000,
    ],
)
def test_O3_a_token_endpoint_that_answers_with_no_token_gives_none_and_its_words_are_not_quoted(body):
    with pytest.raises(ValueError, match="its reply"):
        _read_token(HttpReply(200, (), body, truncated=False))
    with pytest.raises(ValueError, match=r"^HTTP 400: check scopes"):
        _read_token(HttpReply(400, (), b'{"error":"<b>\\r\\n' + b"x" * 500 + b'"}', truncated=False))


@pytest.mark.parametrize(
    "seconds", ["-1", "0", "1e999", '"soon"', '"\\u0661"', "true", "[]", "9" * 30, f'"{"9" * 5000}"']
)
def test_O3_a_token_s_lifetime_is_bounded_whatever_is_told(seconds):
    body = f'{{"access_token":"t","token_type":"Bearer","expires_in":{seconds}}}'.encode()
    try:
        token, lifetime = _read_token(HttpReply(200, (), body, truncated=False))
    except ValueError:
        assert seconds == "1e999", "no JSON"
        return
    assert (token, 0 < lifetime <= 86_400) == ("t", True)


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/list",
        "http://api.example/list",
        "https://api.example:444/list",
        "https://api.example@evil.example/",
        "//evil.example/list",
        "file:///etc/passwd",
        "unix:/run/x.sock:/list",
        "list?page=2",
        "/list page",
        "https://api.example/list#x",
        "/list",
        5,
        True,
        ["/list?page=2"],
        {"url": "/list?page=2"},
    ],
)
def test_E5_a_page_that_leads_elsewhere_to_itself_or_nowhere_ends_the_list_with_a_word(following):
    pages = Paging("https://api.example/list", parse_selector("body.next"), None)
    with pytest.raises(PagingError):
        pages.after(Place(), "/list", 1, {"next": following})
    assert pages.after(Place(), "/list", 1, {"next": "/list?page=2"}).target == "/list?page=2"
    assert pages.after(Place(), "/list", 1, {"next": None}) is None


@pytest.mark.parametrize("token", [True, ["x"], {"a": 1}, 1.5, "x" * 100_000])
def test_E5_a_token_of_the_next_page_that_is_none_ends_the_list_with_a_word(token):
    pages = Paging("https://api.example/list", parse_selector("body.next"), "page")
    with pytest.raises(PagingError):
        pages.after(Place(), "/list", 1, {"next": token})
    found = pages.after(Place(), "/list?page=1&a=b", 1, {"next": "&b=c#/../%2f\r\n"})
    assert found.target == "/list?a=b&page=%26b%3Dc%23%2F..%2F%252f%0D%0A"
