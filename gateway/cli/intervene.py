"""`retry` and `cancel`: deliveries by id, by what they are, or by time; counted first, and in small shares."""

from pathlib import Path
from typing import Any, Final

import click

from gateway.cli.failures import Failure
from gateway.cli.format import counted, point, say, write_json
from gateway.cli.locate import find_client
from gateway.cli.options import examples, with_config, with_json
from gateway.cli.selecting import SURE, TIMES, fields, is_sure, tell_selected, with_options, work

OUTCOMES: Final = ("retry", "rejected", "target_down", "not_tried", "interrupted")
CHOOSING: Final = (
    click.option("--target", help="Only deliveries to this target."),
    click.option("--source", help="Only of events of this source."),
    click.option("--type", "type", metavar="GLOB", help="Only of events whose type fits."),
    click.option("--error", metavar="TEXT", help="Only those whose last error contains TEXT."),
    click.option("--outcome", type=click.Choice(OUTCOMES), help="Only those whose last try ended so."),
    click.option("--replay", metavar="ID", help="Only those that this replay added."),
    *TIMES,
)


@click.command(
    epilog=examples(
        "hookgate retry evt_0123456789abcdef",
        "hookgate retry evt_0123456789abcdef:1 evt_0123456789abcde0",
        "hookgate retry --target crm --error 'timed out' --since 6h --dry-run",
        "hookgate retry --source truework --type 'order.*' --since 2026-11-21T20:00Z --until 2026-11-21T23:00Z --yes",
        "hookgate retry --all --json",
    )
)
@click.argument("deliveries", nargs=-1, metavar="[EVENT[:N]]...")
@with_options(*CHOOSING)
@click.option("--all", "all", is_flag=True, help="Every dead delivery there is.")
@with_options(*SURE)
@with_config
@with_json
def retry(config: Path, as_json: bool, dry_run: bool, yes: bool, **chosen: Any) -> None:  # noqa: ANN401 - click's values
    """Send dead deliveries again: same event id, same target. Attempts count from 0 again.

    EVENT stands for all of its dead deliveries, EVENT:N for one of them. A target whose gate is closed gets them
    when it opens.
    """
    body = fields(chosen)
    if not body:
        raise Failure(
            "say what to retry: events, --target or another option to choose by, or --all",
            "hookgate deliveries list --state dead",
        )
    client = find_client(config)
    what = "dead deliveries"
    selected = work(client, "/retry", {**body, "dry_run": True}, "selected") if dry_run or _is_wide(body) else 0
    if dry_run:
        tell_selected(selected, what, as_json=as_json)
        return
    if not is_sure(selected, what, "retry", yes=yes):
        return
    count = work(client, "/retry", body, "retried")
    target = chosen["target"]
    remedy = f"hookgate deliveries list --target {target}" if target else "hookgate status"
    if as_json:
        write_json({"retried": count}, remedy)
        return
    say("1 dead delivery is due now" if count == 1 else f"{count} dead deliveries are due now")
    point(remedy)


@click.command(
    epilog=examples(
        "hookgate cancel evt_0123456789abcdef:1 --reason 'sent by hand'",
        "hookgate cancel --target old-crm --state pending --dry-run",
        "hookgate cancel --target crm --error 'no such order' --until 3d --reason 'orders are gone' --yes",
        "hookgate deliveries cancel --replay incident-42 --reason 'wrong target' --json",
    )
)
@click.argument("deliveries", nargs=-1, metavar="[EVENT[:N]]...")
@with_options(*CHOOSING)
@click.option("--state", type=click.Choice(("pending", "dead")), help="Only what waits, or only what is dead.")
@click.option("--reason", default="", help="Why, for those who look later.")
@with_options(*SURE)
@with_config
@with_json
def cancel(
    config: Path,
    as_json: bool,
    dry_run: bool,
    yes: bool,
    reason: str,
    **chosen: Any,  # noqa: ANN401 - click's values
) -> None:
    """Cancel deliveries that nobody wants any more: they wait or are dead now, and will never be tried again.

    What is being tried just now is not touched. A cancelled delivery cannot be retried; its event can be replayed.
    """
    body = fields(chosen)
    if not body.keys() - {"state"}:
        raise Failure(
            "say what to cancel: events, --target or another option to choose by",
            "hookgate deliveries list --state pending",
        )
    client = find_client(config)
    what = "deliveries"
    selected = work(client, "/cancel", {**body, "dry_run": True}, "selected") if dry_run or _is_wide(body) else 0
    if dry_run:
        tell_selected(selected, what, as_json=as_json)
        return
    if not is_sure(selected, what, "cancel", yes=yes):
        return
    count = work(client, "/cancel", {**body, **({"reason": reason} if reason else {})}, "cancelled")
    remedy = "hookgate deliveries list --state cancelled"
    if as_json:
        write_json({"cancelled": count}, remedy)
        return
    say(f"{counted(count, 'deliveries')} {'is' if count == 1 else 'are'} cancelled")
    point(remedy)


def _is_wide(body: dict[str, Any]) -> bool:
    """True if more may be selected than somebody has typed."""
    return "deliveries" not in body
