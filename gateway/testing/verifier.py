"""The public conformance check of verification schemes: what every verifier owes the gateway, whatever its scheme.

It signs a request as the provider would, then takes it apart in every way that must be noticed. Everything is derived
from its arguments, so that a failure repeats. It cannot show that a scheme is the provider's: that takes a vector
from the provider.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from gateway.plugin import Options, Proof, Request, VerificationError, Verifier, VerifierKind

OptionsT = TypeVar("OptionsT", bound=Options)

_CANARY = b"canary-51c7"
_JUNK = (
    b"",
    b"\x00",
    b"\xff" * 64,
    b"=",
    b",",
    b".",
    b"..",
    b"v1,",
    b"t=1,v1=",
    b"{",
    b"[" * 4096,
    b"Basic ",
    b"A" * 65536,
)


def check_verifier(
    kind: VerifierKind[OptionsT],
    options: Mapping[str, Any],
    secret: bytes,
    request: Request,
    *,
    other_secret: bytes = b"",
    covers_body: bool = True,
) -> None:
    """Check a scheme with one set of options and a fit secret. Raises AssertionError that tells the broken promise.

    Args:
        kind: What `@gateway.plugin.verifier` made.
        options: As the operator would write them.
        secret: A fit secret; with public-key schemes the private key, so that `sign` works.
        request: An unsigned request; `received_at` is its arrival and the time at which it is signed.
        other_secret: Another fit secret, which must not verify; needed unless the scheme takes no secret.
        covers_body: False for schemes that prove the sender only (tokens, passwords).
    """
    chosen = kind.options.model_validate_json(json.dumps(options), strict=True)
    verifier = kind.build(chosen, secret)
    signed = verifier.sign(request)
    proof = _check_genuine(verifier, signed)
    if not kind.wants_secret(chosen):
        return
    _check_secrets(kind, chosen, secret, signed, proof)
    _demand(other_secret not in {b"", secret}, "other_secret must be another fit secret")
    _refuses(kind.build(chosen, other_secret), signed, "signed with another secret")
    _refuses(verifier, request, "not signed")
    for name, changed in _header_changes(request, signed):
        _refuses(verifier, changed, f"header {name}")
    if covers_body:
        for position in _positions(len(signed.body)):
            _refuses(
                verifier, signed._replace(body=_flipped(signed.body, position)), f"byte {position} of the body changed"
            )
    for junk in _junk_requests(request, signed):
        _survives(verifier, junk)


def _check_genuine(verifier: Verifier, signed: Request) -> Proof:
    proof = verifier.verify(signed)
    _demand(isinstance(proof, Proof), f"verify must give a Proof, found {type(proof).__name__}")
    _demand(verifier.verify(signed) == proof, "verify must give the same proof for the same request: it keeps no state")
    _demand(all(name == name.lower() for name in proof.consumed), "consumed headers are named in lower case")
    return proof


def _check_secrets(
    kind: VerifierKind[OptionsT], options: OptionsT, secret: bytes, signed: Request, proof: Proof
) -> None:
    left = [value for name, value in signed.headers if name not in proof.consumed]
    _demand(not any(secret in value for value in left), "a header that holds the secret must be reported as consumed")
    _demand(
        secret.decode("latin-1") not in signed.query or bool(proof.consumed_query),
        "a query parameter that holds the secret must be reported as consumed",
    )
    for unfit in (b"", b" ", b"\n", _CANARY + b"\n"):
        _refuses_to_build(kind, options, unfit)


def _refuses_to_build(kind: VerifierKind[OptionsT], options: OptionsT, unfit: bytes) -> None:
    try:
        kind.build(options, unfit)
    except ValueError as error:
        _demand(_CANARY.decode() not in str(error), "a message must not quote the secret")
        return
    raise AssertionError(f"an unfit secret of {len(unfit)} bytes was taken: expected ValueError when it is built")


def _header_changes(request: Request, signed: Request) -> Iterator[tuple[str, Request]]:
    """Drop, empty and repeat each header that signing added."""
    for pair in signed.headers:
        if pair in request.headers:
            continue
        name = pair[0].decode("latin-1")
        others = tuple(other for other in signed.headers if other is not pair)
        yield f"{name} missing", signed._replace(headers=others)
        yield f"{name} empty", signed._replace(headers=(*others, (pair[0], b"")))
        yield f"{name} twice", signed._replace(headers=(*signed.headers, pair))
        for position in _positions(len(pair[1])):
            yield (
                f"{name} with byte {position} changed",
                signed._replace(headers=(*others, (pair[0], _flipped(pair[1], position)))),
            )


def _junk_requests(request: Request, signed: Request) -> Iterator[Request]:
    for junk in _JUNK:
        yield signed._replace(body=junk)
        yield signed._replace(query=junk.decode("latin-1"))
        for name, value in signed.headers:
            if (name, value) not in request.headers:
                others = tuple(pair for pair in signed.headers if pair[0] != name)
                yield signed._replace(headers=(*others, (name, junk)))
                yield signed._replace(headers=(*others, (name, value[: len(value) // 2] + junk)))


def _positions(length: int) -> range:
    """Give at most 64 places spread over `length` bytes, the first and the last among them or next to them."""
    return range(0, length, max(1, length // 64))


def _flipped(value: bytes, position: int) -> bytes:
    return value[:position] + bytes([value[position] ^ 0x01]) + value[position + 1 :]


def _refuses(verifier: Verifier, request: Request, what: str) -> None:
    try:
        verifier.verify(request)
    except VerificationError:
        return
    raise AssertionError(f"a request was taken that must be refused: {what}")


def _survives(verifier: Verifier, request: Request) -> None:
    try:
        verifier.verify(request)
    except VerificationError:
        return
    except Exception as error:
        raise AssertionError(f"verify raised {type(error).__name__}: only VerificationError may leave it") from error


def _demand(kept: bool, promise: str) -> None:
    if not kept:
        raise AssertionError(promise)
