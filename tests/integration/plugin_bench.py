"""Plugins as files in a folder of their own, run by the dispatcher beside a healthy plugin and a built-in target."""

import os
import textwrap
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import trio
from dispatch_bench import Plans, Watcher, accept, wait_until

from gateway.blueprint import TargetPlan
from gateway.core.render import Renderer
from gateway.core.retry import parse_policy
from gateway.dispatch.dispatcher import Dispatcher
from gateway.plugin import Context, Options, TargetKind
from gateway.plugin_host.catalogue import Catalogue
from gateway.plugin_host.describe import describe
from gateway.plugin_host.host import HostedTarget
from gateway.plugin_host.job import Job
from gateway.runtime import Runtime
from gateway.targets.file import File

NEVER_AGAIN = {"delays": [3600], "give_up": 86400}
"""A failed try is not made again within a test."""

HEAD = """
import os, sys, time, ctypes, threading
import trio
from gateway.plugin import Delivered, Message, NotTried, Options, Rejected, Retry, TargetDown, target

class Nothing(Options):
    pass

@target(Nothing, timeout="30s", concurrency=4)
"""
HEALTHY = "def deliver(message, options):\n    return Delivered('fine')\n"


class Bench:
    """A plugins folder, and the targets that its files make."""

    def __init__(self, folder):
        self.folder = folder / "plugins"
        self.folder.mkdir(mode=0o755)
        self.targets = {}

    def write(self, name, code, head=HEAD):
        file = self.folder / f"{name}.py"
        file.write_text(head + textwrap.dedent(code).lstrip())
        file.chmod(0o644)
        return file

    def job(self, name, options=None, group="targets"):
        provider = Catalogue(self.folder).find(group, name)
        return Job(provider, options or {})

    def plan(self, name, code=None, *, timeout=30.0, concurrency=2, described=False):
        """A target of this name whose plugin is `code`; `described` asks the plugin first, as the blueprint does."""
        if code is not None:
            self.write(name, code)
        job = self.job(name)
        down = describe(job).down if described else ""

        def build(_options):
            self.targets[name] = HostedTarget(job, down)
            return self.targets[name]

        kind = TargetKind(Options, build, timeout, concurrency, "payload")
        policy = parse_policy(NEVER_AGAIN)
        return TargetPlan(name, name, kind, None, Renderer("payload"), policy, timeout, concurrency, None, "1")

    def worker(self, name):
        host = getattr(self.targets[name], "_host", None)  # none before it is opened
        return host.worker if host is not None else None


def file_plan(folder):
    options = File.options(path=str(folder / "audit.jsonl"))
    return TargetPlan("audit", "file", File, options, Renderer("envelope"), parse_policy("default"), 30.0, 1, None, "1")


def context(name="plug", connections=2):
    return Context(name, Runtime(), connections, state_folder=Path())


@asynccontextmanager
async def opened(bench, name, code=None, *, connections=2, options=None):
    """One hosted target, without dispatch."""
    if code is not None:
        bench.write(name, code)
    target = HostedTarget(bench.job(name, options), "")
    bench.targets[name] = target
    await target.open(context(name, connections))
    try:
        yield target
    finally:
        with trio.CancelScope(shield=True), trio.fail_after(30):
            await target.close()


@asynccontextmanager
async def dispatched(store, *plans):
    watcher = Watcher()
    dispatcher = Dispatcher(store, Runtime(), watcher, Path())
    async with trio.open_nursery() as nursery:
        await nursery.start(dispatcher.run, Plans(*plans))
        yield dispatcher, watcher
        dispatcher.drain()
        with trio.fail_after(30):
            await dispatcher.wait_drained()


async def send(store, dispatcher, number, *targets):
    event = await accept(store, number, *targets)
    for target in targets:
        dispatcher.hint(target)
    return event


@asynccontextmanager
async def log_lines():
    """Collect log entries, of any task."""
    with structlog.testing.capture_logs() as entries:
        yield entries


def lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


async def wait_gone(pid):
    await wait_until(lambda: not lives(pid))
