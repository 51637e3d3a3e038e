"""`replays list`, `show` and `cancel`: how replays fare, and how one is ended."""

from pathlib import Path
from typing import Any

import click

from gateway.cli.client import Client
from gateway.cli.format import UNKNOWN, counted, point, say, table, when, write_json
from gateway.cli.locate import find_client
from gateway.cli.options import examples, with_config, with_json
from gateway.cli.selecting import progress
from gateway.cli.stopped import read


@click.group()
def replays() -> None:
    """Replays that were asked for: list them, see how far one is, cancel it."""


@replays.command("list", epilog=examples("hookgate replays list", "hookgate replays list --json"))
@with_config
@with_json
def list_(config: Path, as_json: bool) -> None:
    """List replays, newest first; at most 100."""
    found = read(config, "/replays")
    rows = found["replays"]
    remedy = f"hookgate replays show {rows[0]['id']}" if rows else "hookgate replay --help"
    if as_json:
        write_json(found, remedy)
        return
    table(
        ["replay", "asked", "by", "what", "state", "events", "deliveries", "left out"],
        [
            [
                row["id"],
                when(row["asked_at"]),
                row["who"],
                row["chosen"],
                f"waits: {row['waits']}" if row["waits"] else row["state"],
                row["events"],
                row["added"],
                row["left_out"],
            ]
            for row in rows
        ],
    )
    point(remedy)


@replays.command(epilog=examples("hookgate replays show incident-42", "hookgate replays show incident-42 --wait"))
@click.argument("replay")
@click.option("--wait", is_flag=True, help="Wait for its end, and show how far it is.")
@with_config
@with_json
def show(config: Path, as_json: bool, replay: str, wait: bool) -> None:
    """Show one replay."""
    found = read(config, f"/replays/{replay}")
    if wait:
        found = follow(find_client(config), found)
    remedy = (
        f"hookgate replays cancel {replay}" if found["state"] == "running" else f"hookgate cancel --replay {replay}"
    )
    if as_json:
        write_json(found, remedy)
        return
    for name in ("id", "who", "chosen", "state", "waits", "reason"):
        if found[name]:
            say(f"{name:12}{found[name]}")
    say(f"{'asked':12}{when(found['asked_at'])}")
    say(f"{'ended':12}{when(found['ended_at'])}")
    say(f"{'seen up to':12}{found['seen_up_to'] or UNKNOWN}")
    end_with(found, remedy)


@replays.command(
    epilog=examples(
        "hookgate replays cancel incident-42", "hookgate replays cancel incident-42 --reason 'wrong target' --json"
    )
)
@click.argument("replay")
@click.option("--reason", default="", help="Why, for those who look later.")
@with_config
@with_json
def cancel(config: Path, as_json: bool, replay: str, reason: str) -> None:
    """End a running replay. What it has added stays: `hookgate cancel --replay ID` takes what still waits of it."""
    body = {"reason": reason} if reason else {}
    found = find_client(config).post(f"/replays/{replay}/cancel", body)
    remedy = f"hookgate cancel --replay {replay}"
    if as_json:
        write_json(found, remedy)
    else:
        end_with(found, remedy)


def follow(client: Client, found: dict[str, Any]) -> dict[str, Any]:
    """Wait until a replay has ended; show how far it is where somebody looks."""
    import trio  # noqa: PLC0415 - 100 ms that only waiting needs

    while found["state"] == "running":
        progress(f"{found['events']} events, {found['added']} new deliveries so far; {found['waits'] or 'running'}")
        trio.run(trio.sleep, 1)
        found = client.get(f"/replays/{found['id']}")
    progress("")
    return found


def end_with(found: dict[str, Any], remedy: str) -> None:
    """Tell how a replay fares, and end."""
    name = f"replay {found['id']}"
    if found.get("again"):
        name += f", begun before ({when(found['asked_at'])}, {found['who']}): nothing new was begun"
    say(f"{name}: {found['state']}")
    say(f"{counted(found['events'], 'events')} planned again, {counted(found['added'], 'new deliveries')}")
    if found["left_out"]:
        left_out = counted(found["left_out"], "deliveries")
        say(f'{left_out} left out: their targets say replay = "ask" (name them) or "never"')
    if found["passed_over"]:
        passed_over = counted(found["passed_over"], "events")
        say(f"{passed_over} passed over: no route takes them, they are planned already, or their payload is gone")
    point(remedy)
