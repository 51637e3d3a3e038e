"""What is installed is what was locked and listed, and a wheel built twice is the same wheel."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "requirements"
BILL = json.loads((LOCKS / "sbom.json").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def condition(component):
    return next((each["value"] for each in component.get("properties", ())), None)


def needed():
    """What `pip` installs for the project on this Python, from what the installed distributions say they need."""
    found, ahead = set(), [Requirement(text) for text in PROJECT["dependencies"]]
    while ahead:
        requirement = ahead.pop()
        name = canonicalize_name(requirement.name)
        if (requirement.marker and not requirement.marker.evaluate({"extra": ""})) or name in found:
            continue
        found.add(name)
        ahead += [Requirement(text) for text in distribution(name).requires or ()]
        ahead += [
            Requirement(text.partition(";")[0])
            for text in distribution(name).requires or ()
            for extra in requirement.extras
            if (marker := Requirement(text).marker) and marker.evaluate({"extra": extra})
        ]
    return found


def test_the_bill_of_materials_is_what_the_lock_gives():
    written = subprocess.run([sys.executable, LOCKS / "sbom.py"], capture_output=True, check=True).stdout
    assert written == (LOCKS / "sbom.json").read_bytes(), "run make lock"


def test_the_bill_of_materials_has_the_form_of_cyclonedx():
    assert (BILL["bomFormat"], BILL["specVersion"], BILL["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", BILL["serialNumber"])
    references = [component["bom-ref"] for component in BILL["components"]]
    assert len(set(references)) == len(references)
    assert BILL["metadata"]["component"]["version"] == PROJECT["version"]
    (root,) = BILL["dependencies"]
    assert root["ref"] == BILL["metadata"]["component"]["bom-ref"]
    assert set(root["dependsOn"]) < set(references)
    names = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    assert {reference.split("/")[1].split("@")[0] for reference in root["dependsOn"]} == names


def test_the_bill_of_materials_is_exactly_what_is_installed_to_run():
    here = [each for each in BILL["components"] if not condition(each) or Marker(condition(each)).evaluate()]
    listed = {canonicalize_name(each["name"]): each["version"] for each in here}
    assert len(listed) == len(here)
    assert {name: version(name) for name in needed()} == listed


@pytest.mark.parametrize("lock", ["run.txt", "dev.txt", "build.txt"])
def test_every_entry_of_a_lock_is_one_version_with_hashes(lock):
    entries = [line for line in (LOCKS / lock).read_text().replace("\\\n", " ").splitlines() if line.strip()]
    assert entries
    loose = [
        entry[:60] for entry in entries if not re.match(r"[\w.-]+==\S+ (; .*? )? *--hash=sha256:[0-9a-f]{64}", entry)
    ]
    assert loose == []


def test_an_entry_without_a_hash_is_no_bill():
    code = "import sbom; sbom.bill('trio==0.35.0\\n', {'name': 'x', 'version': '1', 'dependencies': []})"
    done = subprocess.run([sys.executable, "-c", code], cwd=LOCKS, capture_output=True, check=False)
    assert b"expected NAME==VERSION with hashes" in done.stderr


def build(folder, moment, mask):
    """Build a wheel of a fresh copy of the source; its files are of another time and mode each time."""
    source = folder / "source"
    source.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "gateway", source / "gateway", ignore=shutil.ignore_patterns("__pycache__"))
    for path in source.rglob("*"):
        os.utime(path, (moment, moment))
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "SOURCE_DATE_EPOCH": "1795305600",
        "TZ": f"UTC{mask % 7}",
    }
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "out")]
    subprocess.run(command, cwd=source, env=environ, capture_output=True, check=True, umask=mask)
    (wheel,) = (folder / "out").iterdir()
    return wheel


def test_a_wheel_built_twice_is_the_same_to_the_byte_and_holds_the_package_and_nothing_else(tmp_path):
    one, two = build(tmp_path / "one", 1_600_000_000, 0o022), build(tmp_path / "two" / "deeper", 1_700_000_000, 0o077)
    assert one.name == two.name == f"hookgate-{PROJECT['version']}-py3-none-any.whl"
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    source = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "gateway").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == source
