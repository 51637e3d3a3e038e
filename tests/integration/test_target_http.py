"""The `http` target: what it sends, and what it makes of every answer."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import trio
from hostile_http import OK, hostile, replies

from gateway.plugin import Context, Delivered, NotTried, Rejected, Retry, SecretText, TargetDown, load_kinds
from gateway.runtime import Runtime
from gateway.targets.hops import MAX_HOPS
from gateway.targets.http import Http
from gateway.targets.http_options import HttpOptions
from gateway.testing.target import check_target, sample_message

NOW = int(datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC).timestamp() * 1000)


class Fixed(Runtime):
    def now_ms(self):
        return NOW


async def deliver(options, message=None, runtime=None):
    target = Http.build(HttpOptions(**options))
    await target.open(Context(name="crm", runtime=runtime or Fixed(), connections=4))
    try:
        return await target.deliver(message or sample_message())
    finally:
        await target.close()


async def outcome_of(reply, message=None, **options):
    async with hostile(replies(reply)) as server:
        return await deliver({"url": server.url(), **options}, message)


def status(code, *headers):
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {code} X\r\n{lines}Content-Length: 0\r\n\r\n".encode()


async def seen(message=None, **options):
    async with hostile(replies(OK)) as server:
        assert isinstance(await deliver({"url": server.url(), **options}, message), Delivered)
        return server.requests[0]


def with_headers(**headers):
    return replace(sample_message(), headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_the_kind_is_installed_and_sends_the_payload():
    assert load_kinds("targets", {"http"})["http"] is Http
    assert Http.send == "payload"


async def test_the_target_keeps_the_contract_of_targets():
    async with hostile(replies(OK)) as server:
        context = Context(name="crm", runtime=Runtime(), connections=8)
        await check_target(Http, {"url": server.url()}, context)
        assert server.requests


@pytest.mark.parametrize("code", [200, 201, 202, 204, 206, 299])
async def test_any_2xx_is_delivered(code):
    outcome = await outcome_of(f"HTTP/1.1 {code} X\r\n\r\n".encode() if code == 204 else status(code))
    assert isinstance(outcome, Delivered)
    assert outcome.detail.startswith(f"{code} in ")


@pytest.mark.parametrize("code", [408, 425, 429, 500, 501, 502, 503, 504, 507, 599])
async def test_statuses_that_pass_are_tried_again(code):
    assert await outcome_of(status(code)) == Retry(f"HTTP {code}", throttle=code in {429, 502, 504})


@pytest.mark.parametrize("code", [402, 406, 409, 411, 412, 414, 416, 417, 418, 421, 423, 424, 426, 428, 431, 451, 499])
async def test_other_4xx_are_tried_again(code):
    assert await outcome_of(status(code)) == Retry(f"HTTP {code}")


@pytest.mark.parametrize("code", [400, 413, 415, 422])
async def test_statuses_that_speak_of_this_message_reject_it(code):
    assert await outcome_of(status(code)) == Rejected(f"HTTP {code}")


@pytest.mark.parametrize("code", [401, 403, 404, 405, 407])
async def test_statuses_that_speak_of_the_target_take_it_down(code):
    outcome = await outcome_of(status(code))
    assert isinstance(outcome, TargetDown)
    assert outcome.reason.startswith(f"HTTP {code}: ")
    assert not outcome.disable


async def test_R5_410_disables_the_target():
    outcome = await outcome_of(status(410))
    assert isinstance(outcome, TargetDown)
    assert outcome.disable


@pytest.mark.parametrize("code", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize(
    "place", ["http://169.254.169.254/", "file:///etc/passwd", "/elsewhere", "http://127.0.0.1:{port}/x"]
)
async def test_R4_a_redirect_is_not_followed(code, place):
    async with hostile(
        lambda peer: replies(status(code, f"Location: {place}".format(port=peer.server.port)))(peer)
    ) as server:
        outcome = await deliver({"url": server.url()})
        assert isinstance(outcome, TargetDown)
        assert "redirects are not followed" in outcome.reason
        assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("9999999999", 86_400.0),
        ("Sat, 21 Nov 2026 12:05:00 GMT", 300.0),
        ("Saturday, 21-Nov-26 12:05:00 GMT", 300.0),
        ("Sat Nov 21 12:05:00 2026", 300.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
    ],
)
async def test_P11_retry_after_is_read_in_each_of_its_forms(value, seconds):
    assert await outcome_of(status(503, f"Retry-After: {value}")) == Retry("HTTP 503", seconds, seconds is not None)


async def test_a_status_means_what_the_target_says():
    async with hostile(replies(status(404))) as server:
        outcome = await deliver({"url": server.url(), "statuses": {"4xx": "retry", "404": "reject"}})
    assert outcome == Rejected("HTTP 404, by the target's statuses")


async def test_retry_after_also_counts_for_a_target_that_is_down():
    outcome = await outcome_of(status(403, "Retry-After: 60"))
    assert outcome.after == 60.0


async def test_R7_a_body_that_is_reset_after_a_2xx_head_is_delivered_and_noted():
    async def play(peer):
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
        await trio.testing.wait_all_tasks_blocked()
        peer.reset()

    async with hostile(play) as server:
        outcome = await deliver({"url": server.url()})
    assert isinstance(outcome, Delivered)
    assert "cut short" in outcome.detail


async def test_no_answer_or_nonsense_is_tried_again():
    async def play(peer):
        await peer.request()

    async with hostile(play) as server:
        outcome = await deliver({"url": server.url()})
    assert isinstance(outcome, Retry)
    assert outcome.reason.startswith("closed: ")
    outcome = await outcome_of(b"nonsense\r\n\r\n")
    assert isinstance(outcome, Retry)
    assert outcome.reason.startswith("protocol: ")


async def test_nobody_there_takes_the_target_down():
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))
        outcome = await deliver({"url": f"http://127.0.0.1:{taken.getsockname()[1]}/"})
    assert isinstance(outcome, TargetDown)
    assert outcome.reason.startswith("refused: ")


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(OSError("no such name"), TargetDown), (trio.TooSlowError(), TargetDown), (BlockingIOError(11, "busy"), NotTried)],
)
async def test_a_name_without_address_takes_the_target_down_and_a_busy_resolver_costs_nothing(failure, kind):
    class Deaf(Fixed):
        async def resolve(self, host, port, seconds):
            raise failure

    assert isinstance(await deliver({"url": "http://api.example/"}, runtime=Deaf()), kind)


async def test_R11_a_server_without_tls_takes_the_target_down():
    async def play(peer):
        await peer.read()
        await peer.send(OK)

    async with hostile(play) as server:
        outcome = await deliver({"url": f"https://127.0.0.1:{server.port}/"})
    assert isinstance(outcome, TargetDown)
    assert outcome.reason.startswith("tls: ")


async def test_the_message_goes_out_with_its_id_attempt_and_type():
    message = replace(sample_message(), attempt=3, content=b"<a/>", content_type="application/xml")
    request = await seen(message, headers={"Authorization": "Bearer x", "X-Static": "1"}, method="PUT")
    assert request.line == b"PUT /hooks HTTP/1.1"
    assert request.body == b"<a/>"
    del request.headers["host"]
    assert request.headers == {
        "authorization": "Bearer x",
        "x-static": "1",
        "user-agent": "hookgate",
        "webhook-id": "evt_0000000000000001",
        "hookgate-attempt": "3",
        "hookgate-hops": "1",
        "content-type": "application/xml",
        "content-length": "4",
    }


async def test_a_header_s_value_may_be_a_secret():
    request = await seen(headers={"Authorization": SecretText("Bearer x"), "X-Plain": "y"})
    assert (request.headers["authorization"], request.headers["x-plain"]) == ("Bearer x", "y")


async def test_static_headers_replace_user_agent_and_content_type():
    request = await seen(headers={"user-agent": "acme", "Content-Type": "text/plain"})
    assert request.headers["user-agent"] == "acme"
    assert request.headers["content-type"] == "text/plain"


async def test_R12_only_listed_headers_of_the_original_request_go_along():
    message = with_headers(x_request_id="r1", x_other="o", cookie="c", authorization="a", host="evil.example")
    request = await seen(message, pass_headers=["X-Request-Id", "x-absent"])
    assert request.headers["x-request-id"] == "r1"
    assert not {"x-other", "cookie", "authorization", "x-absent"} & set(request.headers)
    assert request.headers["host"] != "evil.example"


async def test_R12_a_header_that_the_sender_declared_hop_by_hop_stays_behind():
    message = with_headers(connection="close, X-Sig", x_sig="s", x_kept="k")
    request = await seen(message, pass_headers=["x-sig", "x-kept"])
    assert "x-sig" not in request.headers
    assert request.headers["x-kept"] == "k"


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b", "\u2028", "\x7f"])
async def test_R12_a_value_that_would_split_the_request_kills_the_message(value):
    async with hostile(replies(OK)) as server:
        message = with_headers(x_note=value)
        outcome = await deliver({"url": server.url(), "pass_headers": ["x-note"]}, message)
        assert isinstance(outcome, Rejected)
        assert outcome.reason.startswith("header: ")
        assert "Evil" not in outcome.reason
        outcome = await deliver({"url": server.url()}, replace(sample_message(), content_type=value))
        assert isinstance(outcome, Rejected)
        assert server.requests == []


@pytest.mark.parametrize("hops", ["0", "1", "4", "", "x", "-1", "9" * 50, "²"])
async def test_C6_a_message_with_few_hops_goes_on_with_one_more(hops):
    request = await seen(with_headers(hookgate_hops=hops))
    assert request.headers["hookgate-hops"] == (str(int(hops) + 1) if hops in {"0", "1", "4"} else "1")


@pytest.mark.parametrize("hops", [str(MAX_HOPS), "6", "999"])
async def test_C6_a_message_that_goes_round_is_rejected_as_a_loop(hops):
    async with hostile(replies(OK)) as server:
        outcome = await deliver({"url": server.url()}, with_headers(hookgate_hops=hops))
        assert isinstance(outcome, Rejected)
        assert outcome.reason.startswith("loop: ")
        assert server.requests == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "http://127.1/"}, "four decimal numbers"),
        ({"url": "http://169.254.169.254/"}, "cloud metadata"),
        ({"url": "http://u:p@host/"}, "no user"),
        ({"method": "TRACE"}, "method"),
        ({"headers": {"Host": "x"}}, "'Host'"),
        ({"headers": {"X": "secret-x\r\ny"}}, "'X'"),
        ({"headers": {"Webhook-Id": "x"}}, "webhook-id"),
        ({"pass_headers": ["Cookie"]}, "cookie"),
        ({"pass_headers": ["Authorization"]}, "authorization"),
        ({"pass_headers": ["Connection"]}, "'Connection'"),
        ({"pass_headers": ["keep-alive"]}, "keep-alive"),
        ({"pass_headers": ["webhook-id"]}, "webhook-id"),
        ({"pass_headers": ["x"], "headers": {"X": "1"}}, "keep one"),
        ({"tls": {"ca": "/a"}}, "only for https"),
        ({"url": "https://host/", "tls": {"key": "/k"}}, "key needs cert"),
        ({"url": "https://host/", "tls": {"ca": "ca.pem"}}, "absolute path"),
        ({"url": "https://host/", "tls": {"insecure": True}}, "insecure"),
        ({"uri": "x"}, "uri"),
    ],
)
def test_options_that_cannot_work_are_refused_with_the_reason(options, words):
    with pytest.raises(ValueError) as caught:
        HttpOptions(**{"url": "http://host/", **options})
    text = str([{**error, "input": "", "ctx": ""} for error in caught.value.errors(include_url=False)])
    assert words in text
    assert "secret-x" not in text


def test_header_values_are_not_shown():
    assert "hush" not in repr(HttpOptions(url="http://host/", headers={"Authorization": "Bearer hush"}))


async def test_a_tls_file_that_is_missing_is_an_oserror_at_open(tmp_path):
    target = Http.build(HttpOptions(url="https://host/", tls={"ca": str(tmp_path / "none.pem")}))
    with pytest.raises(OSError, match=r"none\.pem"):
        await target.open(Context(name="crm", runtime=Runtime(), connections=1))
