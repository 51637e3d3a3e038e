"""The text that a provider signs, from a template such as `{id}.{timestamp}.{body}`, compiled once per credential.

Wherever a literal follows a value of unbounded text, that value must not hold the literal: `m.1` and `2` would sign
like `m` and `1` over another body. The body goes in as the exact bytes received. Knows nothing of keys, digests or
freshness.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes

from gateway.plugin import Request, VerificationError
from gateway.verifiers.places import Place, only_header, parse_place

_PIECE: Final = re.compile(r"\{([^{}]*)\}|([^{}]+)|([{}])")
_ID: Final = re.compile(rb"[!-~]{1,255}")
_MAX_TEXT: Final = 4096
_MAX_PARAMETERS: Final = 1000
_FORM: Final = b"application/x-www-form-urlencoded"


class Inputs(NamedTuple):
    """What a signed text is made from beside the request."""

    timestamp: bytes
    url: bytes
    """The public URL as registered at the provider, without a query."""


Part: TypeAlias = Callable[[Request, Inputs], bytes]


class SignedText:
    """A compiled template; `variables` names what stands in it, to be checked against the other options."""

    def __init__(self, template: str, identifier: Place | None, params: Mapping[str, str], secret: bytes) -> None:
        """Compile. Raises ValueError that tells which variable is unknown."""
        pieces = [found.groups() for found in _PIECE.finditer(template)]
        if any(stray for _, _, stray in pieces) or not pieces:
            raise ValueError(f"template {template!r} has a brace without its partner, or nothing in it")
        self.variables = frozenset(name for name, _, _ in pieces if name is not None)
        literals = [literal for _, literal, _ in pieces[1:]] + [None]
        self._parts = tuple(
            _literal(literal) if name is None else _part(name, (following or "").encode(), identifier, params, secret)
            for (name, literal, _), following in zip(pieces, literals, strict=True)
        )
        self._only_body = template == "{body}"

    def bytes_for(self, request: Request, inputs: Inputs) -> bytes:
        """Give the signed bytes of `request`. Raises VerificationError if a value is missing or ambiguous."""
        if self._only_body:
            return request.body
        return b"".join([part(request, inputs) for part in self._parts])


def _part(name: str, following: bytes, identifier: Place | None, params: Mapping[str, str], secret: bytes) -> Part:
    if name in _SIMPLE:
        return _SIMPLE[name]
    if name == "secret":
        return _literal(secret.decode("latin-1"), "latin-1")
    if name == "id":
        if identifier is None:
            raise ValueError('the template has {id}: say where it stands, for example id = "header.webhook-id"')
        return _identifier(identifier, following)
    if name.startswith("param."):
        if (value := params.get(name[6:])) is None:
            raise ValueError(f'the template has {{{name}}}: write its value, params = {{ {name[6:]} = "…" }}')
        return _literal(value)
    try:
        return _bounded(parse_place(name), following)
    except ValueError:
        raise ValueError(
            f"{{{name}}} is no variable of a template: expected {{{'}, {'.join([*sorted(_SIMPLE), 'id', 'secret'])}}},"
            " {header.x}, {query.x}, {body.a.b} or {param.x}"
        ) from None


def _literal(text: str | None, encoding: str = "utf-8") -> Part:
    value = (text or "").encode(encoding)
    return lambda _request, _inputs: value


def _identifier(place: Place, following: bytes) -> Part:
    def part(request: Request, _inputs: Inputs) -> bytes:
        value = place.read(request)
        if not _ID.fullmatch(value) or (following and following in value):
            raise VerificationError(
                "id", f"{place.text} is longer than 255 characters or holds one that would blur what is signed"
            )
        return value

    return part


def _bounded(place: Place, following: bytes) -> Part:
    def part(request: Request, _inputs: Inputs) -> bytes:
        value = place.read(request)
        if len(value) > _MAX_TEXT or (following and following in value):
            raise VerificationError(
                "ambiguous", f"{place.text} is too long or holds the text that follows it in the template"
            )
        return value

    return part


def _url(request: Request, inputs: Inputs) -> bytes:
    return b"%b?%b" % (inputs.url, request.query.encode("latin-1", "replace")) if request.query else inputs.url


def _sorted_form_parameters(request: Request, _inputs: Inputs) -> bytes:
    """Names and values of the form, sorted, each pair once, without separators (Twilio, Mandrill)."""
    kind = only_header(request, b"content-type").partition(b";")[0].strip().lower()
    if kind != _FORM:
        raise VerificationError("form", "the body is no form, so the signature would not cover it")
    pieces = [piece for piece in request.body.split(b"&") if piece]
    if len(pieces) > _MAX_PARAMETERS:
        raise VerificationError("form", f"the form has more than {_MAX_PARAMETERS} fields")
    if not all(b"=" in piece for piece in pieces):
        # Without separators "a=1" and "a1" would sign alike.
        raise VerificationError("form", "a field of the form has no equals sign")
    pairs = {(_decode(name), _decode(value)) for name, _, value in (piece.partition(b"=") for piece in pieces)}
    return b"".join(name + value for name, value in sorted(pairs))


def _decode(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


_SIMPLE: Final[Mapping[str, Part]] = {
    "body": lambda request, _inputs: request.body,
    "method": lambda request, _inputs: request.method.encode(),
    "sorted_form_params": _sorted_form_parameters,
    "timestamp": lambda _request, inputs: inputs.timestamp,
    "url": _url,
}
