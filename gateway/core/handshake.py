"""Handshakes: requests by which a provider asks whether this address wants its webhooks, answered from data.

A preset says which requests those are and what the answer holds; no event comes of them. What is echoed is bounded and
never HTML; what is signed for a stranger is a short token, and what could be one is taken for no event of that source
(`refuse_signable`), or the answer could be used to forge events. Pure.
"""

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from gateway.core.document import parse_document, parse_form, reads_as_form
from gateway.core.match import Match
from gateway.core.model import Headers, Json, Proof, Request
from gateway.core.selector import Scope, Selector, Template, TemplateError
from gateway.errors import RequestError, VerificationError

ECHO_BYTES_MAX: Final = 4096
"""Of an answer's body, and of each of its headers."""
LEARNT_BYTES_MAX: Final = 1024
"""Of a secret that a provider says at set-up."""
_SIGNABLE: Final = re.compile(r"[A-Za-z0-9+/=_.~-]{1,256}")
"""What is signed for a stranger. A number is a JSON document too, and `type=x` a form."""
_HEADER_TEXT: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")
DIGESTS: Final[Mapping[str, Callable[..., Any]]] = {
    "sha256": hashlib.sha256,
    "sha1": hashlib.sha1,
    "sha512": hashlib.sha512,
}


class Answer(NamedTuple):
    """What the provider gets."""

    name: str
    """Of the handshake, for counters and log."""
    status: int
    body: bytes
    content_type: str
    headers: Headers
    visit: str = ""
    """The https address to fetch before the answer is given; empty: none."""
    learn: bytes | None = None
    """The secret that the provider says; it must be kept before the answer is given."""

    def __repr__(self) -> str:
        return f"Answer({self.name!r}, {self.status})"


class Computed(NamedTuple):
    """A value of the answer that only the owner of the secret can give."""

    hmac: Template
    digest: str
    encoding: str
    prefix: str
    key: Callable[[bytes], bytes]
    """Makes the key of the secret."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """One kind of question. Made by `core.handshake_table`."""

    name: str
    methods: frozenset[str]
    match: Match | None
    verified: bool
    """True: only a request that passed verification is answered."""
    token: Selector | None
    """What the request must hold to be answered: the source's handshake secret; 403 without it."""
    status: int
    content_type: str
    headers: tuple[tuple[bytes, Template], ...]
    body: Template | None
    json: Json
    """A document whose texts are `Template`s and whose secrets are `Computed`, in place of `body`."""
    reads_body: bool
    secret: bytes
    key: bytes
    visit: Selector | None = None
    """What is fetched before the answer: only of what passed verification."""
    visit_hosts: re.Pattern[str] | None = None
    learn: Selector | None = None
    """Where the question holds the secret of all that follows."""

    def __repr__(self) -> str:
        return f"Handshake({self.name!r})"

    @property
    def signs_for_strangers(self) -> bool:
        """True if it gives whoever asks a signature over a token of theirs."""
        return not self.verified and _computes(self.json)

    def answer(self, request: Request, proof: Proof | None) -> Answer | None:
        """Give the answer to `request`; None if it is no such question.

        `proof` is None before verification. Raises VerificationError (403) for a wrong token, RequestError (400) for a
        question that cannot be answered.
        """
        if request.method not in self.methods or self.verified is (proof is None):
            return None
        scope = Scope(request, self._document(request, proof), proof.claims if proof else None, None, "")
        if self.match is not None and not self.match.matches(scope):
            return None
        if self.token is not None:
            self._check_token(self.token.value(scope))
        try:
            headers = tuple((name, _header(text.render(scope))) for name, text in self.headers)
            visit = self._visit(self.visit.value(scope)) if self.visit is not None else ""
            learn = _secret(self.learn.value(scope)) if self.learn is not None else None
            return Answer(self.name, self.status, self._body(scope), self.content_type, headers, visit, learn)
        except TemplateError as error:
            raise RequestError(400, "handshake", f"{self.name}: {error}") from None

    def _document(self, request: Request, proof: Proof | None) -> Json:
        if not self.reads_body:
            return None
        if proof is not None and proof.claims_are_payload:
            return proof.claims
        read = parse_form if reads_as_form(request.header(b"content-type"), request.body) else parse_document
        try:
            return read(request.body)
        except RequestError:
            return None

    def _check_token(self, found: Json) -> None:
        sent = found.encode() if isinstance(found, str) else b""
        if not self.secret or not hmac.compare_digest(sent, self.secret):
            raise VerificationError("handshake_token", f"{self.name}: another token than the source's", status=403)

    def _visit(self, address: Json) -> str:
        fits = isinstance(address, str) and self.visit_hosts is not None and self.visit_hosts.fullmatch(address)
        if not isinstance(address, str) or not fits:
            raise TemplateError("the address to visit is of no host in visit_hosts")
        return address

    def _body(self, scope: Scope) -> bytes:
        if isinstance(self.json, Computed):
            body = self._compute(self.json, scope).encode()
        elif self.json is not None:
            body = orjson.dumps(self._filled(self.json, scope))
        else:
            body = self.body.render(scope).encode("utf-8", "replace") if self.body else b""
        if len(body) > ECHO_BYTES_MAX:
            raise TemplateError(f"the answer would be longer than {ECHO_BYTES_MAX} bytes")
        return body

    def _filled(self, value: Json, scope: Scope) -> Json:
        if isinstance(value, Template):
            return value.render(scope)
        if isinstance(value, Computed):
            return self._compute(value, scope)
        if isinstance(value, dict):
            return {key: self._filled(each, scope) for key, each in value.items()}
        return value

    def _compute(self, computed: Computed, scope: Scope) -> str:
        text = computed.hmac.render(scope)
        if not _SIGNABLE.fullmatch(text):
            raise TemplateError("what is to be signed is no plain token")
        digest = hmac.new(computed.key(self.key), text.encode(), DIGESTS[computed.digest]).digest()
        return computed.prefix + (digest.hex() if computed.encoding == "hex" else b64encode(digest).decode())


def refuse_signable(handshakes: Iterable[Handshake], request: Request) -> None:
    """Raise VerificationError if the body is one that a handshake may have signed for a stranger.

    Whatever the body is signed with (a timestamp, an id), it stands in the signed text whole: nothing at all, too. That
    no scheme leaves the body out is seen to by `blueprint.signable`.
    """
    body = request.body.decode("latin-1")
    if any(each.signs_for_strangers for each in handshakes) and (not body or _SIGNABLE.fullmatch(body)):
        raise VerificationError("signable", "the body is a plain token, which the handshake signs for anybody")


def _secret(found: Json) -> bytes:
    if not isinstance(found, str) or len(found) > LEARNT_BYTES_MAX or not _HEADER_TEXT.fullmatch(found):
        raise TemplateError(f"the secret is no single text of at most {LEARNT_BYTES_MAX} printable characters")
    return found.encode("ascii")


def _computes(value: Json) -> bool:
    return isinstance(value, Computed) or (isinstance(value, dict) and any(map(_computes, value.values())))


def _header(text: str) -> bytes:
    if len(text) > ECHO_BYTES_MAX or not _HEADER_TEXT.fullmatch(text):
        raise TemplateError("a header of the answer would hold what a header cannot")
    return text.encode("ascii")
