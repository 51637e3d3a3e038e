"""Values that providers print in their documentation or in the tests of their packages, against their presets."""

import json
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from gateway.blueprint.presets import BUILT_IN
from gateway.cli.trial import read
from gateway.plugin import Request, VerificationError, load_kinds

SENDGRID_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNN"
    "RaINXvVpiglSI8eNEc6wEA3F+g=="
)
SENDGRID_SIGNATURE = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
SENDGRID_EVENT = {
    "email": "hello@world.com",
    "event": "dropped",
    "reason": "Bounced Address",
    "sg_event_id": "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",
    "sg_message_id": "LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",
    "smtp-id": "<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>",
    "timestamp": 1600112492,
}
SLACK_BODY = (
    "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    "&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
TWILIO_FORM = "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309"
TWILIO_HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
# The token of Twilio's tests is as short as no real one.
TWILIO = {"url": ["https://mycompany.com/myapp.php", "https://mycompany.com:443/myapp.php"], "min_secret_bytes": 5}
FORM = {"content-type": "application/x-www-form-urlencoded"}
MANDRILL_CLICK = json.loads((Path(__file__).parent / "mandrill_click.json").read_bytes())
MANDRILL_TEXT = json.dumps([MANDRILL_CLICK, MANDRILL_CLICK], separators=(",", ":")).replace("/", "\\/")


class Vector(NamedTuple):
    """What is printed; `source` says where."""

    source: str
    secret: str
    headers: dict[str, str]
    body: str
    query: str = ""
    at: int = 0
    verify: dict[str, Any] = {}  # noqa: RUF012 - never changed


VECTORS = {
    "github": Vector(
        "docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
        "It's a Secret to Everybody",
        {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        "Hello, World!",
    ),
    "bitbucket": Vector(
        "support.atlassian.com/bitbucket-cloud/docs/manage-webhooks",
        "It's a Secret to Everybody",
        {"x-hub-signature": "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"},
        "Hello World!",
    ),
    "jira": Vector(
        "developer.atlassian.com/cloud/jira/platform/webhooks",
        "It's a Secret to Everybody",
        {"x-hub-signature": "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"},
        "Hello World!",
    ),
    "mandrill": Vector(
        "sent by Mandrill, kept in github.com/evendis/mandrill-rails spec/fixtures/webhook_examples",
        "ntynTMaFpM_octE5R1DKAw",
        {**FORM, "x-mandrill-signature": "7rUa4lNJitlb178MgGOcHO6T4Bg="},
        urlencode({"mandrill_events": MANDRILL_TEXT}),
        verify={"url": "http://requestb.in/q9a918q9"},
    ),
    "svix": Vector(
        "github.com/svix/svix-webhooks, the README of every package",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        {
            "svix-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "svix-timestamp": "1614265330",
            "svix-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        '{"test": 2432232314}',
        at=1614265330,
    ),
    "woocommerce": Vector(
        "github.com/woocommerce/woocommerce plugins/woocommerce/tests/legacy/unit-tests/webhooks/crud.php",
        "\0",  # its test has no secret at all, which is the same key
        {"x-wc-webhook-signature": "GBDo00G55h6IiV+6CxqivQPLbI//KzaOZm747971tPs="},
        "secret",
        verify={"min_secret_bytes": 1},
    ),
    "slack": Vector(
        "docs.slack.dev/authentication/verifying-requests-from-slack",
        "8f742231b10e8888abcd99yyyzzz85a5",
        {
            "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            "x-slack-request-timestamp": "1531420618",
        },
        SLACK_BODY,
        at=1531420618,
    ),
    "sendgrid": Vector(
        "PyPI sendgrid, test/unit/test_eventwebhook.py",
        SENDGRID_KEY,
        {
            "x-twilio-email-event-webhook-signature": SENDGRID_SIGNATURE,
            "x-twilio-email-event-webhook-timestamp": "1600112502",
        },
        json.dumps([SENDGRID_EVENT], sort_keys=True, separators=(",", ":")) + "\r\n",
        at=1600112502,
    ),
    "twilio": Vector(
        "github.com/twilio/twilio-python tests/unit/test_request_validator.py",
        "12345",
        {**FORM, "x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
        TWILIO_FORM,
        "foo=1&bar=2",
        verify=TWILIO,
    ),
    "twilio: a name twice": Vector(
        "the same",
        "12345",
        {**FORM, "x-twilio-signature": "IK+Dwps556ElfBT0I3Rgjkr1wJU="},
        "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234",
        "foo=1&bar=2",
        verify=TWILIO,
    ),
    "twilio: with the port": Vector(
        "the same",
        "12345",
        {**FORM, "x-twilio-signature": "kvajT1Ptam85bY51eRf/AJRuM3w="},
        TWILIO_FORM,
        "foo=1&bar=2",
        verify=TWILIO,
    ),
    "twilio: JSON, as the preset's comment says": Vector(
        "the same",
        "12345",
        {"content-type": "application/json", "x-twilio-signature": "a9nBmqA0ju/hNViExpshrM61xv4="},
        '{"property": "value", "boolean": true}',
        f"foo=1&bar=2&bodySHA256={TWILIO_HASH}",
        verify={**TWILIO, "template": "{url}", "body_hash": "query.bodySHA256"},
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_what_the_provider_prints_is_taken_and_every_change_of_it_is_refused(name):
    vector = VECTORS[name]
    options = {**read(BUILT_IN / f"{name.partition(':')[0]}.toml").verify, **vector.verify}
    kind = load_kinds("verifiers", {options["scheme"]})[options.pop("scheme")]
    verifier = kind.build(kind.options.model_validate_json(json.dumps(options), strict=True), vector.secret.encode())
    headers = tuple((key.encode(), value.encode()) for key, value in vector.headers.items())
    request = Request("POST", "/hooks/x", vector.query, headers, vector.body.encode(), "", vector.at * 1000)
    verifier.verify(request)
    changed = [request._replace(body=request.body.strip() + b"1"), request._replace(headers=headers[:-1])]
    if vector.at:
        changed.append(request._replace(received_at=(vector.at + 2 * 86_400) * 1000))
    if vector.query:
        changed.append(request._replace(query=vector.query.replace("foo=1", "foo=2")))
    for wrong in changed:
        with pytest.raises(VerificationError):
            verifier.verify(wrong)
