"""The command starts quickly, because nothing heavy is imported before a verb needs it."""

import subprocess
import sys

import pytest

HEAVY = [
    "pydantic",
    "rich",
    "trio",
    "quart",
    "hypercorn",
    "prometheus_client",
    "structlog",
    "apsw",
    "cryptography",
]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["status", "--help"], ["send", "--help"], ["events", "list", "--help"]]
)
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys\nfrom gateway.cli.main import cli\n"
        f"cli({arguments!r}, standalone_mode=False)\n"
        f"print('loaded:', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.rpartition("loaded: ")[2] == "[]\n"
