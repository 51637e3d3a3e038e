"""OAuth2 client credentials: one token for many deliveries, renewed in time, and trouble that costs no attempt."""

from contextlib import asynccontextmanager

import pytest
import trio

from gateway.core.model import Delivered, NotTried, TargetDown
from gateway.plugin import Context, SecretText
from gateway.runtime import Runtime
from gateway.targets.http import Http, HttpOptions
from gateway.testing.target import sample_message
from harness.sink import Fault, open_sink
from harness.tokens import SECRET, open_token_endpoint


class Clock(Runtime):
    """A monotonic clock that only a test moves: some look at it a second before a token ends."""

    later = 0.0

    def monotonic(self):
        return 1000.0 + self.later


@asynccontextmanager
async def world(seconds=30.0, **more):
    """An endpoint that takes the token handed out last, the token endpoint, and the target between."""
    async with open_sink() as sink, open_token_endpoint() as tokens:
        sink.choose = lambda arrival: (
            sink.fault if arrival.headers["authorization"] == f"Bearer {tokens.valid}" else Fault(401)
        )
        oauth2 = {"token_url": tokens.sink.url, "client_id": "hookgate", "client_secret": SecretText(SECRET), **more}
        target = Http.build(HttpOptions(url=sink.url, auth={"oauth2": oauth2}))
        clock = Clock()
        await target.open(Context("crm", clock, 16, timeout_seconds=seconds))
        try:
            yield target, sink, tokens, clock
        finally:
            await target.close()


async def deliver_together(target, count):
    outcomes = []

    async def one():
        outcomes.append(await target.deliver(sample_message()))

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(one)
    return outcomes


async def test_a_hundred_deliveries_at_once_need_one_token():
    async with world() as (target, sink, tokens, _):
        outcomes = await deliver_together(target, 100)
        assert all(isinstance(each, Delivered) for each in outcomes)
        assert len(tokens.asked) == 1
        assert {each.headers["authorization"] for each in sink.arrivals} == {"Bearer token-1"}


async def test_a_token_is_renewed_shortly_before_it_ends():
    async with world() as (target, _, tokens, clock):
        tokens.lifetime = 600
        for later, expected in ((0, 1), (569, 1), (571, 2), (571 + 569, 2), (571 + 571, 3)):
            clock.later = later
            assert isinstance(await target.deliver(sample_message()), Delivered)
            assert len(tokens.asked) == expected, later


@pytest.mark.parametrize(
    ("lifetime", "good", "gone"), [("120", 107, 109), (None, 269, 271), (-5, 269, 271), (10**9, 86_000, 86_401)]
)
async def test_every_lifetime_that_is_told_is_read_and_bounded(lifetime, good, gone):
    async with world() as (target, _, tokens, clock):
        tokens.lifetime = lifetime
        for later, expected in ((0, 1), (good, 1), (gone, 2)):
            clock.later = later
            await target.deliver(sample_message())
            assert len(tokens.asked) == expected, later


async def test_the_request_for_a_token_says_what_the_operator_wrote():
    async with world(scopes=["events.write", "events.read"], audience="https://crm.example/") as (target, _, tokens, _):
        assert isinstance(await target.deliver(sample_message()), Delivered)
        assert tokens.form() == {
            "grant_type": "client_credentials",
            "scope": "events.write events.read",
            "audience": "https://crm.example/",
        }
        assert tokens.asked[0].headers["accept"] == "application/json"


async def test_id_and_secret_go_in_the_body_where_the_operator_says_so():
    async with world(client_auth="body") as (target, _, tokens, _):
        assert isinstance(await target.deliver(sample_message()), Delivered)
        assert "authorization" not in tokens.asked[0].headers
        assert tokens.form()["client_secret"] == SECRET


async def test_a_token_that_the_endpoint_refuses_is_renewed_once_and_the_message_sent_again():
    async with world() as (target, sink, tokens, _):
        await target.deliver(sample_message())
        tokens.valid = "another, for this one was revoked"
        outcomes = await deliver_together(target, 16)
        assert all(isinstance(each, Delivered) for each in outcomes)
        assert len(tokens.asked) == 2, "sixteen refusals of one token are one renewal"
        sink.fault = Fault(401)
        outcome = await target.deliver(sample_message())
        assert isinstance(outcome, TargetDown)
        assert "401" in outcome.reason
        assert len(tokens.asked) == 3, "a message is sent again once, not for ever"


FAULTS = {
    "HTTP 500": Fault(500),
    "HTTP 400 invalid_scope: check scopes": Fault(400, body=b'{"error": "invalid_scope"}'),
    "HTTP 400: check scopes": Fault(400, body=b'{"error": "<script>alert(1)"}'),
    "closed: ": Fault(reset=True),
    "no access_token": Fault(body=b'{"token_type": "Bearer"}'),
    "no access_token that": Fault(body=b'{"access_token": "a b\\r\\nX: y", "token_type": "Bearer"}'),
    "no access_token that could": Fault(body=b"[" * 100_000),
    "no access_token that could be": Fault(body=b'{"access_token": "' + b"x" * 70_000 + b'"}'),
    "token_type of its reply is not Bearer": Fault(body=b'{"access_token": "x", "token_type": "mac"}'),
}


@pytest.mark.parametrize(("words", "fault"), FAULTS.items())
async def test_trouble_with_the_token_takes_the_target_down_is_told_and_sends_nothing(words, fault):
    async with world() as (target, sink, tokens, _):
        tokens.sink.fault = fault
        outcome = await target.deliver(sample_message())
        assert isinstance(outcome, TargetDown), "a TargetDown costs no attempt"
        assert outcome.reason.startswith(f"token: 127.0.0.1:{tokens.sink.port} gave no token: ")
        assert words in outcome.reason
        assert outcome.after == pytest.approx(5, abs=1)
        assert sink.arrivals == []


async def test_a_token_endpoint_that_fails_is_asked_again_only_after_growing_pauses():
    async with world() as (target, _, tokens, clock):
        tokens.sink.fault = Fault(503)
        for pause in (5, 10, 20, 40, 80, 160, 300, 300):
            before = len(tokens.asked)
            outcomes = await deliver_together(target, 20)
            assert {type(each) for each in outcomes} == {TargetDown}
            assert len(tokens.asked) == before + 1
            assert outcomes[0].after == pytest.approx(pause, abs=1)
            clock.later += pause + 0.5
        tokens.sink.fault = Fault()
        assert isinstance(await target.deliver(sample_message()), Delivered)
        tokens.sink.fault = Fault(503)
        clock.later += 4000
        outcome = await target.deliver(sample_message())
        assert outcome.after == pytest.approx(5, abs=1), "after a success the pauses begin anew"


async def test_a_token_endpoint_that_hangs_costs_less_than_the_targets_timeout_so_that_no_attempt_is_spent():
    async with world(seconds=9.0) as (target, _, tokens, _):
        tokens.sink.fault = Fault(hang=True)
        with trio.fail_after(9.0):
            outcomes = await deliver_together(target, 20)
        assert {type(each) for each in outcomes} == {TargetDown}
        assert "no answer within 3 s" in outcomes[0].reason
        assert len(tokens.asked) == 1


async def test_our_own_trouble_is_not_the_token_endpoints():
    async with world() as (target, _, _, clock):

        async def exhausted(address):
            raise OSError(24, "Too many open files")

        clock.connect = exhausted
        assert isinstance(await target.deliver(sample_message()), NotTried)
        del clock.connect
        assert isinstance(await target.deliver(sample_message()), Delivered), "and closes no door"


async def test_no_secret_and_no_token_is_in_any_text():
    async with world(client_auth="body") as (target, _, tokens, _):
        await target.deliver(sample_message())
        tokens.sink.fault = Fault(401, body=f'{{"error": "invalid_client", "error_description": "{SECRET}"}}'.encode())
        tokens.valid = "other"
        outcome = await target.deliver(sample_message())
        told = repr(outcome) + repr(target._options) + repr(vars(target)) + str(target._options.model_dump())
        assert "check client_id and client_secret" in outcome.reason
        assert SECRET not in told
        assert "token-1" not in told


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"token_url": "http://login.acme.example/token"}, "expected https"),
        ({"token_url": "http://10.0.0.5/token"}, "expected https"),
        ({"token_url": "https://169.254.169.254/token"}, "cloud metadata"),
        ({"scopes": ["a b"]}, "holds no space"),
        ({"client_id": "caf\u00e9"}, "printable ASCII"),
        ({"grant_type": "password"}, "grant_type"),
        ({"ca": "ca.pem"}, "absolute path"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(change, words):
    table = {
        "token_url": "https://login.acme.example/token",
        "client_id": "x",
        "client_secret": SecretText("s"),
        **change,
    }
    with pytest.raises(ValueError, match=words):
        HttpOptions(url="https://crm.example/", auth={"oauth2": table})
