"""The example plugins, as their authors would test them: their own tests, and found by entry point or as a file."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomli

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "plugins").glob("hookgate-*"))

LOOKS = """
import sys
from pathlib import Path
from gateway.plugin_host.catalogue import Catalogue
from gateway.plugin_host.describe import describe
from gateway.plugin_host.job import Job
provider = Catalogue(Path("none")).find(sys.argv[1], sys.argv[2])
found = describe(Job(provider, {}))
print(provider.origin, found.down or sorted(found.schema["properties"]))
"""


def run(arguments, path):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_is_an_example_of_each_kind():
    groups = {
        group
        for example in EXAMPLES
        for group in tomli.loads((example / "pyproject.toml").read_text())["project"]["entry-points"]
    }
    assert groups == {"hookgate.targets", "hookgate.verifiers", "hookgate.transforms"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_its_own_tests_pass(example):
    run(
        ["-m", "pytest", "-p", "no:cacheprovider", "-c", "pyproject.toml", "--rootdir", ".", f"{example}/tests"],
        [example],
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_once_installed_it_is_found_by_its_entry_point_and_described_in_a_worker(example, tmp_path):
    project = tomli.loads((example / "pyproject.toml").read_text())["project"]
    ((group, entries),) = project["entry-points"].items()
    ((name, value),) = entries.items()
    installed = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    (installed / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")
    said = run(["-c", LOOKS, group.removeprefix("hookgate."), name], [tmp_path, example])
    assert said.startswith(f"{project['name']} {project['version']} [")
    readme = (example / "README.md").read_text()
    assert [option for option in re.findall(r"'(\w+)'", said) if option not in readme] == []
