"""Rows of the catalogue at the front door: whole requests as bytes, the listener's own connection, a real store."""

from contextlib import asynccontextmanager

import orjson
import pytest
from hostile_lanes import make_lanes
from ingress_bench import CONFIG, ORDERS, order, parts_of

from gateway.store.contract import EventQuery
from gateway.wire.limits import Limits
from gateway.wire.proxies import TrustedProxies
from gateway.wire.state import ServerState
from harness import memory_wire
from harness.memory_wire import Wire, statuses

HOST = b"Host: hooks.example\r\n"
TOKEN = b"X-Truework-Token: " + ORDERS + b"\r\n"
BODY = orjson.dumps(order())


def post(body=BODY, headers=HOST + TOKEN, target=b"/hooks/truework", version=b"HTTP/1.1", length=None):
    count = len(body) if length is None else length
    return b"POST %b %b\r\n%bContent-Length: %d\r\n\r\n" % (target, version, headers, count) + body


@asynccontextmanager
async def door(folder, text=CONFIG):
    """Give a function that sends bytes on a connection of its own and gives the answers' statuses."""
    async with parts_of(folder) as parts:
        parts.use(text)
        faults = []
        state = ServerState(Limits(), parts.runtime, TrustedProxies(), faults.append)

        async def say(*pieces):
            state.tick()
            wire = Wire(pieces)
            await memory_wire.connection(wire, "192.0.2.7", state, parts.receiver).run()
            assert (faults, state.body_bytes) == ([], 0)
            return statuses(wire.sent)

        say.parts = parts
        say.events = lambda: parts.store.events(EventQuery(limit=1000))
        yield say


@pytest.mark.parametrize(
    ("headers", "version", "status"),
    [
        (TOKEN, b"HTTP/1.1", 400),
        (HOST + HOST + TOKEN, b"HTTP/1.1", 400),
        (HOST + b"Host: other.example\r\n" + TOKEN, b"HTTP/1.1", 400),
        (HOST + HOST + TOKEN, b"HTTP/1.0", 400),
        (TOKEN, b"HTTP/1.0", 200),
        (b"Host: other.example\r\n" + TOKEN, b"HTTP/1.1", 200),
    ],
)
async def test_H29_a_host_that_is_absent_or_said_twice_is_400(tmp_path, headers, version, status):
    async with door(tmp_path) as say:
        assert await say(post(headers=headers, version=version)) == [status]
        assert len(await say.events()) == (status == 200)


async def test_H30_a_hundred_requests_in_one_packet_are_answered_each_in_order(tmp_path):
    async with door(tmp_path) as say:
        requests = [post(orjson.dumps(order(f"o-{n}"))) for n in range(100)]
        requests[50] = post(headers=HOST)
        assert await say(b"".join(requests)) == [200] * 50 + [401] + [200] * 49
        assert len(await say.events()) == 99


async def test_H31_what_follows_a_body_that_says_to_be_shorter_is_no_part_of_it(tmp_path):
    async with door(tmp_path) as say:
        assert await say(post(BODY + b"}, more\r\n\r\n", length=len(BODY))) == [200, 400]
        (row,) = await say.events()
        assert (await say.parts.store.event(row.id)).payload == BODY
        hidden = post(orjson.dumps(order("hidden")), headers=HOST)
        second = orjson.dumps(order("second"))
        assert await say(post(second + hidden, length=len(second))) == [200, 401]


async def test_H32_a_header_with_an_underscore_does_not_stand_for_the_one_with_a_dash(tmp_path):
    async with door(tmp_path) as say:
        assert await say(post(headers=HOST + b"X_Truework_Token: " + ORDERS + b"\r\n")) == [401]
        both = HOST + b"X-Truework-Token: wrong-wrong-wrong\r\nX_Truework_Token: " + ORDERS + b"\r\n"
        assert await say(post(headers=both)) == [401]
        assert await say.events() == []


async def test_H33_a_token_in_the_trailer_of_a_chunked_body_proves_nothing(tmp_path):
    head = b"POST /hooks/truework HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTrailer: X-Truework-Token\r\n"
    chunk = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    async with door(tmp_path) as say:
        assert await say(head + b"\r\n" + chunk + TOKEN + b"\r\n") == [401]
        assert await say(head + TOKEN + b"\r\n" + chunk + b"X-Truework-Token: other\r\n\r\n") == [200]


async def test_H34_a_method_told_by_a_header_or_the_query_is_not_believed(tmp_path):
    async with door(tmp_path) as say:
        for name in (b"X-HTTP-Method-Override", b"X-HTTP-Method", b"X-Original-URL", b"X-Rewrite-URL"):
            get = b"GET /hooks/truework?_method=POST HTTP/1.1\r\n" + HOST + TOKEN + name + b": POST\r\n\r\n"
            assert await say(get) == [405]
            elsewhere = post(headers=HOST + TOKEN + name + b": /hooks/truework\r\n", target=b"/hooks/nobody")
            assert await say(elsewhere) == [404]
        assert await say.events() == []


@pytest.mark.parametrize("code", [b"gzip", b"deflate", b"br", b"zstd", b"identity", b"gzip, gzip", b"nonsense"])
async def test_H35_a_content_encoding_is_never_undone_the_bytes_are_what_was_sent(tmp_path, code):
    async with door(tmp_path) as say:
        assert await say(post(headers=HOST + TOKEN + b"Content-Encoding: " + code + b"\r\n")) == [200]
        (row,) = await say.events()
        assert (await say.parts.store.event(row.id)).payload == BODY


QUERY = """
[sources.acme]
provider = "generic"
verify = { scheme = "token", query = "token" }
identify = { type = "body.type" }
credentials.main = { secret = { file = "orders" } }
"""


async def test_S18_the_name_of_a_token_in_the_query_counts_as_it_is_written(tmp_path):
    async with door(tmp_path, CONFIG + QUERY) as say:
        for query in (
            b"tok%65n=" + ORDERS,
            b"TOKEN=" + ORDERS,
            b"token[]=" + ORDERS,
            b"token;=" + ORDERS,
            b";token=" + ORDERS,
        ):
            assert await say(post(b'{"type":"a"}', HOST, b"/hooks/acme?" + query)) == [401], query
        for query in (b"token=x&token=" + ORDERS, b"token=" + ORDERS + b"&token=", b"token"):
            assert await say(post(b'{"type":"a"}', HOST, b"/hooks/acme?" + query)) == [401], query
        written = b"token=%6F" + ORDERS.removeprefix(b"o") + b"&a=b"
        assert await say(post(b'{"type":"a"}', HOST, b"/hooks/acme?" + written)) == [200]
        (row,) = await say.events()
        head = (await say.parts.store.event(row.id)).head
        assert b"a=b" in head
        assert ORDERS.removeprefix(b"o") not in head


LIST = """
[sources.acme]
provider = "generic"
verify = { scheme = "token", body = "items[].key" }
identify = { type = "body.type", split = "body.items[]" }
credentials.main = { secret = { file = "orders" } }
"""


async def test_S19_a_token_that_one_item_of_a_list_lacks_proves_none_of_them(tmp_path):
    right, key = {"key": ORDERS.decode(), "type": "a"}, ORDERS.decode()
    wrong = [
        [],
        [right, {"type": "a"}],
        [right, {"key": "x" * 30, "type": "a"}],
        [right, None],
        [right, [right]],
        {"0": right},
        [right, {"key": [key], "type": "a"}],
        [right, {"key": "", "type": "a"}],
        [{"Key": key, "type": "a"}],
    ]
    async with door(tmp_path, CONFIG + LIST) as say:
        for items in wrong:
            assert await say(post(orjson.dumps({"items": items}), HOST, b"/hooks/acme")) == [401], items
        twice = b'{"items":[{"key":"x","key":"%b","type":"a"}]}' % ORDERS
        assert await say(post(twice, HOST, b"/hooks/acme")) == [401]
        assert await say.events() == []
        assert await say(post(orjson.dumps({"items": [right, right]}), HOST, b"/hooks/acme")) == [200]


@pytest.fixture
def admin(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.asgi.connection.Stream", memory_wire.MemoryStream)
    return make_lanes(1, tmp_path)["admin"]


async def ask(lane, method, path, body=b"", headers=b""):
    head = b"%b %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n"
    wire = Wire([head % (method, path, headers, len(body)) + body])
    await lane._run(wire, lambda _connection: None)
    assert lane.faults == []
    return statuses(wire.sent)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"5",
        b"{",
        b"\xff",
        b"[" * 60_000,
        b'{"filter":NaN}',
        b'{"filter":[]}',
        b'{"filter":{"nobody":1}}',
        b'{"filter":{"target":5}}',
        b'{"filter":{"limit":-1}}',
        b'{"nobody":1}',
        b'{"reason":5}',
    ],
)
@pytest.mark.parametrize("path", [b"/retry", b"/cancel", b"/replay"])
async def test_A7_a_body_that_is_no_order_is_400_and_does_nothing(admin, path, body):
    (status,) = await ask(admin, b"POST", path, body)
    assert status in {400, 409}


@pytest.mark.parametrize(
    "query",
    [
        b"limit=-1",
        b"limit=99999999999999999999",
        b"limit=%D9%A1",
        b"limit=1e3",
        b"before=x",
        b"since=9999-99-99",
        b"nobody=1",
        b"type=%00",
    ],
)
async def test_A8_a_parameter_that_is_none_is_400_and_never_500(admin, query):
    (status,) = await ask(admin, b"GET", b"/events?" + query)
    assert status in {200, 400}
    assert status == 400 or b"type" in query


@pytest.mark.parametrize(
    "path",
    [
        b"/events/evt_",
        b"/events/evt_%D9%A1",
        b"/events/evt_" + b"f" * 300,
        b"/events/-1",
        b"/deliveries/evt_0123456789abcdef/99999999999999999999",
        b"/deliveries/evt_0123456789abcdef/-1",
        b"/replays/%00",
        b"/targets/%2e%2e/hold",
    ],
)
async def test_A9_an_id_that_is_none_is_400_or_404(admin, path):
    method = b"POST" if path.endswith(b"hold") else b"GET"
    (status,) = await ask(admin, method, path, b"{}" if method == b"POST" else b"")
    assert status in {400, 404, 405}
