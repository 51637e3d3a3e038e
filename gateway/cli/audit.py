"""`audit`: who did what by hand."""

from pathlib import Path

import click

from gateway.cli.format import point, say, table, when, write_json
from gateway.cli.options import examples, older_ones, with_config, with_json
from gateway.cli.stopped import read


@click.command(epilog=examples("hookgate audit", "hookgate audit --limit 5 --json"))
@click.option("--before", metavar="NUMBER", help="Only older entries: the next page.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@with_config
@with_json
def audit(config: Path, as_json: bool, before: str | None, limit: int) -> None:
    """List what was done by hand (retry, cancel, replay, a renamed target): who, when, what, how many, and why."""
    fields = {"limit": str(limit)} | ({} if before is None else {"before": before})
    found = read(config, "/audit", fields)
    if as_json:
        write_json(found, "hookgate replays list")
        return
    table(
        ["when", "who", "did", "to", "how many", "why"],
        [
            [when(row["at"]), row["who"], row["action"], row["subject"], row["affected"], row["reason"]]
            for row in found["audit"]
        ],
    )
    if found["before"]:
        say(f"older ones: {older_ones('hookgate audit', fields, found['before'])}")
    point("hookgate replays list")
