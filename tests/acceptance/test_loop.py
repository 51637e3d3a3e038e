"""A loop that nobody can see from inside: a relay in front of our own listener. It ends after a few rounds (C6)."""

import trio

from gateway.targets.hops import MAX_HOPS
from harness.daemon import running
from harness.senders import Signed, post
from harness.settings import Settings

ROUND = """
[sources.round]
provider = "generic"
verify = {{ scheme = "none" }}
identify = {{ type = "body.type" }}

[routes.round]
source = "round"
event = "*"
targets = ["next"]

[targets.next]
type = "http"
url = "http://127.0.0.1:{port}/hooks/round"
"""


async def test_C6_a_loop_through_a_relay_that_hides_us_ends_after_five_rounds(home):
    rounds, place = [], {}

    async def one_way(source, sink, scope):
        async for data in source:
            rounds.append(b"POST" in data)
            await sink.send_all(data)
        scope.cancel()

    async def relay(client):
        daemon = await trio.open_tcp_stream("127.0.0.1", place["port"])
        async with client, daemon, trio.open_nursery() as both:
            both.start_soon(one_way, client, daemon, both.cancel_scope)
            both.start_soon(one_way, daemon, client, both.cancel_scope)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, relay, 0)
        settings = Settings(home, more=ROUND.format(port=listeners[0].socket.getsockname()[1]))
        settings.write()
        async with running(home) as daemon:
            place["port"] = daemon.port
            start = Signed("start", "/hooks/round", (("Content-Type", "application/json"),), b'{"type": "t"}')
            assert (await post(daemon.port, start)).status == 200
            await daemon.wait_logged("attempt.failed")
            await daemon.wait_settled()
            assert sum(rounds) == MAX_HOPS
            assert "loop: " in daemon.logged("attempt.failed")[0]["reason"]
        nursery.cancel_scope.cancel()
