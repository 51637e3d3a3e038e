"""Scheme `hmac`: a keyed digest over a template of the request; covers two thirds of all providers by options alone.

Digests are compared in encoded form, in constant time, so that exactly one spelling of a signature is taken.
Public-key signatures are the scheme `signature`.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import Final

from gateway.plugin import ENCODERS, Algorithm, Proof, Request, VerificationError, decode_key, verifier
from gateway.verifiers.hmac_options import HmacOptions, check_options
from gateway.verifiers.places import header_name, only_header, with_header
from gateway.verifiers.signed_request import SignedRequest

_PROOF: Final = Proof()


@verifier(HmacOptions)
class Hmac:
    """A shared-secret signature.

    Raises ValueError for an unfit secret and for options that leave something unsigned.
    """

    def __init__(self, options: HmacOptions, secret: bytes) -> None:
        self._options = options
        self._key = decode_key(secret, options.key, options.min_secret_bytes)
        self._prefix = options.prefix.encode()
        self._encode = _encoder(options)
        self._algorithm_header = header_name(options.algorithm_header) if options.algorithm_header else None
        self._signed = SignedRequest(options, secret)
        check_options(options, self._signed.variables)

    def verify(self, request: Request) -> Proof:
        """Prove the signature, then the body's hash, then the timestamp."""
        algorithm = self._chosen_algorithm(request) if self._algorithm_header else self._options.algorithm
        signed = self._signed
        for group in signed.groups(request):
            expected = [self._expected(text, algorithm) for text in signed.texts(request, group)]
            if _any_equal(expected, group.signatures, self._options):
                signed.check(request, group)
                return _PROOF
        raise VerificationError(
            "signature", "no signature matches: another secret, or something on the way changed the request"
        )

    def sign(self, request: Request) -> Request:
        """Give `request` with id, timestamp (its arrival), body hash and signature as the provider would add them."""
        algorithm = self._options.algorithm
        if self._algorithm_header:
            name, algorithm = next(iter(self._options.algorithms.items()))
            request = with_header(request, self._algorithm_header, name.encode()) if name else request
        request, pairs, text = self._signed.prepare(request)
        return self._signed.attach(request, pairs, self._expected(text, algorithm))

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
    if options.encoding == "hex" and options.hex_case == "upper":
        return lambda raw: encode(raw).upper()
    return encode
