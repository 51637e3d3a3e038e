"""`replay`: plans a stored event again."""

from pathlib import Path
from uuid import uuid4

import click

from gateway.cli.format import point, say, write_json
from gateway.cli.locate import find_client
from gateway.cli.options import examples, with_config, with_json


@click.command(
    epilog=examples(
        "hookgate replay evt_0123456789abcdef",
        "hookgate replay evt_0123456789abcdef --target crm --target audit",
        "hookgate replay evt_0123456789abcdef --id incident-42 --json",
    )
)
@click.argument("event")
@click.option(
    "--target", "targets", multiple=True, help="To this target (repeat it for several). Default: today's routes."
)
@click.option("--id", "replay_id", metavar="TEXT", help="Name of this replay; the same name again adds nothing.")
@with_config
@with_json
def replay(config: Path, as_json: bool, event: str, targets: tuple[str, ...], replay_id: str | None) -> None:
    """Plan an event again with today's routes: new deliveries, linked to it; de-dup is not touched."""
    name = replay_id or uuid4().hex
    found = find_client(config).post("/replay", {"event": event, "targets": list(targets) or None, "replay": name})
    remedy = f"hookgate deliveries list --event {event}"
    if as_json:
        write_json(found, remedy)
        return
    again = "" if found["added"] else ": this replay was made before"
    say(f"{found['added']} new deliveries, replay {found['replay']}{again}")
    point(remedy)
