"""Finds the admin listener of the running daemon from its configuration file, also when that file is broken just now.

At three in the morning `hookgate status` must work while somebody's edit does not parse; so only what is needed is read
here, leniently, and what cannot be read means the default.
"""

import os
import stat
from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import Any

import click
import tomli
from click.core import ParameterSource

from gateway.cli.client import Client
from gateway.cli.failures import Failure
from gateway.cli.options import CONFIG_PLACES


def require_config(config: Path) -> Path:
    """Give `config` if it is there. Raises Failure that tells where it was looked for."""
    context = click.get_current_context(silent=True)
    by_default = context is not None and context.get_parameter_source("config") is ParameterSource.DEFAULT
    if config.exists() or not by_default:
        return config  # what a named one lacks is told when it is read
    if os.environ.get("HOOKGATE_CONFIG"):
        raise Failure(f"$HOOKGATE_CONFIG names {config}, which is not there", "hookgate check --config FILE")
    places = " or ".join(str(Path(place).absolute()) for place in CONFIG_PLACES)
    raise Failure(
        f"there is no configuration: looked for {places}; $HOOKGATE_CONFIG is not set", "hookgate check --config FILE"
    )


def find_client(config: Path) -> Client:
    """Give a client for the daemon that runs `config`. Raises Failure if its token cannot be read."""
    bind = read_table(config, "admin").get("bind")
    if not isinstance(bind, str) or bind.startswith("fd:"):
        return Client(f"unix:{_default_socket(config)}")
    return Client(bind, "" if bind.startswith("unix:") else _read_token(config))


def read_table(config: Path, name: str) -> dict[str, Any]:
    """Give a table of the file, or of one that it includes; empty if there is none, or nothing can be read."""
    for data in _documents(config):
        table = data.get(name)
        if isinstance(table, dict):
            return table
    return {}


def _documents(config: Path) -> Iterator[dict[str, Any]]:
    main = _parse(config)
    yield main
    patterns = main.get("include", [])
    for pattern in patterns if isinstance(patterns, list) else []:
        for path in sorted(glob(str(config.parent / str(pattern)))):  # noqa: PTH207 - the pattern may hold folders
            yield _parse(Path(path))


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomli.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def _default_socket(config: Path) -> Path:
    """Give the first of the default places where a socket is, else the one that a message should name."""
    folders = [Path("var/run"), config.parent / "var/run", Path("/run/hookgate")]
    if given := os.environ.get("RUNTIME_DIRECTORY"):
        folders.insert(0, Path(given.partition(":")[0]))
    places = [folder / "admin.sock" for folder in folders]
    return next((place for place in places if _is_socket(place)), places[0])


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def _read_token(config: Path) -> str:
    from gateway.config.places import find_places  # noqa: PLC0415 - only a TCP listener needs the configuration's types
    from gateway.config.secrets import SecretReference, read_secret  # noqa: PLC0415

    folder = config.parent / str(read_table(config, "secrets").get("folder", "secrets"))
    try:
        reference = SecretReference.model_validate(read_table(config, "admin").get("token", {}))
        secret = read_secret(reference, find_places(config, os.environ), folder)
    except ValueError as error:
        raise Failure(f"{config}: [admin].token cannot be read: {error}", "hookgate check") from None
    return secret.reveal().decode("latin-1")
