"""`[server] http = "hypercorn"`: the real process keeps its promises over HTTP/1.1, and over HTTP/2 under TLS."""

import signal
import ssl

import pytest
import trio
import trustme
from h2.exceptions import ProtocolError

from harness.daemon import running
from harness.http2 import http2
from harness.lives import drain, reserved_port
from harness.senders import Client, post, truework, truora, truora_event
from harness.settings import ORDERS_TOKEN, TRUORA_KEY, Settings
from harness.tq import Ledger

NAME = "hooks.example"
SERVER = 'http = "hypercorn"\ntls = { cert = "cert.pem", key = "key.pem" }'
AUTHORITY = trustme.CA()


def write_certificate(home):
    leaf = AUTHORITY.issue_cert(NAME)
    leaf.cert_chain_pems[0].write_to_path(home.folder / "cert.pem")
    leaf.private_key_pem.write_to_path(home.folder / "key.pem")
    return leaf.cert_chain_pems[0].bytes()


def trusting():
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    context.set_alpn_protocols(["h2"])
    return context


def talking(daemon):
    return http2(("127.0.0.1", daemon.port), trusting(), NAME)


async def test_truework_and_truora_are_taken_over_http2(home):
    write_certificate(home)
    Settings(home, server=SERVER).write()
    async with running(home) as daemon:
        with trio.fail_after(30):
            async with talking(daemon) as client:
                answers = [
                    await client.send(truework("order-1", ORDERS_TOKEN)),
                    await client.send(truora([truora_event("E1"), truora_event("E2")], TRUORA_KEY)),
                    await client.send(truework("order-1", ORDERS_TOKEN)),
                    await client.send(truework("order-2", "wrong")),
                ]
            assert [answer.status for answer in answers] == [200, 200, 200, 401]
            await daemon.wait_settled()
        page = await daemon.ask("/events?limit=10")
        assert len(page["events"]) == 3
        status = await daemon.ask("/status")
        assert status["refusals"][0]["client"] == "127.0.0.1"
        assert await daemon.stop() == 0
    orders = [line for line in home.lines("audit.jsonl") if line["type"] == "order.completed"]
    assert len(orders) == 1


async def test_truework_and_truora_are_taken_over_http1(home):
    Settings(home, server='http = "hypercorn"').write()
    async with running(home) as daemon:
        assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
        assert (await post(daemon.port, truora([truora_event("E1")], TRUORA_KEY))).status == 200
        assert (await post(daemon.port, truework("order-2", "wrong"))).status == 401
        await daemon.wait_settled()
        assert await daemon.stop() == 0


async def test_a_unix_socket_is_served(home):
    settings = Settings(home, server='http = "hypercorn"')
    settings.write()
    home.write_config(settings.text().replace('"127.0.0.1:0"', f'"unix:{home.folder}/in.sock"'))
    async with running(home) as daemon:
        with Client(home.folder / "in.sock") as client:
            assert (await client.send(truework("order-1", ORDERS_TOKEN))).status == 200
        assert await daemon.stop() == 0


async def insist(port, ledger, stop, tag):
    """Send over HTTP/2, several at once, and again on a new connection whenever one ends."""
    number = 0
    while not stop.is_set():
        try:
            async with http2(("127.0.0.1", port), trusting(), NAME) as client:
                while not stop.is_set():
                    requests = [truework(f"{tag}-{number + index}", ORDERS_TOKEN) for index in range(8)]
                    streams = []
                    for request in requests:
                        ledger.attempted.add(request.name)
                        streams.append(await client.begin("POST", request.path, *request.headers))
                        await client.send_body(streams[-1], request.body)
                    for request, stream in zip(requests, streams, strict=True):
                        if (await client.answer(stream)).status == 200:
                            ledger.acknowledged.add(request.name)
                    number += 8
        except* (OSError, trio.BrokenResourceError, ProtocolError):
            await trio.sleep(0.02)


async def test_P1_P16_kill_9_and_stops_under_load_over_http2_lose_nothing_acknowledged(home, tell):
    ledger, stop = Ledger(), trio.Event()
    write_certificate(home)
    with reserved_port() as port:
        Settings(home, server=SERVER, port=port).write()
        async with trio.open_nursery() as load:
            for tag in ("a", "b", "c"):
                load.start_soon(insist, port, ledger, stop, tag)
            for life in range(6):
                async with running(home) as daemon:
                    enough = len(ledger.acknowledged) + 40
                    with trio.fail_after(30):
                        while len(ledger.acknowledged) < enough:
                            await trio.sleep(0.01)
                    if life % 2:
                        assert await daemon.stop() == 0
                    else:
                        await daemon.kill()
            stop.set()
        async with running(home) as daemon:
            await drain(daemon)
            assert await daemon.stop() == 0
    account = ledger.account(line["payload"]["data"]["order_id"] for line in home.lines("audit.jsonl", after_kill=True))
    tell(f"3 kills and 3 stops under load over HTTP/2: {account}")
    assert not account.lost
    assert not account.unexpected


async def test_a_reload_renews_the_certificate_and_leaves_the_server_as_it_is(home):
    write_certificate(home)
    settings = Settings(home, server=SERVER)
    settings.write()
    async with running(home) as daemon, talking(daemon) as before:
        renewed = write_certificate(home)
        settings.server = SERVER.replace('"hypercorn"', '"own"')
        await daemon.reload(settings.text())
        changes = daemon.logged("config.reloaded")[-1]["changes"]
        assert "[server] http changed: takes effect at the next restart" in changes
        async with talking(daemon) as after:  # HTTP/2 still
            assert ssl.DER_cert_to_PEM_cert(after.stream.getpeercert(binary_form=True)).encode() == renewed
            for client in (before, after):
                assert (await client.send(truework(f"order-{id(client)}", ORDERS_TOKEN))).status == 200
        assert await daemon.stop() == 0


@pytest.mark.parametrize("server", ['http = "hypercorn"', 'http = "nginx"'])
async def test_check_tells_where_it_makes_no_sense(home, server):
    Settings(home, server=server).write()
    async with running(home, wait=False) as daemon:
        if "nginx" in server:
            assert await daemon.wait_ended() == 1
        else:
            await daemon.wait_ready()
            (told,) = [line["problem"] for line in daemon.logged("config.warned") if "HTTP/2" in line["problem"]]
            assert "leave http out, or write tls" in told
            daemon.signal(signal.SIGTERM)
            assert await daemon.wait_ended() == 0
