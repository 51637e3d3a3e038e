"""Keys of signed tokens that their provider publishes: a key set (RFC 7517), of which a token names one by `kid`.

The algorithm is the credential's, never the key's or the token's; a key that is for something else is not seen. Asks
for the set, and for a newer one if a name is not in it; fetches nothing. A document that is no key set is trouble of
its publisher's, not the sender's: the key is unavailable then, never wrong.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

import jwt
import orjson

from gateway.plugin import (
    KeyRef,
    Keys,
    KeyUnavailableError,
    NeedsKey,
    Published,
    RequestError,
    VerificationError,
    parse_document,
    parse_url,
)
from gateway.verifiers.jwt_keys import HASH_BYTES, AlgorithmName, TokenKey

KEYS_MAX: Final = 100
"""Of one set; a longer one is refused."""
TRIAL_ID: Final = "trial"
UNFIT_SECONDS: Final = 60.0
"""After which a sender may ask again while what is published is of no use."""


class KeySource(Protocol):
    """Where the key of a token comes from."""

    def find(self, key_id: str, keys: Keys, now: float, /) -> "TokenKey | NeedsKey":
        """Give the key that a token names, or ask for what holds it; `now` is the arrival in seconds since 1970.

        Raises VerificationError if there is none.
        """

    def publish(self, private: TokenKey) -> Mapping[KeyRef, bytes]:
        """Give what the provider would publish for a key made up for a trial, called `TRIAL_ID`."""


class KeySet:
    """The key set at one address. Raises ValueError for an address or an algorithm that cannot be."""

    def __init__(self, url: str, algorithm: AlgorithmName) -> None:
        if algorithm in HASH_BYTES:
            raise ValueError(f"jwks is for public keys: {algorithm} has a shared secret, leave jwks out")
        if not url.startswith("https://"):
            raise ValueError("jwks: expected the https address of the provider's key set")
        parse_url(url)
        self._ref = KeyRef(url)
        self._algorithm: AlgorithmName = algorithm

    def find(self, key_id: str, keys: Keys, _now: float, /) -> TokenKey | NeedsKey:
        """Give the key called `key_id`; of a token that names none, the only one there is."""
        published = keys.get(self._ref)
        if published is None:
            return NeedsKey(self._ref)
        known = read_key_set(published.document, self._algorithm)
        if known is None:
            return ask_again(self._ref, published, "no key set (RFC 7517)")
        if not key_id and len(known) == 1:
            return next(iter(known.values()))
        if key_id in known:
            return known[key_id]
        if not key_id:
            raise VerificationError("key_id", f"the token names no key, and {self._ref.url} has {len(known)}")
        if published.fresh:
            raise VerificationError("key_id", f"the token names a key that is not at {self._ref.url}")
        return NeedsKey(self._ref, newer=True)

    def publish(self, private: TokenKey) -> Mapping[KeyRef, bytes]:
        """Give a set of one key."""
        return {self._ref: orjson.dumps({"keys": [{**private.as_jwk(), "kid": TRIAL_ID, "use": "sig"}]})}


@lru_cache(maxsize=64)
def read_key_set(document: bytes, algorithm: AlgorithmName) -> Mapping[str, TokenKey] | None:
    """Give the keys of a set that are for `algorithm`, by name; of two of one name neither. Pure, so remembered.

    None: it is no key set.
    """
    keys = parsed_table(document).get("keys")
    if not isinstance(keys, list) or len(keys) > KEYS_MAX:
        return None
    known: dict[str, TokenKey | None] = {}
    for each in keys:
        name = each.get("kid", "") if isinstance(each, dict) else None
        key = read_key(each, algorithm) if isinstance(name, str) else None
        if key is not None and isinstance(name, str):
            known[name] = None if name in known else key
    return {name: key for name, key in known.items() if key is not None}


def read_key(written: dict[str, Any], algorithm: AlgorithmName) -> TokenKey | None:
    """Give the public key of a JWK; None for one that is not for signatures by `algorithm`, or is no sound key."""
    if written.get("use", "sig") != "sig" or written.get("alg", algorithm) != algorithm or "d" in written:
        return None
    try:
        return TokenKey.published(algorithm, written)
    except (ValueError, TypeError, KeyError, jwt.InvalidKeyError):
        return None


def ask_again(ref: KeyRef, published: Published, found: str) -> NeedsKey:
    """Ask for a document anew that is `found` to be something else. Raises KeyUnavailableError if it is fresh."""
    if published.fresh:
        raise KeyUnavailableError(f"what is published at {ref.url} is {found}", UNFIT_SECONDS)
    return NeedsKey(ref, newer=True)


def parsed_table(document: bytes) -> dict[str, Any]:
    """Give the JSON object that a document is; an empty one if it is none."""
    try:
        found = parse_document(document)
    except RequestError:
        return {}
    return found if isinstance(found, dict) else {}
