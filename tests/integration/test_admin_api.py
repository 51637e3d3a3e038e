"""The admin API over its real listener: who may ask, what is answered, what it never says."""

import json
import stat
from contextlib import asynccontextmanager

import pytest
import trio
from admin_harness import Peer
from admin_operations import EVENT, TEXT, MemoryDaemon

from gateway.admin.app import make_app
from gateway.admin.guard import admin_server
from gateway.admin.operations import ReloadResult
from gateway.config.address import parse_address
from gateway.errors import StoppingError, StoreBrokenError
from gateway.listeners import open_listeners
from gateway.replay_plan import ReplayPlan
from gateway.runtime import Runtime
from gateway.store.operator import DeliveryFilter, EventFilter, Position
from gateway.wire.listener import Listener

TOKEN = b"a-token-of-the-operator"
AUTHORIZED = {"authorization": "Bearer a-token-of-the-operator"}
JSON = {"content-type": "application/json"}
READS = [
    "/health",
    "/ready",
    "/metrics",
    "/status",
    "/events",
    f"/events/{TEXT}",
    "/deliveries",
    f"/deliveries/{TEXT}/0",
    "/sources",
    "/targets",
    "/replays",
    f"/replays/{TEXT}",
    "/audit",
]
CHANGES = [
    "/retry",
    "/cancel",
    "/replay",
    f"/replays/{TEXT}/cancel",
    "/reload",
    "/sources/crm/learn",
    "/targets/crm/hold",
    "/targets/crm/release",
    "/targets/crm/enable",
]


class Answer:
    def __init__(self, raw):
        head, _, body = raw.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        self.status = int(line.split()[1])
        self.headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)


@asynccontextmanager
async def admin(bind, daemon, token=None):
    """Serve the API on `bind`; gives a function `ask(method, path, headers, body)`."""
    runtime = Runtime()
    listener = open_listeners([parse_address(bind)], "[admin].bind", runtime, {})[0]
    server = admin_server(make_app(daemon, token, runtime), runtime, lambda _: None)

    async def ask(method, path, headers=None, body=b"", host="127.0.0.1:9"):
        if bind.startswith("unix:"):
            stream = await trio.open_unix_socket(bind[5:])
        else:
            stream = await trio.open_tcp_stream(*listener.getsockname()[:2])
        async with stream:
            fields = {"host": host, "content-length": str(len(body)), **(headers or {})}
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            return Answer(await Peer(stream).ask(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body))

    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [Listener(listener)])
        try:
            yield ask
        finally:
            await server.drain(0)


@pytest.fixture
def daemon():
    return MemoryDaemon()


@pytest.fixture
async def ask(daemon, tmp_path):
    async with admin(f"unix:{tmp_path}/a.sock", daemon) as ask:
        yield ask


@pytest.fixture
async def ask_tcp(daemon):
    async with admin("127.0.0.1:0", daemon, TOKEN) as ask:
        yield ask


def test_the_tables_above_name_every_route_of_the_application(daemon):
    app = make_app(daemon, None, Runtime())
    rules = {
        (rule.rule.replace("<text>", TEXT).replace("<int:n>", "0").replace("<name>", "crm"))
        for rule in app.url_map.iter_rules()
    }
    assert rules == {*READS, *CHANGES}


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic eDp5"}, {"authorization": "Bearer "}]
)
@pytest.mark.parametrize("path", [*READS, *CHANGES, "/nothing/here"])
async def test_P26_A2_nothing_is_answered_on_tcp_without_the_token(path, headers, daemon, ask_tcp):
    method = "POST" if path in CHANGES else "GET"
    answer = await ask_tcp(method, path, {**headers, **JSON}, b"{}")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert daemon.asked == []


@pytest.mark.parametrize("path", [*READS, *CHANGES])
@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ({"origin": "https://evil.example"}, "127.0.0.1:9"),
        ({"origin": "null"}, "127.0.0.1:9"),
        ({"sec-fetch-site": "cross-site"}, "127.0.0.1:9"),
        ({}, "evil.example:9"),
        ({}, "127.0.0.1.evil.example"),
    ],
)
async def test_P26_A1_another_origin_or_a_rebound_host_gets_403_even_with_the_token(
    path, headers, host, daemon, ask_tcp
):
    method = "POST" if path in CHANGES else "GET"
    answer = await ask_tcp(method, path, {**AUTHORIZED, **JSON, **headers}, b"{}", host=host)
    assert answer.status == 403
    assert daemon.asked == []


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""]
)
async def test_P26_A1_a_form_changes_nothing(path, kind, daemon, ask, ask_tcp):
    assert (await ask("POST", path, {"content-type": kind}, b"all=true")).status == 403
    assert (await ask_tcp("POST", path, {"content-type": kind, **AUTHORIZED}, b"all=true")).status == 403
    assert daemon.asked == []


@pytest.mark.parametrize("path", CHANGES)
async def test_P26_A1_a_get_changes_nothing(path, daemon, ask):
    assert (await ask("GET", path)).status == 405
    assert daemon.asked == []


@pytest.mark.parametrize("path", READS)
async def test_every_read_is_answered_on_the_unix_socket_and_on_tcp_with_the_token(path, daemon, ask, ask_tcp):
    here, there = await ask("GET", path), await ask_tcp("GET", path, AUTHORIZED)
    assert (here.status, there.status) == (200, 200)
    assert here.body == there.body
    assert here.headers["cache-control"] == "no-store"
    assert here.headers["x-content-type-options"] == "nosniff"


async def test_P26_the_unix_socket_has_mode_0660(daemon, tmp_path):
    path = tmp_path / "a.sock"
    async with admin(f"unix:{path}", daemon):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


@pytest.mark.parametrize("token", [None, b""])
async def test_P26_without_a_configured_token_nothing_is_answered_on_tcp(token, daemon):
    async with admin("127.0.0.1:0", daemon, token) as ask:
        for sent in ({}, {"authorization": "Bearer "}, {"authorization": "Bearer None"}):
            assert (await ask("GET", "/health", sent)).status == 401


async def test_A2_guessing_is_stopped_after_ten_wrong_tokens(ask_tcp):
    statuses = [(await ask_tcp("GET", "/health", {"authorization": f"Bearer {n}"})).status for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert (await ask_tcp("GET", "/health", AUTHORIZED)).status == 429


async def test_ready_tells_the_reasons_while_health_only_says_that_the_process_lives(daemon, ask):
    assert (await ask("GET", "/ready")).json == {"ready": True, "reasons": []}
    daemon.reasons = ["the last durable commit was 12 s ago"]
    answer = await ask("GET", "/ready")
    assert (answer.status, answer.json["reasons"]) == (503, daemon.reasons)
    assert (await ask("GET", "/health")).status == 200


async def test_a_refused_reload_is_409_with_its_problems(daemon, ask):
    assert (await ask("POST", "/reload", JSON)).json["changes"] == ["target crm changed"]
    daemon.reload_result = ReloadResult(False, 1, (), ["config.toml:3: unknown key"])
    answer = await ask("POST", "/reload", JSON)
    assert (answer.status, answer.json["problems"]) == (409, ["config.toml:3: unknown key"])


@pytest.mark.parametrize("verb", ["/retry", "/cancel"])
async def test_an_order_needs_to_know_what_and_is_read_whole(verb, daemon, ask):
    for wrong in (
        {},
        {"everything": True},
        {"state": "dead"},
        {"deliveries": ["x"]},
        {"deliveries": TEXT},
        {"deliveries": [f"{TEXT}:x"]},
        {"target": ""},
        {"target": "\ud800"},
        {"outcome": "bad"},
        {"since": "2h"},
        {"since": -1},
        {"target": "crm", "state": "delivered"},
        {"target": "crm", "position": "5"},
    ):
        assert (await ask("POST", verb, JSON, json.dumps(wrong).encode())).status == 400, wrong
    assert daemon.asked == []
    done = {"/retry": "retried", "/cancel": "cancelled"}[verb]
    assert (await ask("POST", verb, JSON, b'{"target": "crm", "since": 5}')).json == {done: 3, "position": None}
    order = daemon.asked[0][1]
    states = {"/retry": ("dead", "dead"), "/cancel": ("pending", "dead")}[verb]
    assert (list(order.chosen), order.dry_run) == ([DeliveryFilter(states, target="crm", since=5)], False)
    assert order.told == "target=crm since=1970-01-01T00:00:00.005Z"
    daemon.desk.shares = [Position(EVENT, 7)]
    body = {"deliveries": [TEXT, f"{TEXT}:2"], "dry_run": True, "position": f"{TEXT}:1"}
    answered = (await ask("POST", verb, JSON, json.dumps(body).encode())).json
    assert answered == {"selected": 2, "position": f"{TEXT}:7"}
    order = daemon.asked[1][1]
    assert [(each.event_id, each.n) for each in order.chosen] == [(EVENT, None), (EVENT, 2)]
    assert (order.position, order.dry_run, order.told) == (Position(EVENT, 1), True, f"{TEXT} {TEXT}:2")


async def test_a_replay_has_events_and_an_id_and_is_read_whole(daemon, ask):
    for wrong in (
        {"events": [TEXT]},
        {"id": "r"},
        {"events": ["x"], "id": "r"},
        {"events": [TEXT], "id": "a b"},
        {"events": [TEXT], "id": "../x"},
        {"events": [TEXT], "id": "r", "source": "acme"},
        {"events": [TEXT], "id": "r", "rate": "2000/s"},
        {"events": [TEXT], "id": "r", "rate": "fast"},
        {"events": [TEXT], "id": "r", "targets": ["crm"], "same": True},
        {"source": "acme", "hold": "held", "id": "r"},
    ):
        assert (await ask("POST", "/replay", JSON, json.dumps(wrong).encode())).status == 400, wrong
    assert daemon.asked == []
    body = {"source": "acme", "type": "order.*", "hold": "unmatched", "also": ["mail"], "rate": "120/m", "id": "r-1"}
    answered = (await ask("POST", "/replay", JSON, json.dumps(body).encode())).json
    assert (answered["id"], answered["state"], answered["added"]) == ("r-1", "done", 2)
    chosen = EventFilter("acme", type_glob="order.*", hold="unmatched")
    assert daemon.asked == [("replay", "r-1", ReplayPlan(chosen, also=("mail",), per_second=2.0))]
    counted = await ask("POST", "/replay", JSON, b'{"all": true, "dry_run": true}')
    assert counted.json == {"selected": 3, "position": None}
    assert daemon.asked[1] == ("count", EventFilter(without_source="hookgate"), 0)
    gone = await ask("POST", "/replay", JSON, json.dumps({"events": [TEXT], "id": "r", "targets": ["gone"]}).encode())
    assert (gone.status, gone.json["next"]) == (409, "hookgate events list")


async def test_replays_and_the_audit_are_listed(daemon, ask):
    (row,) = (await ask("GET", "/replays")).json["replays"]
    assert (row["id"], row["who"], row["chosen"]) == ("r1", "uid 0 (root)", "source=acme to today's routes")
    assert row["waits"] == "4000 deliveries wait for crm already"
    ended = (await ask("POST", f"/replays/{TEXT}/cancel", JSON, b'{"reason": "wrong"}')).json
    assert (ended["state"], daemon.asked) == ("cancelled", [("cancel replay", TEXT, "wrong")])
    assert (await ask("GET", "/audit?limit=1")).json["audit"][0]["affected"] == 3
    assert (await ask("GET", "/audit?before=x")).status == 400


async def test_gates_are_worked_by_name_and_unknown_names_are_told(daemon, ask):
    assert (await ask("POST", "/targets/crm/hold", JSON, b'{"reason": "maintenance"}')).json["changed"] is True
    assert (await ask("POST", "/targets/crm/enable", JSON)).json["changed"] is False
    assert daemon.asked == [("hold", "crm", "maintenance"), ("enable", "crm", "")]
    unknown = await ask("POST", "/targets/nobody/hold", JSON)
    assert (unknown.status, unknown.json["next"]) == (404, "hookgate targets list")


async def test_an_order_that_a_stop_overtakes_is_503_with_the_reason(daemon, ask, monkeypatch):
    async def stop(_target, _reason):
        raise StoppingError("target crm: the gateway is stopping")

    monkeypatch.setattr(daemon, "enable", stop)
    answer = await ask("POST", "/targets/crm/enable", JSON)
    assert (answer.status, answer.json["error"]) == (503, "target crm: the gateway is stopping")


async def test_a_source_is_let_learn_for_a_while_and_no_answer_holds_a_secret(daemon, ask):
    found = await ask("POST", "/sources/asana/learn", JSON, b'{"credential": "main", "seconds": 60}')
    assert found.json["learning"] == {
        "known": False,
        "open_seconds": 60.0,
        "file": "/var/lib/hookgate/learned/asana.main",
    }
    assert daemon.asked[0][:4] == ("learn", "asana", "main", 60.0)
    unknown = await ask("POST", "/sources/nobody/learn", JSON)
    assert (unknown.status, unknown.json["next"]) == (404, "hookgate sources list")


@pytest.mark.parametrize(
    "body", [b'{"seconds": 0}', b'{"seconds": 1e9}', b'{"seconds": true}', b'{"credential": 7}', b'{"for": "1h"}']
)
async def test_an_order_to_learn_that_makes_no_sense_is_refused(daemon, ask, body):
    assert (await ask("POST", "/sources/asana/learn", JSON, body)).status == 400
    assert daemon.asked == []


@pytest.mark.parametrize(
    "path",
    [
        "/events?limit=0",
        "/events?limit=x",
        "/events?hold=never",
        "/events?colour=red",
        "/events/evt_1",
        "/deliveries?state=gone",
    ],
)
async def test_a_bad_parameter_gets_400_that_says_what_was_expected(path, ask):
    answer = await ask("GET", path)
    assert answer.status == 400
    assert "expected" in answer.json["error"]
    assert answer.json["next"]


async def test_pages_go_on_from_the_last_id(daemon, ask):
    daemon.store.rows *= 2
    answer = (await ask("GET", "/events?limit=1&source=acme&type=order.*")).json
    assert (answer["before"], answer["events"][0]["id"]) == (TEXT, TEXT)
    await ask("GET", f"/events?before={TEXT}")
    assert [query.before for query in daemon.store.queries] == [None, EVENT]
    assert daemon.store.queries[0].type_glob == "order.*"


@pytest.mark.parametrize("path", ["/events", "/deliveries"])
async def test_a_source_that_nobody_knows_is_told_from_one_without_events(daemon, ask, path):
    daemon.store.rows, daemon.store.duties = [], []
    wrong = await ask("GET", f"{path}?source=asan")
    assert (wrong.status, "did you mean" in wrong.json["error"]) == (409, True)
    for quiet in ("asana", "hookgate"):
        assert (await ask("GET", f"{path}?source={quiet}")).status == 200


@pytest.mark.parametrize("path", ["/retry", "/cancel", "/replay"])
async def test_an_order_that_fits_nothing_because_nobody_knows_its_source_is_refused(daemon, ask, path):
    def order(**more):
        return ask("POST", path, JSON, json.dumps({"dry_run": True, **more}).encode())

    assert (await order(source="asan")).status == 200, "something of a source that is gone was found"
    daemon.desk.count = 0
    wrong = await order(source="asan")
    assert (wrong.status, 'did you mean "asana"?' in wrong.json["error"]) == (409, True)
    position = TEXT if path == "/replay" else f"{TEXT}:0"
    for right in ({"source": "asana"}, {"source": "asan", "position": position}, {"all": True}):
        assert (await order(**right)).json["selected"] == 0, right


async def test_a_missing_event_or_delivery_is_404(ask):
    for path in ("/events/evt_0000000000000001", f"/deliveries/{TEXT}/9", "/nothing"):
        assert (await ask("GET", path)).status == 404


async def test_A3_hostile_text_comes_back_as_json_only(ask):
    answer = await ask("GET", f"/events/{TEXT}")
    assert answer.headers["content-type"] == "application/json"
    assert b"\x1b" not in answer.body
    assert b"\n" not in answer.body
    assert answer.json["payload"]["text"] == '{"hello": "<script>"}'


async def test_a_broken_store_is_503_and_our_own_bug_is_500_without_its_text(daemon, ask, capsys):
    async def broken(query):
        raise StoreBrokenError("fsync failed")

    async def bug(query):
        raise KeyError("secret-value")

    daemon.store.events = broken
    assert (await ask("GET", "/events")).status == 503
    daemon.store.events = bug
    answer = await ask("GET", "/events")
    assert answer.status == 500
    assert b"secret-value" not in answer.body
    assert (await ask("GET", "/health")).status == 200
