"""Packages of npm behind a function: a script of `tests/interop` gets a list of questions and gives a list of answers.

Installs by the lock beside the script, once for each user; skips where node or npm are missing.
"""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

INTEROP = Path(__file__).parents[1] / "interop"
Ask: TypeAlias = Callable[[list[Any]], list[Any]]


def install(script: Path, folder: Path) -> Ask:
    """Install the packages of `script` (with `package.json` and its lock beside it) into `folder`; give what asks."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not on this machine")
    for name in ("package.json", "package-lock.json", script.name):
        shutil.copy(script.parent / name, folder)
    command = ["npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=100)

    def ask(questions: list[Any]) -> list[Any]:
        run = subprocess.run(
            ["node", script.name],
            cwd=folder,
            input=json.dumps(questions).encode(),
            capture_output=True,
            check=True,
            timeout=100,
        )
        answers: list[Any] = json.loads(run.stdout)
        return answers

    return ask
