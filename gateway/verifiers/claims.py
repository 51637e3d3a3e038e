"""The rules for a verified token's claims: types, times against the request's arrival, exact issuer and audience.

Clock-free: the moment is an argument. Does no cryptography; it must only be asked about claims whose signature was
proven.
"""

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gateway.plugin import Json, VerificationError

_TIMES: Final = ("exp", "nbf", "iat")


class ClaimRules(NamedTuple):
    """What the claims of one credential must say."""

    require: tuple[str, ...]
    issuer: str
    """Exact `iss`; empty = not looked at."""
    audience: str
    """Exact `aud`; empty = not looked at."""
    leeway: float
    """Seconds that clocks may differ."""
    max_age: float | None
    """Seconds since `iat`, at most."""
    exact: Mapping[str, str | int | bool] = {}
    """Claims with the only value, and type, that they may have."""


def check_claims(claims: Json, rules: ClaimRules, now: float) -> dict[str, Any]:
    """Give the claims if they are an object that keeps the rules at `now` (seconds since 1970).

    Raises VerificationError.
    """
    if not isinstance(claims, dict):
        raise VerificationError("claims", "the token's claims are no JSON object")
    for name in rules.require:
        if name not in claims:
            raise VerificationError("claim_missing", f"the claim {name} is missing")
    times = {name: _moment(claims[name], name) for name in _TIMES if name in claims}
    _check_times(times, rules, now)
    _check_text(claims, "iss", rules.issuer)
    _check_text(claims, "aud", rules.audience)
    for name, value in rules.exact.items():
        if type(claims.get(name)) is not type(value) or claims[name] != value:
            raise VerificationError("claim", f"the claim {name} is not exactly what is configured")
    return claims


def _check_times(times: dict[str, float], rules: ClaimRules, now: float) -> None:
    if "exp" in times and now > times["exp"] + rules.leeway:
        raise VerificationError("expired", "the token's exp is past")
    for name in ("nbf", "iat"):
        if name in times and times[name] > now + rules.leeway:
            raise VerificationError("not_yet", f"the token's {name} is in the future")
    if rules.max_age is not None and now - times["iat"] > rules.max_age + rules.leeway:
        raise VerificationError("expired", f"the token was made more than {rules.max_age:g} s ago")


def _moment(value: Json, name: str) -> float:
    """Give a NumericDate; `isinstance` would take true for 1, a comparison with NaN is always false."""
    if type(value) not in {int, float} or not math.isfinite(value):
        raise VerificationError("claim_type", f"the claim {name} is no finite number")
    return float(value)


def _check_text(claims: dict[str, Any], name: str, expected: str) -> None:
    if expected and claims.get(name) != expected:
        raise VerificationError("claim", f"the claim {name} is not exactly what is configured")
