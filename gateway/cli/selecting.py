"""What the verbs that change many things share: options to choose them, a count first, a question, and progress.

The daemon does a share of about a second for each request; so a stop of the command stops the work, and the same
command goes on.
"""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from gateway.cli.client import Client
from gateway.cli.failures import Failure
from gateway.cli.format import counted, say, write_json
from gateway.cli.options import pasteable
from gateway.core.moments import read_moment
from gateway.core.units import parse_duration

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

SURE_FROM: Final = 100
"""From so many on the question is asked whether they are meant."""


def with_options(*options: Callable[[CommandT], CommandT]) -> Callable[[CommandT], CommandT]:
    """Add several options, shown in this order."""

    def add(command: CommandT) -> CommandT:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _time_option(name: str, text: str) -> Callable[[CommandT], CommandT]:
    return click.option(name, metavar="TIME", callback=_checked_time, help=text)


def _checked_time(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        to_ms(value)
    return value


TIMES: Final = (
    _time_option("--since", "Of events accepted at this time or later: 2h (ago), or 2026-11-21T22:00Z."),
    _time_option("--until", "Of events accepted before this time; the same forms."),
)
SURE: Final = (
    click.option("--dry-run", is_flag=True, help="Only count what is selected; change nothing."),
    click.option("--yes", "-y", is_flag=True, help=f"Do not ask, however many (from {SURE_FROM} on)."),
)


def to_ms(text: str) -> int:
    """Read a duration (so long ago) or a date and time as milliseconds since 1970."""
    try:
        return int((datetime.now(UTC).timestamp() - parse_duration(text)) * 1000)
    except ValueError:
        found = read_moment(text) if "-" in text else None
    if found is None:
        raise click.BadParameter(f"expected a duration like 2h or 3d, or a time like 2026-11-21T22:00Z, found {text!r}")
    return found


def fields(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fields of a request: what was typed, times in milliseconds."""
    return {
        name: to_ms(value) if name in {"since", "until"} else list(value) if isinstance(value, tuple) else value
        for name, value in chosen.items()
        if value
    }


def work(client: Client, path: str, body: dict[str, Any], name: str) -> int:
    """Ask again and again until everything is done; give the sum. Shows how far it is where somebody looks."""
    count: int = 0
    position: str | None = None
    try:
        while True:
            found = client.post(path, body if position is None else {**body, "position": position})
            count, position = count + found[name], found["position"]
            if position is None:
                progress("")
                return count
            progress(f"{count} {name} so far")
    except KeyboardInterrupt:
        progress("")
        raise Failure(f"stopped after {count} {name}; the same command goes on", typed()) from None


def progress(text: str) -> None:
    """Show how far something is, over what was shown before; nothing where nobody looks."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)


def is_sure(count: int, what: str, verb: str, *, yes: bool) -> bool:
    """Ask whether so many are meant. Raises Failure where nobody can be asked."""
    if yes or count < SURE_FROM:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Failure(f"{count} {what} are selected: say --yes to {verb} so many", f"{typed()} --yes")
    return click.confirm(f"{count} {what} are selected. Really {verb} them?", err=True)


def tell_selected(count: int, what: str, *, as_json: bool) -> None:
    """End a dry run."""
    remedy = typed() if count else "hookgate status"
    if as_json:
        write_json({"selected": count}, remedy)
        return
    say(f"{counted(count, what)} {'is' if count == 1 else 'are'} selected; nothing was changed")
    click.echo(f"\nnext: {pasteable(remedy)}")


def typed(without: Sequence[str] = ("dry_run", "as_json", "config")) -> str:
    """Give the command as it was typed, without some of its options."""
    context = click.get_current_context()
    words = context.command_path.split()[1:]
    for parameter in context.command.params:
        name = parameter.name or ""
        value = context.params.get(name)
        if name in without or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        values = value if isinstance(value, tuple) else (value,)
        for each in values:
            if isinstance(parameter, click.Option):
                words.append(parameter.opts[0])
            if not (isinstance(parameter, click.Option) and parameter.is_flag):
                words.append(shlex.quote(str(each)))
    return " ".join(["hookgate", *words])
