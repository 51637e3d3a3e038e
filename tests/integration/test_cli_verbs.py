"""The verbs against an admin API on a real socket: what they ask, what they print, how they end."""

import json
import os
import pwd
from dataclasses import replace

import pytest
import trio
from admin_operations import EVENT, TEXT, MemoryDaemon
from click.testing import CliRunner

from gateway.admin.app import make_app
from gateway.admin.guard import admin_server
from gateway.admin.operations import GateStatus, ReloadResult, TargetStatus
from gateway.cli.failures import Failure
from gateway.cli.main import cli
from gateway.cli.post import Postman
from gateway.config.address import parse_address
from gateway.core.model import Request
from gateway.core.routing import Miss
from gateway.listeners import open_listeners
from gateway.replay_plan import ReplayPlan
from gateway.runtime import Runtime
from gateway.store.operator import DeliveryFilter, EventFilter, Position
from gateway.wire.listener import Listener

TOKEN = b"of-the-operator"


@pytest.fixture
def daemon():
    return MemoryDaemon()


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(f'[admin]\nbind = "unix:{tmp_path}/a.sock"\n')
    return path


@pytest.fixture
async def hookgate(daemon, config, nursery, tmp_path):
    """A function that runs one verb in a thread while the API is served here."""
    listener = open_listeners([parse_address(f"unix:{tmp_path}/a.sock")], "[admin].bind", Runtime(), {})[0]
    server = admin_server(make_app(daemon, None, Runtime()), Runtime(), lambda _: None)
    await nursery.start(server.serve, [Listener(listener)])

    async def run(*arguments):
        return await trio.to_thread.run_sync(lambda: CliRunner().invoke(cli, [*arguments, "--config", str(config)]))

    yield run
    await server.drain(0)


READING = [
    ["status"],
    ["events", "list"],
    ["events", "show", TEXT],
    ["deliveries", "list"],
    ["deliveries", "show", TEXT, "0"],
    ["targets", "list"],
    ["replays", "list"],
    ["replays", "show", "r1"],
    ["audit"],
]
CHANGING = [
    ["reload"],
    ["retry", "--target", "crm"],
    ["retry", "--target", "crm", "--dry-run"],
    ["retry", TEXT],
    ["cancel", "--target", "crm", "--reason", "gone"],
    ["deliveries", "cancel", f"{TEXT}:0"],
    ["replay", TEXT],
    ["replay", "--source", "acme", "--wait", "--id", "r1"],
    ["replays", "cancel", "r1"],
    ["targets", "hold", "crm"],
    ["targets", "release", "crm"],
    ["targets", "enable", "crm"],
]


@pytest.mark.parametrize("verb", [*READING, *CHANGING], ids=" ".join)
async def test_each_verb_answers_people_and_programs_and_ends_with_the_next_command(verb, hookgate):
    people, programs = await hookgate(*verb), await hookgate(*verb, "--json")
    assert (people.exit_code, programs.exit_code) == (0, 0), people.output + programs.output
    remedy = json.loads(programs.output)["next"]
    assert people.output.endswith(f"\nnext: {remedy}\n")
    assert remedy.startswith("hookgate ")
    assert remedy.count("--config") == 1


@pytest.mark.parametrize(("typed", "meant"), [("event", "events"), ("stauts", "status"), ("zzz", None)])
def test_a_slip_in_a_verb_is_answered_with_the_verb_that_was_meant(typed, meant):
    answer = CliRunner().invoke(cli, [typed, "list"])
    assert answer.exit_code == 2
    assert f"No such command '{typed}'." in answer.output
    assert ("Did you mean" in answer.output) is (meant is not None)
    assert meant is None or f"Did you mean '{meant}'?" in answer.output


async def test_an_id_that_is_none_ends_with_the_help_of_the_verb(hookgate):
    answer = await hookgate("events", "show", "evt_xyz", "--json")
    assert (answer.exit_code, json.loads(answer.stderr)["next"]) == (1, "hookgate events --help")


def test_a_listener_that_nobody_opened_is_told_in_the_systems_words(tmp_path):
    postman = Postman(f"unix:{tmp_path}/none.sock")
    with pytest.raises(Failure, match=r"none\.sock does not answer: No such file or directory"):
        postman.send(Request("POST", "/", "", (), b"", "", 0))


@pytest.mark.parametrize("verb", [*READING, *CHANGING], ids=" ".join)
async def test_without_a_daemon_each_verb_says_so_and_exits_with_3(verb, config):
    def run(*more):
        return CliRunner().invoke(cli, [*verb, *more, "--config", str(config)])

    people, programs = run(), run("--json")
    assert (people.exit_code, programs.exit_code) == (3, 3)
    assert "the daemon does not answer on unix:" in people.stderr
    assert "hookgate run" in people.stderr
    assert "hookgate run" in json.loads(programs.stderr)["next"]


async def test_A3_hostile_event_types_reach_no_terminal(hookgate):
    for verb in READING:
        out = (await hookgate(*verb)).output
        assert "\x1b" not in out
        assert "\r" not in out


async def test_a_delivery_is_shown_by_number_or_as_retry_takes_it(hookgate):
    by_number, as_one = [(await hookgate("deliveries", "show", *each)).output for each in ((TEXT, "0"), (f"{TEXT}:0",))]
    assert by_number == as_one
    assert f"hookgate retry {TEXT}:0" in as_one
    for wrong in ((TEXT,), (f"{TEXT}:x",), (f"{TEXT}:0", "0")):
        found = await hookgate("deliveries", "show", *wrong)
        assert (found.exit_code, "expected EVENT N or EVENT:N" in found.stderr) == (1, True)


async def test_what_a_delivery_waits_for_is_told_while_its_target_is_shut_or_gathers(daemon, hookgate):
    (duty,) = daemon.store.duties
    daemon.store.duties = [duty._replace(state="pending", due=2000, last_reason=None)]
    gate = GateStatus("breaker", "timed out", 1000, 65_000)
    (crm,) = daemon.targets
    verbs = (("deliveries", "list"), ("deliveries", "show", TEXT, "0"), ("events", "show", TEXT))
    for target, expected in [
        (replace(crm, gates=(gate,)), "crm is not open: breaker, probe at 1970-01-01 00:01:05Z, timed out"),
        (replace(crm, gathers_seconds=60, oldest_due=2000), "gathered with others: goes out by 1970-01-01 00:01:02Z"),
    ]:
        daemon.targets = [target]
        for verb in verbs:
            assert expected in (await hookgate(*verb)).output
    daemon.targets = [crm]
    assert json.loads((await hookgate("deliveries", "list", "--json")).output)["deliveries"][0]["waits"] is None
    daemon.targets = [replace(crm, gates=(gate,))]
    daemon.store.duties = [duty]
    assert "not open" not in (await hookgate("deliveries", "list")).output, "it is dead, and waits for nothing"


async def test_what_is_typed_is_what_is_asked(daemon, hookgate):
    await hookgate("events", "list", "--source", "acme", "--type", "order.*", "--limit", "7", "--before", TEXT)
    await hookgate("deliveries", "list", "--state", "dead", "--event", TEXT, "--source", "acme")
    events, deliveries = daemon.store.queries
    assert (events.source, events.type_glob, events.limit, events.before) == ("acme", "order.*", 8, EVENT)
    assert (deliveries.state, deliveries.event_id, deliveries.target) == ("dead", EVENT, None)
    assert deliveries.source == "acme"
    await hookgate("retry", TEXT, "--target", "crm")
    await hookgate("replay", TEXT, "--target", "crm", "--target", "audit", "--id", "incident")
    await hookgate("targets", "hold", "crm", "--reason", "upgrade")
    retry, replay, hold = daemon.asked
    assert list(retry[1].chosen) == [DeliveryFilter(("dead", "dead"), target="crm", event_id=EVENT)]
    assert replay == ("replay", "incident", ReplayPlan(EventFilter(event_ids=(EVENT,)), ("crm", "audit")))
    assert hold == ("hold", "crm", "upgrade")


async def test_the_next_page_is_asked_for_as_this_one_was(daemon, config, hookgate):
    daemon.store.rows *= 2
    daemon.store.duties *= 2
    chosen = ("--source", "acme", "--type", "order.*", "--hold", "unmatched", "--limit", "1")
    out = (await hookgate("events", "list", *chosen)).output
    assert (
        f"older ones: hookgate events list --source acme --hold unmatched --limit 1 --type 'order.*' --before {TEXT} "
        f"--config {config}\n"
    ) in out
    out = (await hookgate("deliveries", "list", "--target", "crm", "--state", "dead", "--limit", "1")).output
    older = f"hookgate deliveries list --target crm --state dead --limit 1 --before {TEXT}:0 --config {config}"
    assert f"older ones: {older}\n" in out
    assert "older ones" not in (await hookgate("deliveries", "list", "--limit", "2")).output


async def test_two_replays_without_an_id_are_two(daemon, hookgate):
    await hookgate("replay", TEXT)
    await hookgate("replay", TEXT)
    first, second = daemon.asked
    assert first[1] != second[1]


@pytest.mark.parametrize(("verb", "told"), [("retry", "--all"), ("cancel", "--target"), ("replay", "--all")])
async def test_what_is_of_nothing_in_particular_is_not_sent(verb, told, daemon, hookgate):
    result = await hookgate(verb)
    assert result.exit_code == 1
    assert told in result.stderr
    assert daemon.asked == []


@pytest.mark.parametrize(("verb", "name"), [("retry", "retried"), ("cancel", "cancelled")])
async def test_long_work_is_asked_for_in_shares_and_summed(verb, name, daemon, hookgate):
    daemon.desk.shares = [Position(EVENT, 1), Position(EVENT, 4)]
    found = json.loads((await hookgate(verb, f"{TEXT}", "--json")).output)
    assert found[name] == 2 + 2 + 3
    assert [order.position for _, order in daemon.asked] == [Position(), Position(EVENT, 1), Position(EVENT, 4)]


@pytest.mark.parametrize("verb", ["retry", "cancel", "replay"])
async def test_many_are_changed_only_if_somebody_is_sure(verb, daemon, hookgate):
    daemon.desk.count = 100
    refused = await hookgate(verb, "--source", "acme", "--type", "it's *")
    assert refused.exit_code == 1
    assert "error: 100 " in refused.stderr
    assert f"hookgate {verb} --source acme --type 'it'\"'\"'s *' --yes" in refused.stderr
    assert all(step[0] == "count" or step[1].dry_run for step in daemon.asked)
    assert (await hookgate(verb, "--source", "acme", "--yes")).exit_code == 0
    daemon.desk.count = 99
    assert (await hookgate(verb, "--source", "acme")).exit_code == 0


@pytest.mark.parametrize("verb", ["retry", "cancel", "replay"])
async def test_a_dry_run_counts_and_names_the_command_that_does_it(verb, daemon, hookgate):
    out = (await hookgate(verb, "--source", "acme", "--since", "2h", "--dry-run")).output
    assert "selected; nothing was changed" in out
    assert f"next: hookgate {verb} --source acme --since 2h --config" in out
    assert len(daemon.asked) == 1


@pytest.mark.parametrize(("text", "ms"), [("2026-11-21T22:00Z", 1795298400000), ("2026-11-21", 1795219200000)])
async def test_times_are_read_as_people_write_them(text, ms, daemon, hookgate):
    await hookgate("retry", "--since", text, "--until", "1s")
    (chosen,) = daemon.asked[-1][1].chosen
    assert chosen.since == ms
    assert abs(chosen.until - (Runtime().now_ms() - 1000)) < 60_000
    assert (await hookgate("retry", "--since", "5")).exit_code == 2
    assert (await hookgate("retry", "--since", "yesterday")).exit_code == 2


async def test_the_daemon_is_told_who_types_as_the_kernel_knows_it_and_as_the_command_says(
    daemon, hookgate, monkeypatch
):
    for said, heard in (("alice", "alice"), ("b\r\nx: y", ""), ("", pwd.getpwuid(os.getuid()).pw_name)):
        monkeypatch.setenv("SUDO_USER", said)
        await hookgate("retry", TEXT)
        assert daemon.desk.asker == (os.getuid(), heard)


async def test_everything_is_retried_if_it_is_said(daemon, hookgate):
    await hookgate("retry", "--all")
    assert daemon.asked


async def test_an_error_of_the_daemon_is_told_with_its_remedy(config, hookgate):
    result = await hookgate("events", "show", "evt_0000000000000001")
    assert (result.exit_code, result.stderr) == (
        1,
        f"error: there is no event evt_0000000000000001\nnext:  hookgate events list --config {config}\n",
    )
    programs = await hookgate("targets", "hold", "nobody", "--json")
    assert json.loads(programs.stderr)["next"] == f"hookgate targets list --config {config}"


async def test_a_refused_reload_tells_every_problem_and_fails(daemon, hookgate):
    daemon.reload_result = ReloadResult(False, 1, (), ["config.toml:3: unknown key", "config.toml:9: no such target"])
    result = await hookgate("reload")
    assert result.exit_code == 1
    assert "the old configuration stays" in result.stderr
    assert "config.toml:3" in result.stderr
    assert "config.toml:9" in result.stderr
    found = json.loads((await hookgate("reload", "--json")).stderr)
    assert found["problems"] == ["config.toml:3: unknown key", "config.toml:9: no such target"]
    assert found["error"] == "the old configuration stays, the new one has problems:"


async def test_an_event_that_no_route_took_is_shown_with_the_reason(daemon, hookgate):
    daemon.store.rows = [daemon.store.rows[0]._replace(hold="unmatched")]
    daemon.store.duties = []
    daemon.missed = [Miss("paid", 'match body.state = "paid"', '"open"')]
    assert (
        'no match    route paid: match body.state = "paid"; found "open"'
        in (await hookgate("events", "show", TEXT)).output
    )
    daemon.missed = []
    assert "no match    no route is for " in (await hookgate("events", "show", TEXT)).output


async def test_status_says_what_is_wrong_and_what_to_type(daemon, hookgate):
    gate = GateStatus("disabled", "410 Gone", 1000, None)
    daemon.targets = [
        TargetStatus("fine", "file", (), 0, 0, 0, None, "", None, 5000, ""),
        TargetStatus("crm", "http", (gate,), 12, 0, 3, 1000, "410 Gone", 2000, None, "hookgate targets enable crm"),
    ]
    out = (await hookgate("status")).output
    for told in ("disabled", "410 Gone", "12", "due 5s ago", "next: hookgate targets enable crm", "bad_token 3"):
        assert told in out
    assert "fine:" not in out


async def test_status_counts_what_is_held_and_says_how_to_see_it(config, hookgate):
    out = (await hookgate("status")).output
    assert f"held 4 as unmatched: hookgate events list --hold unmatched --config {config}\n" in out


async def test_status_fails_while_events_are_not_accepted(daemon, hookgate):
    daemon.reasons = ["the store accepts nothing: disk low"]
    result = await hookgate("status")
    assert result.exit_code == 1
    assert "NOT READY" in result.output
    assert "disk low" in result.output


async def test_status_works_while_the_configuration_does_not_parse_elsewhere(config, hookgate):
    (config.parent / "conf.d").mkdir()
    admin = config.read_text()
    (config.parent / "conf.d" / "admin.toml").write_text(admin)
    (config.parent / "conf.d" / "broken.toml").write_text("x = [")
    config.write_text('include = ["conf.d/*.toml"]\nunknown = { key = 1 }\n')
    assert (await hookgate("status")).exit_code == 0


async def test_a_tcp_listener_is_asked_with_the_token_of_the_configuration(daemon, tmp_path, nursery):
    listener = open_listeners([parse_address("127.0.0.1:0")], "[admin].bind", Runtime(), {})[0]
    server = admin_server(make_app(daemon, TOKEN, Runtime()), Runtime(), lambda _: None)
    await nursery.start(server.serve, [Listener(listener)])
    (tmp_path / "keys").mkdir(mode=0o700)
    secret = tmp_path / "keys" / "admin"
    secret.write_bytes(TOKEN + b"\n")
    secret.chmod(0o600)
    path = tmp_path / "config.toml"
    path.write_text(
        f'[admin]\nbind = "127.0.0.1:{listener.getsockname()[1]}"\ntoken = {{ file = "admin" }}\n'
        '[secrets]\nfolder = "keys"\n'
    )

    async def run():
        return await trio.to_thread.run_sync(lambda: CliRunner().invoke(cli, ["status", "--config", str(path)]))

    assert (await run()).exit_code == 0
    secret.write_bytes(b"wrong")
    assert "a bearer token is needed" in (await run()).stderr
    secret.unlink()
    result = await run()
    assert "[admin].token cannot be read" in result.stderr
    await server.drain(0)


async def test_something_else_on_the_socket_is_told(config, tmp_path, nursery):
    listener = trio.SocketListener(Runtime().listen_unix(str(tmp_path / "a.sock"), 1))

    async def answer(stream):
        await stream.receive_some(4096)
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
        await stream.aclose()

    nursery.start_soon(trio.serve_listeners, answer, [listener])
    result = await trio.to_thread.run_sync(lambda: CliRunner().invoke(cli, ["status", "--config", str(config)]))
    assert result.exit_code == 1
    assert "is it the admin listener?" in result.stderr
    nursery.cancel_scope.cancel()
