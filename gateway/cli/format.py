"""What people see: tables, times and sizes in words, and the next useful command; or one JSON object.

Text from senders passes through `plain`: no control or direction character reaches a terminal. rich is imported only
when a table is drawn.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click

from gateway.cli.options import pasteable

STEPS: Final = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
UNKNOWN: Final = "-"


def plain(value: object) -> str:
    """Write any value as text without characters that a terminal would act on; they show as escapes."""
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def span(seconds: float) -> str:
    """Write a duration in its two largest units: `2h 5m`."""
    left = int(seconds)
    parts: list[str] = []
    for size, unit in STEPS:
        count, left = divmod(left, size)
        if count or (parts and len(parts) < 2) or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0") or len(parts) == 1)


def ago(at: int | None, now: int) -> str:
    """Write a moment as people ask for it: `3m ago`, `in 5m`."""
    if at is None:
        return UNKNOWN
    distance = (now - at) / 1000
    return f"{span(distance)} ago" if distance >= 0 else f"in {span(-distance)}"


def ago_since_start(at: int | None, now: int) -> str:
    """Write a moment that the daemon remembers since it was started only: nothing then is not never."""
    return "none since start" if at is None else ago(at, now)


def when(at: int | None) -> str:
    """Write a moment in UTC, to the second."""
    return UNKNOWN if at is None else datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def size(count: int) -> str:
    """Write a number of bytes."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def counted(count: int, what: str) -> str:
    """Write a number of things, of which `what` is the plural: `1 delivery`, `2 deliveries`."""
    if count != 1:
        return f"{count} {what}"
    return f"1 {what.removesuffix('ies')}y" if what.endswith("ies") else f"1 {what.removesuffix('s')}"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Draw a table; cells are plain text, never markup."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - 60 ms that only a drawn table needs
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = Table(*columns, box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for row in rows:
        drawn.add_row(*(Text(plain(cell)) for cell in row))
    # Where nobody looks (a pipe, a file) no line is folded: one row, one line.
    Console(width=None if sys.stdout.isatty() else 400, highlight=False).print(drawn)


def say(line: str) -> None:
    """Write one line."""
    click.echo(plain(line))


def write_json(data: dict[str, Any], remedy: str) -> None:
    """Write the answer as one JSON object, with the next useful command in it."""
    click.echo(json.dumps({**data, "next": pasteable(remedy)}))


def point(remedy: str) -> None:
    """End an answer with the next useful command."""
    click.echo(f"\nnext: {plain(pasteable(remedy))}")
