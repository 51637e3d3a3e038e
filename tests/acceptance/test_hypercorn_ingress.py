"""`[server] http = "hypercorn"`: the real process takes Truework and Truora over HTTP/1.1 and over HTTP/2 under TLS."""

import ssl

import pytest
import trio
import trustme

from harness.daemon import running
from harness.http2 import http2
from harness.senders import post, truework, truora, truora_event
from harness.settings import ORDERS_TOKEN, TRUORA_KEY, Settings

NAME = "hooks.example"


@pytest.fixture
def offering_h2(home):
    """A home whose daemon speaks TLS by hypercorn; gives a client's context."""
    authority = trustme.CA()
    leaf = authority.issue_cert(NAME)
    leaf.cert_chain_pems[0].write_to_path(home.folder / "cert.pem")
    leaf.private_key_pem.write_to_path(home.folder / "key.pem")
    Settings(home, server='http = "hypercorn"\ntls = { cert = "cert.pem", key = "key.pem" }').write()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_alpn_protocols(["h2"])
    return context


async def test_truework_and_truora_are_taken_over_http2(home, offering_h2):
    async with running(home) as daemon:
        with trio.fail_after(20):
            async with http2(("127.0.0.1", daemon.port), offering_h2, NAME) as client:
                answers = [
                    await client.send(truework("order-1", ORDERS_TOKEN)),
                    await client.send(truora([truora_event("E1"), truora_event("E2")], TRUORA_KEY)),
                    await client.send(truework("order-2", "wrong")),
                ]
            assert [answer.status for answer in answers] == [200, 200, 401]
            await daemon.wait_settled()
        assert await daemon.stop() == 0
    assert {line["type"] for line in home.lines("audit.jsonl")} >= {"order.completed"}


async def test_truework_and_truora_are_taken_over_http1(home):
    Settings(home, server='http = "hypercorn"').write()
    async with running(home) as daemon:
        assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
        assert (await post(daemon.port, truora([truora_event("E1")], TRUORA_KEY))).status == 200
        assert (await post(daemon.port, truework("order-2", "wrong"))).status == 401
        await daemon.wait_settled()
        assert await daemon.stop() == 0
