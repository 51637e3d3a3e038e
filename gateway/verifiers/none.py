"""Scheme `none`: believes everybody who knows the path; an operator must write it out.

For providers that sign nothing. What it lets through is to be fetched back from the provider before anyone trusts it.
"""

from typing import Final

from gateway.plugin import Options, Proof, Request, verifier

_PROOF: Final = Proof()


class NothingOptions(Options):
    """No options."""


@verifier(NothingOptions, needs_secret=False)
class Nothing:
    """No verification. Raises ValueError if there is a secret, which nobody would check."""

    def __init__(self, _options: NothingOptions, secret: bytes) -> None:
        if secret:
            raise ValueError('scheme "none" checks no secret: remove it, or choose the scheme that it is for')

    def verify(self, request: Request) -> Proof:  # noqa: ARG002 - nothing is looked at
        """Believe the request."""
        return _PROOF

    def sign(self, request: Request) -> Request:
        """Give `request` as it is."""
        return request
