"""docs/verification.md: every option of every scheme stands there with the right default, and every example builds."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from gateway.plugin import load_kinds
from harness.certificates import issue

PAGE = (Path(__file__).parents[2] / "docs" / "verification.md").read_text(encoding="utf-8")
SCHEMES = (
    "token",
    "basic",
    "hmac",
    "signature",
    "jwt",
    "ip",
    "mtls",
    "sns",
    "paypal",
    "plaid",
    "adyen",
    "braintree",
    "contentful",
    "none",
)
EXAMPLES = [text for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "[verify]" in text]
KEYS = {
    "whsec": b"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "whpk": b"whpk_SAdaWX5yGhVuLgeZ3lzAxTJNxufq8c3UYlCGjsUyFd0=",
    "hex": b"48075a597e721a156e2e0799de5cc0c5324dc6e7eaf1cdd46250868ec53215dd",
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_option_of_a_scheme_is_in_its_table_and_nothing_else(scheme):
    section = PAGE.split(f"\n## {scheme}\n")[1].split("\n## ")[0]
    told = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    if alike := re.search(r"^(`\w+`.*?) mean what they mean for", section, re.MULTILINE | re.DOTALL):
        told |= set(re.findall(r"`(\w+)`", alike[1]))
    assert told == set(load_kinds("verifiers", {scheme})[scheme].options.model_fields)


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_builds(text):
    table = tomllib.loads(text)["verify"]
    kind = load_kinds("verifiers", {table["scheme"]})[table.pop("scheme")]
    options = kind.options.model_validate_json(json.dumps(table), strict=True)
    if kind.options.__name__ == "MtlsOptions":
        assert kind.build(options, issue("root", ca=True).pem)
        return
    key = "hex" if kind.options.__name__ == "AdyenOptions" else table.get("key")
    secret = KEYS.get(key, b"an-example-of-a-32-byte-secret!!") if kind.wants_secret(options) else b""
    assert kind.build(options, secret)


def test_every_scheme_has_an_example():
    assert {tomllib.loads(text)["verify"]["scheme"] for text in EXAMPLES} == set(SCHEMES)
