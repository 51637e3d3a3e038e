"""What a replay is to do: which events, where to, how fast; written into the store and read again after a restart.

Nothing here reads a store or a configuration.
"""

import json
import math
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from gateway.core.model import event_text
from gateway.core.moments import write_moment
from gateway.core.units import parse_rate
from gateway.store.operator import EventFilter

RATE_MAX: Final = 1000.0
"""Events a second. More would take the writer's time from what arrives."""
STEP_MAX: Final = 100
STEPS_PER_SECOND: Final = 4


class ReplayPlan(NamedTuple):
    """Where the events go that a replay selects, and how fast."""

    chosen: EventFilter
    targets: tuple[str, ...] = ()
    """These, if there are any; else today's routes, or with `same` where each event was to go before."""
    same: bool = False
    also: tuple[str, ...] = ()
    """Targets that say `replay = "ask"` and are meant."""
    per_second: float = 50.0

    def write(self) -> str:
        """Give the plan as text; equal plans give equal texts."""
        chosen = {name: value for name, value in self.chosen._asdict().items() if value not in (None, ())}
        plan = {**self._asdict(), "chosen": chosen, "told": self.told()}
        return json.dumps(plan, sort_keys=True)

    def told(self) -> str:
        """Say what is selected and where it goes, for people."""
        words = [event_text(each) for each in self.chosen.event_ids[:3]]
        words += [f"{name}={_word(value)}" for name, value in self._named()]
        more = len(self.chosen.event_ids) - 3
        words += [f"and {more} more events"] if more > 0 else []
        to = ", ".join(self.targets) or ("the same targets" if self.same else "today's routes")
        return f"{' '.join(words) or 'everything'} to {to}" + (f", also {', '.join(self.also)}" if self.also else "")

    def _named(self) -> Iterator[tuple[str, str | int]]:
        """Give what events are chosen by, under the names of the command's options."""
        chosen = self.chosen
        named = (("source", chosen.source), ("type", chosen.type_glob), ("hold", chosen.hold))
        for name, value in (*named, ("since", chosen.since), ("until", chosen.until)):
            if value is not None:
                yield name, value

    def is_like(self, other: "ReplayPlan") -> bool:
        """Tell whether both mean the same, whatever their pace and times: "2h ago" is another time at each asking."""
        return _timeless(self) == _timeless(other)

    def step(self) -> tuple[int, float]:
        """Give how many events one step plans, and the seconds from one step's begin to the next."""
        size = max(1, min(STEP_MAX, math.ceil(self.per_second / STEPS_PER_SECOND)))
        return size, size / self.per_second


def read_plan(text: str) -> ReplayPlan:
    """Read what `write` wrote."""
    found: dict[str, Any] = json.loads(text)
    chosen = found["chosen"]
    chosen["event_ids"] = tuple(chosen.get("event_ids", ()))
    targets, also = tuple(found["targets"]), tuple(found["also"])
    return ReplayPlan(EventFilter(**chosen), targets, found["same"], also, found["per_second"])


def read_pace(text: str) -> float:
    """Read "50/s", "10/m" or "0.5/s" as events a second. Raises ValueError."""
    rate = parse_rate(text)
    if rate > RATE_MAX:
        raise ValueError(f"expected at most {RATE_MAX:.0f}/s, found {text}")
    return rate


def _timeless(plan: ReplayPlan) -> ReplayPlan:
    return plan._replace(per_second=0.0, chosen=plan.chosen._replace(since=None, until=None))


def _word(value: str | int) -> str:
    return write_moment(value) if isinstance(value, int) else value
