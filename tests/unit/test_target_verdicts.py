"""What an endpoint's answer means: Retry-After in all its forms, and the operator's own word for a status."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.plugin import Delivered, HttpReply, Rejected, Retry, TargetDown, load_kinds
from gateway.targets.retry_after import ASKED_MAX, retry_after
from gateway.targets.statuses import check_statuses, spread
from gateway.targets.verdicts import judge_reply

NOW = int(datetime(2026, 11, 21, 12, 0, tzinfo=UTC).timestamp() * 1000)
HttpOptions = load_kinds("targets", {"http"})["http"].options
FORMS = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b {day} %H:%M:%S %Y"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0),
        ("Sun Nov  6 08:49:37 1994", 0),
        ("Sat, 21 Nov 2026 12:05:00 GMT", 300),
        ("Saturday, 21-Nov-26 12:05:00 GMT", 300),
        ("Sat Nov 21 12:05:00 2026", 300),
        ("Tue Dec  1 12:05:00 2026", ASKED_MAX),
        ("Monday, 21-Nov-76 12:05:00 GMT", ASKED_MAX),
        ("Monday, 21-Nov-77 12:05:00 GMT", 0),
        ("Sat, 21 Nov 2026 11:59:60 GMT", 0),
        ("Sat, 21 Nov 2026 12:00:60 GMT", 60),
        ("86401", ASKED_MAX),
        ("9" * 5000, ASKED_MAX),
        ("000120", 120),
        ("Sat, 21 Nov 9999 12:05:00 GMT", ASKED_MAX),
    ],
)
def test_P11_retry_after_is_read_in_every_form_of_rfc_9110_and_is_a_day_at_most(value, seconds):
    assert retry_after(value.encode(), NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        *("", " 5", "5 ", "-5", "+5", "1e3", "1.5", "0x10", "soon", "5, 6"),
        *("Sat, 31 Feb 2026 12:05:00 GMT", "Sat, 21 Nov 2026 25:05:00 GMT", "Sat, 21 Nov 2026 12:05:61 GMT"),
        *("Sat, 21 Nov 2026 12:05:00 +0100", "Sat, 21 Nov 2026 12:05:00", "sat, 21 nov 2026 12:05:00 gmt"),
        *("Sat, 21-Nov-26 12:05:00 GMT", "Saturday, 21-Nov-2026 12:05:00 GMT", "Saturday, 21 Nov 26 12:05:00 GMT"),
        *("Sat Nov 21 12:05:00 26", "Sat Nov 21 12:05:00 2026 GMT", "Sat Nov 1 12:05:00 2026"),
        *("Sat, 21 Nov 0000 12:05:00 GMT", "٣"),
    ],
)
def test_a_retry_after_in_no_form_says_nothing(value):
    assert retry_after(value.encode(), NOW) is None


@given(st.datetimes(datetime(1995, 1, 1), datetime(2070, 1, 1)), st.sampled_from(FORMS))  # noqa: DTZ001 - a zone is added
def test_every_form_of_a_date_means_the_same_moment(moment, form):
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    text = moment.strftime(form.format(day=f"{moment.day:2}"))
    seconds = min(max(moment.timestamp() - NOW / 1000, 0), ASKED_MAX)
    assert retry_after(text.encode(), NOW) == seconds


def judged(status, statuses, *headers):
    return judge_reply(HttpReply(status, headers, b"", truncated=False), 3, NOW, spread(check_statuses(statuses)))


def test_a_status_means_what_the_operator_says():
    said = "HTTP {}, by the target's statuses".format
    assert judged(404, {"404": "reject"}) == Rejected(said(404))
    assert judged(409, {"409": "delivered"}) == Delivered(f"{said(409)}, in 3 ms")
    assert judged(202, {"202": "retry"}) == Retry(said(202))
    assert judged(400, {"4xx": "retry"}, (b"retry-after", b"9")) == Retry(said(400), 9.0)
    assert judged(503, {"503": "down"}, (b"retry-after", b"9")) == TargetDown(said(503), 9.0)
    closed = judged(403, {"403": "close"})
    assert isinstance(closed, TargetDown)
    assert closed.disable
    assert closed.reason.startswith(said(403))


def test_a_single_status_counts_before_its_class_wherever_it_stands():
    for statuses in ({"4xx": "retry", "404": "reject"}, {"404": "reject", "4xx": "retry"}):
        assert isinstance(judged(404, statuses), Rejected)
        assert isinstance(judged(403, statuses), Retry)
        assert isinstance(judged(200, statuses), Delivered)
        assert judged(500, statuses) == Retry("HTTP 500")


def test_the_statuses_of_overload_slow_the_target_down_and_no_others_do():
    slowing = {
        status
        for status in range(200, 600)
        for outcome in [judged(status, {})]
        if isinstance(outcome, Retry) and outcome.throttle
    }
    assert slowing == {429, 502, 504}
    assert judged(429, {"4xx": "retry"}).throttle
    assert not judged(400, {"4xx": "retry"}).throttle


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        ({"100": "retry"}, 'expected a status from "200" to "599" or a class such as "5xx", found \'100\''),
        ({"1xx": "retry"}, "found '1xx'"),
        ({"600": "retry"}, "found '600'"),
        ({"5XX": "retry"}, "found '5XX'"),
        ({"40x": "retry"}, "found '40x'"),
        ({" 404": "retry"}, "found ' 404'"),
        ({"٤04": "retry"}, "found '٤04'"),
        ({"2xx": "retry"}, '"2xx" is always delivered'),
        ({"5xx": "delivered"}, '"5xx" = "delivered" would lose every message of an outage'),
        ({"404": "rejected"}, "'delivered', 'retry', 'reject', 'down' or 'close'"),
        ({404: "reject"}, "valid string"),
    ],
)
def test_statuses_that_make_no_sense_are_told(statuses, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        HttpOptions(url="http://a.example/", statuses=statuses)
