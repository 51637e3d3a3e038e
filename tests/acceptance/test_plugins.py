"""Plugins in the real process: delivered by a worker, killed and back, changed by a reload, gone with the daemon."""

import json
import os
import signal
from pathlib import Path

import trio

from harness.daemon import running
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings

PLUGIN = """
import json, os, time
from gateway.plugin import Delivered, Options, target

class Keep(Options):
    path: str
    hang: str = ""

@target(Keep, timeout="2s")
def deliver(message, options):
    if options.hang:
        while True: pass
    with open(options.path, "a") as file:
        seen = {"id": message.id, "version": 1, "pid": os.getpid(), "environ": dict(os.environ)}
        file.write(json.dumps(seen) + "\\n")
    return Delivered()
"""


def install(home, text):
    folder = home.folder / "plugins"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "keep.py").write_text(text)
    (folder / "keep.py").chmod(0o600)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def wait_lines(path, count):
    with trio.fail_after(30):
        while len(lines(path)) < count:
            await trio.sleep(0.02)
    return lines(path)


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


async def wait_gone(pid):
    with trio.fail_after(30):
        while not gone(pid):
            await trio.sleep(0.02)


async def test_P22_a_plugin_delivers_from_a_worker_that_is_killed_changed_and_gone_with_the_daemon(home):
    kept = home.folder / "kept"
    install(home, PLUGIN)
    table = (
        f'[targets.mine]\ntype = "keep"\npath = "{kept}"\ntimeout = "60s"\n'
        'retry = { delays = ["1s"], then = "1s", give_up = "1h" }\n'
    )
    Settings(home, more=table, orders_targets=["mine", "audit"]).write()
    async with running(home, {"CANARY": "canary-3b9e"}) as daemon:
        assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
        (first,) = await wait_lines(kept, 1)
        assert first["pid"] != daemon.pid
        assert "canary" not in json.dumps(first)
        os.kill(first["pid"], signal.SIGKILL)
        await daemon.wait_logged("plugin.worker_ended")
        assert (await post(daemon.port, truework("order-2", ORDERS_TOKEN))).status == 200
        _, second = await wait_lines(kept, 2)
        assert second["pid"] != first["pid"]
        install(home, PLUGIN.replace('"version": 1', '"version": 2'))
        await daemon.reload()
        assert (await post(daemon.port, truework("order-3", ORDERS_TOKEN))).status == 200
        *_, third = await wait_lines(kept, 3)
        assert third["version"] == 2
        await wait_gone(second["pid"])
        await daemon.wait_settled()
        assert len({line["id"] for line in lines(kept)}) == 3
        assert len(home.lines("audit.jsonl")) == 3
        await daemon.kill()
        await wait_gone(third["pid"])


async def test_G2_a_plugin_that_loops_holds_up_neither_the_senders_nor_another_target_nor_the_stop(home, tell):
    install(home, PLUGIN)
    table = '[targets.mine]\ntype = "keep"\npath = "x"\nhang = "yes"\nconcurrency = 1\ntimeout = "5s"\n'
    Settings(home, more=table, orders_targets=["mine", "audit"]).write()
    async with running(home) as daemon:
        assert (await post(daemon.port, truework("order-0", ORDERS_TOKEN))).status == 200
        slowest, sent = 0.0, 1
        with trio.fail_after(30):
            while not [line for line in daemon.logged("attempt.failed") if line["target"] == "mine"]:
                began = trio.current_time()
                assert (await post(daemon.port, truework(f"order-{sent}", ORDERS_TOKEN))).status == 200
                slowest, sent = max(slowest, trio.current_time() - began), sent + 1
                await trio.sleep(0.01)
        tell(f"{sent} events while a plugin looped; the slowest answer took {slowest * 1000:.0f} ms")
        await daemon.wait_settled(target="audit")
        assert len(home.lines("audit.jsonl")) == sent
        assert sent > 10
        assert await daemon.stop() == 0


async def test_G5_a_plugin_that_cannot_be_imported_keeps_its_deliveries_until_it_is_repaired(home):
    kept = home.folder / "kept"
    install(home, "import os; os._exit(4)")
    table = f'[targets.mine]\ntype = "keep"\npath = "{kept}"\n'
    Settings(home, more=table, orders_targets=["mine", "audit"]).write()
    async with running(home) as daemon:
        assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
        await daemon.wait_settled(target="audit")
        target = await daemon.target("mine")
        assert (target["pending"] + target["in_flight"], target["dead"]) == (1, 0)
        install(home, PLUGIN)
        await daemon.reload()
        await daemon.cli("targets", "enable", "mine")
        assert len(await wait_lines(kept, 1)) == 1
        await daemon.wait_settled()
