"""`events list` and `events show`."""

import json
from pathlib import Path
from typing import Any

import click

from gateway.cli.format import UNKNOWN, plain, point, say, size, table, when, write_json
from gateway.cli.options import examples, older_ones, with_config, with_json
from gateway.cli.stopped import read

FIELD_MAX = 200
"""Characters of one field's line."""
HOLDS = ("unmatched", "version", "conflict", "ignored")


@click.group()
def events() -> None:
    """What was accepted: list it, show one whole."""


@events.command(
    "list",
    epilog=examples(
        "hookgate events list",
        "hookgate events list --source truework --type 'order.*'",
        "hookgate events list --hold unmatched --json",
    ),
)
@click.option("--source", help="Only events of this source.")
@click.option("--type", "type_", metavar="GLOB", help="Only events whose type fits.")
@click.option("--hold", type=click.Choice(HOLDS), help="Only events kept without deliveries, for this reason.")
@click.option("--before", metavar="EVENT", help="Only events older than this one: the next page.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@with_config
@with_json
def list_(config: Path, as_json: bool, type_: str | None, **wanted: Any) -> None:  # noqa: ANN401 - click's values
    """List events, newest first."""
    fields = {name: str(value) for name, value in {**wanted, "type": type_}.items() if value is not None}
    found = read(config, "/events", fields)
    rows = found["events"]
    remedy = f"hookgate events show {rows[0]['id']}" if rows else "hookgate status"
    if as_json:
        write_json(found, remedy)
        return
    table(
        ["event", "accepted", "source", "type", "version", "hold", "deliveries", "unsettled", "dead"],
        [
            [
                row["id"],
                when(row["accepted_at"]),
                row["source"],
                row["type"],
                row["version"] or UNKNOWN,
                row["hold"] or "",
                row["deliveries"],
                row["unsettled"],
                row["dead"],
            ]
            for row in rows
        ],
    )
    if found["before"]:
        say(f"older ones: {older_ones('hookgate events list', fields, found['before'])}")
    point(remedy)


@events.command(
    epilog=examples("hookgate events show evt_0123456789abcdef", "hookgate events show evt_0123456789abcdef --json")
)
@click.argument("event")
@with_config
@with_json
def show(config: Path, as_json: bool, event: str) -> None:
    """Show one event: its request, payload and deliveries."""
    found = read(config, f"/events/{event}")
    remedy = _next_of(found)
    if as_json:
        write_json(found, remedy)
        return
    for name in ("id", "source", "credential", "type", "version"):
        say(f"{name:12}{found[name]}")
    say(f"{'accepted':12}{when(found['accepted_at'])}")
    say(f"{'occurred':12}{when(found['occurred_at'])}")
    for name in ("hold", "replaces"):
        if found[name]:
            say(f"{name:12}{found[name]}")
    for name, value in (found["fields"] or {}).items():
        say(f"{name:11} {value if isinstance(value, str) else json.dumps(value)}"[:FIELD_MAX])
    _show_unmet(found["unmet"], found["type"])
    _show_request(found["request"])
    _show_payload(found["payload"])
    table(
        ["n", "target", "route", "state", "attempts", "due", "last result"],
        [
            [
                row["n"],
                row["target"],
                row["route"],
                row["state"],
                row["attempts"],
                when(row["due"]),
                row["waits"] or row["last_reason"] or "",
            ]
            for row in found["deliveries"]
        ],
    )
    point(remedy)


def _show_unmet(unmet: list[dict[str, str]] | None, event_type: str) -> None:
    """Tell why no route took it; None: nobody was asked."""
    for miss in unmet or ():
        say(f"{'no match':12}route {miss['route']}: {miss['condition']}; found {miss['found'] or 'nothing'}")
    if unmet == []:
        say(f"{'no match':12}no route is for {event_type}")


def _next_of(found: dict[str, Any]) -> str:
    event = found["id"]
    if any(row["state"] == "dead" for row in found["deliveries"]):
        return f"hookgate retry {event}"
    if not found["deliveries"]:
        return f"hookgate replay {event}"
    return f"hookgate deliveries show {event} {found['deliveries'][0]['n']}"


def _show_request(request: dict[str, Any] | None) -> None:
    if request is None:
        say("request     no longer kept")
        return
    say(f"{'from':12}{request['client']}")
    say(f"\n{request['line']}".lstrip())
    for name, value in request["headers"]:
        say(f"  {name}: {value}")


def _show_payload(payload: dict[str, Any] | None) -> None:
    if payload is None:
        say("payload     no longer kept")
        return
    cut = ", cut" if payload["cut"] else ""
    say(f"{'payload':12}{size(payload['bytes'])}{cut}")
    for line in _readable(payload).splitlines():
        click.echo(f"  {plain(line)}")


def _readable(payload: dict[str, Any]) -> str:
    """Give the text, indented if it is JSON; base64 of what is no text."""
    text: str = payload.get("text", payload.get("base64", ""))
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
