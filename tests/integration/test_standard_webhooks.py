"""Standard Webhooks both ways with its reference libraries, of PyPI and of npm; docs/targets.md says where they differ.

`HOOKGATE_INTEROP_MESSAGES` says how many random messages go each way; 500 unless written. The npm library needs `node`
and `npm` on the machine, else its half is skipped.
"""

import base64
import json
import os
import random
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hostile_http import OK, hostile, replies
from standardwebhooks import Webhook, WebhookVerificationError

from gateway.core.signing import STANDARD_WEBHOOKS, Signer, standard_key
from gateway.plugin import Context, Delivered, Request, SecretText, VerificationError
from gateway.runtime import Runtime
from gateway.targets.http import Http
from gateway.targets.http_options import HttpOptions
from gateway.testing.target import sample_message
from gateway.verifiers.hmac import Hmac
from gateway.verifiers.hmac_options import HmacOptions

MESSAGES = int(os.environ.get("HOOKGATE_INTEROP_MESSAGES", "500"))
INTEROP = Path(__file__).parents[1] / "interop"
OPTIONS = {
    "header": "webhook-signature",
    "shape": "list",
    "prefix": "v1,",
    "encoding": "base64",
    "key": "whsec",
    "template": "{id}.{timestamp}.{body}",
    "id": "header.webhook-id",
    "timestamp": "header.webhook-timestamp",
}
TEXT = 'abc.,:;{}[]"\\/ \n\r\t\0é漢🎈\u2028\x7f0123456789'


def draw_secret(draw):
    return "whsec_" + base64.b64encode(draw.randbytes(draw.randrange(24, 65))).decode()


def draw_body(draw):
    """JSON of every kind, and other text: whatever is UTF-8."""
    text = "".join(draw.choices(TEXT, k=draw.randrange(1, 200)))
    value = draw.choice([text, {"text": text, "n": draw.random()}, [text] * 3, draw.randrange(10**12), None])
    forms = [json.dumps(value), json.dumps(value, ensure_ascii=False, indent=2), text]
    return draw.choice(forms).encode()


def draw_message(draw):
    event_id = f"evt_{draw.getrandbits(64):016x}"
    return draw_secret(draw), event_id, Runtime().now_ms() - draw.randrange(-200_000, 200_000), draw_body(draw)


def take(secret, headers, body):
    """Verify as our own ingress does. Raises VerificationError."""
    pairs = tuple((name.encode(), value.encode()) for name, value in headers.items())
    request = Request("POST", "/hooks/x", "", pairs, body, "127.0.0.1", Runtime().now_ms())
    Hmac.build(HmacOptions(**OPTIONS), secret.encode()).verify(request)


def signed(secrets, event_id, at, body):
    keys = [standard_key(secret) for secret in secrets]
    return {"webhook-id": event_id, **dict(Signer(STANDARD_WEBHOOKS, keys).headers(event_id, at, body))}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """The npm library behind a function: a list of questions in, a list of answers out."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not on this machine")
    folder = tmp_path_factory.mktemp("interop")
    for name in ("package.json", "package-lock.json", "standard_webhooks.js"):
        shutil.copy(INTEROP / name, folder)
    install = ["npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(install, cwd=folder, check=True, capture_output=True, timeout=100)

    def ask(questions):
        text = json.dumps(questions).encode()
        run = subprocess.run(
            ["node", "standard_webhooks.js"], cwd=folder, input=text, capture_output=True, check=True, timeout=100
        )
        return json.loads(run.stdout)

    return ask


def question(kind, secret, headers, body):
    return {"kind": kind, "secret": secret, "headers": headers, "body": base64.b64encode(body).decode()}


def test_what_we_sign_the_library_of_pypi_takes():
    draw = random.Random(1)
    for _ in range(MESSAGES):
        secret, event_id, at, body = draw_message(draw)
        headers = signed([draw_secret(draw), secret][draw.randrange(2) :], event_id, at, body)
        Webhook(secret).verify(body, headers, json_parse=False)
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body + b" ", headers, json_parse=False)


def test_what_the_library_of_pypi_signs_we_take():
    draw = random.Random(2)
    for _ in range(MESSAGES):
        secret, event_id, at, body = draw_message(draw)
        signature = Webhook(secret).sign(event_id, datetime.fromtimestamp(at // 1000, UTC), body.decode())
        headers = {"webhook-id": event_id, "webhook-timestamp": str(at // 1000), "webhook-signature": signature}
        take(secret, headers, body)
        with pytest.raises(VerificationError):
            take(secret, headers, body + b" ")


def test_what_we_sign_the_library_of_npm_takes(node):
    draw = random.Random(3)
    messages = [draw_message(draw) for _ in range(MESSAGES)]
    asked = []
    for secret, event_id, at, body in messages:
        headers = signed([draw_secret(draw), secret][draw.randrange(2) :], event_id, at, body)
        asked += [question("verify", secret, headers, body), question("verify", secret, headers, body + b" ")]
    assert node(asked) == ["", "No matching signature found"] * MESSAGES


def test_what_the_library_of_npm_signs_we_take(node):
    draw = random.Random(4)
    messages = [draw_message(draw) for _ in range(MESSAGES)]
    asked = [
        question("sign", secret, {"webhook-id": event_id, "webhook-timestamp": str(at // 1000)}, body)
        for secret, event_id, at, body in messages
    ]
    for (secret, _, _, body), each, signature in zip(messages, asked, node(asked), strict=True):
        headers = {**each["headers"], "webhook-signature": signature}
        take(secret, headers, body)
        with pytest.raises(VerificationError):
            take(secret, headers, body + b" ")


async def test_what_the_target_really_sends_both_libraries_take(node):
    draw = random.Random(5)
    new, old = draw_secret(draw), draw_secret(draw)
    async with hostile(replies(OK)) as server:
        options = HttpOptions(url=server.url(), sign={"secret": SecretText(new), "previous": SecretText(old)})
        target = Http.build(options)
        await target.open(Context(name="crm", runtime=Runtime(), connections=1))
        try:
            assert isinstance(await target.deliver(replace(sample_message(), content=b'{"a": "\xc3\xa9"}')), Delivered)
        finally:
            await target.close()
    (request,) = server.requests
    for secret in (new, old):
        Webhook(secret).verify(request.body, request.headers)
        assert node([question("verify", secret, request.headers, request.body)]) == [""]
        take(secret, {name: request.headers[name] for name in request.headers}, request.body)
