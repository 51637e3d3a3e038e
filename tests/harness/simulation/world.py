"""One run: the daemon, life after life, the senders and the operator around it, and the clock over all of them."""

import signal
from contextlib import contextmanager
from functools import partial
from math import inf
from random import Random

import trio

from gateway.dispatch.gates import FOREVER_MS
from harness.simulation.checker import Checker
from harness.simulation.clock import VirtualTime
from harness.simulation.disk import ROOMY, Disk
from harness.simulation.greenlets import Threads
from harness.simulation.life import Life
from harness.simulation.network import exchange, send_and_leave
from harness.simulation.operator import Operator
from harness.simulation.runtime import START_MS
from harness.simulation.script import END, Script
from harness.simulation.settings import SECRET, request_of
from harness.simulation.targets import Place
from harness.simulation.trace import Trace

PLUGIN = "from harness.simulation.targets import Simulated  # noqa: F401\n"
SEND_AGAIN = (1.0, 5.0, 30.0, 300.0, 1800.0, 7200.0, 20_000.0, 80_000.0)
STOP_SECONDS = 30.0
LEAP_SECONDS = 7200.0
AHEAD_SECONDS = {"step": 3.0}
"""So long before something happens no leap goes on: who looks at the clock each second must have looked lately."""
SHORTLY_SECONDS = 1.5
"""The same before all else: who looks each second sees what came of the first look after the leap."""
UNTOLD = {"config", "state", "pid"}
"""Of the daemon's log: other in each run."""


class World:
    """Everything there is in one run."""

    def __init__(self, seed, folder):
        self.seed = seed
        self.threads = Threads()
        self.clock = VirtualTime(self.quiet_until)
        self.trace = Trace(self.moment)
        self.script = Script(seed)
        self.settings = self.script.settings
        self.possible = [self.settings]
        """Configurations by which an event may have been planned a moment ago."""
        self.latest = {target.place: target for target in self.settings.targets}
        """How each place was led to last."""
        self.places = {
            target.place: Place(self, target.place, f"{seed} {target.place}") for target in self.settings.targets
        }
        self.checker = Checker(self)
        self.disk = Disk(folder, self)
        self.journal = self.disk.journal
        self.life = None
        self.up = trio.Event()
        """Set while a life serves."""
        self.nursery = None
        self.failures = []
        self.stepped_ms = 0
        self.stepped_at = -inf
        self._operator = Operator(self)
        self._dice = Random(f"{seed} world")
        self._busy = 0
        self._leap_until = inf
        """The last moment before the next thing that the script has happen."""
        self._awake_until = 0.0
        self._finished = False
        self._folder = folder
        self.database = folder / "hookgate.db"
        self.config = folder / "hookgate.toml"
        self._prepare()

    def _prepare(self):
        for name in ("secrets", "plugins"):
            (self._folder / name).mkdir(mode=0o700)
        secret = self._folder / "secrets" / "key"
        secret.write_bytes(SECRET)
        secret.chmod(0o600)
        (self._folder / "plugins" / "simulated.py").write_text(PLUGIN)
        (self._folder / "plugins" / "simulated.py").chmod(0o600)
        self.config.write_text(self.settings.text())

    def wall_ms(self):
        """The time of day, which may step."""
        return START_MS + self.stepped_ms + round(self.clock.current_time() * 1000)

    def moment(self):
        """The time since the begin, for people."""
        seconds = self.clock.current_time()
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(int(minutes), 60)
        days, hours = divmod(hours, 24)
        return f"{days}d {hours:02}:{minutes:02}:{seconds:09.6f}"

    def log(self, level, name, entry):
        """Take one line of the daemon's log; what a dead process says nobody reads."""
        if self.life is not None and not self.life.dead:
            self.life.started |= name == "daemon.started"
            if name == "clock.step_postponed":  # what waits is not set right yet
                self.stepped_at = self.clock.current_time()
            told = " ".join(f"{key}={value}" for key, value in sorted(entry.items()) if key not in UNTOLD)
            self.trace.say(f"log: {level} {name} {told.replace(str(self._folder), '')[:300]}")

    def fail(self, promise, text):
        """A promise is broken: the run ends."""
        self.trace.say(f"*** {promise}: {text}")
        if not self.trace.over:
            self.failures.append(f"{promise}: {text}")
        self.trace.over = True
        if self.nursery is not None:
            self.nursery.cancel_scope.cancel()

    def wake(self, seconds):
        """Let time go by without leaps for so long."""
        self._awake_until = max(self._awake_until, self.clock.current_time() + seconds)

    def quiet_until(self):
        """Tell until when nothing matters: see `leaping_clock`."""
        now = self.clock.current_time()
        life = self.life
        if life is None or life.daemon is None or life.expected_end or life.dead:
            return 0.0
        if self._busy or self.threads.resting or now < self._awake_until:
            return 0.0
        until = min(self._leap_until, now + LEAP_SECONDS)
        dispatcher, store = life.daemon._dispatcher, life.daemon._store
        wall = self.wall_ms()
        for name, runner in dispatcher.runners.items():
            backlog = store.backlog(name)
            if backlog.in_flight:
                return 0.0
            if backlog.pending > backlog.waiting:
                wait_ms = max((backlog.next_due or wall) - wall, runner.gates.wait_ms(wall))
                if wait_ms <= 0:
                    return 0.0
                if wait_ms < FOREVER_MS:
                    until = min(until, now + wait_ms / 1000)
        if life.daemon._replayer.running or life.daemon._announcer._queue:
            return 0.0
        return until

    @contextmanager
    def busy(self):
        """Somebody does something within the block."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self.wake(0.3)

    async def run(self):
        """Carry out the script, drain, and look at what is left."""
        try:
            async with trio.open_nursery() as nursery:
                self.nursery = nursery
                nursery.start_soon(self._live)
                for action in self.script.actions:
                    self._leap_until = action.at - AHEAD_SECONDS.get(action.what, SHORTLY_SECONDS)
                    await trio.sleep_until(action.at)
                    self._begin(action)
                self._leap_until = inf
                await trio.sleep(0.001)  # what was begun last is carried out before it is called off
                await self._drain()
                nursery.cancel_scope.cancel()
        finally:
            self.nursery = self.life = None
        if not self.failures:
            for difference in self.journal.compare(self.database)[:3]:
                self.fail("P1", f"after the end: {difference}")

    async def _live(self):
        number = 0
        while not self._finished:
            number += 1
            self.life = None
            if self.database.exists():
                for difference in self.journal.compare(self.database)[:3]:
                    self.fail("P1", f"after life {number - 1}: {difference}")
            life = self.life = Life(self, number)
            await life.run()
            self.wake(2.0)
            if not self._finished:
                await trio.sleep(life.down)

    def _begin(self, action):
        if action.what != "send":
            self.wake(1.0)
            self.trace.say(f"world: {action.what} {action.given}")
        act = getattr(self._operator, action.what, None) or getattr(self, f"_{action.what}")
        self.nursery.start_soon(partial(act, **action.given))

    # What can happen

    async def _send(self, sending):
        self.checker.begin(sending)
        async with trio.open_nursery() as nursery:
            for _ in range(sending.copies):
                nursery.start_soon(self._bring, sending)

    async def _bring(self, sending):
        """Send until it is taken or refused, as providers do."""
        head = request_of(sending.source, sending.body, genuine=sending.genuine)
        if sending.leaves and (life := self.life) is not None and life.daemon is not None:
            await send_and_leave(life.runtime.listeners[0], head, sending.body)
        for pause in SEND_AGAIN:
            with self.busy():
                taken = await self._post(sending, head)
            if taken or self.clock.current_time() > END:
                return
            await trio.sleep(pause * (1 + self._dice.random()))

    async def _post(self, sending, head):
        life = self.life
        if life is None or life.daemon is None or not life.runtime.listeners:
            return False
        status = await exchange(life.runtime.listeners[0], head, sending.body)
        if life.dead:
            status = None
        self.trace.say(f"sender: {sending} is answered {status}")
        self.checker.told_sender(sending, status)
        return status is not None and status < 500

    async def _mood(self, place, mood):
        self.places[place].mood = mood

    async def _kill(self, how, down, statements=0):
        if (life := self.life) is None or life.dead:
            return
        life.down = down
        if how == "now":
            life.kill("at this moment")
        elif how == "at":
            self.disk.kill_at = statements
        else:
            self.disk.kill_commit = how

    async def _stop(self, down):
        if (life := self.life) is None or life.daemon is None or life.dead:
            return
        life.down, life.expected_end = down, "stopped"
        life.runtime.raise_signal(signal.SIGTERM)
        with self.busy(), trio.move_on_after(STOP_SECONDS) as scope:
            await life.ended.wait()
        if scope.cancelled_caught:
            self.fail("P16", f"a stop took more than {STOP_SECONDS:g} s")

    async def _fail_commit(self, how):
        self.disk.fail_commit = how

    async def _full(self, on):
        self.disk.full, self.disk.free = on, 0 if on else ROOMY

    async def _low(self, on):
        self.disk.free = 1000 if on else ROOMY

    async def _step(self, by):
        if (life := self.life) is None or life.daemon is None or life.dead:
            return
        self.step(by)
        self.wake(8.0)

    def step(self, by_ms):
        """Set the clock."""
        self.checker.steps(by_ms)
        self.stepped_ms += by_ms
        self.stepped_at = self.clock.current_time()

    # The end

    async def _drain(self):
        """Make everything well, and see all that was promised come to its end."""
        with self.busy():
            self.trace.say("world: all is well from now on")
            self.disk.kill_at = self.disk.kill_commit = self.disk.fail_commit = None
            self.disk.full, self.disk.free = False, ROOMY
            for place in self.places.values():
                place.mood = "well"
            await self._until_up()
            if self.stepped_ms:
                self.step(-self.stepped_ms)
            await self._until_up()
            await self._operator.restore()
            self.config.write_text(self.settings.text())
            await self._operator.open_all()
        limit = self.clock.current_time() + self.checker.longest_wait() + 60.0 + self.checker.slack()
        while self.checker.unsettled():
            if self.clock.current_time() > limit:
                self.fail("P7 P27", f"not settled in time: {self.checker.describe_unsettled()}")
                return
            await trio.sleep(1.0)
        self._finished = True
        await self._stop(0.0)

    async def _until_up(self):
        """Wait until the daemon serves, and for some seconds in which it does not end."""
        up = False
        while not up:
            await self.up.wait()
            await trio.sleep(5.0)
            up = self.up.is_set()
