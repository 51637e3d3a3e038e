"""The options that every verb has, and the texts of help."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

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


def with_json(command: CommandT) -> CommandT:
    """Add `--json`: the verb gets `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")(command)


def examples(*lines: str) -> str:
    """Format examples for the end of a verb's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
