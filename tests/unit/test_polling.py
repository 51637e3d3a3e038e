"""Pages, cursors and choices of a poller: pure, and never led elsewhere by a reply."""

import pytest

from gateway.core.identify import compile_identify, identify, polled
from gateway.core.model import Event, Proof, Request
from gateway.core.polling import Cursor, choose, read_cursor, since_text
from gateway.core.selector import parse_selector
from gateway.provider_api.paging import Paging, PagingError, Place

HOST = "https://api.acme.example"


def event(at, seen_as=b"s"):
    return Event("acme", "", "t", "", b"k", at, None, b"d", None, None, seen_as=seen_as)


def paging(url=f"{HOST}/events?limit=2", following="body.next", parameter=None):
    return Paging(url, following and parse_selector(following), parameter)


@pytest.mark.parametrize(
    "link",
    [
        "https://other.example/events",
        "http://api.acme.example/events",
        "https://api.acme.example:8443/events",
        "//169.254.169.254/latest",
        "https://api.acme.example@127.0.0.1/",
        "unix:/run/docker.sock:/v1",
        "file:///etc/passwd",
        7,
        ["/events"],
        "/events\r\nHost: inside",
    ],
)
def test_a_link_that_leads_elsewhere_is_not_followed(link):
    with pytest.raises(PagingError):
        paging().after(Place(), "/events?limit=2", 2, {"next": link})


@pytest.mark.parametrize("link", ["/events?page=2", f"{HOST}/events?page=2"])
def test_a_link_of_the_same_host_is_the_next_page(link):
    place = paging().after(Place(), "/events?limit=2", 2, {"next": link})
    assert paging().target("", place) == "/events?page=2"


@pytest.mark.parametrize("nothing", [None, "", False])
def test_no_link_is_the_end_and_the_same_page_again_is_refused(nothing):
    assert paging().after(Place(), "/events", 2, {"next": nothing}) is None
    assert paging().after(Place(), "/events", 2, {}) is None
    with pytest.raises(PagingError):
        paging().after(Place(), "/events", 2, {"next": "/events"})


def test_a_token_takes_the_place_of_the_one_before_and_is_encoded():
    tokens = paging(parameter="cursor")
    second = tokens.after(Place(), "/events?limit=2", 2, {"next": "a&b=c#/../"})
    assert second.target == "/events?limit=2&cursor=a%26b%3Dc%23%2F..%2F"
    assert tokens.after(second, second.target, 2, {"next": 3}).target == "/events?limit=2&cursor=3"
    with pytest.raises(PagingError):
        tokens.after(second, second.target, 2, {"next": {"a": 1}})


def test_numbered_pages_go_on_until_one_is_empty():
    numbered = paging(f"{HOST}/events?from={{since}}&page={{page}}&offset={{offset}}", None)
    first = numbered.target("2026-11-22T00:00:00.000Z", Place())
    assert first == "/events?from=2026-11-22T00%3A00%3A00.000Z&page=1&offset=0"
    second = numbered.after(Place(), "", 25, {})
    assert numbered.target("1", second).endswith("page=2&offset=25")
    assert numbered.after(second, "", 0, {}) is None
    with pytest.raises(ValueError, match="expected"):
        paging(f"{HOST}/{{body.id}}", None)


def test_only_what_happened_between_the_cursor_and_the_grace_is_taken():
    events = [event(100), event(50), event(10), event(None), event(60, seen_as=None)]
    choice = choose(events, since=50, until=90)
    assert [each.occurred_at for each in choice.taken] == [50, None]
    assert (choice.newest, choice.all_older) == (50, False)
    assert choose([event(10)], 50, 90).all_older
    assert not choose([], 50, 90).all_older


def test_a_cursor_asks_again_for_the_overlap_but_never_for_what_was_before_it_began():
    assert read_cursor(None, 1000) == Cursor(1000, 1000)
    assert read_cursor(Cursor(1000, 5000).note(), 9) == Cursor(1000, 5000)
    assert (Cursor(1000, 5000).since(500), Cursor(1000, 1200).since(500)) == (4500, 1000)
    assert (since_text(1500, "seconds"), since_text(1500, "milliseconds")) == ("1", "1500")


def test_a_webhook_and_an_item_of_one_occurrence_find_each_other_and_no_other():
    """Each has as `seen_as` what the other is known by; a source without occurrences has neither."""
    sent = compile_identify({"type": "body.type", "id": "body.id", "occurrence": ["body.order", "event.type"]})
    listed = compile_identify({"type": "body.kind", "occurrence": ["body.number", "event.type"], "split": "body.all[]"})
    plain = compile_identify({"type": "body.type", "id": "body.id"})

    def read(rule, body):
        request = Request("POST", "", "", ((b"content-type", b"application/json"),), body, "", 0)
        return identify(rule, "acme", "", request, Proof())

    (webhook,) = read(sent, b'{"type": "paid", "id": "e1", "order": 7}')
    one, other = map(polled, read(listed, b'{"all": [{"kind": "paid", "number": 7}, {"kind": "paid", "number": 8}]}'))
    assert (one.seen_as, one.key) == (webhook.mark, webhook.seen_as)
    assert one.polled
    assert {other.seen_as, other.key}.isdisjoint({webhook.mark, webhook.seen_as})
    (unmarked,) = read(plain, b'{"type": "paid", "id": "e1", "order": 7}')
    assert (unmarked.mark, unmarked.seen_as, unmarked.key) == (None, None, webhook.key)
