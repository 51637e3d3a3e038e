"""One daemon's folder: configuration, secrets, state, sockets, standard error. It outlives the processes in it."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Home:
    """One daemon's folder. It survives the processes that run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "hookgate.toml"
        self.secrets = folder / "secrets"
        self.state = folder / "state"
        self.stderr = folder / "stderr.log"
        self.admin = folder / "admin.sock"
        self.files = folder / "files"
        for made in (self.secrets, self.state, self.files):
            made.mkdir(mode=0o700)

    @property
    def database(self) -> Path:
        """The store's file."""
        return self.state / "hookgate.db"

    def write_secret(self, name: str, value: str) -> None:
        """Keep a secret where the configuration refers to it by `name`."""
        path = self.secrets / name
        path.write_text(value + "\n")
        path.chmod(0o600)

    def write_config(self, text: str) -> None:
        """Replace the configuration file at once, as an editor does."""
        fresh = self.config.with_suffix(".new")
        fresh.write_text(text)
        fresh.chmod(0o600)
        fresh.rename(self.config)

    def lines(self, name: str, *, after_kill: bool = False) -> list[dict[str, Any]]:
        """Read a JSON-lines file that a file target wrote under `files`, rotated parts included.

        A kill may tear the line that is being written, which is then no JSON: only with `after_kill` it is passed over.
        """
        parts = sorted(self.files.glob(f"{name}*"))
        written = [line for part in parts for line in part.read_bytes().splitlines()]
        return [json.loads(line) for line in written if not after_kill or _is_json(line)]


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


@contextmanager
def temporary_home() -> Iterator[Home]:
    """Give a home that is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="hg-"))
    try:
        yield Home(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
