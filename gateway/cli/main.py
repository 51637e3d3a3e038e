"""All verbs by name. A verb's module is imported when the verb is used or listed, so that the rest costs nothing."""

from difflib import get_close_matches
from importlib import import_module
from typing import Final

import click

from gateway import __version__
from gateway.cli.options import examples

VERBS: Final = {
    "run": "gateway.cli.run:run",
    "check": "gateway.cli.check:check",
    "schema": "gateway.cli.check:schema",
    "reload": "gateway.cli.run:reload",
    "status": "gateway.cli.status:status",
    "send": "gateway.cli.send:send",
    "events": "gateway.cli.events:events",
    "deliveries": "gateway.cli.deliveries:deliveries",
    "retry": "gateway.cli.intervene:retry",
    "cancel": "gateway.cli.intervene:cancel",
    "replay": "gateway.cli.replay:replay",
    "replays": "gateway.cli.replays:replays",
    "audit": "gateway.cli.audit:audit",
    "sources": "gateway.cli.sources:sources",
    "targets": "gateway.cli.targets:targets",
    "providers": "gateway.cli.providers:providers",
    "plugins": "gateway.cli.plugins:plugins",
    "units": "gateway.cli.units:units",
}


class Verbs(click.Group):
    """A group that finds its commands in `VERBS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the verbs in the order a newcomer needs them."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb; None if there is none of that name."""
        del ctx
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb that was typed; a slip is answered with the verb that was meant, as in groups of verbs."""
        if args[0] not in VERBS and (near := get_close_matches(args[0], VERBS, n=1)):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)


def _show_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"hookgate {__version__}")
        ctx.exit()


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples("hookgate check", "hookgate run", "hookgate status", "hookgate send --help"),
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
def cli() -> None:
    """A self-hosted webhook gateway: proves who sent, stores before it answers, delivers until the target has it."""
