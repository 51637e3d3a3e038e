"""Scheme `signature`: a public-key signature over a template of the request, in the words of scheme `hmac`.

Needs cryptography's key objects, which are loaded with this module: only where a source names the scheme.
"""

from typing import Final

from pydantic import Field

from gateway.plugin import ENCODERS, Proof, Request, VerificationError, decode_base64, decode_base64url, verifier
from gateway.verifiers.public_keys import KeyAlgorithm, PublicForm, PublicKey
from gateway.verifiers.signed_options import SignedOptions
from gateway.verifiers.signed_request import SignedRequest

_PROOF: Final = Proof()
_SIGNATURE_BYTES_MAX: Final = 2048
"""Of a signature as it is written: RSA with 8,192 bits, in hex."""
_SIGNATURES_MAX: Final = 4
"""Well written ones of one request that are tried: each costs a pass over the body, which a stranger sends as well."""


class SignatureOptions(SignedOptions):
    """How a provider signs with a private key."""

    algorithm: KeyAlgorithm = "ed25519"
    """Ed25519, ECDSA on P-256 with SHA-256 (signatures in DER), or RSA PKCS#1 v1.5 with SHA-256."""
    key: PublicForm = Field(default="pem")
    """How the provider writes its public key: PEM, the raw Ed25519 key or DER in hex or base64, or `whpk_` + base64."""


@verifier(SignatureOptions)
class Signature:
    """A public-key signature; its secret is the provider's public key.

    Raises ValueError for an unfit key and for options that leave something unsigned.
    """

    def __init__(self, options: SignatureOptions, secret: bytes) -> None:
        self._key = PublicKey(options.algorithm, secret, options.key)
        self._prefix = options.prefix.encode()
        self._encoding = options.encoding
        self._signed = SignedRequest(options, b"")
        if "secret" in self._signed.variables:
            raise ValueError("{secret} belongs in no template of a public key: everybody may know it")

    def verify(self, request: Request) -> Proof:
        """Prove the signature, then the body's hash, then the timestamp."""
        count = 0
        for group in self._signed.groups(request):
            texts = self._signed.texts(request, group)
            signatures = [raw for each in group.signatures if (raw := self._decoded(each)) is not None]
            count += len(signatures)
            if count > _SIGNATURES_MAX:
                raise VerificationError("signature", f"more than {_SIGNATURES_MAX} signatures")
            if any(self._key.fits(signature, text) for signature in signatures for text in texts):
                self._signed.check(request, group)
                return _PROOF
        raise VerificationError(
            "signature", "no signature matches: another key, or something on the way changed the request"
        )

    def sign(self, request: Request) -> Request:
        """Give `request` as the provider would sign it; only with a private key."""
        request, pairs, text = self._signed.prepare(request)
        signature = self._prefix + ENCODERS[self._encoding](self._key.sign(text))
        return self._signed.attach(request, pairs, signature)

    def _decoded(self, written: bytes) -> bytes | None:
        """Give the signature's bytes; None for one that is written in any way but the one of `encoding`."""
        text = written.removeprefix(self._prefix)
        if len(text) + len(self._prefix) != len(written) or len(text) > _SIGNATURE_BYTES_MAX:
            return None
        try:
            if self._encoding == "base64url":
                raw = decode_base64url(text)
            else:
                raw = decode_base64(text) if self._encoding == "base64" else bytes.fromhex(text.decode("ascii"))
        except ValueError:
            return None
        return raw if ENCODERS[self._encoding](raw) == text else None
