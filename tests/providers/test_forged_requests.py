"""Forged requests: whatever is changed of a request that a provider signed, it makes no event unless it proves all.

They go through the listener's own connection in memory, the real receiver and a memory store. HOOKGATE_FORGED sets how
many must have been refused, HOOKGATE_FORGED_SEED repeats a run.
"""

import os
import random
import time
from collections import Counter
from ipaddress import ip_address
from types import SimpleNamespace

import pytest
from schemes import OWN, preset_of

from gateway.blueprint.presets import BUILT_IN
from gateway.cli.trial import merged_verify, read
from gateway.runtime import Runtime
from gateway.store.contract import EventQuery
from gateway.store.memory import open_memory
from gateway.store.settings import StoreSettings
from gateway.wire.limits import Limits
from gateway.wire.proxies import TrustedProxies
from gateway.wire.state import ServerState
from harness.forger import Forger
from harness.memory_wire import Wire, connection, statuses
from harness.proven import Judge
from harness.seeds import seed_of

FORGED = int(os.environ.get("HOOKGATE_FORGED", "100000"))
SEED = seed_of("FORGED")
ROUND = 2000
"""Refusals of one provider after which its store is looked into and a new one taken."""
CLIENT = "203.0.113.9"
BUILT = sorted(file.stem for file in BUILT_IN.glob("*.toml"))
SIGNED = [name for name in BUILT if merged_verify(read(BUILT_IN / f"{name}.toml")).get("scheme") != "none"]
REFUSALS = {400, 401, 403, 404, 405, 413, 417, 431, 505}


@pytest.fixture(autouse=True)
def _few_words(monkeypatch):
    """Each forgery may be of another second: without this each would be logged."""
    monkeypatch.setattr("gateway.ingress.refusals.LOGGED_PER_SECOND", 0)


class Moment(Runtime):
    """A clock that stands where the test puts it."""

    at = 0

    def now_ms(self):
        return self.at


class Gate:
    """One provider's receiver behind the listener's own connection, and what came through it.

    It stands between receiver, store and dispatch, and so sees every row and every call.
    """

    def __init__(self, door, seed):
        self.name = door.source.name
        self.door = door
        self.runtime = Moment()
        self.faults = []
        self.state = ServerState(Limits(), self.runtime, TrustedProxies(), self.faults.append)
        self.rows = self.calls = 0
        self.refused, self.neutral, self.shaken = Counter(), 0, 0
        self.wrong = []
        plans = [door.plan(sample) for sample in door.preset.samples]
        now = door.runtime.now_ms()
        self.unsigned = [plan.request(n, now, ())._replace(client=CLIENT) for n in (1, 2) for plan in plans]
        self.genuine = [plan.signed(one) for plan, one in zip(plans * 2, self.unsigned, strict=True)]
        self.forger = Forger(self.genuine, self.unsigned, random.Random(f"{seed} {self.name}"))
        self.judge = Judge(merged_verify(door.preset), self.genuine)
        self.legal = REFUSALS | ({503} if door.source.credentials[0].keyed else set())
        """Where keys are published, one that nobody has heard of may be a new one: try again later."""
        intake = door.receiver._intake
        intake._store = intake._admission = self
        self.handshakes = door.receiver._counters.sources[self.name].shaken

    async def accept(self, acceptance):
        verdicts = await self.store.accept(acceptance)
        self.rows += len(verdicts)
        return verdicts

    def reserve(self, *_asked):
        return None

    def hint(self, _target):
        self.calls += 1

    def admit(self, method, path, headers):
        return self.door.receiver.admit(method, path, headers)

    async def handle(self, request):
        """See what a request brings about; whatever it brings must have been proven."""
        shaken, before = sum(self.handshakes.values()), self._traces()
        reply = await self.door.receiver.handle(request)
        left = self._traces() != before
        if left or reply.status < 400:
            self.passed = True
            if self.judge.allows(request):
                self.neutral += 1
            elif not left and sum(self.handshakes.values()) > shaken:
                self.shaken += 1
            else:
                self.wrong.append((self.name, self.forgery.how, request))
        return reply

    def _traces(self):
        return self.rows, self.calls, len(self.door.visited)

    async def push(self, wanted):
        """Send forgeries until `wanted` of them were refused, or one was wrongly taken."""
        async with open_memory(Runtime(), StoreSettings()) as self.store:
            end, before = self.refused.total() + wanted, self.rows
            while self.refused.total() < end and not self.wrong:
                await self._send(self.forger.forge())
            assert len(await self.store.events(EventQuery(limit=100_000))) <= self.rows - before
        assert (self.faults, self.state.body_bytes) == ([], 0)

    async def _send(self, forgery):
        self.forgery, self.runtime.at, self.passed = forgery, forgery.at, False
        self.state.tick()
        wire = Wire([forgery.wire])
        await connection(wire, forgery.client, self.state, self).run()
        assert wire.closed
        if not self.passed:
            answered = statuses(wire.sent)
            assert self.legal.issuperset(answered), (self.name, forgery, answered)
            self.refused[answered[0] if answered else "left within it"] += 1


@pytest.mark.timeout(600 + FORGED // 500)  # for a machine that does much else
async def test_P5_P21_S17_no_forged_request_makes_an_event_a_call_or_an_exception(open_doors, tell):
    began = time.monotonic()
    async with open_doors([(name, None) for name in SIGNED] + [(name, preset_of(name)) for name in OWN]) as doors:
        gates = [Gate(door, SEED) for door in doors]
        each = -(-FORGED // len(gates))
        for gate in gates:
            for done in range(0, each, ROUND):
                await gate.push(min(ROUND, each - done))
    refused = sum((gate.refused for gate in gates), Counter())
    neutral, shaken = sum(gate.neutral for gate in gates), sum(gate.shaken for gate in gates)
    tell(
        f"{refused.total()} forged requests of {len(gates)} senders (seed {SEED}) refused: {dict(refused)};"
        f" {neutral} proved all the same, {shaken} were handshakes;"
        f" wrongly taken {sum(len(gate.wrong) for gate in gates)}, {time.monotonic() - began:.0f} s"
    )
    assert [gate.wrong for gate in gates if gate.wrong] == []
    assert all(gate.judge.allows(one) for gate in gates for one in gate.genuine), "the judge knows what is proven"
    assert not any(gate.judge.allows(one) for gate in gates for one in gate.unsigned), "and what is not"
    assert refused[401] > FORGED / 3


def prefix_compare(right, sent):
    return right.startswith(sent) and len(sent) > 8


def lazy_case(right, sent):
    return right.lower() == sent.lower()


def takes_nothing(right, sent):
    return sent in {b"", right, right[: right.find(b"=") + 1]}


def first_only(right, sent):
    return right[:12] == sent[:12]


class LastHeader:
    """Takes the last of several headers, as a dict would."""

    def __call__(self, request, name):
        return dict(request.headers).get(name, b"-")


def comparing(compare):
    return SimpleNamespace(compare_digest=compare, digest=__import__("hmac").digest)


PLANTED = {
    "the beginning of a signature is enough": ("github", "gateway.verifiers.hmac.hmac", comparing(prefix_compare)),
    "its letters may be in any case": ("shopify", "gateway.verifiers.hmac.hmac", comparing(lazy_case)),
    "an empty one will do": ("github", "gateway.verifiers.hmac.hmac", comparing(takes_nothing)),
    "so will its first letters": ("stripe", "gateway.verifiers.hmac.hmac", comparing(first_only)),
    "the beginning of a token is enough": ("telegram", "gateway.verifiers.token.hmac", comparing(prefix_compare)),
    "a password in any case": ("postmark", "gateway.verifiers.basic.hmac", comparing(lazy_case)),
    "the time is not looked at": ("stripe", "gateway.verifiers.signed_request.check_fresh", lambda *_: None),
    "nor that of a token": ("livekit", "gateway.verifiers.claims._check_times", lambda *_: None),
    "nor its body's hash": ("netlify", "gateway.verifiers.jwt.SignedToken._check_body_hash", lambda *_: None),
    "the last of two headers counts": ("gitlab", "gateway.verifiers.places.only_header", LastHeader()),
    "any certificate's signature is good": ("paypal", "gateway.verifiers.paypal.is_signed_by", lambda *_: True),
    "any topic's is": ("aws_sns", "gateway.verifiers.sns.is_signed_by", lambda *_: True),
    "every address is listed": (
        "jumio",
        "gateway.verifiers.address.ip_address",
        lambda _: ip_address("34.202.241.227"),
    ),
}


@pytest.mark.parametrize("bug", PLANTED)
async def test_S17_a_verifier_with_a_planted_bug_is_found_out(open_doors, monkeypatch, bug):
    name, place, planted = PLANTED[bug]
    async with open_doors([(name, None)]) as (door,):
        gate = Gate(door, 1)
        monkeypatch.setattr(place, planted)
        await gate.push(5000)
        assert gate.wrong
