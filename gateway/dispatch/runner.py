"""One target's deliveries: claims what is due, keeps the workers busy, records what came of it, minds the gates.

Nothing here waits for another target. State changes are made synchronously between awaits; a cancelled runner gives
back what it holds, and what even that cannot reach belongs to a dead epoch at the next start.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

import structlog
import trio

from gateway.blueprint import TargetPlan
from gateway.core.lifecycle import is_expired
from gateway.core.model import NotTried, Outcome, Retry, TargetDown
from gateway.dispatch.allowance import Allowance
from gateway.dispatch.attempt import Tried, answered, attempt, not_fetched, released
from gateway.dispatch.clock import DueClock
from gateway.dispatch.crew import Crew
from gateway.dispatch.fetching import FetchLane
from gateway.dispatch.gates import Gates
from gateway.dispatch.gathering import Gathering
from gateway.dispatch.instance import Instance
from gateway.dispatch.line import Slot
from gateway.dispatch.observer import Observer
from gateway.dispatch.window import Window
from gateway.errors import StoreError
from gateway.plugin import Context
from gateway.provider_api.fetcher import Fetcher
from gateway.store.contract import Claim, Store, Taken

WINDOW_PER_WORKER: Final = 4
WINDOW_MIN: Final = 64
WINDOW_BATCH: Final = 1024
LOOK_AGAIN_SECONDS: Final = 30.0
"""A lost hint costs at most this long."""
LOOK_WAITING_SECONDS: Final = 10.0
"""The same while something waits: whoever is asked whether deliveries are overlooked relies on it."""
STORE_TROUBLE_SECONDS: Final = 1.0
CLOSE_SECONDS: Final = 2.0
REFUSED_AGAIN_MS: Final = 60_000
"""When a delivery whose record the store could not write is tried again."""
CROWDED_CLAIMS: Final = 50
"""How many deliveries a second are looked through while those that need a fetch find no room."""

log = structlog.get_logger()


class Runner:
    """Runs one target by one plan. A reload that changes the plan makes a new one and lets this one drain."""

    def __init__(
        self, plan: TargetPlan, store: Store, context: Context, observer: Observer, gates: Gates, clock: DueClock
    ) -> None:
        self.plan = plan
        self.gates = gates
        self._store = store
        self._context = context
        self._runtime = context.runtime
        self._clock = clock
        self._observer = observer
        self._instance = Instance(plan, context)
        batches = self._instance.batches
        slots = WINDOW_BATCH if batches else max(WINDOW_MIN, plan.concurrency * WINDOW_PER_WORKER)
        self.window = Window(slots, plan.window_bytes)
        most = 1 if batches else plan.concurrency
        gather = self._instance.gather
        self._gathering = None if gather is None else Gathering(gather)
        self.gathers_seconds = None if gather is None else gather.seconds
        self._crew = Crew(gates.pace, self._runtime, most, self._try, batches=batches, gathers=gather is not None)
        self._allowance = Allowance(gates, self.window, self._crew, self._gathering, self._runtime)
        self._lane: FetchLane | None = None
        if plan.fetch is not None:
            fetcher = Fetcher(plan.fetch, context, partial(observer.fetched, plan.name))
            self._lane = FetchLane(fetcher, self.window, self._runtime, self)
        self.looked_at: float | None = None
        """When it last looked what is due, on the clock that never steps; None: not yet."""
        self._running = False
        self.draining = False
        """True once `drain` was called."""
        self._given_back: Callable[[], None] = lambda: None
        self._hint = trio.Event()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Open the target and deliver until `drain` ends it or this is cancelled; then everything is given back."""
        try:
            if problem := await self._instance.open():
                await self.gates.carry_out(self.gates.note([TargetDown(problem)]))
            async with trio.open_nursery() as nursery:
                self._crew.start(nursery)
                if self._lane is not None:
                    await self._lane.start(nursery)
                self._running = True
                task_status.started()
                await self._feed()
                await self._crew.wait_idle()
                nursery.cancel_scope.cancel()  # what waits for the pace
        finally:
            self._running = False
            self._put_back(self._stop())
            with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_SECONDS):
                await self._instance.close()
                if self._lane is not None:
                    self._lane.close()

    async def hold(self, reason: str) -> bool:
        """Close the operator's gate; what waits here goes back to the store at once. False if it was closed."""
        self._put_back(self._waiting())
        return await self.gates.hold(reason)

    def drain(self, given_back: Callable[[], None] = lambda: None) -> None:
        """Take nothing new, give waiting deliveries back to the store, let running tries end; `run` then returns.

        `given_back` is called whenever the store has some of them again: whoever delivers next must look there.
        """
        self.draining = True
        self._given_back = given_back
        self._put_back(self._stop())
        self._hint.set()

    def reserve(self, size: int, source: str) -> bool:
        """Reserve a slot for a fresh event of `source`, if the gates are open and the window has room.

        A target that gathers has its events wait in the store.
        """
        ready = self._running and not self.draining and self.gates.are_open and self._gathering is None
        return ready and self.window.fresh < self._allowance.ahead() and self.window.reserve(size, source)

    def release(self, size: int, source: str) -> None:
        """Give back a reserved slot that was not needed."""
        self.window.release_fresh(size, source)

    def hand_over(self, claim: Claim, size: int) -> None:
        """Deliver a fresh event that was accepted into its reserved slot."""
        slot = Slot(claim, size, fresh=True)
        if self.draining or not self._running or not self.gates.are_open:
            self._put_back([slot])
        else:
            self._add([slot])

    def fetched(self, slot: Slot) -> None:
        """Deliver what has its resource now."""
        if self.draining or not self._running or self.gates.wait_ms(self._clock.now_ms()):
            self._put_back([slot])
        else:
            self._crew.add([slot])

    async def deliver_directly(self, claim: Claim) -> Outcome:
        """Try once past gates, pace and store, for what the store cannot hold; what comes of it is written nowhere."""
        slots = [Slot(claim, 0, fresh=False)]
        (tried,) = await attempt(self.plan, self._instance.deliver, slots, self._runtime, self._clock)
        return tried.outcome

    def parked(self, slots: Iterable[Slot], after_ms: int) -> None:
        """Give back, for so long, deliveries that nothing could be fetched for; no attempt is counted."""
        self._give_back([*slots], self._clock.now_ms() + after_ms)

    async def not_fetched(self, slot: Slot, outcome: Outcome, began: tuple[int, float], after_ms: int) -> None:
        """Record what the fetch of a delivery's resource came to; the target itself was not asked."""
        tried = not_fetched(self.plan, slot, outcome, began, self._runtime, self._clock)
        if after_ms and tried.record.due is not None and not isinstance(outcome, Retry):
            due = max(tried.record.due, self._clock.now_ms() + after_ms)
            tried = tried._replace(record=tried.record._replace(due=due))
        self._store.record([tried.record], partial(self._settled, [slot]))
        self._observer.tried(self.plan, tried)
        if not self.gates.are_open:  # it was to be the probe
            await self.gates.carry_out(self.gates.note([NotTried("nothing was fetched for it")]))
            self._hint.set()

    def step_back(self, by_ms: int, now: int) -> None:
        """The wall clock went back by `by_ms` to `now`: what is in memory is moved along."""
        self.gates.step_back(by_ms, now)
        if self._lane is not None:
            self._lane.step_back(by_ms, now)

    def hint(self) -> None:
        """Look into the store again: something waits there, or a gate has changed."""
        self._hint.set()

    async def _feed(self) -> None:
        """Claim from the store whenever something is due, the gates let it through and the window has room."""
        while not self.draining:
            self._hint = trio.Event()
            try:
                pause = await self._claim_due()
            except StoreError as error:  # a full disk passes, a broken store ends the daemon from another task
                log.debug("store.postponed", target=self.plan.name, problem=str(error))
                pause = STORE_TROUBLE_SECONDS
            if pause > 0:
                with trio.move_on_after(pause) as waited:
                    await self._hint.wait()
                if waited.cancelled_caught:
                    self._instance.rest()

    async def _claim_due(self) -> float:
        """Claim once if that makes sense.

        Give the seconds to wait for a hint before the next look (0 = look again at once).
        """
        now, self.looked_at = self._clock.now_ms(), self._runtime.monotonic()
        backlog = self._store.backlog(self.plan.name)
        ready = backlog.pending - backlog.waiting
        self.window.older_waiting = ready > 0
        if not ready:
            return LOOK_AGAIN_SECONDS
        gathering_ms = self._gathering.wait_ms(ready, now) if self._gathering else 0
        wait_ms = max((backlog.next_due or now) - now + gathering_ms, self.gates.wait_ms(now))
        if not self.gates.are_open:
            await self.gates.note_waiting(backlog.pending + backlog.in_flight)
        if wait_ms > 0:
            return min(wait_ms / 1000, LOOK_WAITING_SECONDS)
        slots, size = self._allowance.room()
        if not slots or not size:
            return LOOK_WAITING_SECONDS  # a slot that becomes free hints
        crowded = self._lane is not None and self._lane.is_crowded
        if crowded:
            slots = min(slots, CROWDED_CLAIMS)
        self.gates.begin_probe(now)
        freely = self.gates.are_open
        claims = await self._store.claim(self.plan.name, slots, size, now)
        self._line_up([Slot(claim, len(claim.event.payload or b"") + 512, fresh=False) for claim in claims], freely)
        return 0.0 if claims and not crowded else 1.0

    def _line_up(self, claimed: Sequence[Slot], freely: bool) -> None:
        """Have claimed deliveries tried; `freely`: the gates were open when the store was asked for them."""
        for slot in claimed:
            self.window.take(slot.size)
        # While the store was asked, `drain` may have come, so that nobody would work on them, or a gate was closed.
        passing = self.gates.are_open if freely else not self.gates.wait_ms(self._clock.now_ms())
        if self.draining or not passing:
            self._put_back(claimed)
            return
        self._add(claimed)

    def _add(self, slots: Sequence[Slot]) -> None:
        """Have deliveries tried, those that need a resource of the provider once it was fetched."""
        self._crew.add(slots if self._lane is None else self._lane.sort(slots))

    def _waiting(self) -> list[Slot]:
        """Take back what waits to be tried."""
        return [*self._crew.clear(), *(self._lane.clear() if self._lane is not None else ())]

    def _stop(self) -> list[Slot]:
        return [*self._crew.stop(), *(self._lane.stop() if self._lane is not None else ())]

    async def _try(self, slots: Sequence[Slot]) -> None:
        if not (slots := self._of_use(slots)):
            return
        self.gates.pace.begin(1 if self._gathering else len(slots))
        try:
            tried = await attempt(self.plan, self._instance.deliver, slots, self._runtime, self._clock)
        except trio.Cancelled:
            self._put_back(slots)
            raise
        self._store.record([one.record for one in tried], partial(self._settled, slots))
        if self._gathering is not None:
            self._gathering.tried([one.record for one in tried])
        for one in tried:
            self._observer.tried(self.plan, one)
        await self._mind_gates(tried)

    def _of_use(self, slots: Sequence[Slot]) -> Sequence[Slot]:
        """Give the deliveries that have not expired; the others go back to the store, which cancels them."""
        now = self._clock.now_ms()
        expired = [slot for slot in slots if is_expired(slot.claim.delivery, now)]
        if not expired:
            return slots
        self._put_back(expired)
        return [slot for slot in slots if slot not in expired]

    async def _mind_gates(self, tried: Sequence[Tried]) -> None:
        """Tell gates and pace what came of it; what waits goes back to the store if a gate was closed."""
        outcomes = [one.outcome if one.asked else NotTried("there was no message") for one in tried]
        if self._gathering is not None:  # what was tried together failed together: that is once
            outcomes = list(dict.fromkeys(outcomes))
        now = self._runtime.monotonic()
        self.gates.pace.end(1 if self._gathering else len(tried), answered(outcomes), now)
        if any(isinstance(outcome, Retry) and outcome.throttle for outcome in outcomes):
            self.gates.pace.throttle(now)
        if self.gates.are_indifferent_to(outcomes):
            return
        moves = self.gates.note(outcomes)
        if moves and not self.gates.are_open:
            self._put_back(self._waiting())  # at once: nobody may take them while the gate is written
        await self.gates.carry_out(moves)
        if moves or not self.gates.are_open:
            self._hint.set()

    def _settled(self, slots: Sequence[Slot], taken: Sequence[Taken]) -> None:
        """Records are durable: free their slots, but for those that were refused and are written anew."""
        refused = [slot for slot, one in zip(slots, taken, strict=True) if one is None]
        self._free([slot for slot, one in zip(slots, taken, strict=True) if one is not None])
        if refused:
            due = self._clock.now_ms() + REFUSED_AGAIN_MS
            records = [released(slot.claim, due) for slot in refused]
            # Nothing in these came from a target; if even they are refused, the next start frees the deliveries.
            self._store.record(records, lambda _taken: self._free(refused))

    def _free(self, slots: Sequence[Slot]) -> None:
        for slot in slots:
            if slot.fresh:
                self.window.release_fresh(slot.size, slot.claim.event.source)
            else:
                self.window.release(slot.size)
        if self.draining:
            self._given_back()
            return
        room_again = not self._crew.waiting or self.window.held * 4 <= self.window.slots * 3
        backlog = self._store.backlog(self.plan.name)
        # The first that waits, too, though there is no room: who feeds looks rarely as long as nothing does.
        if (room_again or not self.window.older_waiting) and backlog.pending > backlog.waiting:
            self._hint.set()

    def _put_back(self, slots: Sequence[Slot]) -> None:
        """Release deliveries that were not tried: pending again, due now, no attempt counted."""
        self._give_back(slots, self._clock.now_ms())

    def _give_back(self, slots: Sequence[Slot], due: int) -> None:
        if slots:
            self._store.record([released(slot.claim, due) for slot in slots], partial(self._settled, slots))
