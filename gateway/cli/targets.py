"""`targets list` and the operator's hand on the gates: `hold`, `release`, `enable`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gateway.cli.format import point, say, write_json
from gateway.cli.locate import find_client
from gateway.cli.options import examples, with_config, with_json
from gateway.cli.status import show_targets


@click.group()
def targets() -> None:
    """Where deliveries go: list targets, hold them, let them go on."""


@targets.command("list", epilog=examples("hookgate targets list", "hookgate targets list --json"))
@with_config
@with_json
def list_(config: Path, as_json: bool) -> None:
    """List targets with their gates and what waits for them."""
    found = find_client(config).get("/targets")
    remedy = next((each["next_step"] for each in found["targets"] if each["next_step"]), "hookgate deliveries list")
    if as_json:
        write_json(found, remedy)
        return
    from gateway.runtime import Runtime  # noqa: PLC0415 - the clock, for people only

    show_targets(found["targets"], Runtime().now_ms())
    point(remedy)


def _gate(verb: str, text: str, done: str, already: str, following: str) -> Callable[..., Any]:
    """Make one of the three verbs; they differ in words only."""

    @targets.command(
        verb,
        help=text,
        epilog=examples(
            f"hookgate targets {verb} crm", f"hookgate targets {verb} crm --reason 'upgrade until noon' --json"
        ),
    )
    @click.argument("target")
    @click.option("--reason", default="", help="Why, for those who look later.")
    @with_config
    @with_json
    def command(config: Path, as_json: bool, target: str, reason: str) -> None:
        found = find_client(config).post(f"/targets/{target}/{verb}", {"reason": reason})
        remedy = following.format(target)
        if as_json:
            write_json(found, remedy)
            return
        say(f"{target} {done if found['changed'] else already}")
        point(remedy)

    return command


hold = _gate(
    "hold",
    "Deliver nothing to TARGET until it is released. Events are still accepted and wait.",
    "is held",
    "was held already",
    "hookgate targets release {}",
)
release = _gate(
    "release",
    "Let a held target (or one restored from a backup) go on.",
    "goes on",
    "was not held",
    "hookgate status",
)
enable = _gate(
    "enable",
    "Try a target again at once that was disabled (410) or whose breaker is open.",
    "is tried again",
    "was neither disabled nor broken",
    "hookgate status",
)
