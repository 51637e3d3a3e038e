"""Keys that a provider publishes, as a verifier asks for them: a reference out, the document back.

Verification stays pure: a verifier that lacks a key gives `NeedsKey`, whoever called it has the document fetched and
calls it again. Nothing here fetches, and a document is not believed to be a key before a verifier has parsed it.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol, runtime_checkable

from gateway.core.model import Proof, Request
from gateway.errors import VerificationError


class KeyRef(NamedTuple):
    """Where a document with a key is had.

    Its address is the operator's, or named by what was fetched from there (an issuer's key set), or one that a verifier
    has compared with a fixed list of hosts: never a stranger's.
    """

    url: str
    body: bytes = b""
    """JSON to POST there, with the operator's own secrets if the provider wants them; empty: a GET."""

    def __repr__(self) -> str:
        return f"KeyRef({self.url!r})"


class Published(NamedTuple):
    """A document that was fetched."""

    document: bytes
    fresh: bool = False
    """True if it was fetched for this very request: what is not in it now is nowhere."""


class NeedsKey(NamedTuple):
    """A verifier cannot tell without this document, or (if it had one) without a newer one."""

    ref: KeyRef
    newer: bool = False


class Keys(Protocol):
    """The documents at hand."""

    def get(self, ref: KeyRef, /) -> Published | None:
        """Give the document of `ref`; None if it is not at hand. Never waits."""
        ...


@runtime_checkable
class KeyedVerifier(Protocol):
    """A verifier whose keys are not in the configuration."""

    keyed: str
    """The algorithm of the keys that it asks for (`RS256`, `ES256`); empty: this one asks for none."""

    def verify_with(self, request: Request, keys: Keys, /) -> Proof | NeedsKey:
        """Prove `request` by the documents in `keys`, or say which is missing.

        Raises VerificationError, and KeyUnavailableError if what is published, and fresh, is not what it should be.
        """
        ...

    def sign_with(self, request: Request, private: bytes, /) -> tuple[Request, Mapping[KeyRef, bytes]]:
        """Sign as the provider would, with a private key (PEM) made up for a trial.

        Gives the request, and what the provider would publish where.
        """
        ...


NO_KEYS: Final[Keys] = {}
"""No documents."""


def keyed(verifier: object) -> KeyedVerifier | None:
    """Give `verifier` if it asks for keys that are not in the configuration; slow, so decided once."""
    return verifier if isinstance(verifier, KeyedVerifier) and verifier.keyed else None


def proven(found: Proof | NeedsKey) -> Proof:
    """Give the proof. Raises VerificationError if a key is missing that nobody fetches."""
    if isinstance(found, NeedsKey):
        raise VerificationError("key_missing", f"the key at {found.ref.url} is not at hand")
    return found
