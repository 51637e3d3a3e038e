"""Says why deliveries wait that the store alone would call due: a gate of their target, or a target that gathers."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.admin.operations import Operations, TargetStatus


async def tell_waits(operations: Operations, rows: Sequence[dict[str, Any]]) -> None:
    """Fill in `waits` of the rows (as `gateway.admin.reading` gives them) whose target keeps them."""
    if not any(row["state"] == "pending" for row in rows):
        return
    status = await operations.status()
    told = {target.name: _why(target) for target in status.targets}
    for row in rows:
        # What failed has its own time and the reason beside it, unless that time has come.
        if row["state"] == "pending" and not row["behind"] and (row["due"] or 0) <= status.at:
            row["waits"] = told.get(row["target"]) or None


def _why(target: TargetStatus) -> str:
    gates = "; ".join(_with(gate.kind, gate.until, gate.reason) for gate in target.gates)
    if gates:
        return f"{target.name} is not open: {gates}"
    if target.gathers_seconds is None or target.oldest_due is None:
        return ""
    return f"gathered with others: goes out by {_moment(target.oldest_due + int(target.gathers_seconds * 1000))}"


def _with(kind: str, until: int | None, reason: str) -> str:
    probe = "" if until is None else f"probe at {_moment(until)}"
    return ", ".join(word for word in (kind, probe, reason) if word)


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
