"""One poll: asks for a list page by page and offers what it holds to intake; the next cursor comes of it.

The cursor is moved only over what intake has made durable: after a crash the same is asked again, and known.
"""

from collections.abc import Sequence
from typing import NamedTuple

import trio

from gateway.core.identify import identify, polled
from gateway.core.model import Event, Outcome, Proof, Request, Retry
from gateway.core.polling import Cursor, choose, since_text
from gateway.core.selector import Scope
from gateway.errors import RequestError
from gateway.intake import Intake
from gateway.plugin import UnfitUrlError
from gateway.provider_api.caller import Caller, Document, Missing
from gateway.provider_api.paging import PagingError, Place
from gateway.provider_api.poll_plan import PollerPlan
from gateway.store.contract import Verdict


class Polled(NamedTuple):
    """What came of a poll."""

    cursor: Cursor
    """From where the next one goes on."""
    verdicts: tuple[Verdict, ...] = ()
    """Of what was offered to the store."""
    failure: Outcome | None = None
    """Why it ended early; what was offered before is safe."""
    cut: bool = False
    """True if there were more pages than it may ask for."""

    @property
    def missed(self) -> tuple[Verdict, ...]:
        """Give those whose webhook never came."""
        return tuple(verdict for verdict in self.verdicts if verdict.kind == "new")


async def poll(plan: PollerPlan, caller: Caller, intake: Intake, cursor: Cursor, now_ms: int) -> Polled:
    """Poll once. Raises StoreError: then nothing of the page under way was promised."""
    since, until = cursor.since(plan.overlap_ms), now_ms - plan.grace_ms
    place = Place()
    done = Polled(cursor)
    newest = cursor.at
    for _ in range(plan.pages):
        try:
            asked = plan.paging.target(since_text(since, plan.since_form), place)
            answer = await caller.get(asked)
            if not isinstance(answer, Document):
                return done._replace(failure=_failure(answer))
            request = Request("GET", "", "", ((b"content-type", b"application/json"),), answer.raw, "", now_ms)
            events = _events(plan, request, answer)
            following = plan.paging.after(place, asked, len(events), answer.value)
        except (RequestError, PagingError, UnfitUrlError) as error:
            return done._replace(failure=Retry(_told(error)))
        choice = choose(events, since, until)
        verdicts = await _offer(plan, intake, request, choice.taken)
        newest = max(newest, choice.newest or 0)
        done = done._replace(verdicts=done.verdicts + verdicts)
        if not plan.newest_first:  # all that comes later is newer, whatever becomes of the next page
            done = done._replace(cursor=cursor._replace(at=newest))
        if following is None or (plan.newest_first and choice.all_older):
            return done._replace(cursor=cursor._replace(at=newest))
        place = following
    return done._replace(cut=True)


def _failure(answer: Missing | Outcome) -> Outcome:
    return Retry(f"{answer.reason}: there is no such list") if isinstance(answer, Missing) else answer


def _told(error: RequestError | PagingError | UnfitUrlError) -> str:
    return (f"{error.reason}: {error.detail}" if isinstance(error, RequestError) else str(error))[:300]


def _events(plan: PollerPlan, request: Request, answer: Document) -> tuple[Event, ...]:
    """Read the items of a page as events. Raises RequestError."""
    if type(plan.holder.value(Scope(None, answer.value, None, None, plan.source))) is not list:
        raise RequestError(400, "no_list", f"there is no list at {plan.holder.text}")
    return identify(plan.rule, plan.source, f"poller {plan.name}", request, Proof())


async def _offer(plan: PollerPlan, intake: Intake, request: Request, events: Sequence[Event]) -> tuple[Verdict, ...]:
    """Have intake take what is wanted of a page, all or none."""
    while intake.paused is not None:
        await intake.paused.wait()
        await trio.lowlevel.checkpoint_if_cancelled()  # the reload took this poller away: nothing is offered, or noted
    source = intake.blueprint.sources.get(plan.source)
    wanted = tuple(polled(_named(plan, event)) for event in events if _is_wanted(plan, request, event))
    return await intake.take(source, request, wanted, ((), ())) if wanted and source is not None else ()


def _named(plan: PollerPlan, event: Event) -> Event:
    return event._replace(type=plan.type or event.type, version=plan.version or event.version)


def _is_wanted(plan: PollerPlan, request: Request, event: Event) -> bool:
    if plan.match is None:
        return True
    return plan.match.matches(Scope(request, event.body, None, event, plan.source))
