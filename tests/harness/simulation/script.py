"""What a seed chooses: the configuration, what senders send, and what goes wrong, all of it before anything runs."""

import json
from dataclasses import dataclass, field, replace
from random import Random

from harness.simulation.settings import KEYS, Settings, TargetSettings
from harness.simulation.targets import MOODS

DAYS = 3
END = DAYS * 86400.0
EVENTS = 200
KINDS = ("order.created", "order.done", "order.odd")
DURATIONS = (15.0, 90.0, 400.0, 3600.0, 5 * 3600.0)
STEPS_MS = (1_000, -1_000, 300_000, -300_000, 86_400_000, -86_400_000)


@dataclass
class Sending:
    """One request that a sender has to bring, however often it takes."""

    source: str
    kind: str
    id: str
    number: int
    body: bytes
    genuine: bool = True
    copies: int = 1
    leaves: bool = False
    """True: the sender goes before the first answer."""

    def __str__(self):
        return f"{self.id} (number {self.number}{'' if self.genuine else ', forged'})"


@dataclass(order=True)
class Action:
    """Something that happens at a moment."""

    at: float
    what: str = field(compare=False)
    given: dict = field(compare=False, default_factory=dict)


class Script:
    """The choices of one seed."""

    def __init__(self, seed):
        self._dice = Random(f"script {seed}")
        self.settings = self._settings()
        self.actions = []
        self._sent = []
        moment = 10.0
        while len(self._sent) < EVENTS:
            moment += self._dice.expovariate(1) * END / 45
            self._cluster(moment)
        scale = END / max(moment, END)
        for action in self.actions:
            action.at *= scale
        self._troubles()
        self.actions.sort()

    def _settings(self):
        dice = self._dice
        count = dice.randint(2, 5)
        targets = tuple(self._target(number) for number in range(count))
        sources = ("acme", "beta")[: dice.randint(1, 2)]
        places = [target.place for target in targets]
        routes = {
            (source, kind): tuple(sorted(dice.sample(places, dice.randint(1, count))))
            for source in sources
            for kind in KINDS[:2]
        }
        keep = 'keep = { bodies = "6h", metadata = "9h", dead = "12h" }' if dice.random() < 0.3 else ""
        return Settings(targets, sources, routes, keep, alerts=dice.random() < 0.3)

    def _target(self, number):
        dice = self._dice
        policies = (
            {},
            {"delays": (1, 1, 2), "then": 3, "attempts": dice.randint(2, 9)},
            {"delays": (60,), "then": 600, "give_up": 7200, "jitter": "full"},
            {"delays": (10, 100), "then": 1000, "give_up": 4 * 86400, "jitter": 0},
        )
        return TargetSettings(
            f"p{number}",
            f"p{number}",
            order=dice.choice(("", "", "", "block", "skip", "latest")),
            rate=dice.choice((0, 0, 0, 1, 5)),
            concurrency=dice.choice((1, 2, 4, 8)),
            disable=dice.random() < 0.2,
            expires=dice.choice((0, 0, 0, 0, 60, 3600)),
            replay=dice.choice(("yes", "yes", "ask", "never")),
            **dice.choice(policies),
        )

    def _at(self, moment, what, **given):
        self.actions.append(Action(moment, what, given))

    def _cluster(self, moment):
        """Some requests within seconds, and maybe the end of the process in their midst."""
        dice = self._dice
        gap = dice.choice((0.0, 0.002, 0.2, 3.0))
        count = dice.choice((1, 2, 4, 8, 20))
        for number in range(count):
            self._at(moment + gap * number * dice.random(), "send", sending=self._sending())
        if dice.random() < 0.14:
            how = dice.choice(("at", "at", "before", "after", "now", "now"))
            given = {"statements": dice.randint(1, 40 * count)} if how == "at" else {}
            self._at(moment + gap * count * dice.random(), "kill", how=how, **given, down=self._down())

    def _down(self):
        return self._dice.choice((1.0, 1.0, 1.0, 1.0, 30.0, 600.0, 7200.0))

    def _sending(self):
        dice, known = self._dice, self._sent
        draw = dice.random()
        if known and draw < 0.12:
            return replace(dice.choice(known[-40:]), leaves=False)
        settings, number = self.settings, len(known)
        source = dice.choice(settings.sources)
        kind = dice.choice(KINDS if dice.random() < 0.1 else KINDS[:2])
        identity = f"{source}-{number}"
        if known and draw < 0.17:
            former = dice.choice(known[-40:])
            source, kind, identity = former.source, former.kind, former.id
        body = {"id": identity, "event": kind, "group": dice.randrange(KEYS), "number": number}
        text = json.dumps(body).encode()
        made = Sending(source, kind, identity, number, text, genuine=draw < 0.94 or not known)
        made.copies = dice.choice((1, 1, 1, 1, 1, 1, 2, 5))
        made.leaves = dice.random() < 0.06
        if made.genuine:
            known.append(made)
        else:
            made.body += b" "
        return made

    def _troubles(self):
        dice, settings = self._dice, self.settings
        for _ in range(dice.randint(4, 14)):
            begin, long = self._moment(), dice.choice(DURATIONS)
            place = dice.choice(settings.targets).place
            self._at(begin, "mood", place=place, mood=dice.choice(MOODS[1:]))
            self._at(begin + long, "mood", place=place, mood="well")
        for _ in range(dice.choice((0, 1, 2))):
            self._at(self._moment(), "stop", down=self._down())
        for _ in range(dice.choice((0, 0, 1, 2))):
            self._at(self._moment(), "fail_commit", how=dice.choice(("lost", "kept")))
        for _ in range(dice.choice((0, 0, 1))):
            begin, what = self._moment(), dice.choice(("full", "low"))
            self._at(begin, what, on=True)
            self._at(begin + dice.choice((2.0, 60.0, 900.0)), what, on=False)
        for _ in range(dice.choice((0, 1, 2, 4))):
            self._at(self._moment(), "step", by=dice.choice(STEPS_MS))
        for _ in range(dice.choice((0, 1, 2, 5))):
            self._at(self._moment(), "reload", draw=dice.random(), place=dice.choice(settings.targets).place)
        for number in range(dice.choice((0, 3, 8))):
            verb = dice.choice(("retry", "cancel", "replay", "replay", "hold", "enable", "release"))
            place = dice.choice(settings.targets).place
            self._at(self._moment(), "operate", verb=verb, place=place, id=f"r{number}", draw=dice.random())

        for stop in [action for action in self.actions if action.what == "stop"]:
            self._during(stop.at)

    def _during(self, moment):
        """Have an operator act while the daemon stops."""
        dice, place = self._dice, self._dice.choice(self.settings.targets).place
        moment += dice.choice((0.0, 0.0005, 0.05, 1.0))
        verb = dice.choice(("", "reload", "retry", "replay", "hold", "enable", "release"))
        if verb == "reload":
            self._at(moment, "reload", draw=dice.random(), place=place)
        elif verb:
            self._at(moment, "operate", verb=verb, place=place, id=f"during {moment}", draw=dice.random())

    def _moment(self):
        """A moment; more often than not one at which something is sent."""
        dice = self._dice
        if dice.random() < 0.6:
            sends = [action for action in self.actions if action.what == "send"]
            return max(dice.choice(sends).at + dice.choice((-1.0, 0.0, 0.005, 0.5, 4.0, 40.0)), 1.0)
        return dice.uniform(1.0, END)
