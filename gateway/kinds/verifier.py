"""A verification scheme: what it must prove, and how a class becomes one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol

from gateway.core.model import Proof, Request
from gateway.kinds.options import OptionsT


class Verifier(Protocol):
    """A verification scheme with its options and one credential's secret."""

    def verify(self, request: Request) -> Proof:
        """Prove that `request` is genuine, from its raw bytes, before anything is parsed.

        Raises VerificationError otherwise.

        Pure and quick: no I/O, no clock but `request.received_at`, secrets compared as bytes in constant time.
        """
        ...

    def sign(self, request: Request) -> Request:
        """Give `request` as the provider would send it, for `hookgate send` and tests."""
        ...


@dataclass(frozen=True, slots=True)
class VerifierKind(Generic[OptionsT]):
    """A verification scheme, as the operator names it in `scheme`."""

    options: type[OptionsT]
    build: Callable[[OptionsT, bytes], Verifier]
    """Make the verifier from options and secret (empty if there is none).

    Raises ValueError for an unfit secret, without quoting it.
    """
    needs_secret: bool | Callable[[OptionsT], bool]
    """Whether a credential must have one; a function tells it by the options."""

    def wants_secret(self, options: OptionsT) -> bool:
        """Tell whether a credential with these options must have a secret."""
        return self.needs_secret if isinstance(self.needs_secret, bool) else self.needs_secret(options)


def verifier(
    options: type[OptionsT], *, needs_secret: bool | Callable[[OptionsT], bool] = True
) -> Callable[[Callable[[OptionsT, bytes], Verifier]], VerifierKind[OptionsT]]:
    """Mark a class (built with its options and the secret) as a verification scheme."""

    def mark(build: Callable[[OptionsT, bytes], Verifier]) -> VerifierKind[OptionsT]:
        return VerifierKind(options, build, needs_secret)

    return mark
