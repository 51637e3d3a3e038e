"""Scheme `contentful`: a digest over method, path, a list of headers that the request names itself, and body.

Source: npm @contentful/node-apps-toolkit, `requests`; a query is escaped twice there, and so here.
"""

import hmac
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from pydantic import Field

from gateway.plugin import Duration, Options, Proof, Request, VerificationError, decode_key, verifier
from gateway.verifiers.places import header_name, only_header, with_header
from gateway.verifiers.timestamps import check_fresh, read_timestamp

_SIGNATURE: Final = b"x-contentful-signature"
_NAMES: Final = b"x-contentful-signed-headers"
_TIMESTAMP: Final = b"x-contentful-timestamp"
NAMES_MAX: Final = 64
_COMPONENT_SAFE: Final = "-_.!~*'()"
_URI_SAFE: Final = "-_.!~*'();/?:@&=+$,#"
"""What JavaScript's `encodeURI` leaves as it is; letters and digits aside."""
_PROOF: Final = Proof()


class ContentfulOptions(Options):
    """What must be signed, and how old it may be."""

    signed_headers: tuple[str, ...] = ("x-contentful-topic",)
    """Headers that must be among the signed ones: those that the source identifies events by."""
    tolerance: Duration = Field(default="30s", validate_default=True)
    """How far the timestamp may be from the arrival, before or after."""
    min_secret_bytes: int = Field(default=24, ge=1)
    """Shorter keys are refused; Contentful makes 64 letters and digits."""


@verifier(ContentfulOptions)
class Contentful:
    """A signed request. Raises ValueError for an unfit key."""

    def __init__(self, options: ContentfulOptions, secret: bytes) -> None:
        self._key = decode_key(secret, "raw", options.min_secret_bytes)
        self._wanted = tuple(map(header_name, options.signed_headers))
        self._tolerance = options.tolerance

    def verify(self, request: Request) -> Proof:
        """Prove the signature, then that what counts is under it, then the time."""
        names = only_header(request, _NAMES).split(b",", NAMES_MAX)
        expected = self._signature(request, names)
        if not hmac.compare_digest(only_header(request, _SIGNATURE), expected):
            raise VerificationError("signature", "no signature matches: another secret, or the request was changed")
        for name in (*self._wanted, _NAMES, _TIMESTAMP):
            if name not in names:
                raise VerificationError("unsigned", f"header {name.decode()} is not among the signed ones")
        check_fresh(read_timestamp(only_header(request, _TIMESTAMP), "ms"), request.received_at, self._tolerance)
        return _PROOF

    def sign(self, request: Request) -> Request:
        """Give `request` with timestamp (its arrival), names and signature as Contentful would add them."""
        present = {name for name, _ in request.headers}
        names = sorted({*(name for name in self._wanted if name in present), _NAMES, _TIMESTAMP})
        request = with_header(request, _TIMESTAMP, b"%d" % request.received_at)
        request = with_header(request, _NAMES, b",".join(names))
        return with_header(request, _SIGNATURE, self._signature(request, names))

    def _signature(self, request: Request, names: Sequence[bytes]) -> bytes:
        text = b"\n".join((request.method.encode(), _path(request), _headers(request, names), request.body))
        return hmac.digest(self._key, text, "sha256").hex().encode()


def _headers(request: Request, names: Sequence[bytes]) -> bytes:
    """Write the named headers. None may hold what begins the next one: so no border can be moved."""
    if list(names) != sorted(set(names)) or len(names) > NAMES_MAX:
        raise VerificationError("document", f"expected at most {NAMES_MAX} names of headers in order, each once")
    written = [b"%s:%s" % (name, only_header(request, name).strip()) for name in names]
    for each, name in zip(written, names[1:], strict=False):
        if b";%s:" % name in each:
            raise VerificationError("document", "a header holds what separates headers in the signed text")
    return b";".join(written)


def _path(request: Request) -> bytes:
    """Give path and query as they are signed: the query escaped, then the whole once more."""
    if "?" in request.query:
        raise VerificationError("document", "a query with a question mark is signed in part only")
    query = f"?{quote(request.query, safe=_COMPONENT_SAFE)}" if request.query else ""
    return quote(request.path + query, safe=_URI_SAFE).encode()
