"""Packages of npm verify what our presets sign, and sign what we take: Clerk, Linear, Shopify, Zoom and others."""

import base64
import json

import pytest
from packages import check_age, check_agreement, check_signed, fresh_secret, headers_of

from harness.npm import INTEROP, install

NAMES = ("clerk", "github", "linear", "livekit", "mux", "notion", "sanity", "shopify", "workos", "zoom")
SIGNERS = ("github", "livekit", "notion", "sanity")
ISSUER = "APIkeyOfYours"
"""Of the source that LiveKit's preset shows."""


@pytest.fixture(scope="module")
def npm(tmp_path_factory):
    ask = install(INTEROP / "providers" / "ask.js", tmp_path_factory.mktemp("packages"))

    def one(kind, provider, body, **more):
        question = {"kind": kind, "provider": provider, "body": base64.b64encode(body).decode(), "key": ISSUER}
        return ask([question | more])[0]

    return one


def verifier(npm, provider):
    def verify(secret, headers, body):
        if refusal := npm("verify", provider, body, secret=secret, headers=headers):
            raise ValueError(refusal)

    return verify


@pytest.mark.parametrize("name", NAMES)
async def test_the_package_of_npm_and_we_take_and_refuse_the_same(open_door, npm, name):
    await check_agreement(open_door, name, verifier(npm, name))


@pytest.mark.parametrize("name", SIGNERS)
async def test_what_the_package_of_npm_signs_we_take(open_door, npm, name):
    await check_signed(open_door, name, lambda secret, body, at: npm("sign", name, body, secret=secret, at=at))


@pytest.mark.parametrize(("name", "seconds"), [("clerk", 300), ("linear", 60), ("mux", 300), ("workos", 180)])
async def test_the_package_of_npm_and_we_know_the_same_age(open_door, npm, name, seconds):
    await check_age(open_door, name, verifier(npm, name), seconds)


async def test_zooms_package_and_we_answer_its_challenge_alike(open_door, npm):
    secret = fresh_secret("zoom")
    async with open_door("zoom", secret) as door:
        challenge = {"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}
        plan = door.plan(door.preset.samples[0])
        body = json.dumps(challenge, separators=(",", ":")).encode()
        asked = plan.signed(plan.request(1, door.runtime.now_ms(), ())._replace(body=body))
        reply = await door.receiver.handle(asked)
        theirs = npm("answer", "zoom", body, secret=secret.decode(), headers=headers_of(asked))
        assert (reply.status, json.loads(reply.body)) == (200, theirs)
        assert await door.events() == [], "a challenge makes no event"
