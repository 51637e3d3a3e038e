"""The options that every verb has, and the texts of help."""

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

CONFIG_PLACES: Final = ("config.toml", "/etc/hookgate/config.toml")


def find_config() -> Path:
    """Give $HOOKGATE_CONFIG, else ./config.toml, else /etc/hookgate/config.toml, whichever is there first."""
    if named := os.environ.get("HOOKGATE_CONFIG"):
        return Path(named)
    found = [Path(place) for place in CONFIG_PLACES if Path(place).exists()]
    return found[0] if found else Path(CONFIG_PLACES[-1])


def with_config(command: CommandT) -> CommandT:
    """Add `--config`: the verb gets a Path."""
    option = click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        default=find_config,
        help="Configuration file. Default: $HOOKGATE_CONFIG, ./config.toml, /etc/hookgate/config.toml.",
    )
    return option(command)


def pasteable(remedy: str) -> str:
    """Give a command with the `--config` that was typed, so that it can be pasted; other words stay as they are."""
    context = click.get_current_context(silent=True)
    if context is None or context.get_parameter_source("config") is not ParameterSource.COMMANDLINE:
        return remedy
    last = remedy.rpartition(": ")[2]
    if not last.startswith("hookgate ") or any(word in last for word in ("--config", "--help", "…", "schema")):
        return remedy
    return f"{remedy} --config {shlex.quote(str(context.params['config']))}"


def older_ones(verb: str, fields: Mapping[str, str], before: str) -> str:
    """Give the command of the next page, with all that was chosen for this one."""
    chosen = {name: value for name, value in fields.items() if name != "before"} | {"before": before}
    return pasteable(" ".join([verb, *(f"--{name} {shlex.quote(value)}" for name, value in chosen.items())]))


def with_json(command: CommandT) -> CommandT:
    """Add `--json`: the verb gets `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")(command)


def examples(*lines: str) -> str:
    """Format examples for the end of a verb's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
