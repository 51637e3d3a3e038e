"""What a preset says it was proven against, it was: by a test that asks a package, or holds what a provider prints."""

import json
import re
from pathlib import Path

import test_sdk_communication
import test_sdk_npm
import test_sdk_platforms
import test_sdk_pypi
import test_vectors
import test_vectors_platforms

from gateway.blueprint.presets import BUILT_IN
from gateway.cli.trial import read

ROOT = Path(__file__).parents[2]
PRESETS = {file.stem: read(file) for file in sorted(BUILT_IN.glob("*.toml"))}
BY_PYPI = {
    *test_sdk_communication.TAKE,
    *test_sdk_platforms.PACKAGES,
    *test_sdk_pypi.PACKAGES,
    "telnyx",  # test_sdk_communication.py
    "adyen",  # test_adyen.py
    "braintree",  # test_braintree_and_contentful.py
}
BY_NPM = {*test_sdk_npm.NAMES}
BY_VECTORS = {
    *(name.partition(":")[0] for name in test_vectors.VECTORS),
    *(vector["provider"] for vector in test_vectors_platforms.VECTORS),
}
OTHERS_OWN = {"airtable", "bigcommerce", "gitlab_signed"}
"""Proven by packages that are not the provider's: their presets say so, and claim less."""


def told(kind):
    return {name for name, preset in PRESETS.items() if any(each.startswith(kind) for each in preset.proven_by)}


def test_each_preset_names_the_kinds_of_proof_that_our_tests_are():
    assert told("PyPI ") == BY_PYPI
    assert told("npm ") == BY_NPM
    assert told("vectors") == BY_VECTORS
    assert told("recorded") == {"contentful"}


def test_only_what_a_providers_own_package_signs_or_verifies_claims_so():
    claiming = {name for name, preset in PRESETS.items() if preset.verified == "sdk"}
    assert claiming == (BY_PYPI | BY_NPM) - OTHERS_OWN


def test_forty_providers_and_more_are_proven_by_what_is_not_ours():
    assert len(BY_PYPI | BY_NPM | BY_VECTORS) - len(OTHERS_OWN) >= 40


def test_every_package_that_is_named_is_installed_for_the_tests():
    wanted = re.findall(r'^  "([A-Za-z0-9_-]+)', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    packages = json.loads((ROOT / "tests/interop/providers/package.json").read_text())["dependencies"]
    for preset in PRESETS.values():
        for each in preset.proven_by:
            kind, _, name = each.partition(" ")
            assert {"PyPI": name.lower() in {one.lower() for one in wanted}, "npm": name in packages}.get(kind, True)
