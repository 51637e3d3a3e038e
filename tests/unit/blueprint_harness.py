"""A folder with secrets and a way to build a configuration in it, for the tests of the blueprint."""

from pathlib import Path

import pytest

from gateway.blueprint import build
from gateway.config.load import load
from gateway.errors import ConfigError

AUDIT = '[targets.audit]\ntype = "file"\npath = "audit.jsonl"\n'
TRUEWORK = '[sources.truework]\nprovider = "truework"\ncredentials.main = { secret = { file = "one" } }\n'


class World:
    """A working directory."""

    def __init__(self, folder):
        self.folder = folder
        self.environ = {}
        (folder / "secrets").mkdir()
        for name in ("one", "two"):
            self.secret(name, f"a-secret-of-enough-bytes-{name}")

    def secret(self, name, value):
        file = self.folder / "secrets" / name
        file.write_text(value)
        file.chmod(0o600)

    def write(self, name, text):
        file = self.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    def plugin(self, name, code):
        self.write(f"plugins/{name}.py", code)
        for place in ("plugins", f"plugins/{name}.py"):
            (self.folder / place).chmod(0o755)

    def load(self, *parts):
        self.write("config.toml", "\n".join(parts))
        return load(Path("config.toml"), self.environ)

    def build(self, *parts):
        return build(self.load(*parts))

    def problems(self, *parts):
        with pytest.raises(ConfigError) as caught:
            self.build(*parts)
        return caught.value.problems

    def warnings(self, *parts):
        return list(self.build(*parts).warnings)


@pytest.fixture(name="world")
def make_world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return World(tmp_path)
