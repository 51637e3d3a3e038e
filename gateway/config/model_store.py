"""The tables `[store]`, `[secrets]`, `[presets]` and `[plugins]`."""

from pathlib import PurePath
from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.config.table import Table, written
from gateway.config.units import ByteCount, Duration, duration_between, size_between


def _inside(text: str) -> str:
    if not text or ".." in PurePath(text).parts or "\0" in text:
        raise ValueError(f'expected a file name or path without "..", found "{text}"')
    return text


_Age = Annotated[Duration, duration_between("1h", "3650d")]


class Keep(Table):
    """How long settled things are kept. Unsettled work is never removed, however old."""

    bodies: _Age = written("30d")
    """Bodies of requests: until then an event can be replayed."""
    metadata: _Age = written("90d")
    """Events, deliveries and attempts without their bodies; at least as long as `bodies`."""
    dead: _Age = written("90d")
    """Dead deliveries with their bodies: until then they can be retried."""
    keys: _Age = written("7d")
    """De-dup keys: until then a repeat is recognised. Better no longer than `metadata`."""


class Store(Table):
    """Where events are made durable. Changes need a restart, but for `keep`."""

    sqlite: Annotated[str, AfterValidator(_inside)] = "hookgate.db"
    """The database file, in $STATE_DIRECTORY, else in `./var`; or an absolute path. On a local disk."""
    keep: Keep = Keep()
    """How long things are kept."""
    low_water: Annotated[ByteCount, size_between("1MiB", "1024GiB")] = written("256MiB")
    """Free disk below which senders get 503; what was accepted is still delivered."""
    queue_bytes: Annotated[ByteCount, size_between("1MiB", "64GiB")] = written("64MiB")
    """Bodies that may wait for a commit; beyond it senders get 503."""
    queue_wait: Annotated[Duration, duration_between("10ms", "1m")] = written("1s")
    """How long the oldest may have waited for its commit before senders get 503."""


class Secrets(Table):
    """Where `{ file = "name" }` looks."""

    folder: str = Field(default="secrets", min_length=1)
    """Folder of the secret files, relative to the configuration file. Only names inside it can be referred to."""


class Presets(Table):
    """Presets of your own."""

    folder: str = Field(default="presets", min_length=1)
    """Folder with a TOML file for each provider, relative to the configuration file; they win over built-in ones."""


class Plugins(Table):
    """Plugins of your own."""

    folder: str = Field(default="plugins", min_length=1)
    """Folder with files of plugins, relative to the configuration file: NAME.py provides the kind, scheme or transform
    NAME. Nobody but root and the service's own user may be able to write there."""
