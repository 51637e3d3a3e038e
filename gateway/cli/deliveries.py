"""`deliveries list`, `deliveries show` and `deliveries cancel`."""

from pathlib import Path
from typing import Any

import click

from gateway.cli.failures import Failure
from gateway.cli.format import UNKNOWN, point, say, table, when, write_json
from gateway.cli.intervene import cancel
from gateway.cli.options import examples, older_ones, with_config, with_json
from gateway.cli.stopped import read

STATES = ("pending", "in_flight", "delivered", "dead", "cancelled")


@click.group()
def deliveries() -> None:
    """What goes where: list it, show one with its attempts, cancel what nobody wants."""


@deliveries.command(
    "list",
    epilog=examples(
        "hookgate deliveries list --state dead",
        "hookgate deliveries list --target crm --limit 10",
        "hookgate deliveries list --source truework --state pending",
        "hookgate deliveries list --event evt_0123456789abcdef --json",
    ),
)
@click.option("--target", help="Only deliveries to this target.")
@click.option("--source", help="Only deliveries of events of this source.")
@click.option("--state", type=click.Choice(STATES), help="Only deliveries in this state.")
@click.option("--event", metavar="EVENT", help="Only deliveries of this event.")
@click.option("--before", metavar="EVENT[:N]", help="Only older ones: the next page.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@with_config
@with_json
def list_(config: Path, as_json: bool, **wanted: Any) -> None:  # noqa: ANN401 - click's values
    """List deliveries, newest first."""
    fields = {name: str(value) for name, value in wanted.items() if value is not None}
    found = read(config, "/deliveries", fields)
    rows = found["deliveries"]
    remedy = f"hookgate deliveries show {rows[0]['event']} {rows[0]['n']}" if rows else "hookgate status"
    if as_json:
        write_json(found, remedy)
        return
    table(
        ["event", "n", "source", "type", "target", "state", "attempts", "due", "last result"],
        [
            [
                row["event"],
                row["n"],
                row["source"],
                row["type"],
                row["target"],
                row["state"],
                row["attempts"],
                f"behind {row['behind']}" if row["behind"] else when(row["due"]),
                row["waits"] or row["last_reason"] or "",
            ]
            for row in rows
        ],
    )
    if found["before"]:
        say(f"older ones: {older_ones('hookgate deliveries list', fields, found['before'])}")
    point(remedy)


@deliveries.command(
    epilog=examples(
        "hookgate deliveries show evt_0123456789abcdef 0",
        "hookgate deliveries show evt_0123456789abcdef:0 --json",
    )
)
@click.argument("event", metavar="EVENT[:N]")
@click.argument("n", metavar="[N]", type=click.IntRange(0), required=False)
@with_config
@with_json
def show(config: Path, as_json: bool, event: str, n: int | None) -> None:
    """Show one delivery with all its attempts. N is its number within its event."""
    event, n = _place(event, n)
    found = read(config, f"/deliveries/{event}/{n}")
    remedy = f"hookgate retry {event}:{n}" if found["state"] == "dead" else f"hookgate events show {event}"
    if as_json:
        write_json(found, remedy)
        return
    for name in ("event", "n", "source", "type", "route", "target", "state", "attempts", "interrupted"):
        say(f"{name:12}{found[name]}")
    say(f"{'due':12}{when(found['due'])}")
    if found["waits"]:
        say(f"{'waits':12}{found['waits']}")
    if found["behind"]:
        say(f"{'behind':12}{found['behind']}")
    if found["expires_at"] is not None:
        say(f"{'expires':12}{when(found['expires_at'])}")
    say(f"{'settled':12}{when(found['settled_at'])}")
    say(f"{'replay':12}{found['replay'] or UNKNOWN}")
    rows = [[when(row["started_at"]), f"{row['took_ms']} ms", row["outcome"], row["reason"]] for row in found["tries"]]
    table(["started", "took", "outcome", "reason"], rows)
    point(remedy)


def _place(event: str, n: int | None) -> tuple[str, int]:
    """Read EVENT N, or EVENT:N as `retry` and `cancel` take it."""
    name, colon, number = event.partition(":")
    if n is None and number.isascii() and number.isdecimal() and len(number) <= 9:
        return name, int(number)
    if n is None or colon:
        raise Failure(f"expected EVENT N or EVENT:N, found {event[:40]!r}", f"hookgate events show {name[:40]}")
    return event, n


deliveries.add_command(cancel)
