"""Where things are on this machine: folders that systemd gives, else those of a run by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """Folders and environment of this run. What is relative counts from the working directory."""

    config: Path
    """The folder of the configuration file: paths that an operator writes count from here."""
    state: Path
    """$STATE_DIRECTORY, else `var` of the working directory: absolute, so that whoever reads it finds it."""
    runtime: Path
    """$RUNTIME_DIRECTORY, else `var/run`: as short as it can be, a socket's address holds 107 bytes."""
    credentials: Path | None
    """$CREDENTIALS_DIRECTORY, if systemd gave one."""
    environ: Mapping[str, str] = field(repr=False)
    """It may hold secrets: never shown."""

    def beside_config(self, path: str) -> Path:
        """Give the place of a path as an operator writes it: relative to the configuration file, or absolute."""
        return self.config / path

    def in_state(self, path: str) -> Path:
        """Give the place of a path in the state folder; an absolute one stays."""
        return self.state / path

    @property
    def admin_socket(self) -> Path:
        """Where the admin listener is unless written otherwise."""
        return self.runtime / "admin.sock"


def find_places(config_file: Path, environ: Mapping[str, str]) -> Places:
    """Read the folders from the environment; of several that systemd lists, the first counts."""
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    return Places(
        config=config_file.parent,
        state=_first(environ, "STATE_DIRECTORY", "var").absolute(),
        runtime=_first(environ, "RUNTIME_DIRECTORY", "var/run"),
        credentials=Path(credentials) if credentials else None,
        environ=environ,
    )


def _first(environ: Mapping[str, str], name: str, otherwise: str) -> Path:
    return Path(environ.get(name, "").partition(":")[0] or otherwise)
