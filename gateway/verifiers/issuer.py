"""The key set of an issuer that tells itself where it is: OpenID Connect Discovery 1.0, sections 4.1 and 4.3.

Two documents are asked for: the issuer's own, at an address that its name gives, and the key set that it names. The
first must be of that very issuer and name an https address; fetches nothing itself.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import orjson

from gateway.plugin import KeyRef, Keys, NeedsKey, parse_url
from gateway.verifiers.jwks import KeySet, ask_again, parsed_table
from gateway.verifiers.jwt_keys import HASH_BYTES, AlgorithmName, TokenKey

WELL_KNOWN: Final = "/.well-known/openid-configuration"
URL_CHARACTERS_MAX: Final = 2000


class Issuer:
    """An issuer's keys. Raises ValueError for a name that is no https address, or an algorithm with a shared secret."""

    def __init__(self, issuer: str, algorithm: AlgorithmName) -> None:
        if algorithm in HASH_BYTES:
            raise ValueError(f"discovery is for public keys: {algorithm} has a shared secret, leave discovery out")
        parts = urlsplit(issuer)
        if parts.scheme != "https" or parts.query or parts.fragment or not parse_url(issuer).tls:
            raise ValueError('discovery: expected issuer = "https://…" without a query, found another')
        self._issuer = issuer
        self._algorithm: AlgorithmName = algorithm
        self._ref = KeyRef(issuer.removesuffix("/") + WELL_KNOWN)

    def find(self, key_id: str, keys: Keys, now: float, /) -> TokenKey | NeedsKey:
        """Give the key called `key_id` of the set that the issuer names, or ask for what lacks."""
        published = keys.get(self._ref)
        if published is None:
            return NeedsKey(self._ref)
        key_set = read_discovery(published.document, self._issuer, self._algorithm)
        if key_set is None:
            return ask_again(self._ref, published, f"no document of {self._issuer} that names an https jwks_uri")
        return key_set.find(key_id, keys, now)

    def publish(self, private: TokenKey) -> Mapping[KeyRef, bytes]:
        """Give the issuer's document and a set of one key."""
        address = self._issuer.removesuffix("/") + "/trial-keys"
        document = orjson.dumps({"issuer": self._issuer, "jwks_uri": address})
        return {self._ref: document, **KeySet(address, self._algorithm).publish(private)}


@lru_cache(maxsize=64)
def read_discovery(document: bytes, issuer: str, algorithm: AlgorithmName) -> KeySet | None:
    """Give the key set that the document of `issuer` names; None if it is not its, or names none. Remembered."""
    found = parsed_table(document)
    address = found.get("jwks_uri")
    if found.get("issuer") != issuer or not isinstance(address, str) or len(address) > URL_CHARACTERS_MAX:
        return None
    try:
        return KeySet(address, algorithm)
    except ValueError:
        return None
