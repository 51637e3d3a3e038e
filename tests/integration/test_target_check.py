"""The endpoint check: nobody gets an event who has not said that it wants ours, and consent is remembered."""

import pytest

from gateway.core.model import Delivered
from gateway.plugin import Context, SecretText
from gateway.runtime import Runtime
from gateway.targets.http import Http, HttpOptions
from gateway.targets.http_check import EndpointRefusedError
from gateway.testing.target import sample_message
from harness.sink import Fault, open_sink

ORIGIN = "hooks.acme.example"


class Kept:
    """A memory of the test's own."""

    def __init__(self):
        self.values = {}

    async def recall(self, key):
        return self.values.get(key)

    async def keep(self, key, value):
        self.values[key] = value


def allowing(origin, *headers, status=200):
    return Fault(status, headers=(("WebHook-Allowed-Origin", origin), *headers))


async def open_target(url, memory=None, **options):
    target = Http.build(HttpOptions(url=url, check={"origin": ORIGIN, **options.pop("check", {})}, **options))
    await target.open(Context("crm", Runtime(), 1, memory=memory))
    return target


async def asked(sink, answer, **check):
    """Open a target whose endpoint answers OPTIONS so; give why it was refused, empty if not."""
    sink.fault = answer
    try:
        await (await open_target(sink.url, check=check)).close()
    except EndpointRefusedError as error:
        return str(error)
    return ""


async def test_an_endpoint_that_wants_our_events_is_asked_once_and_then_gets_them():
    async with open_sink() as sink:
        sink.choose = lambda arrival: allowing(ORIGIN) if arrival.method == "OPTIONS" else Fault()
        memory = Kept()
        for _ in range(3):
            target = await open_target(sink.url, memory)
            assert isinstance(await target.deliver(sample_message()), Delivered)
            await target.close()
        assert [each.method for each in sink.arrivals] == ["OPTIONS", "POST", "POST", "POST"]
        question = sink.arrivals[0]
        assert (question.path, question.body) == ("/hooks", b"")
        assert question.headers["webhook-request-origin"] == ORIGIN


async def test_E3_the_question_carries_no_credential_and_nothing_of_the_targets_headers():
    async with open_sink() as sink:
        sink.fault = allowing("*")
        auth, headers = {"bearer": SecretText("s3cret")}, {"X-Key": SecretText("k3y")}
        await (await open_target(sink.url, auth=auth, headers=headers)).close()
        assert set(sink.arrivals[0].headers) == {"host", "user-agent", "webhook-request-origin"}


@pytest.mark.parametrize("change", [{"url": "/other"}, {"check": {"origin": "other.example"}}, {"check": {"rate": 5}}])
async def test_another_url_origin_or_rate_is_another_question(change):
    async with open_sink() as sink:
        sink.fault = allowing("*")
        memory = Kept()
        await (await open_target(sink.url, memory)).close()
        url = sink.url + change.pop("url", "")
        await (await open_target(url, memory, **change)).close()
        assert len(sink.arrivals) == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Fault(200), "found none"),
        (allowing("evil.example"), "found another name"),
        (allowing("hooks.acme.example.evil"), "found another name"),
        (allowing(ORIGIN, status=404), "HTTP 404 to OPTIONS"),
        (allowing(ORIGIN, status=302), "HTTP 302 to OPTIONS"),
        (allowing(ORIGIN, status=405), "HTTP 405 to OPTIONS"),
        (Fault(reset=True), "closed: "),
    ],
)
async def test_E1_whatever_is_no_consent_keeps_the_target_closed(answer, words):
    async with open_sink() as sink:
        memory = Kept()
        sink.fault = answer
        with pytest.raises(EndpointRefusedError, match=words):
            await open_target(sink.url, memory)
        assert memory.values == {}


@pytest.mark.parametrize(
    "answer",
    [
        allowing("evil.example", ("WebHook-Allowed-Origin", "*")),
        allowing(f"{ORIGIN}, evil.example"),
        allowing(f"{ORIGIN}\x00"),
        allowing("hooks.acme.example."),
        allowing(ORIGIN, ("X-Long", "x" * 100_000)),
        allowing(ORIGIN, status=101),
        allowing(ORIGIN, status=999),
    ],
    ids=["two answers", "a list", "NUL", "last dot", "long head", "101", "999"],
)
async def test_E4_an_answer_that_is_ambiguous_or_broken_is_no_consent(answer):
    async with open_sink() as sink:
        assert await asked(sink, answer)


async def test_consent_may_be_for_everybody_in_capitals_and_without_content():
    async with open_sink() as sink:
        for answer in (allowing("*"), allowing("Hooks.ACME.example"), allowing(ORIGIN, status=204)):
            assert await asked(sink, answer) == ""


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("120", ""),
        ("121", ""),
        ("*", ""),
        (None, ""),
        ("119", "119 requests a minute, 120 are asked for"),
        ("many", "no number"),
    ],
)
async def test_E2_an_endpoint_that_allows_fewer_requests_than_asked_for_has_not_agreed(told, words):
    async with open_sink() as sink:
        rate = [("WebHook-Allowed-Rate", told)] if told else []
        assert words in await asked(sink, allowing(ORIGIN, *rate), rate=120)
        assert sink.arrivals[0].headers["webhook-request-rate"] == "120"
        if not words:
            assert await asked(sink, allowing(ORIGIN, *rate), rate=120) == ""


async def test_nothing_but_the_operators_words_says_whom_to_ask():
    with pytest.raises(ValueError, match="cannot stand beside a url with values"):
        HttpOptions(url="http://crm.example/{body.id}", check={"origin": ORIGIN})
    with pytest.raises(ValueError, match="expected the DNS name"):
        HttpOptions(url="http://crm.example/", check={"origin": "a\r\nX: y"})
