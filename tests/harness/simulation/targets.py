"""The targets of a simulation: a kind of target that leads into the simulated world, and the places it leads to.

A place outlives the daemon, its reloads and its names. It answers as its mood is, remembers what it was asked, and has
the checker look at each try when it comes.
"""

from random import Random

import trio

from gateway.plugin import Delivered, NotTried, Options, Rejected, Retry, TargetDown, target

MOODS = ("well", "flaky", "errors", "refuses", "busy", "down", "gone", "hangs", "slow", "takes_and_resets", "raises")
"""How a place answers. Faults are drawn from all but the first."""
OUTCOMES = {
    "errors": (Retry("HTTP 500"), Retry("HTTP 500")),
    "takes_and_resets": (Retry("connection reset"), Retry("connection reset")),
    "refuses": (Rejected("HTTP 422"), Retry("HTTP 409")),
    "gone": (TargetDown("HTTP 410", disable=True), NotTried("no descriptor")),
    "raises": ("raises", "raises"),
}
"""What a mood answers in one half of all tries, and in the other."""


class SimulatedOptions(Options):
    place: str
    """Which place of the world it leads to."""


@target(SimulatedOptions, send="payload", timeout="30s", concurrency=4)
class Simulated:
    """Leads into the world that its runtime belongs to."""

    def __init__(self, options):
        self._place = options.place

    async def open(self, context):
        self._life = context.runtime.life
        self._at = self._life.world.places[self._place]
        self._name = context.name

    async def deliver(self, message):
        return await self._at.take(message, self._life)

    async def close(self):
        """Nothing to give back."""


class Place:
    """Where one target leads to."""

    def __init__(self, world, name, seed):
        self._world = world
        self._dice = Random(seed)
        self.name = name
        self.mood = "well"
        self.live = {}
        """Tries under way, by event."""

    async def take(self, message, life):
        """Be asked to take a message; what a dead process asks for is never seen here."""
        if life.dead:
            await trio.sleep_forever()
        checker = self._world.checker
        seen = checker.arrived(self, message)
        number = message.id
        self.live[number] = self.live.get(number, 0) + 1
        outcome = "cut off"
        try:
            outcome = await self._answer()
        finally:
            self.live[number] -= 1
            if not life.dead:
                self._world.trace.say(f"{self.name}: {checker.short(message.id)} {outcome}")
                checker.answered(self, message, seen, outcome)
        if outcome == "raises":
            raise ValueError("the plugin has a bug")
        return outcome

    async def _answer(self):
        draw, mood = self._dice.random(), self.mood
        await trio.sleep(self._takes(mood, draw))
        if mood == "flaky":
            mood = "errors" if draw < 0.5 else "well"
        if mood == "busy":
            return Retry("HTTP 429", after=self._dice.choice((None, 2, 40, 900, 4000)), throttle=draw < 0.7)
        if mood == "down":
            return TargetDown("connection refused", after=self._dice.choice((None, None, 600)))
        often, rarely = OUTCOMES.get(mood, (Delivered(), Delivered()))
        return often if draw < 0.5 else rarely

    def _takes(self, mood, draw):
        """Give the seconds until the answer."""
        return {"well": self._dice.choice((0.0, 0.001, 0.02, 0.3)), "slow": 20 * draw, "hangs": 1000.0}.get(
            mood, 0.05 * draw
        )
