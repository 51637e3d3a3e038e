"""Signatures that providers print in their documentation or keep in their tests: CircleCI, Convoy, PagerDuty.

`vectors_platforms.json` holds them with where they come from. Their secrets are shorter than we take otherwise.
"""

import json
from pathlib import Path

import pytest

from gateway.blueprint.presets import BUILT_IN, merge_verify
from gateway.cli.trial import read
from gateway.plugin import Request, VerificationError
from gateway.verifiers.hmac import Hmac
from gateway.verifiers.hmac_options import HmacOptions

VECTORS = json.loads((Path(__file__).parent / "vectors_platforms.json").read_bytes())


def verdict(vector):
    preset = read(BUILT_IN / f"{vector['provider']}.toml")
    options = merge_verify(preset.verify, {"min_secret_bytes": 1, **vector["options"]})
    del options["scheme"]
    headers = tuple((name.encode(), value.encode()) for name, value in vector["headers"].items())
    request = Request("POST", "/hooks/x", "", headers, vector["body"].encode(), "", vector["at"] * 1000)
    try:
        Hmac.build(HmacOptions(**options), vector["secret"].encode()).verify(request)
    except VerificationError:
        return False
    return True


@pytest.mark.parametrize("vector", VECTORS, ids=[each["name"] for each in VECTORS])
def test_what_a_provider_prints_as_right_we_take_and_what_it_prints_as_wrong_we_refuse(vector):
    assert verdict(vector) is vector["valid"]
