"""The door to clock, randomness, sockets, signals and threads, as one life of the daemon finds it in a simulation."""

from contextlib import contextmanager
from random import Random

import trio

from gateway.runtime import Runtime
from harness.simulation.network import MemoryListener

START_MS = 1_800_000_000_000


class SimulatedRuntime(Runtime):
    """One per life: a new process has new random numbers, but the same clocks."""

    def __init__(self, life, seed):
        super().__init__()
        self.life = life
        self._world = life.world
        self._dice = Random(seed)
        self.listeners = []
        self._signals, self._received = trio.open_memory_channel(100)

    def now_ms(self):
        if self._world.threads.outside_trio:
            self._linger()
        return self._world.wall_ms()

    def monotonic(self):
        if self._world.threads.outside_trio and self._dice.random() < 0.2:
            self._linger()
        return self._world.clock.current_time()

    def _linger(self):
        """Let a commit take its time, as a thread's turn does."""
        self._world.threads.rest(self._dice.choice((0.0, 0.0001, 0.0005, 0.002)) if self._dice.random() < 0.98 else 0.8)

    def slept(self):
        return 0.0

    def random(self):
        return self._dice.random()

    def token_bytes(self, count):
        return self._dice.randbytes(count)

    def start_thread(self, run, name):
        return self._world.threads.start(run, name)

    def new_lock(self):
        return self._world.threads.new_lock()

    async def in_file_thread(self, call):
        await trio.lowlevel.checkpoint()
        return call()

    async def in_thread(self, call, limiter):
        raise NotImplementedError("nothing in a simulation talks to the outside in a thread")

    def exit_after(self, seconds, status=0):
        self.life.exit_after(seconds, status)

    @contextmanager
    def signals(self, *numbers):
        del numbers
        yield self._received

    def raise_signal(self, number):
        """Send the process a signal."""
        self._signals.send_nowait(number)

    def listen_tcp(self, host, port, backlog):
        del host, backlog
        self.listeners.append(MemoryListener(port))
        return self.listeners[-1]

    async def accept(self, listener):
        return await listener.accept()

    def listen_unix(self, path, backlog):
        raise NotImplementedError("the simulation's configuration names TCP addresses")
