"""The options of scheme `hmac`, and the refusal of combinations that would look like a check but prove nothing."""

from typing import Literal

from pydantic import Field

from gateway.plugin import Algorithm, Duration, Encoding, KeyForm, Options, SignatureShape, TimestampUnit


class HmacOptions(Options):
    """How a provider signs with a shared secret."""

    header: str | list[str] = Field(default=[], examples=["X-Hub-Signature-256"])
    """Header that carries the signature; of a list, any one may match (primary and secondary, old and new name)."""
    body: str = Field(default="", examples=["signature.signature"])
    """Dotted path of the signature in the JSON body, instead of a header."""
    algorithm: Algorithm = "sha256"
    """The hash function."""
    algorithm_header: str = Field(default="", examples=["X-Payload-Digest-Alg"])
    """Header in which the provider names the hash function; needs `algorithms`."""
    algorithms: dict[str, Algorithm] = Field(default={}, examples=[{"HMAC_SHA256_HEX": "sha256"}])
    """What `algorithm_header` may say and what that means; nothing else is taken. The name "" stands for an absent
    header."""
    plain_hash: bool = False
    """True for a plain hash over a template with {secret} instead of HMAC (HubSpot v1 and v2)."""
    encoding: Encoding = "hex"
    """How the signature is written: hex, base64 (padded) or base64url (not padded)."""
    hex_case: Literal["lower", "upper", "any"] = "lower"
    """The letters of a hex signature."""
    prefix: str = Field(default="", examples=["sha256=", "v1,"])
    """Text before every signature; one without it is not taken."""
    shape: SignatureShape = "plain"
    """The header holds one signature, a list of them, or `name=value` pairs."""
    separator: str | None = Field(default=None, examples=[" ", ";"])
    """Text between entries; a space for lists and a comma for pairs unless written."""
    group: str = Field(default="", examples=[" "])
    """Text between groups of pairs, each with its own timestamp and signatures (Persona, while a secret rotates)."""
    label: str = "v1"
    """Name of the pair that is a signature; pairs of other versions are ignored, never a fallback."""
    template: str = Field(default="{body}", examples=["{id}.{timestamp}.{body}", "v0:{timestamp}:{body}"])
    """What is signed: {body} {timestamp} {id} {method} {url} {sorted_form_params} {secret} {header.x} {query.x}
    {body.a.b} {param.x}."""
    key: KeyForm = "raw"
    """How the secret becomes the key: its text, `whsec_` + base64, hex, base64, or its text in Unicode form NFKD."""
    min_secret_bytes: int = Field(default=24, ge=1)
    """Shorter keys are refused; lower it only for a provider that hands out shorter ones."""
    timestamp: str = Field(default="", examples=["header.webhook-timestamp", "pair.t", "body.webhookTimestamp"])
    """Where the signed timestamp stands: a pair of the signature header, a header, a query parameter or a field of the
    body."""
    timestamp_unit: TimestampUnit = "s"
    """How the timestamp is written: seconds or milliseconds since 1970, or an RFC 3339 date."""
    tolerance: Duration = Field(default="5m", validate_default=True)
    """How far the timestamp may be from the request's arrival, before or after it."""
    id: str = Field(default="", examples=["header.webhook-id"])
    """Where the {id} of the template stands."""
    url: str | list[str] = Field(default=[], examples=["https://hooks.acme.example/hooks/square"])
    """The public URL as registered at the provider, without its query; of a list, any one may match (with and without
    the port)."""
    params: dict[str, str] = Field(default={}, examples=[{"webhook_id": "WH-1"}])
    """Fixed texts for {param.x}."""
    body_hash: str = Field(default="", examples=["query.bodySHA256"])
    """Where a SHA-256 of the body stands, if that is signed in its place."""
    body_hash_encoding: Literal["hex", "base64"] = "hex"
    """How that hash is written."""
    unsigned_body: bool = False
    """True accepts that the signature does not cover the body (Mailgun): whoever sees one request can send another
    body with it."""


def as_list(value: str | list[str]) -> list[str]:
    """Give one text as a list of one."""
    return [value] if isinstance(value, str) else value


def check_options(options: HmacOptions, variables: frozenset[str]) -> None:
    """Refuse what would look like a check but prove nothing."""
    if bool(as_list(options.header)) == bool(options.body):
        raise ValueError("say where the signature stands: either header or body")
    if bool(options.algorithm_header) != bool(options.algorithms):
        raise ValueError("algorithm_header and algorithms need each other")
    if options.plain_hash != ("secret" in variables):
        raise ValueError(
            "{secret} belongs in the template of a plain hash, and only there: set plain_hash = true with it"
        )
    if ("url" in variables) != bool(as_list(options.url)):
        raise ValueError(
            "{url} in the template and the option url need each other: write the URL registered at the provider"
        )
    if any("?" in url or "://" not in url for url in as_list(options.url)):
        raise ValueError("url is expected whole and without a query: the query is taken from the request")
    if "timestamp" in variables and not options.timestamp:
        raise ValueError(
            'the template has {timestamp}: say where it stands, for example timestamp = "header.webhook-timestamp"'
        )
    _check_coverage(options, variables)


def _check_coverage(options: HmacOptions, variables: frozenset[str]) -> None:
    whole_body = bool(variables & {"body", "sorted_form_params"})
    body_is_signed = whole_body or bool(options.body_hash)
    if options.body and whole_body:
        raise ValueError(
            "a signature in the body cannot cover the body it stands in: name the signed fields, {body.a.b}"
        )

    def signed(place: str) -> bool:
        kind = place.partition(".")[0]
        if kind == "header":
            return place.lower() in {name.lower() for name in variables}
        return place in variables or (kind == "query" and "url" in variables) or (kind == "body" and body_is_signed)

    if options.timestamp and "timestamp" not in variables and not signed(options.timestamp):
        raise ValueError(
            "the timestamp is not part of what is signed, anyone could change it: put {timestamp} in the template"
        )
    if options.body_hash and not signed(options.body_hash):
        raise ValueError("the body's hash is not part of what is signed: put its place or {url} in the template")
    if not (body_is_signed or options.unsigned_body):
        raise ValueError(
            "the signature does not cover the body: check the template, or write unsigned_body = true to accept it"
        )
