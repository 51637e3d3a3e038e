"""Scheme `hmac`: a keyed digest over a template of the request; covers two thirds of all providers by options alone.

Digests are compared in encoded form, in constant time, so that exactly one spelling of a signature is taken. The
signature is checked before the timestamp, and a body is parsed only if its provider put something there that is
needed. Public-key signatures are not made here.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from gateway.plugin import ENCODERS, Algorithm, Proof, Request, VerificationError, decode_key, verifier
from gateway.verifiers.hmac_options import HmacOptions, as_list, check_options
from gateway.verifiers.places import Place, header_name, only_header, parse_place, with_header
from gateway.verifiers.shapes import Group, join_pairs, make_cutter
from gateway.verifiers.signed_text import Inputs, SignedText
from gateway.verifiers.timestamps import check_fresh, read_timestamp, write_timestamp

_PROOF: Final = Proof()
_NO_INPUTS: Final = Inputs(b"", b"")


@verifier(HmacOptions)
class Hmac:
    """A shared-secret signature.

    Raises ValueError for an unfit secret and for options that leave something unsigned.
    """

    def __init__(self, options: HmacOptions, secret: bytes) -> None:
        self._options = options
        self._key = decode_key(secret, options.key, options.min_secret_bytes)
        self._headers = tuple(header_name(name) for name in as_list(options.header))
        self._field = parse_place(f"body.{options.body}") if options.body else None
        self._cut = make_cutter(options.shape, options.separator, options.group, options.label)
        self._prefix = options.prefix.encode()
        self._encode = _encoder(options)
        self._identifier = parse_place(options.id) if options.id else None
        self._text = SignedText(options.template, self._identifier, options.params, secret)
        self._pair, self._timestamp = _timestamp_place(options)
        self._needs_timestamp = "timestamp" in self._text.variables
        self._tolerance = options.tolerance
        self._urls = tuple(url.encode() for url in as_list(options.url)) or (b"",)
        self._body_hash = parse_place(options.body_hash) if options.body_hash else None
        self._algorithm_header = header_name(options.algorithm_header) if options.algorithm_header else None
        check_options(options, self._text.variables)
        self._plain = not (self._needs_timestamp or options.timestamp or options.url or options.body_hash)

    def verify(self, request: Request) -> Proof:
        """Prove the signature, then the body's hash, then the timestamp."""
        algorithm = self._chosen_algorithm(request) if self._algorithm_header else self._options.algorithm
        for signature in self._signature_texts(request):
            for group in self._cut(signature):
                if self._matches(request, group, algorithm):
                    self._check_body_hash(request)
                    self._check_timestamp(request, group.pairs)
                    return _PROOF
        raise VerificationError(
            "signature", "no signature matches: another secret, or something on the way changed the request"
        )

    def sign(self, request: Request) -> Request:
        """Give `request` with id, timestamp (its arrival), body hash and signature as the provider would add them."""
        options = self._options
        request, pairs = self._prepared(request)
        algorithm = options.algorithm
        if self._algorithm_header:
            name, algorithm = next(iter(options.algorithms.items()))
            request = with_header(request, self._algorithm_header, name.encode()) if name else request
        inputs = Inputs(self._timestamp_text(request, pairs) if self._needs_timestamp else b"", self._urls[0])
        signature = self._expected(self._text.bytes_for(request, inputs), algorithm)
        if options.shape == "pairs":
            signature = join_pairs({**pairs, options.label: signature}, options.separator)
        if self._field:
            return self._field.write(request, signature)
        return with_header(request, self._headers[0], signature)

    def _signature_texts(self, request: Request) -> Iterable[bytes]:
        if self._field:
            return (self._field.read(request),)
        if len(self._headers) == 1:
            return (only_header(request, self._headers[0]),)
        names = {name for name, _ in request.headers}
        present = [only_header(request, name) for name in self._headers if name in names]
        if not present:
            raise VerificationError("missing", f"none of the headers {b', '.join(self._headers).decode()} was sent")
        return present

    def _matches(self, request: Request, group: Group, algorithm: Algorithm) -> bool:
        if not group.signatures:
            return False
        if self._plain:
            return _any_equal(
                (self._expected(self._text.bytes_for(request, _NO_INPUTS), algorithm),), group.signatures, self._options
            )
        timestamp = self._timestamp_text(request, group.pairs) if self._needs_timestamp else b""
        texts = (self._text.bytes_for(request, Inputs(timestamp, url)) for url in self._urls)
        return _any_equal([self._expected(text, algorithm) for text in texts], group.signatures, self._options)

    def _expected(self, text: bytes, algorithm: Algorithm) -> bytes:
        if self._options.plain_hash:
            return self._prefix + self._encode(hashlib.new(algorithm, text).digest())
        return self._prefix + self._encode(hmac.digest(self._key, text, algorithm))

    def _chosen_algorithm(self, request: Request) -> Algorithm:
        name = self._algorithm_header or b""
        value = only_header(request, name) if any(key == name for key, _ in request.headers) else b""
        chosen = self._options.algorithms.get(value.decode("latin-1"))
        if chosen is None:
            raise VerificationError("algorithm", f"header {name.decode()} names no algorithm of the list")
        return chosen

    def _timestamp_text(self, request: Request, pairs: Mapping[str, bytes]) -> bytes:
        if self._timestamp:
            return self._timestamp.read(request)
        if not (text := pairs.get(self._pair, b"")):
            raise VerificationError("timestamp", f"the pair {self._pair} is missing, empty or sent twice")
        return text

    def _check_timestamp(self, request: Request, pairs: Mapping[str, bytes]) -> None:
        if self._pair or self._timestamp:
            moment = read_timestamp(self._timestamp_text(request, pairs), self._options.timestamp_unit)
            check_fresh(moment, request.received_at, self._tolerance)

    def _check_body_hash(self, request: Request) -> None:
        if self._body_hash and not hmac.compare_digest(self._body_hash.read(request), self._hash_of_body(request)):
            raise VerificationError("body_hash", f"{self._body_hash.text} is not the hash of the body")

    def _hash_of_body(self, request: Request) -> bytes:
        return ENCODERS[self._options.body_hash_encoding](hashlib.sha256(request.body).digest())

    def _prepared(self, request: Request) -> tuple[Request, dict[str, bytes]]:
        """Add what is signed beside the body; an id or hash that is there stays if it is right."""
        pairs: dict[str, bytes] = {}
        if self._identifier:
            digest = hashlib.sha256(request.body + b"%d" % request.received_at).hexdigest()
            request = _with_default(request, self._identifier, f"msg_{digest[:24]}".encode())
        if self._timestamp:
            request = self._timestamp.write(request, write_timestamp(request.received_at, self._options.timestamp_unit))
        elif self._pair:
            pairs[self._pair] = write_timestamp(request.received_at, self._options.timestamp_unit)
        if self._body_hash:
            request = self._body_hash.write(request, self._hash_of_body(request))
        return request, pairs


def _any_equal(expected: Iterable[bytes], signatures: tuple[bytes, ...], options: HmacOptions) -> bool:
    matched = False
    for candidate in signatures:
        text = candidate
        if options.hex_case == "any":
            start = len(options.prefix)
            text = candidate[:start] + candidate[start:].lower()
        for right in expected:
            matched |= hmac.compare_digest(right, text)
    return matched


def _encoder(options: HmacOptions) -> Callable[[bytes], bytes]:
    encode = ENCODERS[options.encoding]
    if options.encoding == "hex":
        return (lambda raw: encode(raw).upper()) if options.hex_case == "upper" else encode
    if options.hex_case != "lower":
        raise ValueError('hex_case is for encoding = "hex" only')
    return encode


def _timestamp_place(options: HmacOptions) -> tuple[str, Place | None]:
    if not options.timestamp.startswith("pair."):
        return "", parse_place(options.timestamp) if options.timestamp else None
    if options.shape != "pairs" or options.timestamp == "pair.":
        raise ValueError(f'timestamp = "{options.timestamp}" needs shape = "pairs" and a name')
    return options.timestamp[5:], None


def _with_default(request: Request, place: Place, value: bytes) -> Request:
    try:
        place.read(request)
    except VerificationError:
        return place.write(request, value)
    return request
