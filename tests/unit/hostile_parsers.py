"""Every parser that strangers' or operators' words reach: good inputs, how to make bad ones, what it may raise.

`call` may do more than parse: what it returns must be usable, so that a bad value does not fail later. It raises
AssertionError where the result is not what it must be.
"""

import base64
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.config.address import parse_address
from gateway.core.document import parse_document, parse_form, refuse_repeated_keys
from gateway.core.encodings import decode_base64, decode_base64url, decode_hex, encode_base64url
from gateway.core.head import StoredHeaders, content_type, decode_head, encode_head
from gateway.core.mailbox import parse_mailbox
from gateway.core.match_table import parse_match
from gateway.core.model import Request
from gateway.core.moments import read_moment, write_moment
from gateway.core.pattern import Pattern
from gateway.core.problems import ProblemsError
from gateway.core.retry import parse_policy
from gateway.core.selector import Scope, TemplateError, parse_selector, parse_template
from gateway.core.units import parse_duration, parse_rate, parse_share, parse_size
from gateway.core.xml import parse_xml
from gateway.errors import RequestError, VerificationError
from gateway.exec_helper.protocol import ProtocolError, decode_ended, decode_header, decode_job
from gateway.plugin_host.codec import read_outcome
from gateway.plugin_host.frames import FrameError, FrameReader, write_frame
from gateway.targets.retry_after import retry_after
from gateway.verifiers.certificates import read_certificate
from gateway.verifiers.claims import ClaimRules, check_claims
from gateway.verifiers.compact import cut_token, decode_segment, signing_input
from gateway.verifiers.jwks import read_key_set
from gateway.verifiers.shapes import make_cutter
from gateway.verifiers.timestamps import read_timestamp, write_timestamp
from gateway.wire.addresses import check_host, classify
from gateway.wire.chunks import ChunkedBody
from gateway.wire.failures import ReplyError
from gateway.wire.guard import parse_rule
from gateway.wire.http_reply import ReplyReader
from gateway.wire.proxies import TrustedProxies
from gateway.wire.url import parse_url
from gateway.wire.url_template import UnfitUrlError, UrlTemplate

NOW = 1_795_262_400_000
DOCUMENT = {"id": "evt_1", "type": "order.paid", "data": {"items": [{"id": 1}, {"id": 2}], "n": 1.5, "ok": True}}
REQUEST = Request("POST", "/hook", "a=b&c=%41", ((b"x-a", b"1"), (b"x-b", b"2")), b"{}", "192.0.2.1", NOW)
SCOPE = Scope(REQUEST, DOCUMENT, {"sub": "x"}, None, "acme")
PROXIES = TrustedProxies(["10.0.0.0/8", "unix"])
RULES = ClaimRules(("exp", "iat"), "us", "you", 60, 300, {"n": 1})


class Parser(NamedTuple):
    """One of them."""

    name: str
    good: tuple[Any, ...]
    """Texts, bytes, or values as JSON has them."""
    call: Callable[[Any], Any]
    raises: tuple[type[BaseException], ...]


def selector(text):
    found = parse_selector(text)
    for body in (DOCUMENT, [DOCUMENT], "text", None, 5):
        found.value(SCOPE._replace(body=body, claims=body))
        found.values(SCOPE._replace(body=body, claims=body))
    assert parse_selector(found.text) == found


def template(text):
    parse_template(text).render(SCOPE, lambda value: value.encode("utf-8", "replace").decode())


def url_template(text):
    compiled = UrlTemplate(text)
    if not compiled.fixed:
        assert re.fullmatch(r"/[!-~]*", compiled.target(SCOPE))


def match(table):
    found = parse_match(table)
    for body in (DOCUMENT, {"data": [DOCUMENT] * 3}, "text", None):
        found.matches(SCOPE._replace(body=body))


def document(raw):
    found = parse_document(raw)
    refuse_repeated_keys(raw, found, (("id",), ("data", "items")) and ((("id",),), (("data", "items"), ("id",))))
    told = json.loads(raw, parse_int=float)
    assert told == json.loads(json.dumps(found), parse_int=float), "read in two ways"


def form(raw):
    found = parse_form(raw)
    wanted = parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=2000)
    assert sum(len(each) if isinstance(each, list) else 1 for each in found.values()) == len(wanted)


def token(raw):
    cut = cut_token(raw, "HS256")
    assert raw.count(b".") == 2
    assert raw.rpartition(b".")[0] == cut.signing_input
    decode_segment(cut.payload_segment, "payload")


def canonical(decode, encode):
    def call(text):
        assert encode(decode(text)).rstrip(b"=") == text.rstrip(b"="), "two texts for one value"

    return call


def timestamp(text):
    for unit in ("s", "ms", "iso8601"):
        try:
            moment = read_timestamp(text, unit)
        except VerificationError:
            continue
        assert re.fullmatch(rb"[0-9]+|[0-9-]+T[0-9:.]+(Z|[+-][0-9:]+)", text)
        if 0 <= moment < 2**45:
            assert abs(read_timestamp(write_timestamp(moment, unit), unit) - moment) < 1000


def moment(value):
    found = read_moment(value)
    if found is not None:
        write_moment(found)


def frames(raw):
    reader = FrameReader(1 << 16, 1 << 16)
    for at in range(0, len(raw), 7):
        list(reader.feed(raw[at : at + 7]))


def job(value):
    made = decode_job((value, b""))
    assert isinstance(made.cwd, str)
    assert 0 < made.timeout_seconds < 1e6


def ended(value):
    made = decode_ended((value, b""))
    assert (type(made.number), type(made.detail), type(made.survivors)) == (int, str, int)


def reply(raw):
    reader = ReplyReader()
    for at in range(0, len(raw), 11):
        reader.feed(raw[at : at + 11])
        if reader.over or reader.complete:
            break
    else:
        reader.end()
    if reader.has_head:
        assert 200 <= reader.reply().status <= 599


def chunks(raw):
    whole, pieces = ChunkedBody(4096), ChunkedBody(4096)
    whole.feed(raw)
    for at in range(len(raw)):
        if not pieces.complete:
            pieces.feed(raw[at : at + 1])
    assert (whole.content, whole.complete) == (pieces.content, pieces.complete), "read in two ways"


def proxied(value):
    found = PROXIES.client("10.0.0.1", ((b"x-forwarded-for", value), (b"forwarded", b"for=" + value)))
    classify(found)


def host(text):
    check_host(text)
    text.encode("ascii")


def head(raw):
    decode_head(raw)
    dict(StoredHeaders(raw))
    content_type(raw)


def certificate(document):
    found = read_certificate(document)
    assert found is None or found.begins < found.ends


_KEY = ec.generate_private_key(ec.SECP256R1())
_JWK = {**jwt.get_algorithm_by_name("ES256").to_jwk(_KEY.public_key(), as_dict=True), "kid": "k", "use": "sig"}
_RSA = {"kty": "RSA", "n": "sXchwAVQ", "e": "AQAB", "kid": "r", "alg": "RS256"}
_OKP = {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(bytes(32)).decode().rstrip("="), "kid": "o"}


def key_set(value):
    raw = json.dumps(value).encode()
    for algorithm in ("ES256", "RS256", "EdDSA"):
        for key in (read_key_set(raw, algorithm) or {}).values():
            assert not key.verify(b"x", b"y")


def _token() -> bytes:
    text = signing_input("HS256", b'{"exp":1}', "k")
    return text + b"." + encode_base64url(b"signature")


PARSERS = (
    Parser(
        "selector",
        ("body.data.items[].id", "header.x-a", 'body."a.b"[]', "event.type", "query.a"),
        selector,
        (ValueError,),
    ),
    Parser(
        "template", ("{source}: {body.data.n} {{x}}", "{body.id}", '{body."a"}'), template, (ValueError, TemplateError)
    ),
    Parser(
        "url template",
        ("https://crm.example/a/{body.id}?b={body.type}", "http://10.0.0.5:9000/x?n={body.data.n}"),
        url_template,
        (ValueError, UnfitUrlError),
    ),
    Parser("glob", ("order.*", "*a*b*c*", "x"), lambda text: Pattern([text]).matches("order.paid" * 20), (ValueError,)),
    Parser(
        "match",
        (
            {"body.data.n": {"gt": 1, "lte": 2}, "body.type": ["order.*", "x"]},
            {
                "any_of": [{"header.x-a": "1"}, {"body.data.items[].id": {"not": 5}}],
                "body.id": {"regex": "^evt_", "exists": True},
            },
            {
                "none_of": [{"body.type": {"glob": "a*", "in": ["a"], "contains": "b"}}],
                "all_of": [{"query.a": {"eq": "b"}}],
            },
        ),
        match,
        (ProblemsError,),
    ),
    Parser(
        "document",
        (json.dumps(DOCUMENT).encode(), b'{"id":1,"data":{"items":[{"id":1}]}}', b"[1,2.5e3,-0]"),
        document,
        (RequestError,),
    ),
    Parser("form", (b"a=b&c=%41+d&a=", b"payload=%7B%7D"), form, (RequestError,)),
    Parser(
        "xml",
        (b'<a b="c"><d>e</d><d/></a>', b"<n:a xmlns:n='u'>x&amp;y</n:a>"),
        lambda raw: parse_xml(raw, ("d",)),
        (RequestError,),
    ),
    Parser("token", (_token(), b"a.b.c"), token, (VerificationError,)),
    Parser(
        "claims",
        ({"exp": NOW // 1000, "iss": "us", "aud": "you", "n": 1, "iat": NOW // 1000},),
        lambda value: check_claims(parse_document(json.dumps(value).encode()), RULES, NOW / 1000),
        (VerificationError, RequestError),
    ),
    Parser("key set", ({"keys": [_JWK]}, {"keys": [_RSA, _OKP]}), key_set, ()),
    Parser(
        "certificate",
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",),
        certificate,
        (),
    ),
    Parser("base64", (b"aGVsbG8=", b"aGVsbG8", b"+/+/"), canonical(decode_base64, base64.b64encode), (ValueError,)),
    Parser(
        "base64url",
        (b"aGVsbG8", b"-_-_"),
        canonical(decode_base64url, base64.urlsafe_b64encode),
        (ValueError,),
    ),
    Parser("hex", (b"00ff", b"AbCd"), lambda text: decode_hex(text).hex(), (ValueError,)),
    Parser(
        "signature pairs",
        (b"t=1,v1=abc,v1=def", b"t=1;v1=x t=2;v1=y"),
        make_cutter("pairs", ";", " ", "v1"),
        (VerificationError,),
    ),
    Parser(
        "timestamp",
        (b"1795262400", b"1795262400000", b"2026-11-21T12:00:00.123Z", b"2026-11-21T12:00:00+02:00"),
        timestamp,
        (),
    ),
    Parser(
        "moment",
        ("2026-11-21T12:00:00Z", 1795262400, 1795262400.5, "1795262400000", "Sat, 21 Nov 2026 12:00:00 GMT"),
        moment,
        (),
    ),
    Parser("duration", ("30s", "1.5h", "3d"), parse_duration, (ValueError,)),
    Parser("size", ("64KiB", "1MiB", "5B"), parse_size, (ValueError,)),
    Parser("rate", ("50/s", "1000/h"), parse_rate, (ValueError,)),
    Parser("share", ("80%", "0.5%"), parse_share, (ValueError,)),
    Parser(
        "policy",
        (
            {"delays": ["30s", "2m"], "then": "6h", "give_up": "3d", "jitter": 0.1},
            {"first": "1s", "factor": 2, "attempts": 5},
            "standard",
        ),
        parse_policy,
        (ProblemsError,),
    ),
    Parser(
        "address",
        ("127.0.0.1:8080", "[::1]:80", "unix:/run/x.sock", "fd:http", "*:80"),
        lambda text: str(parse_address(text)),
        (ValueError,),
    ),
    Parser(
        "url",
        ("http://10.0.0.5:9000/hooks?a=b", "https://[2001:db8::1]/x", "unix:/run/x.sock:/y"),
        lambda text: parse_url(text).authority,
        (ValueError,),
    ),
    Parser("host", ("hooks.example", "192.0.2.1", "2001:db8::1"), host, (ValueError,)),
    Parser("rule", ("10.0.0.0/8", "private", "hooks.example"), parse_rule, (ValueError,)),
    Parser(
        "forwarded",
        (b"192.0.2.1, 10.0.0.2", b'"[2001:db8::1]:80"', b"unix", b"10.0.0.2, unknown"),
        proxied,
        (),
    ),
    Parser("mailbox", ("ops@acme.example", "Ops <ops@acme.example>"), parse_mailbox, (ValueError,)),
    Parser(
        "retry-after",
        (b"120", b"Sat, 21 Nov 2026 12:00:00 GMT", b"Saturday, 21-Nov-26 12:00:00 GMT"),
        lambda value: retry_after(value, NOW),
        (),
    ),
    Parser("stored head", (encode_head(REQUEST, (), ()),), head, ()),
    Parser(
        "reply",
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            (
                b"HTTP/1.1 100 Continue\r\n\r\n"
                b"HTTP/1.0 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\nT: v\r\n\r\n"
            ),
        ),
        reply,
        (ReplyError,),
    ),
    Parser(
        "chunks",
        (b"5;a=b\r\nhello\r\n0\r\nT: v\r\n\r\nrest", b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"),
        chunks,
        (RequestError,),
    ),
    Parser(
        "frames",
        (b"".join(write_frame({"call": 1, "outcome": "delivered"}, b"body")),),
        frames,
        (FrameError,),
    ),
    Parser(
        "outcome",
        (
            {"outcome": "retry", "text": "later", "after": 5.0, "disable": False},
            {"outcome": "delivered", "text": "", "after": None},
        ),
        read_outcome,
        (FrameError,),
    ),
    Parser(
        "job",
        ({"argv": ["/bin/true", "x"], "env": {"A": "b"}, "cwd": "/", "timeout_seconds": 5.0, "output_bytes": 100},),
        job,
        (ProtocolError,),
    ),
    Parser(
        "end of a run",
        ({"frame": "ended", "how": "exit", "number": 0, "detail": "", "survivors": 0, "output": None},),
        ended,
        (ProtocolError,),
    ),
    Parser("header of a frame", (b'{"how":"exit","number":0}',), decode_header, (ProtocolError,)),
)
