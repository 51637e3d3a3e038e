"""`replay`: plans stored events again, one or a million; the daemon does it at a pace."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import click

from gateway.cli.events import HOLDS
from gateway.cli.failures import Failure
from gateway.cli.format import write_json
from gateway.cli.locate import find_client
from gateway.cli.options import examples, with_config, with_json
from gateway.cli.replays import end_with, follow
from gateway.cli.selecting import SURE, TIMES, fields, is_sure, tell_selected, with_options, work


@click.command(
    epilog=examples(
        "hookgate replay evt_0123456789abcdef",
        "hookgate replay evt_0123456789abcdef --target audit --id incident-42",
        "hookgate replay --source truework --hold unmatched --dry-run",
        "hookgate replay --type 'order.*' --since 2026-11-21T20:00Z --until 2026-11-21T23:00Z --also ops-mail --yes",
        "hookgate replay --source truora --since 3d --target new-crm --rate 200/s --id new-crm --wait --json",
    )
)
@click.argument("events", nargs=-1, metavar="[EVENT]...")
@click.option("--source", help="Events of this source.")
@click.option("--type", "type", metavar="GLOB", help="Events whose type fits.")
@click.option("--hold", type=click.Choice(HOLDS), help="Events kept without deliveries, for this reason.")
@with_options(*TIMES)
@click.option("--all", "all", is_flag=True, help="Every event there is.")
@click.option(
    "--target", "targets", multiple=True, help="To this target (repeat it for several). Default: today's routes."
)
@click.option(
    "--same", is_flag=True, help="To the targets that each event was to go to before, whatever the routes say."
)
@click.option(
    "--also", multiple=True, metavar="TARGET", help='Also to this target of the routes, which says replay = "ask".'
)
@click.option("--rate", default="50/s", show_default=True, help="Events a second (or minute: 10/m); at most 1000/s.")
@click.option("--id", "id", metavar="TEXT", help="Name of this replay; the same name again adds nothing.")
@click.option("--wait", is_flag=True, help="Wait for its end, and show how far it is.")
@with_options(*SURE)
@with_config
@with_json
def replay(
    config: Path,
    as_json: bool,
    dry_run: bool,
    yes: bool,
    wait: bool,
    **chosen: Any,  # noqa: ANN401 - click's values
) -> None:
    """Plan events again with today's routes: new deliveries, linked to them; de-dup is not touched.

    Targets with replay = "ask" (email and shell unless they say otherwise) are left out unless named by --target or
    --also; those with replay = "never" always. The daemon goes on by itself after a restart.
    """
    body = fields({name: value for name, value in chosen.items() if name != "id"})
    if not body.keys() & {"events", "source", "type", "hold", "since", "until", "all"}:
        raise Failure(
            "say what to replay: events, --source or another option to choose by, or --all", "hookgate events list"
        )
    client = find_client(config)
    if dry_run or not chosen["events"]:
        selected = work(client, "/replay", {**body, "dry_run": True}, "selected")
        if dry_run or not selected:
            tell_selected(selected, "events", as_json=as_json)
            return
        if not is_sure(selected, "events", "replay", yes=yes):
            return
    found = client.post("/replay", {**body, "id": chosen["id"] or _new_id()})
    if wait:
        found = {**follow(client, found), "again": found["again"]}
    event = chosen["events"][0] if len(chosen["events"]) == 1 else None
    remedy = f"hookgate deliveries list --event {event}" if event else f"hookgate replays show {found['id']}"
    if as_json:
        write_json(found, remedy)
    else:
        end_with(found, remedy)


def _new_id() -> str:
    """Make a name that says when; two made in one second differ."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid4().hex[:6]}"
