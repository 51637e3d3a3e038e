"""The object that delivers for one target: made, opened, called and closed here, whatever its code raises meanwhile.

A target that cannot be made or opened is down; it is tried again with the next delivery, or made anew by a reload.
"""

import structlog
import trio

from gateway.blueprint import TargetPlan
from gateway.core.model import Message, TargetDown
from gateway.dispatch.attempt import Deliver, deliver_by
from gateway.plugin import Context, Gather, RestingTarget, Target, gather_of
from gateway.plugin_host.foreign import cancellation_in, raised, told

log = structlog.get_logger()


class Instance:
    """One target's object."""

    def __init__(self, plan: TargetPlan, context: Context) -> None:
        self._name = plan.name
        self._context = context
        self._opening = trio.Lock()
        self._is_open = False
        self._target: Target | None = None
        self._unmade = ""
        self.batches = False
        """True if it takes many messages at once."""
        self.gather: Gather | None = None
        """What it rather waits for."""
        try:
            self._target = plan.kind.build(plan.options)
            self.gather = gather_of(self._target)
            self._deliver, self.batches = deliver_by(self._target)
        except BaseException as error:  # noqa: BLE001 - foreign code: even an exit must not end the daemon
            self._unmade = raised(error)

    @property
    def deliver(self) -> Deliver:
        """How to deliver now; what it raises is caught by `attempt`."""
        return self._deliver if self._is_open else self._open_and_deliver

    async def open(self) -> str:
        """Open the target unless it is open; give why it cannot be, empty if it is now."""
        async with self._opening:
            if self._target is None:
                return f"cannot be made: {self._unmade}"
            try:
                if not self._is_open:
                    await self._target.open(self._context)
            except BaseException as error:  # noqa: BLE001 - see __init__
                if cancelled := cancellation_in(error):
                    raise cancelled from None
                return f"cannot be opened: {told(error)}"
            self._is_open = True
            return ""

    def rest(self) -> None:
        """There is little to deliver: have the target give back what it keeps for speed alone."""
        try:
            if self._is_open and isinstance(self._target, RestingTarget):
                self._target.rest()
        except BaseException as error:  # noqa: BLE001 - see __init__
            log.warning("target.rest_failed", target=self._name, problem=told(error))

    async def close(self) -> None:
        """Close the target if it was opened."""
        try:
            if self._is_open and self._target is not None:
                await self._target.close()
        except BaseException as error:  # noqa: BLE001 - see __init__
            if cancelled := cancellation_in(error):
                raise cancelled from None
            log.warning("target.close_failed", target=self._name, problem=told(error))

    async def _open_and_deliver(self, messages: list[Message]) -> object:
        """Deliver to a target that could not be opened so far: while it cannot be, it is down."""
        if problem := await self.open():
            return [TargetDown(problem)] * len(messages)
        return await self._deliver(messages)
