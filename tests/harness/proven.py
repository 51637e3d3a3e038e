"""What a request proves, read a second time by other code: the judge of what forged requests may be taken.

Nobody without the key can make a new proof, so a request may be taken only if it holds a proof of one that the provider
made, over the same values, within its time. The schemes' own rules, each written here once:

- token, basic: the secret at its place, and nothing else, is proven. Basic's own name may be in any case (RFC 9110);
  a query's value may be percent-encoded in another way; a token in a list must stand in every item.
- ip: the address is in a network of the list.
- hmac, signature: one of at most 32 entries of the header is a signature that was made, and every value of the
  template is what it was then: value by value, so that nothing moves across a border. Of a form the sorted names and
  values without separators (the provider's rule, which has no borders).
- jwt, plaid: the token to the letter; the body's hash, if the token is in a header and holds one.
- sns, paypal: the signed fields; base64 with or without its padding; any certificate that verifies.
- adyen: the eight signed fields of every item; items may be left out or stand twice.
- braintree: the form's payload, less the line end that it may lack, and the pair of our public key.
- contentful: method, path, query, body and the headers that the request names.
- any_of: of one member. all_of: of each.

Where a timestamp is signed, it must be within the tolerance of the arrival.
"""

import base64
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_to_bytes

from gateway.core.model import Request
from gateway.core.units import parse_duration

ENTRIES_MAX = 32
_VARIABLE = re.compile(r"\{([^{}]*)\}")

Proofs = Iterator[frozenset[Any]]
"""Sets of values: a request is proven by each set of which every value was made by the provider."""


class Judge:
    """Says which requests may be taken by one `verify` table, of which the provider made `genuine`."""

    def __init__(self, verify: Mapping[str, Any], genuine: Iterable[Request]) -> None:
        self._verify = verify
        self._made = {value for request in genuine for proof in proofs(verify, request) for value in proof}

    def allows(self, request: Request) -> bool:
        """Tell whether `request` proves what a genuine one did, in time."""
        return _allowed(self._verify, request, self._made)


def _allowed(verify: Mapping[str, Any], request: Request, made: set[Any]) -> bool:
    if "any_of" in verify:
        return any(_allowed(each, request, made) for each in verify["any_of"])
    if "all_of" in verify:
        return all(_allowed(each, request, made) for each in verify["all_of"])
    fitting = [proof for proof in proofs(verify, request) if proof and proof <= made]
    return any(_in_time(verify, request, proof) for proof in fitting)


def proofs(verify: Mapping[str, Any], request: Request) -> Proofs:
    """Give what `request` may be proven by."""
    for each in (*verify.get("any_of", ()), *verify.get("all_of", ())):
        yield from proofs(each, request)
    if "scheme" in verify:
        try:
            yield from _SCHEMES[verify["scheme"]](verify, request)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            return  # a value is missing, or not of its kind


def _headers(request: Request, name: str) -> list[bytes]:
    return [value for key, value in request.headers if key == name.lower().encode()]


def _only(values: list[Any]) -> Any:
    if len(values) != 1:
        raise ValueError("absent, or more than one")
    return values[0]


def _place(text: str, request: Request) -> list[Any]:
    """Give all that stands at `header.x`, `query.x` or `body.a[].b`."""
    kind, _, name = text.partition(".")
    if kind == "header":
        return _headers(request, name)
    if kind == "query":
        pieces = [piece.partition("=") for piece in request.query.split("&")]
        return [unquote_to_bytes(value.replace("+", " ")) for key, _, value in pieces if key == name]
    found = [json.loads(request.body)]
    for index, part in enumerate(name.split("[]")):
        if index:
            found = [item for each in found for item in each]
        for key in filter(None, part.split(".")):
            found = [each[key] for each in found]
    return [str(each).encode() for each in found]


def _token(verify: Mapping[str, Any], request: Request) -> Proofs:
    kind = next(kind for kind in ("header", "query", "body") if verify.get(kind))
    yield frozenset(_place(f"{kind}.{verify[kind]}", request))


def _basic(_verify: Mapping[str, Any], request: Request) -> Proofs:
    name, _, credentials = _only(_headers(request, "authorization")).partition(b" ")
    if name.lower() == b"basic":
        yield frozenset({credentials.lstrip(b" ")})


def _ip(verify: Mapping[str, Any], request: Request) -> Proofs:
    if any(ip_address(request.client) in ip_network(each) for each in verify["ranges"]):
        yield frozenset({"listed"})


def _signed(verify: Mapping[str, Any], request: Request) -> Proofs:
    texts = (
        [_only(_place(f"body.{verify['body']}", request))]
        if verify.get("body")
        else _signature_headers(verify, request)
    )
    prefix = verify.get("prefix", "").encode()
    for text in texts:
        for entry, timestamp in _entries(verify, text):
            if entry.startswith(prefix):
                signature = _spelling(verify, entry.removeprefix(prefix))
                yield from (frozenset({(signature, values)}) for values in _values(verify, request, timestamp))


def _signature_headers(verify: Mapping[str, Any], request: Request) -> list[bytes]:
    names = verify["header"] if isinstance(verify["header"], list) else [verify["header"]]
    return [_only(found) for name in names if (found := _headers(request, name))]


def _spelling(verify: Mapping[str, Any], signature: bytes) -> bytes:
    return signature.lower() if verify.get("hex_case") == "any" else signature


def _entries(verify: Mapping[str, Any], text: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """Give each signature of a header, with the timestamp that stands beside it."""
    shape = verify.get("shape", "plain")
    if shape == "plain":
        yield text, None
        return
    separator = verify.get("separator", " " if shape == "list" else ",").encode()
    if shape == "list":
        yield from ((entry, None) for entry in text.split(separator)[:ENTRIES_MAX])
        return
    timestamp = str(verify.get("timestamp", "")).removeprefix("pair.").encode()
    for group in text.split(verify["group"].encode()) if verify.get("group") else [text]:
        pairs = [entry.partition(b"=") for entry in group.split(separator)]
        beside = [value for name, _, value in pairs if name == timestamp]
        for name, _, value in pairs[:ENTRIES_MAX]:
            if name == str(verify.get("label", "v1")).encode():
                yield value, beside[0] if len(beside) == 1 else None


def _values(verify: Mapping[str, Any], request: Request, beside: bytes | None) -> Iterator[tuple[Any, ...]]:
    """Give what the template stands for, value by value, once for each URL that the provider may know."""
    urls = verify.get("url") or [""]
    for url in [urls] if isinstance(urls, str) else urls:
        names = _VARIABLE.findall(verify.get("template", "{body}"))
        values = [_value(name, verify, request, beside, url) for name in names]
        values.append(_timestamp(verify, request, beside) if verify.get("timestamp") else None)
        if verify.get("body_hash"):
            values.append(sha256(request.body).digest())
        if verify.get("algorithm_header"):
            values.append(verify["algorithms"][_only(_headers(request, verify["algorithm_header"])).decode()])
        yield tuple(values)


def _value(name: str, verify: Mapping[str, Any], request: Request, beside: bytes | None, url: str) -> Any:
    if name == "body":
        return request.body
    if name == "method":
        return request.method
    if name == "timestamp":
        return _timestamp(verify, request, beside)
    if name == "id":
        return _only(_place(verify["id"], request))
    if name == "url":
        return f"{url}?{request.query}" if request.query else url
    if name == "sorted_form_params":
        pairs = set(parse_qsl(request.body, keep_blank_values=True, max_num_fields=1000))
        return b"".join(name + value for name, value in sorted(pairs))
    return "" if name == "secret" or name.startswith("param.") else _only(_place(name, request))


def _timestamp(verify: Mapping[str, Any], request: Request, beside: bytes | None) -> bytes:
    if verify["timestamp"].startswith("pair."):
        if beside is None:
            raise ValueError("no timestamp beside the signature")
        return beside
    found: bytes = _only(_place(verify["timestamp"], request))
    return found


def _jwt(verify: Mapping[str, Any], request: Request) -> Proofs:
    if not verify.get("header"):
        wrapped = verify.get("wrap") and request.body.startswith(b"{")
        yield frozenset({json.loads(request.body)[verify["wrap"]].encode() if wrapped else request.body})
        return
    token = _only(_headers(request, verify["header"]))
    if token.startswith(verify.get("prefix", "").encode()):
        yield frozenset({(token, sha256(request.body).digest() if verify.get("body_hash") else b"")})


_PLAID = {"scheme": "jwt", "header": "Plaid-Verification", "body_hash": "request_body_sha256", "max_age": "5m"}


def _sns(_verify: Mapping[str, Any], request: Request) -> Proofs:
    message = json.loads(request.body)
    confirms = message["Type"] != "Notification"
    names = ("Message", "MessageId", "Timestamp", "TopicArn", "Type", *(("SubscribeURL", "Token") if confirms else ()))
    fields = [message[name] for name in names] + ([] if confirms else [message.get("Subject")])
    yield frozenset({(tuple(fields), _unpadded(message["Signature"].encode()))})


def _paypal(_verify: Mapping[str, Any], request: Request) -> Proofs:
    names = ("paypal-transmission-id", "paypal-transmission-time", "paypal-transmission-sig")
    identifier, moment, signature = (_only(_headers(request, name)) for name in names)
    yield frozenset({(identifier, moment, zlib.crc32(request.body), _unpadded(signature))})


def _unpadded(text: bytes) -> bytes:
    return text.rstrip(b"=")


def _adyen(_verify: Mapping[str, Any], request: Request) -> Proofs:
    names = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference", "eventCode", "success")
    found = []
    for each in json.loads(request.body)["notificationItems"]:
        item = each["NotificationRequestItem"]
        amount = (str(item["amount"]["value"]), item["amount"]["currency"])
        found.append((*(item.get(name, "") for name in names), *amount, item["additionalData"]["hmacSignature"]))
    yield frozenset(found)


def _braintree(verify: Mapping[str, Any], request: Request) -> Proofs:
    form = parse_qs(request.body.decode(), keep_blank_values=True)
    for pair in _only(form["bt_signature"]).split("&"):
        name, _, signature = pair.partition("|")
        if name == verify["public_key"]:
            yield frozenset({(signature, _only(form["bt_payload"]).removesuffix("\n"))})


def _contentful(_verify: Mapping[str, Any], request: Request) -> Proofs:
    names = _only(_headers(request, "x-contentful-signed-headers")).decode().split(",")
    headers = tuple((name, _only(_headers(request, name)).strip()) for name in names)
    signature = _only(_headers(request, "x-contentful-signature"))
    yield frozenset({(signature, (request.method, request.path, request.query, headers, request.body))})


_SCHEMES = {
    "braintree": _braintree,
    "contentful": _contentful,
    "token": _token,
    "basic": _basic,
    "ip": _ip,
    "hmac": _signed,
    "signature": _signed,
    "jwt": _jwt,
    "plaid": lambda _verify, request: _jwt(_PLAID, request),
    "sns": _sns,
    "paypal": _paypal,
    "adyen": _adyen,
}


def _in_time(verify: Mapping[str, Any], request: Request, proof: frozenset[Any]) -> bool:
    scheme, now = verify["scheme"], request.received_at / 1000
    if scheme in {"jwt", "plaid"}:
        (value,) = proof
        token = value if isinstance(value, bytes) else value[0]
        return _token_in_time(_PLAID if scheme == "plaid" else verify, token, now)
    if scheme == "contentful":
        ((_, (*_, headers, _)),) = proof
        return abs(now - int(dict(headers)["x-contentful-timestamp"]) / 1000) <= parse_duration("30s")
    if scheme not in {"hmac", "signature"} or not verify.get("timestamp"):
        return True
    ((_, values),) = proof
    written: bytes = values[len(_VARIABLE.findall(verify.get("template", "{body}")))]
    unit = verify.get("timestamp_unit", "s")
    moment = (
        datetime.fromisoformat(written.decode()).timestamp()
        if unit == "iso8601"
        else int(written) / (1000 if unit == "ms" else 1)
    )
    return abs(now - moment) <= parse_duration(verify.get("tolerance", "5m"))


def _token_in_time(verify: Mapping[str, Any], token: bytes, now: float) -> bool:
    payload = token.split(b".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    leeway = parse_duration(verify.get("leeway", "60s"))
    if now > claims.get("exp", now) + leeway or claims.get("iat", now) > now + leeway:
        return False
    return "max_age" not in verify or now - claims["iat"] <= parse_duration(verify["max_age"]) + leeway
