"""The verb *verify*: which credentials of a source a request proves, from its raw bytes, before it is parsed.

Pure: the verifiers do the cryptography, this module asks each live credential in turn. Every credential that matches
is told, so that an old secret can be dropped once it no longer matches alone.
"""

from typing import NamedTuple

from gateway.blueprint import Credential, Source
from gateway.core.identify import UNKNOWN
from gateway.core.model import Event, Proof, Request
from gateway.core.published import NO_KEYS, Keys, NeedsKey
from gateway.errors import KeyUnavailableError, RequestError, VerificationError


class Match(NamedTuple):
    """A credential that a request proved."""

    credential: Credential
    proof: Proof


def verify(source: Source, request: Request, keys: Keys = NO_KEYS) -> tuple[Match, ...]:
    """Do as `verify_with` does, with nobody there who would fetch a key: VerificationError if one is missing."""
    found = verify_with(source, request, keys)
    if isinstance(found, NeedsKey):
        raise VerificationError("key_missing", f"the key at {found.ref.url} is not at hand")
    return found


def verify_with(source: Source, request: Request, keys: Keys) -> tuple[Match, ...] | NeedsKey:
    """Give every credential of `source` that `request` proves. Raises VerificationError if it proves none.

    All credentials are tried even after one matched: the work does not tell a stranger which one he came near. If
    none matched, but one could by a key that is not in `keys`, that key is asked for. Raises KeyUnavailableError if
    what is published in its place is of no use.
    """
    matches: list[Match] = []
    need: NeedsKey | None = None
    trouble: KeyUnavailableError | None = None
    refusal: VerificationError | None = None
    for credential in source.credentials:
        try:
            proof = _prove(credential, request, keys)
        except VerificationError as error:
            # Its traceback leads back to this frame: a cycle for each request would keep the collector busy.
            refusal = refusal or error.with_traceback(None)
            continue
        except KeyUnavailableError as error:
            trouble = trouble or error.with_traceback(None)
            continue
        if isinstance(proof, Proof):
            matches.append(Match(credential, proof))
        else:
            need = need or proof
    if matches:
        return tuple(matches)
    if need is not None:
        return need
    if trouble is not None:
        raise trouble
    raise _named(source, refusal)


def _named(source: Source, refusal: VerificationError | None) -> VerificationError:
    """Give the first refusal with the credentials that the request proves none of, for the operator."""
    if refusal is None:
        return VerificationError("no_credential", f"source {source.name} has no credential")
    names = ", ".join(credential.name for credential in source.credentials)
    told = f"credential {names}" if len(source.credentials) == 1 else f"none of the credentials {names}"
    return VerificationError(refusal.reason, f"{told[:100]}: {refusal.detail}", refusal.status)


def _prove(credential: Credential, request: Request, keys: Keys) -> Proof | NeedsKey:
    """Ask one verifier. A plugin's verifier runs in our process: whatever else it raises or gives is a refusal."""
    try:
        if credential.keyed is None:
            proof: Proof | NeedsKey = credential.verifier.verify(request)
        else:
            proof = credential.keyed.verify_with(request, keys)
            if isinstance(proof, NeedsKey):
                return proof
    except (RequestError, KeyUnavailableError):
        raise
    except BaseException as error:  # even SystemExit must not end the daemon
        # Its text is not told: it may quote the secret.
        raise VerificationError("plugin", f"scheme {credential.scheme} raised {type(error).__name__}") from error
    if not isinstance(proof, Proof):
        raise VerificationError("plugin", f"scheme {credential.scheme} gave {type(proof).__name__} for a proof")
    return proof


def within_scope(matches: tuple[Match, ...], events: tuple[Event, ...]) -> tuple[Event, ...]:
    """Give the events that a proven credential speaks for, each with the name of the first that covers it.

    A batch may mix events inside and outside the scope: those inside are taken, since refusing the whole would lose
    them. Raises VerificationError if none is inside.
    """
    covered = tuple(event for event in (_cover(matches, event) for event in events) if event is not None)
    if not covered:
        names = ", ".join(match.credential.name for match in matches)
        types = ", ".join(sorted({f"{event.type} {event.version}".strip() for event in events}))
        raise VerificationError("scope", f"credential {names} does not speak for {types[:200]}")
    return covered


def _cover(matches: tuple[Match, ...], event: Event) -> Event | None:
    for credential, _ in matches:
        # An event without a readable type reaches no target, so that whoever proved the request may bring it.
        spoken_for = event.type == UNKNOWN or credential.events.matches(event.type)
        if spoken_for and credential.versions.matches(event.version):
            return event if event.credential == credential.name else event._replace(credential=credential.name)
    return None
