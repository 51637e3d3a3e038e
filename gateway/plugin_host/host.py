"""Plugins of one target behind the contract of a target: workers started when needed, replaced when they fail.

One process a target: what one plugin does to its process can cost no other target anything, and a hung one is killed
without asking whose else it was. A worker that crashes is started again at once, then after growing pauses.
"""

from typing import Final

import structlog
import trio

from gateway.core.model import Message, Outcome, TargetDown
from gateway.plugin import Context
from gateway.plugin_host.call import as_outcome
from gateway.plugin_host.content import Content
from gateway.plugin_host.job import Job, hello
from gateway.plugin_host.process import Worker
from gateway.plugin_host.said import Said

PAUSE_FIRST_SECONDS: Final = 0.25
PAUSE_MAX_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 1.0
"""A shorter pause is waited out within a call; a longer one closes the target's gate."""
CLOSE_SECONDS: Final = 1.2
"""For the plugin's own `close`; then its process is killed."""

log = structlog.get_logger()


class Host:
    """Keeps the workers of one plugin of one target: one that takes calls, and one that is ending."""

    def __init__(self, job: Job, context: Context) -> None:
        self._job = job
        self._context = context
        self._runtime = context.runtime
        self._said = Said(context.name, context.runtime)
        self._worker: Worker | None = None
        self._retired: Worker | None = None
        self._crashes = 0
        self._start_at = 0.0
        self._last_end = ""

    @property
    def worker(self) -> Worker | None:
        """The worker that takes calls, if there is one."""
        return self._worker

    async def call(self, message: Message) -> Outcome | Content:
        """Give the plugin's answer, or why there is none."""
        pause = self._start_at - self._runtime.monotonic()
        if self._worker is None and 0 < pause <= PATIENCE_SECONDS:
            await trio.sleep(pause)
        elif self._worker is None and pause > 0:
            return TargetDown(f"{self._last_end}; it is started again in {pause:.0f} s", after=pause)
        if self._worker is None:
            self._worker = self._start()
        return await self._worker.call(message)

    async def close(self) -> None:
        """End every worker, in their own way if they do it soon."""
        workers = [worker for worker in (self._worker, self._retired) if worker is not None]
        self._worker = self._retired = None
        for worker in workers:
            worker.close()
        try:
            with trio.move_on_after(CLOSE_SECONDS):
                for worker in workers:
                    await worker.ended.wait()
        finally:
            for worker in workers:
                worker.kill("the target was closed")

    def answered(self, worker: Worker) -> None:
        """A call came back: what crashed before is forgiven."""
        del worker
        self._crashes = 0

    def retired(self, worker: Worker, reason: str) -> None:
        """Let a worker end; only one at a time may."""
        if self._worker is worker:
            self._worker = None
        if self._retired is not None:
            self._retired.kill("another worker had to be replaced")
        self._retired = worker
        log.warning("plugin.worker_replaced", target=self._context.name, reason=reason)

    def ended(self, worker: Worker, reason: str) -> None:
        """Plan when the next one may start."""
        if self._retired is worker:
            self._retired = None
            return
        if self._worker is worker:
            self._worker = None
        if not reason:
            return
        self._crashes += 1
        self._last_end = reason
        pause = min(PAUSE_FIRST_SECONDS * 4 ** min(self._crashes - 1, 8), PAUSE_MAX_SECONDS)
        self._start_at = self._runtime.monotonic() + pause
        log.warning("plugin.worker_ended", target=self._context.name, reason=reason, again_in=pause)

    def _start(self) -> Worker:
        context = self._context
        told = hello(
            self._job,
            "serve",
            name=context.name,
            connections=context.connections,
            user_agent=context.user_agent,
            timeout_seconds=context.timeout_seconds,
            state_folder=str(context.state_folder.absolute()),
        )
        worker = Worker(context.name, told, self._said, self._runtime, self)
        trio.lowlevel.spawn_system_task(worker.run, name=f"plugin worker of {context.name}")
        return worker


class HostedTarget:
    """A target whose plugin runs in a worker process."""

    def __init__(self, job: Job, down: str) -> None:
        """Prepare; `down` tells why the plugin cannot be used, and is empty if it can."""
        self._job = job
        self._down = down

    async def open(self, context: Context) -> None:
        """Get ready; the process starts with the first delivery. Raises OSError for a plugin that cannot be used."""
        self._host = Host(self._job, context)
        if self._down:
            raise OSError(self._down)

    async def deliver(self, message: Message) -> Outcome:
        """Let the plugin deliver; a plugin that could not be imported needs a reload once it is repaired."""
        if self._down:
            return TargetDown(f"{self._down}: repair it, then hookgate reload")
        return as_outcome(await self._host.call(message))

    async def close(self) -> None:
        """End the process within two seconds."""
        await self._host.close()
