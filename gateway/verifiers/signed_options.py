"""The options of schemes that sign a text made of the request, and the refusal of combinations that prove nothing."""

from typing import Literal

from pydantic import Field

from gateway.plugin import Duration, Encoding, Options, SignatureShape, TimestampUnit


class SignedOptions(Options):
    """Where the signature stands, and what is signed."""

    header: str | list[str] = Field(default=[], examples=["X-Hub-Signature-256"])
    """Header that carries the signature; of a list, any one may match (primary and secondary, old and new name)."""
    body: str = Field(default="", examples=["signature.signature"])
    """Dotted path of the signature in the JSON body, instead of a header."""
    encoding: Encoding = "hex"
    """How the signature is written: hex, base64 (padded) or base64url (not padded)."""
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


def check_signed(options: SignedOptions, variables: frozenset[str]) -> None:
    """Refuse what would look like a check but prove nothing."""
    if bool(as_list(options.header)) == bool(options.body):
        raise ValueError("say where the signature stands: either header or body")
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


def _check_coverage(options: SignedOptions, variables: frozenset[str]) -> None:
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
