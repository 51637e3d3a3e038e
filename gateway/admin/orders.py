"""Reads what an operator orders from the JSON object of a request. Every problem is a BadQueryError."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast, get_args

from gateway.admin.desk import DeliveryOrder
from gateway.admin.queries import BadQueryError, read_event_id
from gateway.core.model import HoldReason, State
from gateway.core.moments import MILLISECONDS_MAX, write_moment
from gateway.replay_plan import ReplayPlan, read_pace
from gateway.store.codes import OUTCOME_CODES
from gateway.store.operator import DeliveryFilter, EventFilter, Position

IDS_MAX: Final = 1000
TEXT_MAX: Final = 500
REASON_MAX: Final = 200
REPLAY_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_CHOOSING: Final = ("target", "source", "type", "outcome", "error", "replay", "since", "until")
_DELIVERY_FIELDS: Final = ("deliveries", *_CHOOSING, "state", "all", "dry_run", "position", "reason")
_EVENT_FIELDS: Final = ("events", "source", "type", "hold", "since", "until", "all")
_REPLAY_FIELDS: Final = (*_EVENT_FIELDS, "targets", "same", "also", "rate", "id", "dry_run", "position")


def read_delivery_order(body: Mapping[str, Any], states: tuple[State, State]) -> DeliveryOrder:
    """Read which deliveries to retry or cancel; of `states` (the first and the last) unless `state` names one."""
    _check_names(body, _DELIVERY_FIELDS)
    state = _text(body, "state")
    if state is not None and state not in states:
        raise BadQueryError(f"state: expected one of {', '.join(dict.fromkeys(states))}, found {state[:40]!r}")
    outcome = _text(body, "outcome")
    if outcome is not None and outcome not in OUTCOME_CODES:
        raise BadQueryError(f"outcome: expected one of {', '.join(OUTCOME_CODES)}, found {outcome[:40]!r}")
    base = DeliveryFilter(
        states if state is None else (state, state),
        target=_text(body, "target"),
        source=_text(body, "source"),
        type_glob=_text(body, "type"),
        outcome=outcome,
        reason=_text(body, "error"),
        replay=_text(body, "replay"),
        since=_moment(body, "since"),
        until=_moment(body, "until"),
    )
    named = [_read_delivery(each) for each in _texts(body, "deliveries")]
    if not named and not any(body.get(name) for name in _CHOOSING) and body.get("all") is not True:
        raise BadQueryError('name deliveries, choose by one of the fields, or say "all": true')
    chosen = [base._replace(event_id=event, n=n) for event, n in named] or [base]
    return DeliveryOrder(
        chosen, _told(body, "deliveries"), _position(body), body.get("dry_run") is True, _text(body, "reason") or ""
    )


def read_event_filter(body: Mapping[str, Any], own_source: str) -> EventFilter:
    """Read which events to replay; those of the gateway's own source only if it is named."""
    hold = _text(body, "hold")
    if hold is not None and hold not in get_args(HoldReason):
        raise BadQueryError(f"hold: expected one of {', '.join(get_args(HoldReason))}, found {hold[:40]!r}")
    ids = sorted({read_event_id(each, "events") for each in _texts(body, "events")})
    choosing = ("source", "type", "hold", "since", "until")
    chosen = any(body.get(name) for name in choosing)
    if ids and chosen:
        raise BadQueryError("events: name events, or choose by the other fields, not both")
    if not ids and not chosen and body.get("all") is not True:
        raise BadQueryError('name events, choose by one of the fields, or say "all": true')
    source = _text(body, "source")
    without = own_source if source is None and not ids else None
    kept = cast("HoldReason | None", hold)
    times = (_moment(body, "since"), _moment(body, "until"))
    return EventFilter(source, without, _text(body, "type"), kept, *times, tuple(ids))


def read_replay(body: Mapping[str, Any], own_source: str) -> ReplayPlan:
    """Read what a replay is to do."""
    _check_names(body, _REPLAY_FIELDS)
    targets, also, same = _texts(body, "targets"), _texts(body, "also"), body.get("same") is True
    if targets and (same or also):
        raise BadQueryError("targets: name targets, or say `same` or `also`, not both")
    try:
        rate = read_pace(_text(body, "rate") or "50/s")
    except ValueError as error:
        raise BadQueryError(f"rate: {error}") from None
    return ReplayPlan(read_event_filter(body, own_source), tuple(targets), same, tuple(also), rate)


def read_replay_id(value: object) -> str:
    """Read the id of a replay. It stands in paths and tables, so its characters are few."""
    if not isinstance(value, str) or not REPLAY_ID.fullmatch(value):
        raise BadQueryError("id: expected 1 to 64 letters, digits, `.`, `_`, `:` or `-`; the same id is one replay")
    return value


def read_count_position(body: Mapping[str, Any]) -> int:
    """Read where a count of events goes on."""
    value = _text(body, "position")
    return 0 if value is None else read_event_id(value, "position")


def read_reason(body: Mapping[str, Any]) -> str:
    """Read why something is done."""
    reason = _text(body, "reason") or ""
    if len(reason) > REASON_MAX:
        raise BadQueryError(f"reason: expected text of at most {REASON_MAX} characters")
    return reason


def _check_names(body: Mapping[str, Any], known: Sequence[str]) -> None:
    if unknown := sorted(set(body) - set(known)):
        raise BadQueryError(f"unknown field {unknown[0][:40]!r}: expected one of {', '.join(known)}")


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= TEXT_MAX:
        raise BadQueryError(f"{name}: expected text of 1 to {TEXT_MAX} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadQueryError(f"{name}: expected text, found half a character") from None
    return value


def _texts(body: Mapping[str, Any], name: str) -> list[str]:
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > IDS_MAX or not all(isinstance(each, str) for each in value):
        raise BadQueryError(f"{name}: expected a list of at most {IDS_MAX} texts")
    return value


def _moment(body: Mapping[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is not None and (type(value) is not int or not 0 <= value < MILLISECONDS_MAX):
        raise BadQueryError(f"{name}: expected milliseconds since 1970, before the year 10000")
    return value


def _read_delivery(text: str) -> tuple[int, int | None]:
    """Read `evt_…`, all of an event's, or `evt_…:1`, one of them."""
    event, colon, n = text.partition(":")
    if colon and not (n.isascii() and n.isdecimal() and len(n) <= 9):
        raise BadQueryError(f"deliveries: expected EVENT or EVENT:N, found {text[:40]!r}")
    return read_event_id(event, "deliveries"), int(n) if colon else None


def _position(body: Mapping[str, Any]) -> Position:
    value = _text(body, "position")
    if value is None:
        return Position()
    event_id, n = _read_delivery(value)
    return Position(event_id, -1 if n is None else n)


def _told(body: Mapping[str, Any], ids: str) -> str:
    """Say what was chosen, as it was asked for."""
    named = _texts(body, ids)
    words = [*named[:3], *([f"and {len(named) - 3} more"] if len(named) > 3 else [])]
    for name in ("state", *_CHOOSING):
        value = body.get(name)
        if value is not None:
            words.append(f"{name}={write_moment(value) if isinstance(value, int) else value}")
    return " ".join(words) or "all"
