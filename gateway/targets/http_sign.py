"""The table `sign` of an `http` target: how an endpoint can tell that a message is ours.

Without `header` it is Standard Webhooks; with it an HMAC in the words of the verification scheme `hmac`, so that a
service which checks such a signature already need not change.
"""

import re
from typing import Final

from pydantic import Field, model_validator

from gateway.plugin import (
    STANDARD_WEBHOOKS,
    Algorithm,
    Encoding,
    KeyForm,
    Options,
    SecretText,
    SignatureShape,
    SignatureStyle,
    Signer,
    SigningKey,
    TimestampUnit,
    check_headers,
    hmac_key,
    signed_variables,
    standard_key,
)
from gateway.targets.http_values import secret_text

_ANY_STYLE: Final = frozenset({"secret", "previous"})
_PAIR: Final = "pair."
_HEADER: Final = "header."
_EVENT_ID_HEADER: Final = "webhook-id"
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_HEADER_PLACE: Final = re.compile(r"header\..+")
_PAIR_PLACE: Final = re.compile(r"pair\.[A-Za-z0-9_-]+")
_PRINTABLE: Final = re.compile(r"[\x20-\x7e]*")


class SignTable(Options):
    """A signature over each message: Standard Webhooks, or with `header` any other HMAC."""

    secret: SecretText
    """What to sign with. For Standard Webhooks `whsec_` and base64 (HMAC-SHA256), or `whsk_` and base64 (ed25519)."""
    previous: SecretText | None = None
    """The secret before, while endpoints change over: both signatures go out."""
    header: str = Field(default="", examples=["X-Acme-Signature"])
    """The signature's header, for another style than Standard Webhooks; the keys below are for that only."""
    template: str = Field(default="{body}", examples=["{timestamp}.{body}"], max_length=255)
    """What is signed: text with {body} (the bytes that are sent), {timestamp} and {id}."""
    algorithm: Algorithm = "sha256"
    """The hash function of the HMAC."""
    encoding: Encoding = "hex"
    """How the signature is written: hex, base64 (padded) or base64url (not padded)."""
    prefix: str = Field(default="", examples=["sha256="], max_length=255)
    """Text before every signature."""
    shape: SignatureShape = "plain"
    """The header holds one signature, a list of them, or `name=value` pairs."""
    separator: str | None = Field(default=None, max_length=255)
    """Text between entries; a space for lists and a comma for pairs unless written."""
    label: str = Field(default="v1", max_length=255)
    """Name of the pairs that are signatures."""
    timestamp: str = Field(default="", examples=["header.X-Acme-Timestamp", "pair.t"], max_length=255)
    """Where the moment of the try stands: `header.NAME` or `pair.NAME`."""
    timestamp_unit: TimestampUnit = "s"
    """How it is written: seconds or milliseconds since 1970, or an RFC 3339 date."""
    id: str = Field(default="", examples=["header.X-Acme-Id"], max_length=255)
    """A header that repeats the event id, `header.NAME`; `webhook-id` has it in any case."""
    key: KeyForm = "raw"
    """How the secret becomes the key: its text, `whsec_` + base64, hex, base64, or its text in Unicode form NFKD."""
    min_secret_bytes: int = Field(default=24, ge=1)
    """Shorter keys are refused."""

    @model_validator(mode="after")
    def _check(self) -> "SignTable":
        if not self.header:
            extra = sorted(self.model_fields_set - _ANY_STYLE)
            if extra:
                raise ValueError(
                    f"{', '.join(extra)} is for a style of your own: write header with it, or remove it for "
                    "Standard Webhooks"
                )
        else:
            self._check_places()
        style = self._style()
        sample = Signer(style, [lambda _: self.prefix.encode()] * (1 + (self.previous is not None)))
        check_headers(sample.headers("evt_0", 0, b""))
        if len(set(self.header_names())) < len(self.header_names()):
            raise ValueError("signature, timestamp and id need headers of their own: two have one name")
        self.signer()
        return self

    def header_names(self) -> tuple[str, ...]:
        """Name the headers of a signature, in lower case."""
        style = self._style()
        return tuple(name.lower() for name in (style.header, style.timestamp_header, style.id_header) if name)

    def signer(self) -> Signer:
        """Make what signs; keys that were not read are left out. Raises ValueError for an unfit one, unquoted."""
        secrets = {"secret": self.secret, "previous": self.previous}
        keys = [self._key(name, value) for name, value in secrets.items() if value is not None and value.is_read]
        return Signer(self._style(), keys)

    def _key(self, name: str, value: SecretText) -> SigningKey:
        text = secret_text(value)
        try:
            if not self.header:
                return standard_key(text)
            return hmac_key(text.encode(), self.key, self.min_secret_bytes, self.algorithm, self.encoding, self.prefix)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    def _check_places(self) -> None:
        named = signed_variables(self.template)
        if "body" not in named:
            raise ValueError("the signature does not cover the body: put {body} into the template")
        if ("timestamp" in named) != bool(self.timestamp):
            raise ValueError(
                "{timestamp} in the template and the key timestamp need each other: say where it stands, for example "
                'timestamp = "header.X-Acme-Timestamp"'
            )
        pairs = self.shape == "pairs"
        in_pair = pairs and _PAIR_PLACE.fullmatch(self.timestamp)
        if self.timestamp and not (in_pair or _HEADER_PLACE.fullmatch(self.timestamp)):
            raise ValueError('timestamp is expected as "header.NAME", or "pair.NAME" with shape = "pairs"')
        if self.id and not _HEADER_PLACE.fullmatch(self.id):
            raise ValueError('id is expected as "header.NAME"')
        if pairs and (not _NAME.fullmatch(self.label) or self.timestamp == f"{_PAIR}{self.label}"):
            raise ValueError("label is expected as a name of letters, digits, _ and -, other than the timestamp's pair")
        if self.separator is not None and (self.shape == "plain" or not self.separator):
            raise ValueError('separator is the text between entries, for shape = "list" or "pairs" only')
        if not _PRINTABLE.fullmatch(f"{self.prefix}{self.separator or ''}"):
            raise ValueError("prefix and separator are expected as printable ASCII characters")

    def _style(self) -> SignatureStyle:
        if not self.header:
            return STANDARD_WEBHOOKS
        separator = (" " if self.shape == "list" else ",") if self.separator is None else self.separator
        is_pair = self.timestamp.startswith(_PAIR)
        id_header = self.id.removeprefix(_HEADER)
        return SignatureStyle(
            header=self.header,
            template=self.template,
            shape=self.shape,
            separator=separator,
            label=self.label,
            timestamp_header="" if is_pair else self.timestamp.removeprefix(_HEADER),
            timestamp_pair=self.timestamp.removeprefix(_PAIR) if is_pair else "",
            unit=self.timestamp_unit,
            id_header="" if id_header.lower() == _EVENT_ID_HEADER else id_header,
        )
