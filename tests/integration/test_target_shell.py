import json
import os
import random
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from pydantic import ValidationError

from gateway.plugin import Context, Delivered, NotTried, Rejected, Retry, TargetDown
from gateway.runtime import Runtime
from gateway.targets import shell
from gateway.targets.shell import Shell, ShellOptions
from gateway.testing.target import check_target, sample_message
from harness.exec_socket import exec_socket

RECORDER = """
import json, os, sys
with open("record.json", "x") as file:
    json.dump([sys.argv[2:], dict(os.environ), sys.stdin.buffer.read().decode("latin-1")], file)
"""
RECORD = [sys.executable, "-I", "-S", "-c", RECORDER, "--"]


@pytest.fixture(autouse=True)
def _no_helper_of_the_machine(monkeypatch, tmp_path):
    monkeypatch.setattr(shell, "EXEC_SOCKET", str(tmp_path / "no.sock"))


def context(seconds=20.0, connections=2):
    return Context(name="deploy", runtime=Runtime(), connections=connections, timeout_seconds=seconds)


async def deliver(options, message=None, seconds=20.0):
    target = Shell.build(ShellOptions.model_validate(options))
    await target.open(context(seconds))
    try:
        return await target.deliver(message or sample_message())
    finally:
        await target.close()


def sh(text, **options):
    return {"command": ["/bin/sh", "-c", text], **options}


async def test_it_keeps_the_contract_of_targets():
    await check_target(Shell, {"command": ["/bin/cat"]}, context())


async def test_it_keeps_the_contract_of_targets_through_the_helpers_socket(tmp_path):
    async with exec_socket(tmp_path / "exec.sock") as world:
        await check_target(Shell, {"command": ["/bin/cat"], "exec": f"unix:{world.path}"}, context())


# ---- what the program gets


async def record(folder, message, arguments=(), **options):
    outcome = await deliver({"command": [*RECORD, *arguments], "folder": str(folder), **options}, message)
    assert isinstance(outcome, Delivered), outcome
    return json.loads((folder / "record.json").read_text())


async def test_the_program_gets_payload_facts_and_arguments_and_nothing_of_the_daemons(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", "a-secret-of-the-daemon")
    message = replace(sample_message(), content=b"\x00the payload\xff", payload=b'{"id": 7, "to": ["a b", null]}')
    arguments = ["--id={body.id}", "{body.to}", "{event.type}", "{source}", "plain $HOME", "{{}}"]
    told, env, content = await record(tmp_path, message, arguments, environment={"REGION": "eu"})
    assert told == ["--id=7", '["a b",null]', "order.completed", "acme", "plain $HOME", "{}"]
    assert content == "\x00the payload\xff"
    assert env == {
        "PATH": shell.PATH,
        "LANG": "C.UTF-8",
        "REGION": "eu",
        "HOOKGATE_EVENT_ID": "evt_0000000000000001",
        "HOOKGATE_EVENT_TYPE": "order.completed",
        "HOOKGATE_EVENT_VERSION": "2023-10-30",
        "HOOKGATE_OCCURRED_AT": "1700000000000",
        "HOOKGATE_ACCEPTED_AT": "1700000000500",
        "HOOKGATE_SOURCE": "acme",
        "HOOKGATE_ROUTE": "orders",
        "HOOKGATE_TARGET": "conformance",
        "HOOKGATE_ATTEMPT": "1",
        "HOOKGATE_CONTENT_TYPE": "application/json",
        **({"LC_CTYPE": "C.UTF-8"} if "LC_CTYPE" in env else {}),
    }


async def test_P23_neither_the_helper_nor_the_program_can_see_a_variable_or_descriptor_of_the_daemon(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("SHOP_TOKEN", "a-secret-of-the-daemon")
    file = (tmp_path / "open").open("w")
    os.set_inheritable(file.fileno(), True)
    with file:
        await deliver(sh("cat /proc/$PPID/environ; cat /proc/$PPID/cmdline; ls -l /proc/$$/fd; env", folder="/"))
        outcome = await deliver(
            sh('cat /proc/$PPID/environ /proc/self/environ > "$OUT"; ls /proc/self/fd > "$OUT.fd"')
            | {"environment": {"OUT": str(tmp_path / "out")}}
        )
    assert isinstance(outcome, Delivered), outcome
    assert b"HOOKGATE_EVENT_ID" in (tmp_path / "out").read_bytes()
    assert b"a-secret-of-the-daemon" not in (tmp_path / "out").read_bytes()
    assert sorted((tmp_path / "out.fd").read_text().split()) == ["0", "1", "2", "3"]  # 3: the folder that ls reads


PIECES = (
    "$(touch {c})", "`touch {c}`", ";touch {c};", "|touch {c}", "||touch {c}", "&& touch {c}", "&touch {c}&",
    "\ntouch {c}\n", "\r\ntouch {c}", "';touch {c};'", '";touch {c};"', "${{IFS}}touch${{IFS}}{c}", ">{c}", ">>{c}",
    "<(touch {c})", "$((`touch {c}`))", "%0atouch {c}", "{{body.id}}",
    "{{{{7*7}}}}", "{{% raw %}}", "%s%n%x", "\\", "'",
    '"', "--", "-rf", "--help", "-", "-o{c}", "--output={c}", "@{c}",
    "*", "?", "~", "~root", "!!", "#", "$0", "$@", "$IFS",
    "() {{ :;}}; touch {c}", "\x1b[31m", "\x1b]0;x\x07", "\u202e",
    "\ufeff", "\U0001f600", "\u0085", "\x7f", "\x01", " ",
    "", "../../etc/passwd", "file://{c}", "PATH=/tmp", "=", "a" * 5000, "\t", "é", "\x1a\x04\x03",
)  # fmt: skip


def hostile(count, canary):
    seeded = random.Random(4711)
    found = [piece.format(c=canary) for piece in PIECES]
    while len(set(found)) < count:
        found.append("".join(seeded.choice(PIECES).format(c=canary) for _ in range(seeded.randint(2, 4))))
    return list(dict.fromkeys(found))[:count]


async def test_X1_P25_2000_hostile_payloads_arrive_as_they_are_and_start_nothing(tmp_path):
    """As arguments, as variables and on standard input: forty of them in each of fifty runs."""
    canary = tmp_path / "canary"
    payloads = hostile(2000, canary)
    wrong = []
    limit = trio.CapacityLimiter(4)

    async def one(number):
        values = payloads[number * 40 : number * 40 + 40]
        folder = tmp_path / f"run{number}"
        folder.mkdir()
        payload = json.dumps(values).encode()
        body = json.dumps({f"v{n}": value for n, value in enumerate(values)}).encode()
        message = replace(
            sample_message(), content=payload, payload=body, type=values[0], version=values[1], source=values[2]
        )
        arguments = [f"{{body.v{n}}}" for n in range(len(values))]
        environment = {f"V{n}": value for n, value in enumerate(values)}
        async with limit:
            told, env, content = await record(folder, message, arguments, environment=environment)
        if told != values or [env[f"V{n}"] for n in range(len(values))] != values or content != payload.decode():
            wrong.append(values)
        if [env["HOOKGATE_EVENT_TYPE"], env["HOOKGATE_EVENT_VERSION"], env["HOOKGATE_SOURCE"]] != values[:3]:
            wrong.append(values[:3])
        if {path.name for path in folder.iterdir()} != {"record.json"}:
            wrong.append(folder)

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(one, number)
    assert wrong == []
    assert len(set(payloads)) == 2000
    assert not canary.exists()
    assert {path.name for path in tmp_path.iterdir()} == {f"run{number}" for number in range(50)}


async def test_X1_a_value_that_would_be_an_option_is_rejected_unless_two_dashes_stand_before_it():
    message = replace(sample_message(), payload=b'{"id": "-rf", "n": -1}')
    for piece in ("{body.id}", "{body.id}x", "{body.n}"):
        outcome = await deliver({"command": ["/bin/echo", piece]}, message)
        assert isinstance(outcome, Rejected)
        assert 'begins with "-"' in outcome.reason
        assert "-rf" not in outcome.reason
        outcome = await deliver({"command": ["/bin/echo", "--", piece]}, message)
        assert isinstance(outcome, Delivered)
    outcome = await deliver({"command": ["/bin/echo", "--id={body.id}", "-n"]}, message)
    assert isinstance(outcome, Delivered)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("/usr/local/bin/deploy --env 'the prod'", 'write ["/usr/local/bin/deploy", "--env", "the prod"]'),
        ("don't", 'write ["don\'t"]'),
        ([], "expected the program"),
        (["deploy"], "absolute path"),
        (["/bin/{source}"], "absolute path"),
        (["/bin/x", "a\0b"], "absolute path"),
        (["/bin/x", "{header.x-y}"], "{header.x-y} cannot stand in a command"),
        (["/bin/x", "{body.a"], "has no partner"),
        (["/bin/sh", "-c", "echo {body.id}"], "text for a shell"),
        (["/usr/bin/env", "bash", "-ec", "x {event.type}"], "text for a shell"),
    ],
)
def test_X1_a_command_that_is_no_list_or_hands_values_to_a_shell_is_a_config_error(command, told):
    with pytest.raises(ValidationError, match=re.escape(told)):
        ShellOptions.model_validate({"command": command})


def test_a_shell_with_values_as_arguments_is_allowed():
    command = ["/bin/sh", "-c", 'echo "$1"', "--", "{body.id}"]
    assert ShellOptions.model_validate_json(json.dumps({"command": command}), strict=True).command == tuple(command)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"environment": {"A-B": "x"}}, "expected names of letters"),
        ({"environment": {"HOOKGATE_TARGET": "x"}}, "not beginning with HOOKGATE_"),
        ({"environment": {"A": "\0"}}, "A holds a NUL"),
        ({"folder": "srv"}, "expected an absolute path"),
        ({"exit": {"0": "retry"}}, "0 is always delivered"),
        ({"exit": {"256": "retry"}}, "expected exit statuses"),
        ({"exit": {"3": "later"}}, "'delivered', 'retry', 'rejected' or 'down'"),
        ({"exec": "/run/x.sock"}, 'expected "unix:/path'),
    ],
)
def test_options_that_cannot_be_are_config_errors(options, told):
    with pytest.raises(ValidationError, match=re.escape(told)):
        ShellOptions.model_validate({"command": ["/bin/cat"], **options})


# ---- what cannot be handed over


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"payload": json.dumps({"id": "x" * 131_072}).encode()}, "body.id} is longer than 131071 bytes"),
        ({"type": "x" * 131_072}, "HOOKGATE_EVENT_TYPE is longer"),
        ({"payload": b'{"id": "a\\u0000b"}'}, "body.id} holds a NUL"),
        ({"source": "a\0b"}, "HOOKGATE_SOURCE holds a NUL"),
        ({"version": "\ud800"}, "HOOKGATE_EVENT_VERSION holds half a character"),
        ({"payload": b'{"no": 1}'}, "there is nothing at body.id"),
        ({"payload": b"<xml/>"}, "no JSON"),
    ],
)
async def test_X2_what_cannot_be_an_argument_or_variable_is_rejected_and_nothing_runs(tmp_path, changed, told):
    command = ["/bin/sh", "-c", "touch ran", "--", "{body.id}"]
    outcome = await deliver({"command": command, "folder": str(tmp_path)}, replace(sample_message(), **changed))
    assert isinstance(outcome, Rejected)
    assert told in outcome.reason
    assert list(tmp_path.iterdir()) == []


async def test_X2_arguments_that_only_the_kernel_finds_too_long_are_rejected(tmp_path):
    payload = json.dumps({"id": "x" * 130_000}).encode()
    command = ["/bin/sh", "-c", "touch ran", "--", *["{body.id}"] * 60]
    outcome = await deliver({"command": command, "folder": str(tmp_path)}, replace(sample_message(), payload=payload))
    assert outcome == Rejected("cannot start: /bin/sh: Argument list too long")
    assert list(tmp_path.iterdir()) == []


async def test_X2_a_payload_of_many_megabytes_goes_to_standard_input_whether_read_or_not():
    message = replace(sample_message(), content=b"x" * 20_000_000)
    outcome = await deliver(sh("wc -c"), message)
    assert isinstance(outcome, Delivered)
    assert outcome.detail.endswith(": 20000000")
    assert isinstance(await deliver(sh("true"), message), Delivered)


# ---- what its end means


@pytest.mark.parametrize(
    ("text", "outcome", "told"),
    [
        ("exit 0", Delivered, "exit 0 in"),
        ("exit 75", Retry, "exit 75 in"),
        ("exit 126", Rejected, "exit 126 in"),
        ("exit 127", Rejected, "exit 127 in"),
        ("exit 1", Rejected, "exit 1 in"),
        ("kill -SEGV $$", Retry, "ended by SIGSEGV"),
        ("kill -KILL $$", Retry, "ended by SIGKILL"),
        ("kill -35 $$", Retry, "ended by signal 35"),
        ("exit 3", Retry, "exit 3 in"),
        ("exit 4", Delivered, "exit 4 in"),
        ("exit 5", TargetDown, "exit 5 in"),
        ("exit 6", Rejected, "exit 6 in"),
    ],
)
async def test_X5_the_end_of_a_program_decides(text, outcome, told):
    found = await deliver(sh(text, exit={"3": "retry", "4": "delivered", "5": "down", "6": "rejected"}))
    assert type(found) is outcome
    assert (found.detail if outcome is Delivered else found.reason).startswith(told)


async def test_a_run_over_its_time_is_tried_again_and_its_output_is_told():
    outcome = await deliver(sh("echo half-way >&2; sleep 60"), seconds=3.0)
    assert isinstance(outcome, Retry)
    assert re.fullmatch(r"timeout: not done within [\d.]+ s, ended: half-way", outcome.reason)


async def test_a_delivery_that_the_gateway_ends_at_its_deadline_tells_its_output_too():
    """The attempt's own deadline comes a moment before the run's: its Cancelled must not hide the outcome."""
    target = Shell.build(ShellOptions.model_validate(sh("echo half-way; sleep 60")))
    await target.open(context(5.0))
    outcome = None
    with trio.move_on_after(5.0) as scope:
        outcome = await target.deliver(sample_message())
    assert not scope.cancelled_caught
    assert isinstance(outcome, Retry)
    assert "half-way" in outcome.reason


@pytest.mark.parametrize("how", ["missing", "not executable", "a folder", "no interpreter", "no working folder"])
async def test_a_program_that_cannot_be_started_is_a_target_that_is_down(tmp_path, how):
    program = tmp_path / "deploy"
    folder = str(tmp_path)
    if how == "a folder":
        program.mkdir()
    elif how != "missing":
        program.write_text("#!/no/such/interpreter\n" if how == "no interpreter" else "#!/bin/sh\n")
        program.chmod(0o600 if how == "not executable" else 0o700)
    if how == "no working folder":
        folder = str(tmp_path / "gone")
    outcome = await deliver({"command": [str(program)], "folder": folder})
    assert isinstance(outcome, TargetDown)
    assert outcome.reason.startswith(f"cannot start: {folder if how == 'no working folder' else program}: ")


async def test_too_few_processes_left_for_a_helper_is_our_own_trouble():
    class Poor(Runtime):
        async def start_program(self, argv, environment):
            raise BlockingIOError(11, "Resource temporarily unavailable")

    target = Shell.build(ShellOptions.model_validate({"command": ["/bin/true"]}))
    await target.open(replace(context(), runtime=Poor()))
    assert isinstance(await target.deliver(sample_message()), NotTried)


# ---- output


async def test_X4_of_endless_output_the_last_64_KiB_are_kept_and_its_end_is_told():
    target = Shell.build(ShellOptions.model_validate(sh("yes 0123456789 | head -c 300000000; echo the end; exit 3")))
    await target.open(context(60.0))
    ended = await target._client.run(target._job(sample_message()))
    assert len(ended.output) == 65536
    assert ended.output.endswith(b"the end\n")
    assert ended.number == 3


async def test_X4_terminal_escapes_line_ends_and_bytes_that_are_no_text_are_written_out():
    outcome = await deliver(sh(r"printf '\033[31mred\nline\r\377\000\342\200\256end'; exit 1"))
    assert re.fullmatch(r"exit 1 in \d+ ms: \\x1b\[31mred\\nline\\r\\xff\\x00\\u202eend", outcome.reason)


@pytest.mark.parametrize(("status", "limit"), [(0, 200), (75, 500), (1, 500)])
async def test_X4_a_reason_holds_at_most_what_the_contract_allows_and_the_end_of_the_output(status, limit):
    outcome = await deliver(sh(rf"head -c 5000 /dev/zero | tr '\0' '\033'; echo END; exit {status}"))
    text = outcome.detail if status == 0 else outcome.reason
    assert len(text) == limit
    assert text.endswith("\\x1bEND")


# ---- the helper


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--from", "daemon"), "may not use this helper"),
        (("--from", "no-such-user"), "no-such-user"),
        (("--instance", "7-4711-54321"), "user number 54321 may not use this helper"),
        (("--allow", "/bin/cat", "--allow", "/usr/local/bin/"), "not among the programs"),
        (("--wrong",), "hung up before it ran anything"),
    ],
)
async def test_a_helper_that_refuses_is_a_target_that_is_down(tmp_path, arguments, told):
    async with exec_socket(tmp_path / "exec.sock", *arguments) as world:
        outcome = await deliver(sh("touch ran", folder=str(tmp_path), exec=f"unix:{world.path}"))
    assert isinstance(outcome, TargetDown)
    assert told in outcome.reason
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "arguments",
    [("--instance", f"7-4711-{os.getuid()}"), ("--allow", "/bin/sh"), ("--allow", f"{os.path.realpath('/bin')}/")],
)
async def test_a_helper_serves_its_user_and_the_programs_it_may_run(tmp_path, arguments):
    async with exec_socket(tmp_path / "exec.sock", *arguments) as world:
        assert isinstance(await deliver(sh("true", exec=f"unix:{world.path}")), Delivered)


async def test_no_helper_at_its_place_is_a_target_that_is_down(tmp_path):
    outcome = await deliver(sh("true", exec=f"unix:{tmp_path}/exec.sock"))
    assert isinstance(outcome, TargetDown)
    assert "No such file" in outcome.reason


async def test_a_helper_that_is_killed_in_mid_run_is_tried_again(tmp_path):
    async with exec_socket(tmp_path / "exec.sock") as world, trio.open_nursery() as nursery:
        outcomes = []

        async def run():
            # More than a pipe holds: the helper reads it once it has told that the program runs, and not before.
            program = "head -c 300000 /dev/zero; touch begun; exec sleep 60"
            options = sh(program, folder=str(tmp_path), exec=f"unix:{world.path}")
            outcomes.append(await deliver(options))

        nursery.start_soon(run)
        while not (tmp_path / "begun").exists():
            await trio.sleep(0.01)
        world.helpers[0].kill()
    assert outcomes == [Retry("the helper ended in mid run: was it stopped, or out of memory?")]


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\n\r\n", b"\0\0\0\2\0\0\0\0[]", b"\0\0\0\x13\0\0\0\0" + b'{"frame": "ended" }']
)
async def test_what_is_no_helper_is_a_target_that_is_down(tmp_path, answer):
    with trio.socket.socket(trio.socket.AF_UNIX) as listener:
        await listener.bind(str(tmp_path / "exec.sock"))
        listener.listen()

        async def serve():
            connection, _ = await listener.accept()
            with connection:
                await connection.send(answer)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            outcome = await deliver(sh("true", exec=f"unix:{tmp_path}/exec.sock"))
    assert isinstance(outcome, TargetDown)
    assert "no exec helper" in outcome.reason


async def test_the_usual_helper_is_taken_if_it_is_there_and_asked_for_if_it_is_not(tmp_path, monkeypatch):
    options = ShellOptions.model_validate({"command": ["/bin/true"]})
    assert [key for key, _ in options.warnings()] == ["exec"]
    assert ShellOptions.model_validate({"command": ["/bin/true"], "exec": "daemon"}).warnings() == ()
    async with exec_socket(tmp_path / "exec.sock") as world:
        monkeypatch.setattr(shell, "EXEC_SOCKET", world.path)
        assert options.warnings() == ()
        assert isinstance(await deliver({"command": ["/bin/true"]}), Delivered)
        assert len(world.helpers) == 1


def test_the_helper_started_by_hand_says_who_starts_it():
    import subprocess

    found = subprocess.run(
        [sys.executable, "-m", "gateway.exec_helper"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2
    assert "systemd or the gateway starts this" in found.stderr


def test_the_helper_needs_nothing_but_the_standard_library():
    import ast

    import gateway

    folder = Path(gateway.__file__).parent
    for path in [*folder.glob("exec_helper/*.py"), folder / "prctl.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.startswith(("gateway.exec_helper", "gateway.prctl")) or (
                    name.partition(".")[0] in sys.stdlib_module_names
                )
