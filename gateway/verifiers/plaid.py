"""Scheme `plaid`: a token in a header that holds the body's hash, by a key that Plaid's API gives for its name.

The credential's secret is that of the API: it goes to Plaid and nowhere else.
Source: plaid.com/docs/api/webhooks/webhook-verification/
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar, Final, Literal

import orjson
from pydantic import Field

from gateway.plugin import (
    NO_KEYS,
    KeyRef,
    Keys,
    NeedsKey,
    Options,
    Proof,
    Request,
    RequestError,
    VerificationError,
    fit_secret,
    parse_document,
    proven,
    verifier,
)
from gateway.verifiers.jwks import TRIAL_ID, read_key
from gateway.verifiers.jwt import JwtOptions, SignedToken
from gateway.verifiers.jwt_keys import TokenKey

_KEY_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_TOKEN: Final = JwtOptions.model_validate(
    {
        "algorithm": "ES256",
        "header": "Plaid-Verification",
        "require": ("iat",),
        "max_age": "5m",
        "body_hash": "request_body_sha256",
    }
)


class PlaidOptions(Options):
    """Whose API is asked for keys; the credential's secret is that API's."""

    client_id: str = Field(pattern=r"^[0-9A-Za-z]{8,64}$", examples=["5f0c1d2e3b4a59687f6e5d4c"])
    """The client id, as Plaid's dashboard shows it beside the secret."""
    environment: Literal["production", "sandbox"] = "production"
    """Of the items whose webhooks these are."""
    min_secret_bytes: int = Field(default=24, ge=1)
    """Shorter secrets are refused."""


@verifier(PlaidOptions)
class Plaid:
    """A webhook of Plaid's. Raises ValueError for an unfit secret."""

    keyed: ClassVar[str] = "ES256"

    def __init__(self, options: PlaidOptions, secret: bytes) -> None:
        fit_secret(secret, options.min_secret_bytes)
        self._token = SignedToken(_TOKEN, b"", _PlaidKeys(options, secret))

    def verify(self, request: Request) -> Proof:
        """Refuse: no key is at hand."""
        return proven(self.verify_with(request, NO_KEYS))

    def verify_with(self, request: Request, keys: Keys) -> Proof | NeedsKey:
        """Prove token, age and the body's hash; ask for the key that a well-formed token names."""
        return self._token.verify_with(request, keys)

    def sign(self, request: Request) -> Request:  # noqa: ARG002 - the contract's name
        """Refuse: only Plaid has the key."""
        raise ValueError("only Plaid has the key that signs: fire a webhook of its sandbox instead")

    def sign_with(self, request: Request, private: bytes) -> tuple[Request, Mapping[KeyRef, bytes]]:
        """Sign with `private`, and give what the API would answer."""
        return self._token.sign_with(request, private)


class _PlaidKeys:
    """Implements `gateway.verifiers.jwks.KeySource` by one question to the API for each key."""

    def __init__(self, options: PlaidOptions, secret: bytes) -> None:
        self._url = f"https://{options.environment}.plaid.com/webhook_verification_key/get"
        self._account = {"client_id": options.client_id, "secret": secret.decode("utf-8", "replace")}

    def find(self, key_id: str, keys: Keys, now: float, /) -> TokenKey | NeedsKey:
        """Give the key called `key_id`, unless it expired before `now`."""
        if not _KEY_ID.fullmatch(key_id):
            raise VerificationError("key_id", "the token names no key as Plaid calls them")
        ref = self._ref(key_id)
        published = keys.get(ref)
        if published is None:
            return NeedsKey(ref)
        key, expired_at = _read(published.document, key_id)
        if key is None:
            raise VerificationError("key_id", f"Plaid's API gave no key for ES256 called {key_id}")
        if expired_at is not None and now > expired_at:
            raise VerificationError("key_id", f"the key {key_id} has expired")
        return key

    def publish(self, private: TokenKey) -> Mapping[KeyRef, bytes]:
        """Give the answer for a key called `TRIAL_ID`."""
        key = {**private.as_jwk(), "kid": TRIAL_ID, "use": "sig", "alg": "ES256", "expired_at": None}
        return {self._ref(TRIAL_ID): orjson.dumps({"key": key, "request_id": TRIAL_ID})}

    def _ref(self, key_id: str) -> KeyRef:
        return KeyRef(self._url, orjson.dumps({**self._account, "key_id": key_id}))


@lru_cache(maxsize=64)
def _read(document: bytes, key_id: str) -> tuple[TokenKey | None, float | None]:
    """Give the key in an answer of the API, and when it expired. Pure, so remembered."""
    try:
        found = parse_document(document)
    except RequestError:
        return None, None
    written = found.get("key") if isinstance(found, dict) else None
    if not isinstance(written, dict) or written.get("kid") != key_id:
        return None, None
    expired_at = written.get("expired_at")
    return read_key(written, "ES256"), float(expired_at) if isinstance(expired_at, int | float) else None
