"""The options of scheme `hmac`: those of a shared secret, beside what every signed request has."""

from typing import Literal

from pydantic import Field

from gateway.plugin import Algorithm, KeyForm
from gateway.verifiers.signed_options import SignedOptions


class HmacOptions(SignedOptions):
    """How a provider signs with a shared secret."""

    algorithm: Algorithm = "sha256"
    """The hash function."""
    algorithm_header: str = Field(default="", examples=["X-Payload-Digest-Alg"])
    """Header in which the provider names the hash function; needs `algorithms`."""
    algorithms: dict[str, Algorithm] = Field(default={}, examples=[{"HMAC_SHA256_HEX": "sha256"}])
    """What `algorithm_header` may say and what that means; nothing else is taken. The name "" stands for an absent
    header."""
    plain_hash: bool = False
    """True for a plain hash over a template with {secret} instead of HMAC (HubSpot v1 and v2)."""
    hex_case: Literal["lower", "upper", "any"] = "lower"
    """The letters of a hex signature."""
    key: KeyForm = "raw"
    """How the secret becomes the key: its text, `whsec_` + base64, hex, base64, or its text in Unicode form NFKD."""
    min_secret_bytes: int = Field(default=24, ge=1)
    """Shorter keys are refused; lower it only for a provider that hands out shorter ones."""


def check_options(options: HmacOptions, variables: frozenset[str]) -> None:
    """Refuse what would look like a check but prove nothing."""
    if bool(options.algorithm_header) != bool(options.algorithms):
        raise ValueError("algorithm_header and algorithms need each other")
    if options.plain_hash != ("secret" in variables):
        raise ValueError(
            "{secret} belongs in the template of a plain hash, and only there: set plain_hash = true with it"
        )
    if options.encoding != "hex" and options.hex_case != "lower":
        raise ValueError('hex_case is for encoding = "hex" only')
