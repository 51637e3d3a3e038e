"""How old a signed time may be: as the provider says, or for as long as it may repeat a request that it signed once.

What is documented was looked up in the provider's own documentation or package; where neither says anything, the reason
for the number stands here and in the preset.
"""

import pytest

from gateway.blueprint.presets import BUILT_IN
from gateway.cli.trial import merged_verify, read
from gateway.core.units import parse_duration

DOCUMENTED = {
    "bigcommerce": "5m",
    "box": "10m",
    "calendly": "3m",
    "clerk": "5m",
    "contentful": "30s",
    "gitlab_signed": "5m",
    "hubspot": "5m",
    "linear": "60s",
    "mux": "5m",
    "openai": "5m",
    "paddle": "5s",
    "plaid": "5m",
    "polar": "5m",
    "resend": "5m",
    "slack": "5m",
    "standard_webhooks": "5m",
    "standard_webhooks_v1a": "5m",
    "stripe": "5m",
    "svix": "5m",
    "telnyx": "5m",
    "workos": "3m",
}
LEFT_TO_US = {
    "discord": "15m",  # repeats for 10 minutes, perhaps not signed anew
    "mailgun": "9h",  # the same for 8 hours
    "persona": "24h",  # the same, for how long is unknown
    "sanity": "5m",  # two repeats within a minute
    "sendgrid": "25h",  # the same for 24 hours
    "zendesk": "5m",  # unknown
    "zoom": "2h",  # repeats for 85 minutes, perhaps not signed anew
}
DEFAULTS = {"contentful": "30s", "plaid": "5m"}
"""Schemes of one provider, which have its tolerance built in; of all others it is five minutes."""


def signs_a_time(options):
    return "timestamp" in options or options["scheme"] in DEFAULTS


VERIFY = {file.stem: merged_verify(read(file)) for file in sorted(BUILT_IN.glob("*.toml"))}
SIGNED = {name: options for name, options in VERIFY.items() if options.get("scheme") and signs_a_time(options)}


def test_of_every_preset_with_a_signed_time_it_is_known_where_its_tolerance_is_from():
    assert set(SIGNED) == set(DOCUMENTED) | set(LEFT_TO_US)


@pytest.mark.parametrize("name", SIGNED)
def test_a_signed_time_may_be_as_old_as_the_provider_says(name):
    expected = {**DOCUMENTED, **LEFT_TO_US}[name]
    found = SIGNED[name].get("tolerance") or DEFAULTS.get(SIGNED[name]["scheme"], "5m")
    assert parse_duration(found) == parse_duration(expected)
