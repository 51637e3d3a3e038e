"""Values that no parser expects: JSON of any shape, and texts that are good ones, damaged."""

import json
import random
from collections.abc import Sequence
from typing import Any

from harness.hostile_http1 import damage

TEXTS = (
    "",
    "a",
    "0",
    "-1",
    "1e999",
    "NaN",
    "\x00",
    "\r\n",
    "\u0661",
    "\u2028",
    "\U0001f600",
    "\ud800",
    "..",
    "%00",
    "{body.a}",
    "*" * 40,
    "a" * 5000,
    "1795262400",
    "2026-11-21T12:00:00Z",
    "127.0.0.1",
)
NUMBERS = (0, 1, -1, 2**31, 2**53, 2**63 - 1, -(2**63), 2**64, 10**400, 0.5, -0.0, 1e308, 1795262400, 1795262400000)
NAMES = ("id", "type", "data", "a", "events", "kty", "kid", "", "__class__")


def anything(seeded: random.Random, depth: int = 3, names: Sequence[str] = NAMES) -> Any:
    """Make a value as JSON may hold it; names of tables are of `names` as a rule."""
    kind = seeded.randrange(9 if depth else 6)
    if kind == 0:
        return seeded.choice((None, True, False))
    if kind in {1, 2}:
        return seeded.choice(NUMBERS)
    if kind in {3, 4, 5}:
        return seeded.choice(TEXTS)
    if kind == 6:
        return [anything(seeded, depth - 1, names) for _ in range(seeded.randrange(4))]
    return {
        seeded.choice(names) if seeded.random() < 0.8 else seeded.choice(TEXTS): anything(seeded, depth - 1, names)
        for _ in range(seeded.randrange(5))
    }


def bent(value: Any, seeded: random.Random) -> Any:
    """Put something else into one place of a good value; often it stays as it is on the way there."""
    if isinstance(value, dict) and value and seeded.random() < 0.9:
        key = seeded.choice(list(value))
        kind = seeded.randrange(6)
        if kind == 0:
            return {name: each for name, each in value.items() if name != key}
        if kind == 1:
            return {**value, seeded.choice(TEXTS): anything(seeded, 1)}
        return {**value, key: bent(value[key], seeded)}
    if isinstance(value, list) and value and seeded.random() < 0.8:
        at = seeded.randrange(len(value))
        return [*value[:at], bent(value[at], seeded), *value[at + seeded.randrange(2) :]]
    if isinstance(value, str) and seeded.random() < 0.5:
        return damaged(value, seeded)
    return anything(seeded, 2)


def damaged(text: str, seeded: random.Random) -> str:
    """Damage a text; characters stay characters."""
    if seeded.random() < 0.2:
        at = seeded.randrange(len(text) + 1)
        return text[:at] + seeded.choice(TEXTS) + text[at:]
    return damage(text.encode("utf-8", "surrogatepass"), seeded).decode("utf-8", "replace")


def as_json(value: Any) -> bytes:
    """Write a value as a sender may."""
    return json.dumps(value).encode()
