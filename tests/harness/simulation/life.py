"""One process of the daemon in a simulation: it ends as it likes, is stopped, or killed between any two steps."""

import trio

from gateway.daemon import open_daemon
from harness.simulation.runtime import SimulatedRuntime


class Life:
    """One process of the daemon, from its start to its end."""

    def __init__(self, world, number):
        self.world = world
        self.dead = False
        self.expected_end = ""
        """Why it may end by itself; empty: it may not."""
        self.daemon = None
        self.started = False
        """It said so: who comes before finds no listener."""
        self.down = 1.0
        self.ended = trio.Event()
        self.scope = trio.CancelScope()
        self.runtime = SimulatedRuntime(self, f"{world.seed} life {number}")

    @property
    def listens(self):
        """Tell whether an operator's order finds somebody."""
        return self.started and self.daemon is not None and not self.dead

    def kill(self, how):
        """End it here and now: nothing it still does has an effect."""
        if not self.dead:
            self.world.trace.say(f"killed {how}")
            self.dead = True
            self.scope.cancel()

    async def run(self):
        """Live until killed, stopped, or broken."""
        world = self.world
        world.trace.say("daemon: starts")
        try:
            with self.scope:
                async with open_daemon(world.config, self.runtime) as daemon:
                    self.daemon = daemon
                    world.up.set()
                    await daemon.run()
        except BaseException as error:
            if self.daemon is None and world.disk.full:
                self.expected_end = "no room to start"
            if isinstance(error, trio.Cancelled) or (not self.dead and not self.expected_end):
                raise
            error.__traceback__ = None
        finally:
            self.daemon = None
            world.up = trio.Event()
            for listener in self.runtime.listeners:
                listener.close()
            self.ended.set()
        if not self.dead and not self.expected_end:
            world.fail("P21", "the daemon ended, and nobody had asked it to")
        world.trace.say(f"daemon: ended ({'killed' if self.dead else self.expected_end})")
        world.checker.ended()
        self.dead = True

    def exit_after(self, seconds, status):
        """The process is to end in so long, whatever hangs."""
        self.world.nursery.start_soon(self._exit_after, seconds, status)

    async def _exit_after(self, seconds, status):
        with trio.move_on_after(seconds):
            await self.ended.wait()
        if not self.ended.is_set():
            if not self.dead and not status:
                self.world.fail("P16", f"a stop took more than {seconds:g} s")
            self.expected_end = self.expected_end or "it hung"
            self.kill("by its own deadline")
