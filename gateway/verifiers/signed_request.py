"""What all signed requests have in common, whatever the key: signature header, signed text, timestamp, body's hash.

Cuts the signatures out of a request and makes the text that each must fit; whether one fits is the scheme's own
matter, which is asked before timestamp and body hash are. A body is parsed only if its provider put something there
that is needed.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Final

from gateway.plugin import ENCODERS, Request, VerificationError
from gateway.verifiers.places import Place, header_name, only_header, parse_place, with_header
from gateway.verifiers.shapes import Group, join_pairs, make_cutter
from gateway.verifiers.signed_options import SignedOptions, as_list, check_signed
from gateway.verifiers.signed_text import Inputs, SignedText
from gateway.verifiers.timestamps import check_fresh, read_timestamp, write_timestamp

NO_INPUTS: Final = Inputs(b"", b"")


class SignedRequest:
    """The options of one credential, compiled. Raises ValueError for options that leave something unsigned."""

    def __init__(self, options: SignedOptions, secret: bytes) -> None:
        self._options = options
        self._headers = tuple(header_name(name) for name in as_list(options.header))
        self._field = parse_place(f"body.{options.body}") if options.body else None
        self._cut = make_cutter(options.shape, options.separator, options.group, options.label)
        self._identifier = parse_place(options.id) if options.id else None
        self._text = SignedText(options.template, self._identifier, options.params, secret)
        self.variables = self._text.variables
        self._pair, self._timestamp = _timestamp_place(options)
        self._needs_timestamp = "timestamp" in self.variables
        self._urls = tuple(url.encode() for url in as_list(options.url)) or (b"",)
        self._body_hash = parse_place(options.body_hash) if options.body_hash else None
        check_signed(options, self.variables)
        self._plain = not (self._needs_timestamp or options.url)

    def groups(self, request: Request) -> Iterator[Group]:
        """Give the signatures of `request` in the groups that they came in; VerificationError if there are none."""
        for text in self._signature_texts(request):
            for group in self._cut(text):
                if group.signatures:
                    yield group

    def texts(self, request: Request, group: Group) -> tuple[bytes, ...]:
        """Give what the signatures of `group` may be over: one text for each URL that the provider may know."""
        if self._plain:
            return (self._text.bytes_for(request, NO_INPUTS),)
        timestamp = self._timestamp_text(request, group.pairs) if self._needs_timestamp else b""
        return tuple([self._text.bytes_for(request, Inputs(timestamp, url)) for url in self._urls])

    def check(self, request: Request, group: Group) -> None:
        """Check the body's hash, then the timestamp, once a signature of `group` is proven."""
        if self._body_hash and not hmac.compare_digest(self._body_hash.read(request), self._hash_of_body(request)):
            raise VerificationError("body_hash", f"{self._body_hash.text} is not the hash of the body")
        if self._pair or self._timestamp:
            moment = read_timestamp(self._timestamp_text(request, group.pairs), self._options.timestamp_unit)
            check_fresh(moment, request.received_at, self._options.tolerance)

    def prepare(self, request: Request) -> tuple[Request, dict[str, bytes], bytes]:
        """Give `request` with id, timestamp (its arrival) and body hash; the signature's pairs; and what to sign."""
        options = self._options
        pairs: dict[str, bytes] = {}
        if self._identifier:
            digest = hashlib.sha256(request.body + b"%d" % request.received_at).hexdigest()
            request = _with_default(request, self._identifier, f"msg_{digest[:24]}".encode())
        if self._timestamp:
            request = self._timestamp.write(request, write_timestamp(request.received_at, options.timestamp_unit))
        elif self._pair:
            pairs[self._pair] = write_timestamp(request.received_at, options.timestamp_unit)
        if self._body_hash:
            request = self._body_hash.write(request, self._hash_of_body(request))
        inputs = Inputs(self._timestamp_text(request, pairs) if self._needs_timestamp else b"", self._urls[0])
        return request, pairs, self._text.bytes_for(request, inputs)

    def attach(self, request: Request, pairs: Mapping[str, bytes], signature: bytes) -> Request:
        """Give `request` with `signature` where the provider puts it."""
        if self._options.shape == "pairs":
            signature = join_pairs({**pairs, self._options.label: signature}, self._options.separator)
        if self._field:
            return self._field.write(request, signature)
        return with_header(request, self._headers[0], signature)

    def _signature_texts(self, request: Request) -> tuple[bytes, ...]:
        if self._field:
            return (self._field.read(request),)
        if len(self._headers) == 1:
            return (only_header(request, self._headers[0]),)
        names = {name for name, _ in request.headers}
        present = tuple([only_header(request, name) for name in self._headers if name in names])
        if not present:
            raise VerificationError("missing", f"none of the headers {b', '.join(self._headers).decode()} was sent")
        return present

    def _timestamp_text(self, request: Request, pairs: Mapping[str, bytes]) -> bytes:
        if self._timestamp:
            return self._timestamp.read(request)
        if not (text := pairs.get(self._pair, b"")):
            raise VerificationError("timestamp", f"the pair {self._pair} is missing, empty or sent twice")
        return text

    def _hash_of_body(self, request: Request) -> bytes:
        return ENCODERS[self._options.body_hash_encoding](hashlib.sha256(request.body).digest())


def _timestamp_place(options: SignedOptions) -> tuple[str, Place | None]:
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
