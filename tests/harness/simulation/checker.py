"""What must hold while a run goes on, and at its end: the promises of docs/reliability.md that a simulation can see.

It hears what senders were told, what the store committed (`journal`), and each try when it reaches its place. It knows
the script and the configurations, and nothing of how the daemon works.
"""

from collections import Counter

from gateway.core.model import Delivered, Rejected, Retry, event_number
from harness.simulation.journal import CANCELLED, DEAD, DELIVERED, IN_FLIGHT, LEGAL, PENDING, STATES

HELD_CONFLICT = 3
GATE_NAMES = {1: "breaker", 2: "disabled", 3: "held", 4: "restored"}
EARLY_SECONDS = 0.5
DAY_SECONDS = 86_400.0
STEP_SECONDS = 6.0
"""So much a try may come early or late by a clock that stepped, as the daemon says."""
UNSURE_SECONDS = 8.0
"""So long after a step the times in the store are not yet what they will be."""


class Checker:
    """Holds one run to the promises."""

    def __init__(self, world):
        self._world = world
        self.cancelling = False
        """True while an operator cancels."""
        self._sent = {}
        """What senders began to bring, by its body."""
        self._forged = set()
        self._numbers = {}
        self._keys = Counter()
        """Events that count, by source and id."""
        self._accepted = []
        self._cancelled = []
        self._arrivals = Counter()
        self._answers = {}
        """Outcomes of a place for an event, since it last became pending by hand."""

    def short(self, text):
        """Give an event's name in the trace: `e7` is the seventh of the run."""
        number = event_number(text) if isinstance(text, str) else text
        return f"e{self._numbers.setdefault(number, len(self._numbers) + 1)}"

    # What senders see

    def begin(self, sending):
        """A sender begins to bring something."""
        if sending.genuine:
            self._sent[sending.body] = sending
        else:
            self._forged.add(sending.body)

    def told_sender(self, sending, status):
        """A sender got its answer; None: it got none."""
        if sending.genuine:
            if status == 200 and sending.body not in self._world.journal.bodies:
                self._world.fail("P1", f"{sending.id} was acknowledged and is not in the store")
            if status not in {200, 503, None}:
                self._world.fail("P2", f"{sending.id} is genuine and was answered {status}")
        elif status not in {401, 503, None}:
            self._world.fail("P5", f"a forged {sending.id} was answered {status}")

    # What the store commits

    def accepted(self, event, request, source, hold, _accepted_at):
        """An event is committed."""
        journal = self._world.journal
        body = journal.rows["request"][request,][1]
        name = journal.rows["name"][source,][2]
        if name == "hookgate":
            return
        if body in self._forged or body not in self._sent:
            self._world.fail("P5", f"{self.short(event)} is an event, and nobody sent it: {body!r}")
            return
        sending = self._sent[body]
        self._world.trace.say(f"store: {self.short(event)} is {sending.id} {'held' if hold else 'accepted'}")
        if hold != HELD_CONFLICT:
            self._keys[sending.source, sending.id] += 1
            if self._keys[sending.source, sending.id] > 1:
                self._world.fail("P4", f"{sending.id} is an event for the second time, as {self.short(event)}")
            self._accepted.append((event, sending))

    def planned(self, delivery):
        """A delivery is committed that was not there before."""
        twins = self._world.journal.of[delivery.event, delivery.target]
        same = [twin for twin in twins if twin.replay == delivery.replay]
        if len(same) > 1:
            promise = "P4" if delivery.replay is None else "P14"
            self._world.fail(promise, f"{self._name(delivery)} was planned twice (replay {delivery.replay})")
        self._say(delivery, "planned" if delivery.replay is None else f"planned by replay {delivery.replay}")

    def changed(self, delivery, before):
        """A delivery has another state."""
        self._say(delivery, f"{STATES[before]} → {STATES[delivery.state]}")
        if (before, delivery.state) not in LEGAL:
            self._world.fail("P3", f"{self._name(delivery)} went from {STATES[before]} to {STATES[delivery.state]}")
        answers = self._answers.setdefault((delivery.event, delivery.target), Counter())
        if delivery.state == PENDING:
            self._given_back(delivery, before)
        elif delivery.state == DELIVERED:
            answers[DELIVERED] -= 1
            if answers[DELIVERED] < 0:
                self._world.fail("P7", f"{self._name(delivery)} is delivered, and its target never took it")
        elif delivery.state == DEAD:
            self._died(delivery, answers)
        elif delivery.state == CANCELLED:
            self._cancelled.append(delivery)

    def _given_back(self, delivery, before):
        world = self._world
        now = world.clock.current_time()
        delivery.not_before = 0.0
        delivery.revived |= before == DEAD
        said, delivery.said = delivery.said, None
        if before != IN_FLIGHT or self._unsure(now):
            return
        if delivery.due is not None:
            delivery.not_before = now + (delivery.due - world.wall_ms()) / 1000
        if said is not None and said[0] is world.life and isinstance(said[1], Retry):
            asked = said[2] + min(max(said[1].after or 0.0, self._policy_wait(delivery)), DAY_SECONDS)
            delivery.not_before = max(delivery.not_before, asked)

    def _policy_wait(self, delivery):
        """Give the seconds that a delivery waits at least after a try that failed, where chance does not say it."""
        target, tries = self._target(delivery), delivery.attempts
        if target.jitter == "full" or delivery.waited >= target.give_up * 1000:
            return 0.0
        return target.delays[tries - 1] if 0 < tries <= len(target.delays) else target.then

    def _died(self, delivery, answers):
        target = self._target(delivery)
        spent = target.attempts and delivery.attempts >= target.attempts
        waited = delivery.waited >= target.give_up * 1000
        if not (answers[DEAD] or spent or waited or self._is_blank(delivery)):
            self._world.fail("P7", f"{self._name(delivery)} is dead after {delivery.attempts} tries, without a reason")

    def removed(self, delivery):
        """A delivery is no longer in the store."""
        if delivery.state in {PENDING, IN_FLIGHT}:
            self._world.fail("P3", f"{self._name(delivery)} was {STATES[delivery.state]} and is gone")

    def committed(self):
        """A transaction is committed, all of it told."""
        for event, sending in self._accepted:
            self._check_plan(event, sending)
        for delivery in self._cancelled:
            self._check_cancelled(delivery)
        self._accepted, self._cancelled = [], []

    def _check_plan(self, event, sending):
        journal, world = self._world.journal, self._world
        found = {journal.name(target) for (owner, target), rows in journal.of.items() if owner == event and rows}
        possible = [settings.planned(sending.source, sending.kind) for settings in world.possible]
        if found not in possible:
            world.fail("P3", f"{self.short(event)} is for {sorted(found)}, its routes say {possible}")

    def _is_blank(self, delivery):
        """Retention took the payload, so that a replay has nothing to send."""
        rows = self._world.journal.rows
        request = rows["event"].get((delivery.event,), (None, None))[1]
        return rows["request"].get((request,), (None, None))[1] is None

    def _check_cancelled(self, delivery):
        journal, world = self._world.journal, self._world
        reason = journal.reasons.get((delivery.event, delivery.n), "")
        if reason.startswith("expired:"):
            due = delivery.expires_at is not None and delivery.expires_at <= world.wall_ms()
            legal = due or self._unsure(world.clock.current_time())
        elif reason.startswith("superseded"):
            legal = self._target(delivery).order == "latest"
        elif reason.startswith("replayed: "):  # it was dead and blocked its key: a replay takes its place
            twins = journal.of[delivery.event, delivery.target]
            takes_over = any(reason == f"replayed: {twin.replay}" for twin in twins)
            legal = takes_over and self._target(delivery).order == "block"
        else:
            legal = self.cancelling
        if not legal:
            world.fail("P7", f"{self._name(delivery)} is cancelled without a reason: {reason!r}")

    # What reaches a place

    def arrived(self, place, message):
        """A try reaches a place; gives the delivery it is of, None if nobody can tell."""
        journal, world = self._world.journal, self._world
        event = event_number(message.id)
        name = self.short(event)
        world.trace.say(f"{place.name}: {name} comes, try {message.attempt}")
        row = journal.rows["event"].get((event,))
        if row is None:
            if message.source != "hookgate":
                world.fail("P5", f"{place.name} is asked to take {name}, which is no event")
            return None
        target = journal.number(place.name)
        rows = journal.of.get((event, target), [])
        live = place.live.get(message.id, 0)
        ours = [each for each in rows if each.state == IN_FLIGHT]
        self._arrivals[event, target] += 1
        if len(ours) <= live:
            world.fail("P8", f"{place.name} is asked to take {name} with {len(ours)} claims and {live} tries under way")
        elif self._arrivals[event, target] > sum(each.claims for each in rows):
            world.fail("P8", f"{place.name} was asked for {name} more often than it was claimed")
        self._check_bytes(place, message, row)
        self._check_gates(target, name)
        if len(ours) == 1:
            self._check_time(ours[0])
            self._check_order(ours[0])
            return ours[0]
        return None

    def answered(self, place, message, delivery, outcome):
        """A place gave its answer, or the try was cut off."""
        if delivery is not None:
            delivery.said = (self._world.life, outcome, self._world.clock.current_time())
        key = (event_number(message.id), self._world.journal.number(place.name))
        answers = self._answers.setdefault(key, Counter())
        if isinstance(outcome, Delivered):
            answers[DELIVERED] += 1
        elif isinstance(outcome, Rejected):
            answers[DEAD] += 1

    def _check_bytes(self, place, message, row):
        body = self._world.journal.rows["request"][row[1],][1]
        if message.content != body or (message.source != "hookgate" and body not in self._sent):
            self._world.fail("P6", f"{place.name} got other bytes of {self.short(message.id)} than were sent")

    def _check_gates(self, target, name):
        world = self._world
        if self._unsure(world.clock.current_time()):
            return
        for (owner, kind), row in world.journal.rows["gate"].items():
            if owner == target and (row[2] is None or row[2] > world.wall_ms() + EARLY_SECONDS * 1000):
                closed = f"the gate {GATE_NAMES[kind]} is closed until {row[2]}"
                world.fail("P13", f"{world.journal.name(target)} is asked to take {name} although {closed}")

    def _check_time(self, delivery):
        world = self._world
        early = delivery.not_before - world.clock.current_time()
        stepped = world.stepped_ms or world.stepped_at > 0
        if early > EARLY_SECONDS + (STEP_SECONDS if stepped else 0):
            world.fail("P11", f"{self._name(delivery)} is tried {early:.1f} s before its time")

    def _check_order(self, delivery):
        world, target = self._world, self._target(delivery)
        if not target.order or delivery.okey is None:
            return
        for other in world.journal.lines[delivery.target, delivery.okey]:
            if other is delivery:
                continue
            if other.state == IN_FLIGHT:
                world.fail("P9", f"{self._name(delivery)} is tried beside {self._name(other)} of its key")
            older = (other.event, other.n) < (delivery.event, delivery.n) and other.replay is delivery.replay is None
            older = older and other.planned < delivery.claimed  # a repeat may plan late what no route had taken
            blocks = target.order == "block"
            waits = other.state == PENDING and (blocks or not other.revived)
            if older and (waits or (other.state == DEAD and blocks)):
                world.fail("P9", f"{self._name(delivery)} is tried before {self._name(other)} of its key")

    def steps(self, by_ms):
        """The clock is about to step. What it makes due in that very moment looks as if written after the step.

        A step that undoes one which is being minded leaves what was moved along due early.
        """
        again, then = self._unsure(self._world.clock.current_time()), self._world.wall_ms() + by_ms
        for delivery in self.unsettled():
            if by_ms > 0 and (again or abs((delivery.due or 0) - then) < STEP_SECONDS * 1000):
                delivery.not_before = 0.0

    def ended(self):
        """A life ended. If the clock had just stepped and nobody minded, no start can tell that from time gone by."""
        if self._unsure(self._world.clock.current_time()):
            for delivery in self.unsettled():
                delivery.not_before = 0.0

    # The end

    def unsettled(self):
        """Give what is not settled of targets that there are."""
        return [each for each in self._world.journal.deliveries.values() if each.state in {PENDING, IN_FLIGHT}]

    def longest_wait(self):
        """Give the seconds until the last wait is over that was given before now."""
        now, wall = self._world.clock.current_time(), self._world.wall_ms()
        waits = [max(each.not_before - now, ((each.due or 0) - wall) / 1000) for each in self.unsettled()]
        return max([0.0, *waits])

    def slack(self):
        """Give the seconds that well targets may take for what there is, at their pace."""
        counts = Counter(each.target for each in self.unsettled())
        return max([0, *counts.values()]) * 2.0

    def describe_unsettled(self):
        """Name some of what is not settled."""
        named = [f"{self._name(each)} {STATES[each.state]} due {each.due}" for each in self.unsettled()]
        return f"{len(named)}: {', '.join(named[:5])}; the wall clock says {self._world.wall_ms()}"

    def _unsure(self, now):
        return now - self._world.stepped_at < UNSURE_SECONDS

    def _target(self, delivery):
        name = self._world.journal.name(delivery.target)
        return self._world.latest[name.rstrip("x")]

    def _name(self, delivery):
        return f"{self.short(delivery.event)}/{delivery.n} to {self._world.journal.name(delivery.target)}"

    def _say(self, delivery, what):
        due = "" if delivery.due is None else f", due in {(delivery.due - self._world.wall_ms()) / 1000:.3f} s"
        self._world.trace.say(f"store: {self._name(delivery)} {what}{due} (claims {delivery.claims})")
