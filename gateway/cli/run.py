"""`run` serves in the foreground; `reload` makes the running daemon read its configuration again."""

import sys
from pathlib import Path

import click

from gateway.cli.failures import Failure
from gateway.cli.format import point, say, write_json
from gateway.cli.locate import find_client, require_config
from gateway.cli.options import examples, with_config, with_json


@click.command(epilog=examples("hookgate run", "hookgate run -c ./config.toml", "hookgate run 2>&1 | jq ."))
@with_config
def run(config: Path) -> None:
    """Serve until SIGTERM. Logs to standard error; SIGHUP reloads."""
    require_config(config)
    # structlog imports rich where it finds it, for tracebacks that the daemon never draws: 3 MB, a tenth of the start.
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type] # None is how Python says: not to be imported
    from gateway.process import run as run_daemon  # noqa: PLC0415 - everything else of the product

    sys.exit(run_daemon(config))


@click.command(epilog=examples("hookgate reload", "hookgate reload --json"))
@with_config
@with_json
def reload(config: Path, as_json: bool) -> None:
    """Make the daemon read its configuration again: all of it is taken, or nothing."""
    found = find_client(config).post("/reload", {})
    if not found["ok"]:
        told = "the old configuration stays, the new one has problems:"
        raise Failure(told, "hookgate check", found["problems"])
    if as_json:
        write_json(found, "hookgate status")
        return
    say("reloaded" if found["changes"] else "reloaded: nothing changed")
    for change in found["changes"]:
        say(f"  {change}")
    point("hookgate status")
