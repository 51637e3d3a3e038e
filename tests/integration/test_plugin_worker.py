"""One plugin's worker process: what goes over its border, what it may hold, how it ends and comes back."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from dispatch_bench import wait_until
from plugin_bench import HEAD, HEALTHY, Bench, context, lives, log_lines, opened, wait_gone

from gateway.config.places import Places
from gateway.config.references import References
from gateway.plugin import Context, Delivered, Rejected, Retry, TargetDown
from gateway.plugin_host.catalogue import Catalogue
from gateway.plugin_host.describe import describe
from gateway.plugin_host.job import Job
from gateway.plugin_host.transformed import WorkerTransform, transformed
from gateway.runtime import Runtime
from gateway.testing import check_target, sample_message


@pytest.fixture(name="bench")
def make_bench(tmp_path):
    return Bench(tmp_path)


ECHO = """
def deliver(message, options):
    facts = {name: getattr(message, name) for name in %s}
    print(facts)
    print({"payload": message.payload, "headers": dict(message.headers), "progress": message.progress})
    return Delivered(str(message.content == bytes(range(256))))
"""
FACTS = ("id", "source", "type", "version", "content_type", "target", "route", "attempt", "occurred_at", "accepted_at")


async def test_a_message_arrives_in_the_worker_as_it_was(bench):
    message = replace(
        sample_message(7),
        content=bytes(range(256)),
        payload=b"another",
        headers={"x-odd": "\udc80\u2028é"},
        progress=b"\x00\xff",
        occurred_at=None,
    )
    async with log_lines() as entries, opened(bench, "echo", ECHO % repr(FACTS)) as target:
        assert await target.deliver(message) == Delivered("True")
    said = "".join(entry["line"] for entry in entries)
    for name in FACTS:
        assert f"'{name}': {getattr(message, name)!r}" in said
    assert f"'payload': {message.payload!r}, 'headers': {{'x-odd': '\\udc80\\u2028é'}}" in said
    assert "'progress': b'\\x00\\xff'" in said


async def test_a_hosted_target_keeps_the_public_contract(bench):
    bench.write("good", HEALTHY)
    options = bench.job("good")
    from gateway.plugin import Options, TargetKind
    from gateway.plugin_host.host import HostedTarget

    kind = TargetKind(Options, lambda _options: HostedTarget(options, ""), 30.0, 4, "payload")
    await check_target(kind, {}, context(connections=4))


async def test_progress_crosses_the_border_even_if_the_worker_dies_after_it(bench):
    saved = []
    code = """
def deliver(message, options):
    message.save_progress(b"one")
    message.save_progress(b"two")
    os._exit(1)
"""
    async with opened(bench, "dies", code) as target:
        outcome = await target.deliver(replace(sample_message(), save_progress=saved.append))
    assert isinstance(outcome, Retry)
    assert saved == [b"two"]


async def test_P23_the_environment_and_arguments_of_a_worker_hold_nothing_of_the_daemon(bench, monkeypatch):
    monkeypatch.setenv("HOOKGATE_CANARY", "canary-7f1c")
    async with opened(bench, "good", HEALTHY, options={}) as target:
        await target.deliver(sample_message())
        process = Path(f"/proc/{bench.worker('good').pid}")
        assert b"canary" not in (process / "environ").read_bytes()
        assert b"good.py" not in (process / "cmdline").read_bytes()


async def test_a_secret_reaches_the_plugin_over_the_socket_only(bench, tmp_path):
    code = """
from gateway.plugin import Delivered, Options, SecretText, target
class Key(Options):
    key: SecretText
@target(Key)
def deliver(message, options):
    return Delivered(f"{options.key} {len(options.key.reveal())}")
"""
    bench.write("keyed", code, head="")
    secret = tmp_path / "api"
    secret.write_text("canary-of-20-letters")
    secret.chmod(0o600)
    references = References(Places(tmp_path, tmp_path, tmp_path, None, {}), tmp_path)
    job = bench.job("keyed", {"key": {"file": "api"}})
    found = describe(job, references)
    assert (found.problems, found.down, len(references.digests)) == ((), "", 1)
    assert "canary" not in repr(found)
    missing = describe(bench.job("keyed", {"key": {"file": "none"}}), references)
    assert "secret file" in missing.problems[0][1]
    from gateway.plugin_host.host import HostedTarget

    target = HostedTarget(Job(job.provider, job.options, found.given), "")
    await target.open(context())
    assert await target.deliver(sample_message()) == Delivered("*** 20")
    process = Path(f"/proc/{target._host.worker.pid}")
    assert b"canary" not in (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
    await target.close()


async def test_G4_what_a_plugin_prints_is_log_lines_clean_and_bounded(bench, monkeypatch):
    monkeypatch.setattr("gateway.plugin_host.said.PERIOD_SECONDS", 1000.0)  # all of it is printed within one
    code = """
def deliver(message, options):
    print("one\\x1b[31m line")
    os.write(2, b"x" * 100_000 + b"\\n")
    os.write(1, b"\\xff\\xfe\\n")
    for number in range(100_000):
        print(number)
    return Delivered()
"""
    async with log_lines() as entries, opened(bench, "loud", code) as target:
        assert isinstance(await target.deliver(sample_message()), Delivered)
        await wait_until(lambda: target._host._said._lines == 100_003)  # of a worker that has ended little more is read
    lines = [entry["line"] for entry in entries if entry["event"] == "plugin.said"]
    assert lines[0] == "one [31m line"
    assert lines[1] == "x" * 500
    assert len([line for line in lines if not line.endswith("not logged)")]) <= 20
    dropped = sum(int(found[1]) for line in lines if (found := re.match(r"\((\d+) more lines", line)))
    assert dropped >= 90_000


LEAKING = """
import os, threading, time
import trio
from gateway.plugin import Delivered, Options, target

leaked = []

@target(Options)
async def deliver(message, options):
    {}
    return Delivered()
"""
LEAKS = {
    "descriptors": "leaked.extend(os.open('/dev/null', 0) for _ in range(100))",
    "threads": "[threading.Thread(target=time.sleep, args=(600,), daemon=True).start() for _ in range(30)]",
    "tasks": "[trio.lowlevel.spawn_system_task(trio.sleep_forever) for _ in range(600)]",
    "memory": "leaked.append(b'x' * (200 * 1024 * 1024))",
}


@pytest.mark.parametrize("leak", LEAKS)
async def test_G4_a_worker_that_leaks_is_replaced_between_two_calls(bench, leak):
    bench.write("leaks", LEAKING.format(LEAKS[leak]), head="")
    async with log_lines() as entries, opened(bench, "leaks") as target:
        assert isinstance(await target.deliver(sample_message()), Delivered)
        first = bench.worker("leaks")
        for number in range(12):
            if bench.worker("leaks") is first:
                assert isinstance(await target.deliver(sample_message(number)), Delivered)
        await wait_gone(first.pid)
        assert isinstance(await target.deliver(sample_message()), Delivered)
    assert [entry for entry in entries if entry["event"] == "plugin.worker_replaced"]


async def test_G5_a_worker_that_dies_is_started_again_for_the_next_message(bench):
    code = """
def deliver(message, options):
    if message.attempt == 1:
        os._exit(9)
    return Delivered(str(os.getpid()))
"""
    async with opened(bench, "frail", code) as target:
        assert "exited with status 9" in (await target.deliver(sample_message())).reason
        assert isinstance(await target.deliver(replace(sample_message(), attempt=2)), Delivered)


async def test_G5_a_worker_that_always_dies_is_started_less_and_less_often(bench):
    async with opened(bench, "frail", "def deliver(message, options):\n    os._exit(9)\n") as target:
        outcomes = [await target.deliver(sample_message(number)) for number in range(4)]
    assert [type(outcome) for outcome in outcomes[:2]] == [Retry, Retry]
    assert isinstance(outcomes[-1], TargetDown)
    assert "exited with status 9; it is started again in" in outcomes[-1].reason
    assert outcomes[-1].after > 1


async def test_a_call_that_ignores_its_end_ends_its_process_but_not_its_neighbour(bench):
    code = """
def deliver(message, options):
    if message.attempt == 1:
        time.sleep(600)
    if message.attempt == 2:
        time.sleep(2)
    return Delivered()
"""
    async with opened(bench, "mixed", code) as target:
        results = []
        assert await target.deliver(replace(sample_message(), attempt=3))  # a call must reach it within a second

        async def neighbour():
            results.append(await target.deliver(replace(sample_message(), attempt=2)))

        async with trio.open_nursery() as nursery:
            with trio.move_on_after(1.0):
                await target.deliver(sample_message())
            pid = bench.worker("mixed").pid
            nursery.start_soon(neighbour)
        assert results == [Delivered()]
        await wait_gone(pid)
        assert await target.deliver(replace(sample_message(), attempt=2))


async def test_a_worker_that_starts_slower_than_a_try_may_take_is_left_to_start(bench):
    bench.write("slow", HEALTHY, head="import time\ntime.sleep(2)\n" + HEAD)
    async with log_lines() as entries, opened(bench, "slow") as target:
        with trio.move_on_after(0.1) as scope:
            await target.deliver(sample_message())
        assert scope.cancelled_caught
        first = bench.worker("slow")
        assert await target.deliver(sample_message()) == Delivered("fine")
        assert bench.worker("slow") is first
    assert entries == []


async def test_closing_ends_the_plugin_in_its_own_way_and_a_stubborn_one_by_force(bench, tmp_path, monkeypatch):
    code = f"""
import os, time
from gateway.plugin import Delivered, Options, target
@target(Options)
class Kept:
    def __init__(self, options): pass
    async def open(self, context): self.folder = context.state_folder
    async def deliver(self, message): return Delivered()
    async def close(self): open({str(tmp_path / "closed")!r}, "w").close()
"""
    bench.write("kept", code, head="")
    with monkeypatch.context() as patch:
        patch.setattr("gateway.plugin_host.host.CLOSE_SECONDS", 20.0)  # its process may wait for the machine
        async with opened(bench, "kept") as target:
            await target.deliver(sample_message())
            pid = bench.worker("kept").pid
    await wait_gone(pid)
    assert (tmp_path / "closed").exists()
    bench.write(
        "stubborn",
        code.replace(': open("', ': time.sleep(600) or open("').replace(": open('", ": time.sleep(600) or open('"),
        head="",
    )
    async with opened(bench, "stubborn") as target:
        await target.deliver(sample_message())
        pid = bench.worker("stubborn").pid
    await wait_gone(pid)


async def test_what_a_plugin_started_ends_with_its_worker(bench):
    code = """
def deliver(message, options):
    child = os.fork()
    if child == 0:
        time.sleep(600)
    return Delivered(str(child))
"""
    async with opened(bench, "forks", code) as target:
        child = int((await target.deliver(sample_message())).detail)
        assert lives(child)
    await wait_gone(child)


async def test_a_worker_ends_when_the_daemon_is_gone_whatever_its_plugin_does(bench, tmp_path):
    """The daemon here is a process of its own that is killed."""
    bench.write("hangs", "async def deliver(message, options):\n    time.sleep(600)\n")
    script = f"""
import json, os, sys, trio
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
from plugin_bench import context
from gateway.plugin_host.catalogue import Catalogue
from gateway.plugin_host.host import HostedTarget
from gateway.plugin_host.job import Job
from gateway.testing import sample_message
from pathlib import Path

async def main():
    target = HostedTarget(Job(Catalogue(Path({str(bench.folder)!r})).find("targets", "hangs"), {{}}), "")
    await target.open(context())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(target.deliver, sample_message())
        while not (target._host.worker and target._host.worker._ready.is_set()):
            await trio.sleep(0.01)
        print(target._host.worker.pid, flush=True)
trio.run(main)
"""
    import subprocess
    import sys

    daemon = await trio.lowlevel.open_process([sys.executable, "-c", script], stdout=subprocess.PIPE)
    with trio.fail_after(30):
        pid = int(await daemon.stdout.receive_some(100))
    assert lives(pid)
    daemon.kill()
    await daemon.wait()
    await daemon.stdout.aclose()
    await wait_gone(pid)


TRANSFORM = """
from gateway.plugin import Options, transform
class Nothing(Options):
    pass
@transform(Nothing)
"""


class Taker:
    """A target that keeps what it gets."""

    def __init__(self):
        self.seen = []

    async def open(self, context):
        pass

    async def deliver(self, message):
        self.seen.append((message.content, message.content_type))
        return Delivered()

    async def close(self):
        pass


@pytest.mark.parametrize(
    ("code", "expected", "seen"),
    [
        ("def f(message, options): return b'new'", Delivered(), [(b"new", "application/json")]),
        ("async def f(message, options): return (b'new', 'text/plain')", Delivered(), [(b"new", "text/plain")]),
        ("def f(message, options): return 'text'", Rejected, []),
        ("def f(message, options): return None", Rejected, []),
        ("def f(message, options): return b'x' * (9 * 1024 * 1024)", Rejected, []),
        ("def f(message, options): raise SystemExit", Retry, []),
        ("def f(message, options): os._exit(3)", Retry, []),
    ],
)
async def test_a_transform_writes_the_content_or_fails_the_delivery(bench, code, expected, seen):
    bench.write("t", code, head="import os\n" + TRANSFORM)
    taker = Taker()
    target = transformed(taker, WorkerTransform(Job(Catalogue(bench.folder).find("transforms", "t"), {}), ""))
    await target.open(Context("t", Runtime(), 2))
    outcome = await target.deliver(sample_message())
    assert outcome == expected if isinstance(expected, Delivered) else isinstance(outcome, expected)
    assert taker.seen == seen
    await target.close()


def test_what_a_description_says_can_be_told_as_json(bench):
    bench.write("good", HEALTHY)
    found = describe(bench.job("good", {"unknown": 1}))
    assert found.problems == ((("unknown",), "unknown key"),)
    assert (found.timeout_seconds, found.concurrency, found.send) == (30.0, 4, "envelope")
    assert json.dumps(found.schema)
