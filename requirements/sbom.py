"""Writes the software bill of materials (CycloneDX 1.6, JSON) of what `requirements/run.txt` installs.

`python requirements/sbom.py > requirements/sbom.json`, done by `make lock`. The same lock gives the same bytes: no
time, no machine, nothing asked of a network. A component that only some Python or platform needs carries its condition.
"""

import json
import re
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LINE = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?: ; (?P<marker>.*))?$")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def bill(lock: str, project: dict[str, Any]) -> dict[str, Any]:
    """Give the bill of a lock and of the project that it belongs to. Raises ValueError for an entry that is no pin."""
    found = [component(entry) for entry in lock.replace("\\\n", " ").splitlines() if entry.strip()]
    root = {"type": "application", "name": project["name"], "version": project["version"]}
    root["bom-ref"] = root["purl"] = f"pkg:pypi/{project['name']}@{project['version']}"
    direct = {re.split(r"[^A-Za-z0-9._-]", need)[0].lower() for need in project["dependencies"]}
    needs = [each["bom-ref"] for each in found if each["name"] in direct]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, root['purl'] + lock)}",
        "version": 1,
        "metadata": {"component": root},
        "components": found,
        "dependencies": [{"ref": root["bom-ref"], "dependsOn": needs}],
    }


def component(entry: str) -> dict[str, Any]:
    """Read one entry of the lock; every file that pip may take for it has its hash here."""
    pin, _, _ = entry.partition(" --hash=")
    match, hashes = LINE.match(pin.strip()), HASH.findall(entry)
    if match is None or not hashes:
        raise ValueError(
            f"requirements/run.txt: expected NAME==VERSION with hashes, found {entry[:80]!r}; run make lock"
        )
    purl = f"pkg:pypi/{match['name']}@{match['version']}"
    found: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": match["name"], "version": match["version"]}
    found["purl"] = purl
    found["hashes"] = [{"alg": "SHA-256", "content": each} for each in hashes]
    if match["marker"]:
        found["properties"] = [{"name": "hookgate:condition", "value": match["marker"].strip()}]
    return found


if __name__ == "__main__":
    about = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    json.dump(bill((HERE / "run.txt").read_text(), about), sys.stdout, indent=1)
    sys.stdout.write("\n")
