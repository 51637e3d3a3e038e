"""The verb *receive*: what the listener asks for each request, and the answer that its sender gets.

An answer of 2xx is given only after the store has the events; a refusal says nothing but its status, the log and the
operator's ring of refusals say all. Trouble of ours is 503 with Retry-After, never a 4xx that would end the sender's
retries.
"""

from collections.abc import Awaitable, Callable
from math import ceil
from typing import Final, TypeAlias

import structlog

from gateway.blueprint import Blueprint, Source
from gateway.core.handshake import Answer, refuse_signable
from gateway.core.identify import identify, remember
from gateway.core.model import Headers, Proof, Request
from gateway.core.published import NeedsKey
from gateway.errors import KeyUnavailableError, RequestError, StoreBusyError, StoreError, VerificationError
from gateway.ingress.keyring import KeyRing, KeysOfRequest
from gateway.ingress.learner import Learner
from gateway.ingress.refusals import Refusal, Refusals
from gateway.ingress.verify import Match, verify_with, within_scope
from gateway.intake import Intake
from gateway.metrics import Counters
from gateway.runtime import Runtime
from gateway.wire.listener import Reply

NOT_FOUND: Final = Reply(404, b"not found\n")
RETRY_LATER: Final = Reply(503, b"try again later\n", headers=((b"retry-after", b"5"),))
REMOVED_SECONDS: Final = 86_400
"""How long the path of a source that a reload removed answers 503: a mistake in the file must not end a provider's
retries.
"""
KEYS_PER_REQUEST: Final = 8
"""Documents with keys that are fetched for one request."""
TEXTS: Final = {400: b"bad request\n", 401: b"unauthorized\n", 403: b"forbidden\n", 413: b"too large\n"}
PATH_SHOWN: Final = 100
"""Of a path that nobody has, for the operator: characters."""

Visit: TypeAlias = Callable[[str], Awaitable[None]]
"""Fetches an address that a handshake wants visited; raises VisitFailedError."""

log = structlog.get_logger()


class Receiver:
    """The listener's handler. One per daemon; a reload swaps its blueprint between two requests."""

    def __init__(
        self, intake: Intake, counters: Counters, keys: KeyRing, visit: Visit, learner: Learner, runtime: Runtime
    ) -> None:
        self._intake = intake
        self._learner = learner
        self._visit = visit
        self._keys = keys
        self._counters = counters
        self._runtime = runtime
        self._paths = intake.blueprint.paths
        self._acks = _acks(intake.blueprint)
        self._removed: dict[str, float] = {}
        self.refusals = Refusals()

    def use(self, blueprint: Blueprint) -> None:
        """Answer by `blueprint` from now on."""
        until = self._runtime.monotonic() + REMOVED_SECONDS
        self._removed.update({path: until for path in self._paths if path not in blueprint.paths})
        self._paths = blueprint.paths
        self._acks = _acks(blueprint)
        self._learner.use(blueprint)

    def admit(self, method: str, path: str, _headers: Headers) -> int | Reply:
        """Give the body limit for a request whose head is read, or its final refusal."""
        source = self._paths.get(path)
        if source is not None:
            return source.body_max if method in source.methods else _not_allowed(source)
        if self._removed.get(path, 0.0) > self._runtime.monotonic():
            return RETRY_LATER
        self._counters.refused("", "unknown_path")
        asked = f"{method} {path[:PATH_SHOWN]!a} is no source's path"
        self.refusals.fold(Refusal(self._runtime.now_ms(), "", "", NOT_FOUND.status, "unknown_path", asked))
        return NOT_FOUND

    async def handle(self, request: Request) -> Reply:
        """Verify, identify, plan and accept one request, or shake hands; give its answer."""
        known = self._paths.get(request.path)
        if known is None:
            return RETRY_LATER  # removed by a reload while its body arrived
        try:
            source = await self._source(request)
        except StoreBusyError as error:
            return self._postpone(known, request, error)
        return RETRY_LATER if source is None else await self._answer(source, request)

    async def _answer(self, source: Source, request: Request) -> Reply:
        try:
            if source.handshakes and (reply := await self._shake_unproven(source, request)):
                return reply
            if request.method != "POST":
                return _not_allowed(source)
            matches = verify_with(source, request, self._keys)
            if isinstance(matches, NeedsKey):
                matches = await self._fetch_and_verify(source, request, matches)
                now = await self._source(request)
                if now is None or now.name != source.name:
                    return RETRY_LATER  # removed or renamed by a reload meanwhile
            if source.handshakes:
                if answer := shake_hands(source, request, matches[0].proof):
                    return await self._shaken_after_visit(source, answer)
                refuse_signable(source.handshakes, request)
            return await self._take(source, request, matches)
        except RequestError as error:
            return self._refuse(source, request, error)
        except (StoreError, KeyUnavailableError) as error:
            return self._postpone(source, request, error)

    async def _source(self, request: Request) -> Source | None:
        """Give whose path it is, once no reload is about to give sources other names. What follows must not wait.

        Raises StoreBusyError if that takes too long.
        """
        await self._intake.resumed()
        return self._paths.get(request.path)

    async def _shake_unproven(self, source: Source, request: Request) -> Reply | None:
        """Answer a question that the provider does not sign; what it says by it is kept first."""
        answer = shake_hands(source, request, None)
        if answer is None:
            return None
        if answer.learn is not None:
            async with self._intake.steady():
                await self._learner.take(source, answer.learn, request.client)
        return self._shaken(source, answer)

    async def _fetch_and_verify(self, source: Source, request: Request, need: NeedsKey) -> tuple[Match, ...]:
        """Have keys fetched and verify again, as often as another one is asked for. Raises KeyUnavailableError."""
        keys = KeysOfRequest(self._keys)
        for _ in range(KEYS_PER_REQUEST):
            await keys.fetch(need)
            found = verify_with(source, request, keys)
            if not isinstance(found, NeedsKey):
                return found
            need = found
        raise VerificationError("keys_too_many", f"more than {KEYS_PER_REQUEST} documents with keys were asked for")

    async def _take(self, source: Source, request: Request, matches: tuple[Match, ...]) -> Reply:
        ack = self._acks[source.name]  # a reload may remove the source before its event is accepted
        first = matches[0]
        events = identify(source.identify, source.name, first.credential.name, request, first.proof)
        if events:  # a batch may be empty
            if source.former:
                events = remember(source.former, events, request, first.proof)
            covered = within_scope(matches, events)
            await self._intake.take(source, request, covered, _secrets(matches))
            if len(covered) < len(events):
                self._refuse(source, request, _left_out(len(events) - len(covered), len(events), ack.status))
        self._count(source, request, matches)
        return ack

    async def _shaken_after_visit(self, source: Source, answer: Answer) -> Reply:
        if answer.visit:
            await self._visit(answer.visit)
        return self._shaken(source, answer)

    def _shaken(self, source: Source, answer: Answer) -> Reply:
        self._counters.shaken(source.name, answer.name)
        headers = (*answer.headers, (b"x-content-type-options", b"nosniff"))
        return Reply(answer.status, answer.body, answer.content_type, headers)

    def _count(self, source: Source, request: Request, matches: tuple[Match, ...]) -> None:
        now = self._runtime.now_ms()
        self._counters.answered(source.name, (now - request.received_at) / 1000, now)
        alone = len(matches) == 1
        for match in matches:
            self._counters.credential_used(source.name, match.credential.name, alone)

    def _refuse(self, source: Source, request: Request, error: RequestError) -> Reply:
        self._counters.refused(source.name, error.reason)
        refusal = Refusal(
            request.received_at, source.name, request.client, error.status, error.reason, error.detail[:300]
        )
        if self.refusals.add(refusal):
            log.warning("request.refused", **refusal._asdict())
        return Reply(error.status, TEXTS.get(error.status, b"refused\n"))

    def _postpone(self, source: Source, request: Request, error: StoreError | KeyUnavailableError) -> Reply:
        reason, reply = "store_down", RETRY_LATER
        if isinstance(error, KeyUnavailableError):
            reason = error.reason
            reply = RETRY_LATER._replace(headers=((b"retry-after", b"%d" % max(1, ceil(error.after))),))
        elif isinstance(error, StoreBusyError):
            reason = "store_busy"
        self._counters.refused(source.name, reason)
        refusal = Refusal(request.received_at, source.name, request.client, 503, reason, str(error)[:300])
        if self.refusals.add(refusal):
            log.error("request.postponed", **refusal._asdict())
        return reply


def _left_out(count: int, of: int, status: int) -> VerificationError:
    """Give what is told of a batch that was taken without the events that its credential does not speak for."""
    return VerificationError("scope_in_part", f"{count} of {of} events are outside the credential's scope", status)


def shake_hands(source: Source, request: Request, proof: Proof | None) -> Answer | None:
    """Give the answer if `request` is a handshake of `source`; `proof` is None before verification.

    Raises RequestError for one that is not answered.
    """
    for handshake in source.handshakes:
        if answer := handshake.answer(request, proof):
            return answer
    return None


def _not_allowed(source: Source) -> Reply:
    allowed = ", ".join(sorted(source.methods)).encode()
    return Reply(405, b"method not allowed\n", headers=((b"allow", allowed),))


def _acks(blueprint: Blueprint) -> dict[str, Reply]:
    sources = blueprint.sources.values()
    return {each.name: Reply(each.ack_status, each.ack_body, each.ack_type) for each in sources}


def _secrets(matches: tuple[Match, ...]) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    if len(matches) == 1:
        proof = matches[0].proof
        return proof.consumed, proof.consumed_query
    headers = tuple(name for match in matches for name in match.proof.consumed)
    return headers, tuple(name for match in matches for name in match.proof.consumed_query)
