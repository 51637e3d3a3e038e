"""Signatures of what leaves: the headers by which an endpoint can tell that a message is from this gateway.

Two ways: Standard Webhooks 1.0.0 (`standard_key`, `STANDARD_WEBHOOKS`), and an HMAC in the manner of the scheme `hmac`,
whose words it shares, for endpoints that check such a one already. Everything is prepared per configuration; a message
costs one digest for each key. No clock here (the moment of the try is an argument) and no reading of secrets.
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from gateway.core.encodings import ENCODERS, Encoding, decode_base64
from gateway.core.keys import KeyForm, decode_key
from gateway.core.moments import write_moment

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SignatureShape: TypeAlias = Literal["plain", "list", "pairs"]
Algorithm: TypeAlias = Literal["sha1", "sha256", "sha512"]
TimestampUnit: TypeAlias = Literal["s", "ms", "iso8601"]

SigningKey: TypeAlias = Callable[[bytes], bytes]
"""Gives the signature of a text as it is written, prefix included."""

STANDARD_KEY_BYTES: Final = (24, 64)
"""Least and most that Standard Webhooks allows for a shared secret."""

_PIECE: Final = re.compile(r"\{([^{}]*)\}|([^{}]+)|([{}])")
_VARIABLES: Final = ("id", "timestamp", "body")
_UNITS: Final[Mapping[TimestampUnit, Callable[[int], str]]] = {
    "s": lambda moment: str(moment // 1000),
    "ms": str,
    "iso8601": write_moment,
}


class SignatureStyle(NamedTuple):
    """What is signed, and where signature, timestamp and id stand."""

    header: str
    """The header of the signatures."""
    template: str
    """What is signed: text with `{id}`, `{timestamp}` and `{body}`."""
    shape: SignatureShape = "plain"
    separator: str = ""
    """Text between the entries of a list, or of pairs."""
    label: str = ""
    """With pairs: the name of each signature."""
    timestamp_header: str = ""
    """The header of the timestamp; empty for none."""
    timestamp_pair: str = ""
    """With pairs: the name of the timestamp's own pair; empty for none."""
    unit: TimestampUnit = "s"
    id_header: str = ""
    """A header that repeats the event id; empty for none."""


STANDARD_WEBHOOKS: Final = SignatureStyle(
    "webhook-signature", "{id}.{timestamp}.{body}", "list", " ", timestamp_header="webhook-timestamp"
)
"""Standard Webhooks; the id goes out as `webhook-id` in any case."""


class Signer:
    """Signs messages with one key, or with several while they are exchanged. Immutable."""

    def __init__(self, style: SignatureStyle, keys: Sequence[SigningKey]) -> None:
        """Prepare. Raises ValueError for a template that cannot be, and for several keys where one signature fits."""
        self._style = style
        self._keys = tuple(keys)
        self._pieces = _compiled(style.template)
        self._write_moment = _UNITS[style.unit]
        if style.shape == "plain" and len(self._keys) > 1:
            raise ValueError('two signatures need shape = "list" or "pairs": a plain header holds one')

    def headers(self, event_id: str, now_ms: int, body: bytes) -> list[tuple[str, str]]:
        """Give the headers that prove `body`, sent at `now_ms` as `event_id`."""
        style = self._style
        moment = self._write_moment(now_ms)
        values = (event_id.encode(), moment.encode(), body)
        text = b"".join([piece if isinstance(piece, bytes) else values[piece] for piece in self._pieces])
        signatures = [key(text).decode("ascii") for key in self._keys]
        if style.shape == "pairs":
            signatures = [f"{style.label}={signature}" for signature in signatures]
            if style.timestamp_pair:
                signatures.insert(0, f"{style.timestamp_pair}={moment}")
        headers = [(style.header, style.separator.join(signatures))]
        if style.timestamp_header:
            headers.append((style.timestamp_header, moment))
        if style.id_header:
            headers.append((style.id_header, event_id))
        return headers


def signed_variables(template: str) -> frozenset[str]:
    """Name the variables of a template. Raises ValueError for a template that cannot be."""
    return frozenset(_VARIABLES[piece] for piece in _compiled(template) if isinstance(piece, int))


def standard_key(secret: str) -> SigningKey:
    """Make the key that a Standard Webhooks secret stands for.

    `whsec_` and base64 of 24 to 64 bytes: HMAC-SHA256, written `v1,…`. `whsk_` and base64 of an ed25519 seed, alone (32
    bytes) or with its public key (64): `v1a,…`. Raises ValueError, without quoting the secret, for anything else.
    """
    if secret.startswith("whsk_"):
        return _asymmetric(_private_key(secret.removeprefix("whsk_")))
    if secret.startswith("whpk_"):
        raise ValueError("the secret begins with whpk_, a public key: write the private one, whsk_ and base64")
    if not secret.startswith("whsec_"):
        raise ValueError("the secret is expected to be whsec_ or whsk_ and base64, or write header for another style")
    least, most = STANDARD_KEY_BYTES
    key = decode_key(secret.encode(), "whsec", least)
    if len(key) > most:
        raise ValueError(f"the secret has {len(key)} bytes, expected at most {most}")
    return lambda text: b"v1," + b64encode(hmac.digest(key, text, "sha256"))


def hmac_key(
    secret: bytes, form: KeyForm, minimum: int, algorithm: Algorithm, encoding: Encoding, prefix: str
) -> SigningKey:
    """Make an HMAC key of a secret written in `form`. Raises ValueError, without quoting it, for an unfit one."""
    key = decode_key(secret, form, minimum)
    encode = ENCODERS[encoding]
    before = prefix.encode()
    return lambda text: before + encode(hmac.digest(key, text, algorithm))


def _asymmetric(key: "Ed25519PrivateKey") -> SigningKey:
    return lambda text: b"v1a," + b64encode(key.sign(text))


def _private_key(text: str) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - 6 MB that only such a key needs
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    try:
        raw = decode_base64(text.encode())
    except ValueError:
        raise ValueError("the secret is not whsk_ and base64: paste it again") from None
    if len(raw) not in {32, 64}:
        raise ValueError(f"the private key has {len(raw)} bytes, expected 32, or 64 with its public key")
    key = Ed25519PrivateKey.from_private_bytes(raw[:32])
    if raw[32:] not in {b"", key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)}:
        raise ValueError("the second half of the private key is not its public key: paste it again")
    return key


def _compiled(template: str) -> tuple[bytes | int, ...]:
    """Cut a template into texts and numbers of `_VARIABLES`."""
    pieces: list[bytes | int] = []
    for name, text, stray in (found.groups() for found in _PIECE.finditer(template)):
        if stray or (name is not None and name not in _VARIABLES):
            raise ValueError(f"template {template!r}: expected text with {{id}}, {{timestamp}} and {{body}} only")
        pieces.append(_VARIABLES.index(name) if name is not None else text.encode())
    return tuple(pieces)
