"""Scheme `jwt`: a signed token as the whole body, or in a header beside a body whose hash it holds.

One credential has one algorithm and one key. The form is checked before the signature, the signature before the
claims are parsed, and times against the request's arrival: PyJWT's own `decode` reads the clock, takes strings for
numbers and looks at its header fields, so only its algorithms are used here. The key is the credential's secret, or
one of the set that the provider publishes (`gateway.verifiers.jwks`, and `issuer` where that set is to be found).
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Literal

import orjson
from pydantic import Field

from gateway.plugin import (
    ENCODERS,
    NO_KEYS,
    Duration,
    KeyRef,
    Keys,
    NeedsKey,
    Options,
    Proof,
    Request,
    VerificationError,
    encode_base64url,
    proven,
    verifier,
)
from gateway.verifiers.claims import ClaimRules, check_claims
from gateway.verifiers.compact import MAX_TOKEN_BYTES, cut_token, decode_segment, signing_input
from gateway.verifiers.issuer import Issuer
from gateway.verifiers.jwks import TRIAL_ID, KeySet, KeySource
from gateway.verifiers.jwt_keys import HASH_BYTES, AlgorithmName, TokenKey
from gateway.verifiers.places import header_name, only_header, read_json, with_header


class JwtOptions(Options):
    """How a provider sends tokens."""

    algorithm: AlgorithmName
    """The one algorithm; a token that names another is refused."""
    jwks: str = Field(default="", examples=["https://acme.kinde.com/.well-known/jwks"])
    """Address of the key set (RFC 7517) that the provider publishes, in the place of a secret."""
    discovery: bool = False
    """True: the address of the key set is asked of `issuer`, an https address, at its
    `/.well-known/openid-configuration` (OpenID Connect Discovery), in the place of `jwks`."""
    header: str = Field(default="", examples=["Authorization", "X-Webhook-Signature"])
    """Header that carries the token; the body is the token unless this is written."""
    prefix: str = Field(default="", examples=["Bearer "])
    """Text before the token in its header."""
    wrap: str = Field(default="", examples=["token"])
    """Field of a JSON body that may hold the token, beside the bare token as body."""
    require: tuple[str, ...] = ("exp",)
    """Claims that must be there."""
    issuer: str = ""
    """The exact claim `iss`."""
    audience: str = ""
    """The exact claim `aud`."""
    claims: dict[str, str | int | bool] = Field(
        default={}, examples=[{"email": "push@project.iam.gserviceaccount.com", "email_verified": True}]
    )
    """Claims with the exact value that each must have."""
    pin: tuple[str, ...] = Field(default=(), examples=[["aud", "email"]])
    """Claims that a source must pin by `issuer`, `audience` or `claims`: for a provider that signs with one key for all
    its customers, so that any of them could send."""
    leeway: Duration = Field(default="60s", validate_default=True)
    """How far the provider's clock may be from ours."""
    max_age: Duration | None = None
    """How old the claim `iat` may be at the request's arrival."""
    body_hash: str = Field(default="", examples=["request_body_sha256", "sha256"])
    """Claim that holds the SHA-256 of the body, for a token in a header."""
    body_hash_encoding: Literal["hex", "base64"] = "hex"
    """How that hash is written."""
    unsigned_body: bool = False
    """True accepts that a token in a header says nothing about the body: whoever sees one request can send another
    body with it."""
    min_secret_bytes: int | None = Field(default=None, ge=1)
    """Shorter HS secrets are refused; the hash's size (RFC 7518 section 3.2) unless written for a provider with
    shorter ones."""


class SignedToken:
    """A signed token. Raises ValueError for an unfit key and for options that leave the body unsigned."""

    def __init__(self, options: JwtOptions, secret: bytes, source: KeySource | None = None) -> None:
        """Get ready; keys come from `source`, if one is given, else from the options."""
        _check_options(options)
        if (options.jwks or options.discovery) and secret:
            raise ValueError("with jwks or discovery the provider's published keys count: remove secret, or these")
        self._options = options
        self._source = _published(options) or source
        self._key = (
            TokenKey.written(options.algorithm, secret, options.min_secret_bytes) if self._source is None else None
        )
        self.keyed = "" if self._source is None else options.algorithm
        self._header = header_name(options.header) if options.header else b""
        self._prefix = options.prefix.encode()
        implied = [
            *(["iat"] if options.max_age is not None else []),
            *([options.body_hash] if options.body_hash else []),
        ]
        self._rules = ClaimRules(
            tuple(dict.fromkeys([*options.require, *implied])),
            options.issuer,
            options.audience,
            options.leeway,
            options.max_age,
            options.claims,
        )
        names = {*self._rules.require, "exp", "nbf", "iat", "iss", "aud", *options.claims}
        self._claim_paths = tuple(((name,),) for name in sorted(names))
        self._consumed = (self._header,) if self._header else ()

    def verify(self, request: Request) -> Proof:
        """Prove the token and its claims; give the claims, as the payload if the body was the token."""
        return proven(self.verify_with(request, NO_KEYS))

    def verify_with(self, request: Request, keys: Keys) -> Proof | NeedsKey:
        """Do so by a published key, or ask for it; nothing is asked for a token that is not well-formed."""
        compact = cut_token(self._token(request), self._options.algorithm)
        key = self._key or (
            self._source.find(compact.key_id, keys, request.received_at / 1000) if self._source else None
        )
        if isinstance(key, NeedsKey):
            return key
        if key is None or not key.verify(compact.signing_input, compact.signature):
            raise VerificationError("signature", "the token's signature does not match: another key, or it was changed")
        document = read_json(decode_segment(compact.payload_segment, "payload"), self._claim_paths)
        claims = check_claims(document, self._rules, request.received_at / 1000)
        if self._options.body_hash:
            self._check_body_hash(claims, request.body)
        return Proof(claims, not self._header, self._consumed)

    def sign(self, request: Request) -> Request:
        """Give `request` with a token made at its arrival: the body's claims as body, or a new token in the header.

        Raises ValueError if only a public key is there, or if a body that is to be a token is no JSON object.
        """
        if self._key is None:
            raise ValueError("only the provider has the key that signs: use its own test button")
        return self._signed(request, self._key, "")

    def sign_with(self, request: Request, private: bytes) -> tuple[Request, Mapping[KeyRef, bytes]]:
        """Sign with a key made up for a trial, and give where the provider would publish it."""
        key = TokenKey.written(self._options.algorithm, private)
        return self._signed(request, key, TRIAL_ID), self._source.publish(key) if self._source else {}

    def _signed(self, request: Request, key: TokenKey, key_id: str) -> Request:
        claims: dict[str, Any] = {} if self._header else _object(request.body)
        now = request.received_at // 1000
        content = orjson.dumps({**self._usual_claims(request, now), **claims})
        text = signing_input(self._options.algorithm, content, key_id)
        token = text + b"." + encode_base64url(key.sign(text))
        if self._header:
            return with_header(request, self._header, self._prefix + token)
        return request._replace(body=token)

    def _token(self, request: Request) -> bytes:
        if self._header:
            value = only_header(request, self._header)
            if not value.startswith(self._prefix):
                raise VerificationError(
                    "token_form", f"header {self._header.decode()} does not begin with the configured prefix"
                )
            return value[len(self._prefix) :]
        body = request.body
        if not self._options.wrap or not body.startswith(b"{"):
            return body
        if len(body) > MAX_TOKEN_BYTES:
            raise VerificationError("token_size", f"the body is longer than {MAX_TOKEN_BYTES} bytes", status=413)
        token = read_json(body, [((self._options.wrap,),)]).get(self._options.wrap)
        if not isinstance(token, str):
            raise VerificationError("token_form", f"the body is an object without the text {self._options.wrap}")
        return token.encode()

    def _check_body_hash(self, claims: dict[str, Any], body: bytes) -> None:
        claimed = claims[self._options.body_hash]
        if not isinstance(claimed, str) or not hmac.compare_digest(claimed.encode(), self._hash(body)):
            raise VerificationError("body_hash", f"the claim {self._options.body_hash} is not the hash of the body")

    def _hash(self, body: bytes) -> bytes:
        return ENCODERS[self._options.body_hash_encoding](hashlib.sha256(body).digest())

    def _usual_claims(self, request: Request, now: int) -> dict[str, Any]:
        options = self._options
        usual: dict[str, Any] = {"iat": now}
        usual |= {"exp": now + 300} if "exp" in options.require else {}
        usual |= {"iss": options.issuer} if options.issuer else {}
        usual |= {"aud": options.audience} if options.audience else {}
        usual |= options.claims
        usual |= {options.body_hash: self._hash(request.body).decode()} if options.body_hash else {}
        return usual


Jwt = verifier(JwtOptions, needs_secret=lambda options: not (options.jwks or options.discovery))(SignedToken)


def _published(options: JwtOptions) -> KeySource | None:
    if options.discovery:
        return Issuer(options.issuer, options.algorithm)
    return KeySet(options.jwks, options.algorithm) if options.jwks else None


def _object(body: bytes) -> dict[str, Any]:
    document = orjson.loads(body)
    if isinstance(document, dict):
        return document
    raise ValueError("the body to sign is no JSON object: expected the claims")


def _check_options(options: JwtOptions) -> None:
    if options.jwks and options.discovery:
        raise ValueError("jwks and discovery both say where the keys are: keep one of them")
    if not options.header and (options.prefix or options.body_hash or options.unsigned_body):
        raise ValueError(
            "prefix, body_hash and unsigned_body are for a token in a header: write header, or leave them out"
        )
    if options.header and options.wrap:
        raise ValueError("wrap is for a token in the body: leave it out, or leave header out")
    if options.header and bool(options.body_hash) == options.unsigned_body:
        raise ValueError(
            "a token in a header must hold the body's hash: name the claim in body_hash,"
            " or write unsigned_body = true instead to accept a body that nobody signed"
        )
    pinned = {*options.claims, *(["iss"] if options.issuer else []), *(["aud"] if options.audience else [])}
    if missing := [name for name in options.pin if name not in pinned]:
        raise ValueError(
            f"expected the claims {', '.join(missing)} to be pinned, since the provider signs for others with the same "
            'key: write verify = { audience = "…", claims = { email = "…" } } with yours'
        )
    if options.min_secret_bytes is not None and options.algorithm not in HASH_BYTES:
        raise ValueError(f"min_secret_bytes is for HS algorithms: {options.algorithm} has a public key")
