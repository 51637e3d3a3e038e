"""Reads queries of events and deliveries from plain text fields, as the admin API and the command line get them.

Every problem is a BadQueryError that names the field, what was found and what is expected.
"""

from collections.abc import Mapping
from typing import Final, cast, get_args

from gateway.core.model import HoldReason, State, event_number
from gateway.store.contract import DeliveryQuery, EventQuery

LIMIT_MAX: Final = 1000
EVENT_FIELDS: Final = ("source", "type", "hold", "before", "limit")
DELIVERY_FIELDS: Final = ("target", "source", "state", "event", "before", "limit")


class BadQueryError(ValueError):
    """A parameter or a field is not what it must be."""


def read_event_id(text: str, name: str = "event") -> int:
    """Read an event id as people paste it."""
    try:
        return event_number(text)
    except ValueError as error:
        raise BadQueryError(f"{name}: {error}") from None


def read_event_query(fields: Mapping[str, str]) -> EventQuery:
    """Read which events to list."""
    _check_names(fields, EVENT_FIELDS)
    return EventQuery(
        fields.get("source"),
        fields.get("type"),
        cast("HoldReason | None", _choice(fields, "hold", get_args(HoldReason))),
        _event_id(fields, "before"),
        _limit(fields),
    )


def read_delivery_query(fields: Mapping[str, str]) -> DeliveryQuery:
    """Read which deliveries to list."""
    _check_names(fields, DELIVERY_FIELDS)
    before, before_n = _place(fields)
    return DeliveryQuery(
        fields.get("target"),
        cast("State | None", _choice(fields, "state", get_args(State))),
        _event_id(fields, "event"),
        before,
        _limit(fields),
        before_n,
        fields.get("source"),
    )


def read_audit_query(fields: Mapping[str, str]) -> tuple[int | None, int]:
    """Read which entries of the audit to list: below a number, and how many."""
    _check_names(fields, ("before", "limit"))
    before = fields.get("before")
    if before is not None and not (before.isascii() and before.isdecimal() and len(before) <= 18):
        raise BadQueryError(f"before: expected a number as a page gives it, found {before[:40]!r}")
    return None if before is None else int(before), _limit(fields)


def _check_names(fields: Mapping[str, str], known: tuple[str, ...]) -> None:
    if unknown := sorted(set(fields) - set(known)):
        raise BadQueryError(f"unknown parameter {unknown[0]!r}: expected one of {', '.join(known)}")


def _choice(fields: Mapping[str, str], name: str, known: tuple[str, ...]) -> str | None:
    value = fields.get(name)
    if value is not None and value not in known:
        raise BadQueryError(f"{name}: expected one of {', '.join(known)}, found {value[:40]!r}")
    return value


def _event_id(fields: Mapping[str, str], name: str) -> int | None:
    value = fields.get(name)
    return None if value is None else read_event_id(value, name)


def _place(fields: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Read where a page of deliveries begins: after all of an event, or (`evt_…:1`) after one of its deliveries."""
    value = fields.get("before")
    if value is None:
        return None, None
    event, colon, n = value.partition(":")
    if colon and not (n.isascii() and n.isdecimal() and len(n) <= 9):
        raise BadQueryError(f"before: expected EVENT or EVENT:N as a page gives it, found {value[:40]!r}")
    return read_event_id(event, "before"), int(n) if colon else None


def _limit(fields: Mapping[str, str]) -> int:
    value = fields.get("limit", "50")
    if not value.isascii() or not value.isdecimal() or not 1 <= int(value[:9]) <= LIMIT_MAX:
        raise BadQueryError(f"limit: expected a number from 1 to {LIMIT_MAX}, found {value[:40]!r}")
    return int(value)
