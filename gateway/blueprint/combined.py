"""Schemes put together: `all_of` proves a request by several, `any_of` by one of several.

A sender that signs and logs in is taken only with both; one that is moving from a token to a signature with either.
"""

from collections.abc import Sequence

from gateway.core.model import Proof, Request
from gateway.errors import VerificationError
from gateway.plugin import Verifier


class AllOf:
    """Every one must be proven; what each consumed is stored nowhere."""

    def __init__(self, verifiers: Sequence[Verifier]) -> None:
        self._verifiers = tuple(verifiers)

    def verify(self, request: Request) -> Proof:
        """Prove all, in order. Raises the first VerificationError."""
        return _merged([verifier.verify(request) for verifier in self._verifiers])

    def sign(self, request: Request) -> Request:
        """Sign by all, in order."""
        for verifier in self._verifiers:
            request = verifier.sign(request)
        return request


class AnyOf:
    """One must be proven; all are tried, so that what matches tells nobody how near he came."""

    def __init__(self, verifiers: Sequence[Verifier]) -> None:
        self._verifiers = tuple(verifiers)

    def verify(self, request: Request) -> Proof:
        """Prove whichever can be. Raises the first VerificationError if none can."""
        proofs: list[Proof] = []
        refusal: VerificationError | None = None
        for verifier in self._verifiers:
            try:
                proofs.append(verifier.verify(request))
            except VerificationError as error:
                refusal = refusal or error.with_traceback(None)
        if not proofs:
            raise refusal or VerificationError("no_scheme")
        return _merged(proofs)

    def sign(self, request: Request) -> Request:
        """Sign by the first."""
        return self._verifiers[0].sign(request)


def _merged(proofs: Sequence[Proof]) -> Proof:
    """Give one proof: the claims of the first that has some, and all that was consumed."""
    with_claims = next((proof for proof in proofs if proof.claims is not None), proofs[0])
    return with_claims._replace(
        consumed=tuple(dict.fromkeys(name for proof in proofs for name in proof.consumed)),
        consumed_query=tuple(dict.fromkeys(name for proof in proofs for name in proof.consumed_query)),
    )
