"""The verb *identify*: which events a verified request holds.

The version is read first, because it is all that some providers promise; then the rule for that version reads type,
de-dup key and time. A type that is not there is `UNKNOWN`; only a payload that cannot be read at all is
RequestError(400). Aliases change what the de-dup key and routes see; the payload's bytes, and the digest over them,
stay as sent. `repeats_differ_in` leaves fields out of that digest, which is then over the parsed document.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from hashlib import blake2b
from typing import Final

import orjson

from gateway.core.document import parse_document, parse_form, reads_as_form, refuse_repeated_keys
from gateway.core.encodings import decode_base64
from gateway.core.head import decode_head
from gateway.core.identify_reader import compile_identify
from gateway.core.identify_rule import IdentifyRule, Reading, Split, Unwrap
from gateway.core.model import Event, Json, Proof, Request, StoredEvent
from gateway.core.moments import read_moment
from gateway.core.selector import ABSENT, Reader, Scope
from gateway.core.xml import parse_xml
from gateway.errors import RequestError

__all__ = ["IdentifyRule", "compile_identify", "identify", "named_fields", "recall", "remember"]

PARTS_MAX: Final = 1000
"""Events of one request: all of them are accepted in one transaction."""
NAME_CHARACTERS_MAX: Final = 200
"""Of a type or version."""
NUMBER_MAX: Final = 2**63
"""Claims may hold integers of any length, which take for ever to write."""
DIGEST_BYTES: Final = 16
UNKNOWN: Final = "unknown"
"""The type of an event that has none where the rule looks: providers promise less than they send (Truework: only
the version). It is accepted and held, never routed.
"""


def identify(rule: IdentifyRule, source: str, credential: str, request: Request, proof: Proof) -> tuple[Event, ...]:
    """Give the events of a request, in the order they stand in it; none if it is a batch without parts.

    A key that repeats inside the request is the store's matter. Raises RequestError: 400 (413 for a body that is too
    large to parse) with a reason code, and the detail for the log.
    """
    document = _document(rule, request, proof)
    if rule.form.json_texts:
        document = rule.form.opened(document)
    whole = Scope(request, document, proof.claims, None, source)
    parts = _parts(rule.base.split, whole)
    if parts is not None:
        return tuple(_part(rule, part, credential) for part in parts)
    version = _version(rule, whole)
    reading = rule.reading(version)
    parts = _parts(reading.split, whole)
    if parts is not None:
        return tuple(_event(reading, version, part, _canonical(part.body), credential) for part in parts)
    payload = _canonical(whole.body) if proof.claims_are_payload else None
    event = _event(reading, version, whole, payload, credential)
    return (_unwrapped(reading.unwrap, reading, event, whole) if reading.unwrap else event,)


def remember(
    former: Sequence[IdentifyRule], events: tuple[Event, ...], request: Request, proof: Proof
) -> tuple[Event, ...]:
    """Give `events` with what they would have been known by under the rules in `former`, to find repeats of older ones.

    A rule that reads another number of events out of the request, or cannot read it, adds nothing.
    """
    for rule in former:
        try:
            # Aliases are written into the claims, so each rule needs its own.
            then = identify(rule, "", "", request, proof._replace(claims=deepcopy(proof.claims)))
        except RequestError:
            continue
        if len(then) == len(events):
            events = tuple(
                event._replace(former=(*event.former, (old.key, old.digest)))
                if old.key is not None and (old.key, old.digest) != (event.key, event.digest)
                else event
                for event, old in zip(events, then, strict=True)
            )
    return events


def recall(rule: IdentifyRule, stored: StoredEvent) -> Scope:
    """Give what rules and routes saw of a stored event when it came, to plan it again by today's routes.

    Type and version are as they were identified then; the payload is read again, `aliases` applied. Claims of a JWT in
    a header were not kept. The scope's event is always an `Event`. A payload that retention took reads as nothing.
    """
    line, client, headers = decode_head(stored.head)
    method, _, target = line.partition(" ")
    path, _, query = target.partition("?")
    request = Request(method, path, query, headers, stored.body or b"", client, stored.accepted_at)
    parse = parse_document if stored.part is not None else _parser(rule, request)
    body = _readable(stored.payload or b"", parse)
    reading = rule.reading(stored.version)
    claims = body if stored.part is not None and reading.unwrap is None else None
    scope = Scope(request, body, claims, None, stored.source)
    for names in reading.value_names:
        names.apply(scope)
    event = Event(
        stored.source,
        stored.credential,
        stored.type,
        stored.version,
        None,
        stored.occurred_at,
        stored.part,
        b"",
        body,
        scope.claims,
    )
    return scope._replace(event=event)


def named_fields(rules: Mapping[str, IdentifyRule], stored: StoredEvent) -> dict[str, Json]:
    """Give what `event.NAME` stands for in a stored event, by the rule of its source; nothing without one."""
    rule = rules.get(stored.source)
    return {} if rule is None else rule.fields.read(recall(rule, stored))


def _readable(payload: bytes, parse: Callable[[bytes], Json] = parse_document) -> Json:
    try:
        return parse(payload)
    except RequestError:
        return None


def _parser(rule: IdentifyRule, request: Request) -> Callable[[bytes], Json]:
    if rule.form.xml_lists is not None:
        return partial(parse_xml, lists=rule.form.xml_lists)
    parse = parse_form if reads_as_form(request.header(b"content-type"), request.body) else parse_document
    return (lambda raw: rule.form.opened(parse(raw))) if rule.form.json_texts else parse


def _document(rule: IdentifyRule, request: Request, proof: Proof) -> Json:
    """Give the parsed payload, a form as a table; None for one that is neither, if no rule nor the sender says so."""
    if proof.claims_are_payload:
        return proof.claims
    if rule.form.xml_lists is not None:
        return parse_xml(request.body, rule.form.xml_lists)
    kind = request.header(b"content-type") or b""
    if reads_as_form(kind, request.body):
        return parse_form(request.body) if rule.body_paths else _readable(request.body, parse_form)
    if rule.body_paths:
        document = parse_document(request.body)
        refuse_repeated_keys(request.body, document, rule.body_paths)
        return document
    if b"json" in kind.lower() and request.body:
        return parse_document(request.body)
    return _readable(request.body)


def _parts(split: Split | None, whole: Scope) -> list[Scope] | None:
    """Give the parts of a batch; None if the rule splits nothing, or finds no list: then the whole is one event."""
    if split is None or (split.media_type and _media_type(whole.request) != split.media_type):
        return None
    parts = split.each.values(whole)
    if not parts and type(split.holder.value(whole)) is not list:
        return None
    if len(parts) > PARTS_MAX:
        raise RequestError(400, "parts_too_many", f"{len(parts)} at {split.each.text}, at most {PARTS_MAX} are taken")
    return [whole._replace(body=each) for each in parts]


def _media_type(request: Request | None) -> bytes:
    kind = request.header(b"content-type") if request else None
    return (kind or b"").partition(b";")[0].strip().lower()


def _part(rule: IdentifyRule, scope: Scope, credential: str) -> Event:
    version = _version(rule, scope)
    return _event(rule.reading(version), version, scope, _canonical(scope.body), credential)


def _event(reading: Reading, version: str, scope: Scope, part: bytes | None, credential: str) -> Event:
    request, body, claims, _, source = scope
    payload = part if part is not None else request.body if request else b""
    same = payload if reading.omission is None or body is None else _canonical(reading.omission.rest(body))
    for names in reading.value_names if reading.unwrap is None else ():
        names.apply(scope)
    sent = _name(reading.type(scope))
    meant = reading.type_names.meant(sent) if reading.type_names else sent
    occurred_at = read_moment(reading.occurred_at(scope)) if reading.occurred_at else None
    digest = blake2b(same, digest_size=DIGEST_BYTES).digest()
    key = None if reading.key_reads_event else _key(reading, scope)
    event = Event(source, credential, meant, version, key, occurred_at, part, digest, body, claims)
    if reading.key_reads_event:
        event = event._replace(key=_key(reading, Scope(request, body, claims, event, source)))
    return _marked(reading, Scope(request, body, claims, event, source), event) if reading.occurrence else event


def polled(event: Event) -> Event:
    """Give an event that was read from a poller's list: it is one with a webhook of the same occurrence.

    One without occurrence has no key: it would come again with every poll. The caller leaves it out.
    """
    key = event.seen_as
    return event._replace(key=key, digest=key or event.digest, mark=None, seen_as=event.mark or event.key, polled=True)


def _marked(reading: Reading, scope: Scope, event: Event) -> Event:
    """Give the event with the marks by which polling and sending find each other; where it has no key they are it."""
    parts = _digest_of(reading.occurrence, scope)
    if parts is None:
        return event
    sent, seen = (blake2b(parts, digest_size=DIGEST_BYTES, person=way).digest() for way in (b"sent", b"polled"))
    return event._replace(key=event.key or sent, mark=sent if event.key else None, seen_as=seen)


def _unwrapped(unwrap: Unwrap, reading: Reading, event: Event, scope: Scope) -> Event:
    """Give `event` with what it wraps as its payload; as it is if nothing is there."""
    text = unwrap.selector.value(scope)
    if not isinstance(text, str):
        return event
    payload = text.encode("utf-8", "replace")
    if unwrap.base64:
        try:
            payload = decode_base64(payload)
        except ValueError:
            raise RequestError(400, "unwrap", f"{unwrap.selector.text} is no canonical base64") from None
    body = _readable(payload)
    for names in reading.value_names:
        names.apply(scope._replace(body=body))
    digest = blake2b(payload, digest_size=DIGEST_BYTES).digest()
    return event._replace(part=payload, body=body, digest=digest)


def _key(reading: Reading, scope: Scope) -> bytes | None:
    """Give the digest of the de-dup key's parts; None if the event has none of them.

    The parts are hashed as a JSON list, which ends each part unmistakably and tells "1" from 1 and null from "". The
    places of absent parts stand in front, so that absent differs from null.
    """
    if reading.key_is_id and reading.key[0](scope) in (None, ""):
        return None
    return _digest_of(reading.key, scope)


def _digest_of(readers: Sequence[Reader], scope: Scope) -> bytes | None:
    parts = [read(scope) for read in readers]
    absent = [place for place, part in enumerate(parts) if part is ABSENT] if ABSENT in parts else []
    if len(absent) == len(parts):
        return None
    for place in absent:
        parts[place] = None
    return blake2b(_canonical([absent, *parts]), digest_size=DIGEST_BYTES).digest()


def _version(rule: IdentifyRule, scope: Scope) -> str:
    value = rule.version.value(scope) if rule.version else None
    return "" if value is None or value is ABSENT else _name(value)


def _name(value: Json) -> str:
    """Give a type or version as text, numbers as they are written; `UNKNOWN` for what cannot be one."""
    if type(value) is str and 0 < len(value) <= NAME_CHARACTERS_MAX and value.isprintable():
        return value
    number = (type(value) is int or type(value) is float) and abs(value) < NUMBER_MAX  # false for NaN, too
    return str(value) if number else UNKNOWN


def _canonical(value: Json) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:  # verified claims may hold what JSON bytes cannot: 2**70, a lone surrogate
        raise RequestError(400, "json_unwritable", str(error)) from None
