"""Schemes put together: `all_of` proves a request by several, `any_of` by one of several.

A sender that signs and logs in is taken only with both; one that is moving from a token to a signature with either.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from gateway.core.model import Proof, Request
from gateway.core.published import NO_KEYS, KeyedVerifier, KeyRef, Keys, NeedsKey, keyed, proven
from gateway.errors import KeyUnavailableError, RequestError, VerificationError
from gateway.plugin import Verifier

Member: TypeAlias = tuple[Verifier, KeyedVerifier | None]
"""A verifier, and again if it asks for keys."""


class AllOf:
    """Every one must be proven; what each consumed is stored nowhere."""

    def __init__(self, verifiers: Sequence[Verifier]) -> None:
        self._members = tuple((verifier, keyed(verifier)) for verifier in verifiers)
        self.keyed = _keyed_by(self._members)
        self.asks_certificate = any(map(asks_certificate, verifiers))

    def verify(self, request: Request) -> Proof:
        """Prove all, in order. Raises the first VerificationError."""
        return proven(self.verify_with(request, NO_KEYS))

    def verify_with(self, request: Request, keys: Keys) -> Proof | NeedsKey:
        """Prove all, in order, so that nothing is asked for on behalf of whom an earlier one refuses."""
        proofs: list[Proof] = []
        for member in self._members:
            found = _ask(member, request, keys)
            if isinstance(found, NeedsKey):
                return found
            proofs.append(found)
        return _merged(proofs)

    def sign(self, request: Request) -> Request:
        """Sign by all, in order."""
        for verifier, _ in self._members:
            request = verifier.sign(request)
        return request

    def sign_with(self, request: Request, private: bytes) -> tuple[Request, Mapping[KeyRef, bytes]]:
        """Sign by all, in order; those that ask for keys by `private`."""
        published: dict[KeyRef, bytes] = {}
        for member in self._members:
            request, more = _sign(member, request, private)
            published.update(more)
        return request, published


class AnyOf:
    """One must be proven; all are tried, so that what matches tells nobody how near he came.

    Whatever else one raises or gives, a plugin's too, is a refusal of its own and keeps no other from proving it.
    """

    def __init__(self, verifiers: Sequence[Verifier]) -> None:
        self._members = tuple((verifier, keyed(verifier)) for verifier in verifiers)
        self.keyed = _keyed_by(self._members)
        self.asks_certificate = any(map(asks_certificate, verifiers))

    def verify(self, request: Request) -> Proof:
        """Prove whichever can be. Raises the first VerificationError if none can."""
        return proven(self.verify_with(request, NO_KEYS))

    def verify_with(self, request: Request, keys: Keys) -> Proof | NeedsKey:
        """Prove whichever can be; a key is asked for only if none can without it."""
        proofs: list[Proof] = []
        need: NeedsKey | None = None
        trouble: KeyUnavailableError | None = None
        refusal: RequestError | None = None
        for member in self._members:
            found = _try(member, request, keys)
            if isinstance(found, Proof):
                proofs.append(found)
            elif isinstance(found, NeedsKey):
                need = need or found
            elif isinstance(found, KeyUnavailableError):
                trouble = trouble or found
            else:
                refusal = refusal or found
        if proofs:
            return _merged(proofs)
        if need is not None:
            return need
        raise trouble or refusal or VerificationError("no_scheme")

    def sign(self, request: Request) -> Request:
        """Sign by the first."""
        return self._members[0][0].sign(request)

    def sign_with(self, request: Request, private: bytes) -> tuple[Request, Mapping[KeyRef, bytes]]:
        """Sign by the first."""
        return _sign(self._members[0], request, private)


def asks_certificate(verifier: Verifier) -> bool:
    """Tell whether a verifier looks at the certificate that the sender shows in the TLS handshake."""
    return bool(getattr(verifier, "asks_certificate", False))


def _keyed_by(members: Sequence[Member]) -> str:
    return next((asking.keyed for _, asking in members if asking is not None), "")


def _ask(member: Member, request: Request, keys: Keys) -> Proof | NeedsKey:
    verifier, asking = member
    return verifier.verify(request) if asking is None else asking.verify_with(request, keys)


def _try(member: Member, request: Request, keys: Keys) -> Proof | NeedsKey | KeyUnavailableError | RequestError:
    """Ask one of several; what it raises is given."""
    try:
        found: object = _ask(member, request, keys)
    except (RequestError, KeyUnavailableError) as error:
        # Its traceback leads back to this frame: a cycle for each request would keep the collector busy.
        return error.with_traceback(None)
    except BaseException as error:  # noqa: BLE001 - even SystemExit is no reason to refuse what another proves
        # Its text is not told: it may quote the secret.
        return VerificationError("plugin", f"a scheme of any_of raised {type(error).__name__}")
    if isinstance(found, Proof | NeedsKey):
        return found
    return VerificationError("plugin", f"a scheme of any_of gave {type(found).__name__} for a proof")


def _sign(member: Member, request: Request, private: bytes) -> tuple[Request, Mapping[KeyRef, bytes]]:
    verifier, asking = member
    return (verifier.sign(request), {}) if asking is None else asking.sign_with(request, private)


def _merged(proofs: Sequence[Proof]) -> Proof:
    """Give one proof: the claims of the first that has some, and all that was consumed."""
    with_claims = next((proof for proof in proofs if proof.claims is not None), proofs[0])
    return with_claims._replace(
        consumed=tuple(dict.fromkeys(name for proof in proofs for name in proof.consumed)),
        consumed_query=tuple(dict.fromkeys(name for proof in proofs for name in proof.consumed_query)),
    )
