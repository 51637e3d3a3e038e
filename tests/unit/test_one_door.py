"""Clock, randomness, sockets, threads and processes have one door, so that a simulation can stand in it."""

import ast
from pathlib import Path

import pytest

import gateway

ROOT = Path(gateway.__file__).parent
DOORS = {
    ROOT / "runtime.py",
    ROOT / "cli" / "client.py",  # a short-lived command, not the daemon
    ROOT / "plugin_host" / "worker.py",  # the first instructions of another process
    *(ROOT / "exec_helper").glob("*.py"),  # a program of its own, without the daemon's runtime
}
FORBIDDEN = {"time", "random", "secrets", "socket", "threading", "subprocess", "multiprocessing", "trio.to_thread"}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}" if node.value.id == "trio" else ""


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_runtime_touches_clock_randomness_sockets_and_threads(path):
    found = set(imported(path)) & FORBIDDEN
    assert path in DOORS or not found, f"{path.name} imports {found}: go through gateway.runtime"
