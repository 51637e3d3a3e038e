"""Standard Webhooks both ways with its reference libraries, of PyPI and of npm; docs/targets.md says where they differ.

`HOOKGATE_INTEROP_MESSAGES` says how many random messages go each way; 500 unless written. The npm library needs `node`
and `npm` on the machine, else its half is skipped.
"""

import base64
import hmac
import json
import os
import random
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

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
from harness.npm import INTEROP, install

MESSAGES = int(os.environ.get("HOOKGATE_INTEROP_MESSAGES", "500"))
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
    return install(INTEROP / "standard_webhooks.js", tmp_path_factory.mktemp("interop"))


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


PAGE = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")
DIFFERENCES = dict(
    re.findall(r"^\| (.+?) \| (\w+ \| \w+ \| \w+) \|$", PAGE.split("| rightly signed, but |")[1], re.MULTILINE)
)
KEY = bytes(range(32))


class Case(NamedTuple):
    """A message that is signed rightly, and odd in one way."""

    secret: str = "whsec_" + base64.b64encode(KEY).decode()
    key: bytes = KEY
    event_id: str = "evt_1"
    body: bytes = b"{}"
    stamp: str = "{}"
    signature: str = "v1,{}"

    def headers(self):
        """Sign, then write as the case says."""
        seconds = Runtime().now_ms() // 1000
        text = f"{self.event_id}.{seconds}.".encode() + self.body
        signature = base64.b64encode(hmac.digest(self.key, text, "sha256")).decode()
        return {
            "webhook-id": self.event_id,
            "webhook-timestamp": self.stamp.format(seconds),
            "webhook-signature": self.signature.format(
                signature, stray=signature[:-2] + next_letter(signature[-2]) + "="
            ),
        }


def next_letter(letter):
    """Give the base64 digit that differs in its last bit only, which a digest of 32 bytes does not use."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return digits[digits.index(letter) ^ 1]


PRIVATE = "whsec_" + base64.b64encode(KEY).decode()
CASES = {
    "the body is not UTF-8": Case(body=b"\xff"),
    "the timestamp is not digits alone, or begins with 0: `1700000000.5`": Case(stamp="{}.5"),
    "the id holds a dot": Case(event_id="evt.1"),
    "the id is not 1 to 255 visible ASCII characters": Case(event_id="evt 1"),
    "the signature is base64 with stray bits at its end": Case(signature="v1,{stray}"),
    "another entry of the list has no comma, or two": Case(signature="v0 v1,{}"),
    "the entry that fits has a second comma after it": Case(signature="v1,{},"),
    "the list has more than 32 entries": Case(signature="v1,{}" + " v1,x" * 32),
    "the secret has less than 24 bytes": Case("whsec_" + base64.b64encode(b"k" * 8).decode(), b"k" * 8),
    "the secret has no `whsec_`": Case(base64.b64encode(KEY).decode()),
    "the secret's base64 has stray bits or characters": Case(PRIVATE[:-2] + next_letter(PRIVATE[-2]) + "="),
}


def taken(verify, *arguments):
    try:
        verify(*arguments)
    except Exception:  # noqa: BLE001 - whatever a library raises is a refusal
        return "refuses"
    return "takes"


def by_pypi(secret, headers, body):
    Webhook(secret).verify(body, headers, json_parse=False)


def test_a_plain_case_is_taken_by_all(node):
    assert verdicts(Case(), node) == "takes | takes | takes"


@pytest.mark.parametrize("name", [*DIFFERENCES, *(CASES.keys() - DIFFERENCES.keys())])
def test_where_the_libraries_and_the_gateway_differ_the_documentation_says(name, node):
    assert verdicts(CASES[name], node) == DIFFERENCES[name]


def verdicts(case, node):
    asked = (case.secret, case.headers(), case.body)
    npm = "takes" if node([question("verify", *asked)]) == [""] else "refuses"
    return f"{taken(by_pypi, *asked)} | {npm} | {taken(take, *asked)}"


ODD_STAMPS = (
    "{}.5",
    " {}",
    "{} ",
    "+{}",
    "{}e0",
    "{}x",
    "0{}",
    "00000000{}",
    "-{}",
    "",
    "1",
    "{}0",
    "{}.",
    "1_0",
    "٣",
    "nan",
)


def odd_case(draw):
    """Give a message that is signed rightly and then bent in one or two places, or in none."""
    case = Case(*draw_key(draw), f"evt_{draw.getrandbits(64):016x}", draw_body(draw))
    bend = {
        "stamp": lambda: case._replace(stamp=draw.choice(ODD_STAMPS)),
        "id": lambda: case._replace(event_id="".join(draw.choices("ev.t_ ,é1", k=draw.randrange(1, 6)))),
        "body": lambda: case._replace(body=draw.randbytes(draw.randrange(4))),
        "secret": lambda: case._replace(secret=bent(draw, case.secret)),
        "signature": lambda: case._replace(signature=bent_list(draw)),
        "key": lambda: case._replace(key=draw.randbytes(draw.choice([4, 24, 32, 70]))),
    }
    for name in draw.sample(sorted(bend), draw.randrange(3)):
        case = bend[name]()
    return case


def draw_key(draw):
    secret = draw_secret(draw)
    return secret, base64.b64decode(secret[6:])


def bent(draw, text):
    at = draw.randrange(len(text))
    return text[:at] + draw.choice(["", "=", "A", " ", "-", text[at]]) + text[at + draw.randrange(2) :]


def bent_list(draw):
    entries = [
        "v1,{0}",
        "v1,{stray}",
        "v1,",
        "v1",
        ",",
        "",
        "v1a,{0}",
        "v0,{0}",
        "v1,{0}=",
        "v1,{0},x",
        "V1,{0}",
        " v1,{0}",
        "v1 ,{0}",
    ]
    return draw.choice([" ", "  ", ","]).join(draw.choices(entries, k=draw.choice([1, 1, 2, 3, 40])))


def explanations(case, headers):
    """Name the rows of the list that a message falls under."""
    entries = headers["webhook-signature"].split(" ")
    secret = case.secret.removeprefix("whsec_")
    found = {
        "the body is not UTF-8": not_utf_8(case.body),
        "the timestamp is not digits alone, or begins with 0: `1700000000.5`": not re.fullmatch(
            "[1-9][0-9]{0,10}", headers["webhook-timestamp"]
        ),
        "the id holds a dot": "." in case.event_id,
        "the id is not 1 to 255 visible ASCII characters": not re.fullmatch("[!-~]{1,255}", case.event_id),
        "the signature is base64 with stray bits at its end": any(not canonical(entry[3:]) for entry in entries),
        "another entry of the list has no comma, or two": any(entry.count(",") != 1 for entry in entries),
        "the list has more than 32 entries": len(entries) > 32,
        "the secret has less than 24 bytes": len(secret) < 32,
        "the secret has no `whsec_`": secret == case.secret,
        "the secret's base64 has stray bits or characters": not canonical(secret),
    }
    return {name for name, fits in found.items() if fits}


def not_utf_8(raw):
    try:
        raw.decode()
    except UnicodeDecodeError:
        return True
    return False


def canonical(text):
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    except ValueError:
        return False


def test_the_libraries_and_the_gateway_differ_in_nothing_but_what_the_documentation_lists(node):
    draw = random.Random(6)
    cases = [odd_case(draw) for _ in range(MESSAGES)]
    asked = [(case.secret, case.headers(), case.body) for case in cases]
    npm = ["takes" if answer == "" else "refuses" for answer in node([question("verify", *each) for each in asked])]
    found = {"takes": 0, "refuses": 0, "differ": 0}
    for case, each, by_npm in zip(cases, asked, npm, strict=True):
        seen = {taken(by_pypi, *each), by_npm, taken(take, *each)}
        found[seen.pop() if len(seen) == 1 else "differ"] += 1
        if seen:
            assert explanations(case, each[1]) & DIFFERENCES.keys(), case
    assert min(found.values()) > MESSAGES / 20


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
