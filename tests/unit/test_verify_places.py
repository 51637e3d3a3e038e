"""Places of values in a request: read strictly, written where they are read."""

import json

import pytest
from verify_harness import make_request, with_headers

from gateway.plugin import VerificationError
from gateway.verifiers.places import header_name, parse_place

NO_LIST = "body.i[].b[].a is missing: no list before [], or an empty one"


def reason(place, request, read="read"):
    with pytest.raises(VerificationError) as caught:
        getattr(parse_place(place), read)(request)
    return caught.value.reason, caught.value.detail


def test_a_place_is_told_as_it_is_written():
    for text in ("header.x-sig", "query.a_b", "body.a.b"):
        assert parse_place(text).text == text
    assert parse_place("header.X-Sig").name == "x-sig"


@pytest.mark.parametrize("text", ["x-sig", "header.", "header.a b", "query.", "query.a&b", "body.", "cookie.a", ""])
def test_what_is_no_place_is_refused(text):
    with pytest.raises(ValueError):
        parse_place(text)


@pytest.mark.parametrize("text", ["", "X Sig", "X-Sig:", "\N{EURO SIGN}"])
def test_what_is_no_name_of_a_header_is_refused(text):
    with pytest.raises(ValueError, match="no header name"):
        header_name(text)
    assert header_name("X-Sig") == b"x-sig"


def test_a_header_is_read_if_it_stands_once_and_is_not_empty():
    assert parse_place("header.x-sig").read(make_request(x_sig="v")) == b"v"
    assert reason("header.x-sig", make_request()) == ("missing", "header x-sig is missing")
    assert reason("header.x-sig", make_request(x_sig="")) == ("empty", "header x-sig is empty")
    twice = with_headers(make_request(), (b"x-sig", b"v"), (b"x-sig", b"v"))
    assert reason("header.x-sig", twice) == ("repeated", "header x-sig was sent more than once")


def test_a_parameter_is_read_if_it_stands_once_and_is_not_empty():
    assert parse_place("query.a").read(make_request(query="b=2&a=x+y%2B")) == b"x y+"
    assert reason("query.a", make_request(query="b=2")) == ("missing", "query.a stands 0 times, expected once")
    assert reason("query.a", make_request(query="a=1&a=1")) == ("repeated", "query.a stands 2 times, expected once")
    assert reason("query.a", make_request(query="a=")) == ("empty", "query.a is empty")


@pytest.mark.parametrize(
    ("place", "body", "found"),
    [
        ("body.a.b", {"a": {"b": "v"}}, [b"v"]),
        ("body.a.b", {"a": {"b": 7}}, [b"7"]),
        ("body.items[].id", {"items": [{"id": "1"}, {"id": 2}]}, [b"1", b"2"]),
    ],
)
def test_every_value_of_a_field_is_read(place, body, found):
    assert parse_place(place).read_all(make_request(json.dumps(body))) == found


@pytest.mark.parametrize(
    ("place", "body", "expected"),
    [
        ("body.a.b", {"a": {}}, ("missing", "body.a.b is missing")),
        ("body.a.b", {"a": 7}, ("missing", "body.a.b is missing")),
        ("body.a", {"a": ""}, ("empty", "body.a is empty")),
        ("body.a", {"a": True}, ("type", "body.a is bool, expected text or a whole number")),
        ("body.a", {"a": 1.5}, ("type", "body.a is float, expected text or a whole number")),
        ("body.a", {"a": None}, ("type", "body.a is NoneType, expected text or a whole number")),
        ("body.i[].a", {"i": []}, ("missing", "body.i[].a is missing: no list before [], or an empty one")),
        ("body.i[].a", {"i": {}}, ("missing", "body.i[].a is missing: no list before [], or an empty one")),
        ("body.i[].a", {"i": [{"a": "1"}, {}]}, ("missing", "body.i[].a is missing")),
        ("body.i[].b[].a", {"i": [{"b": [{"a": 1}]}, {"b": []}]}, ("missing", NO_LIST)),
        ("body.i[].b[].a", {"i": [{"b": [{"a": 1}]}, {"b": {}}]}, ("missing", NO_LIST)),
        ("body.i[].a", {"i": [{"a": "1"}, {"a": ""}]}, ("empty", "body.i[].a is empty")),
    ],
)
def test_a_field_that_is_not_there_for_every_item_is_refused(place, body, expected):
    assert reason(place, make_request(json.dumps(body)), "read_all") == expected


def test_where_one_value_is_expected_two_are_refused():
    request = make_request('{"items":[{"id":"1"},{"id":"2"}]}')
    assert reason("body.items[].id", request) == ("repeated", "body.items[].id stands 2 times, expected once")


@pytest.mark.parametrize(
    ("place", "query", "body", "expected"),
    [
        ("query.a", "b=2&a=old&c", "", "b=2&c&a=n%2Few"),
        ("query.a", "", "", "a=n%2Few"),
        ("query.a", "&b=2&&a", "", "b=2&a=n%2Few"),
    ],
)
def test_a_parameter_is_written_once_and_last(place, query, body, expected):
    written = parse_place(place).write(make_request(body, query=query), b"n/ew")
    assert written.query == expected
    assert parse_place(place).read(written) == b"n/ew"


@pytest.mark.parametrize(
    ("place", "body", "value", "expected"),
    [
        ("body.a.b", "", b"v", {"a": {"b": "v"}}),
        ("body.a.b", '{"x":1,"a":7}', b"v", {"x": 1, "a": {"b": "v"}}),
        ("body.a.b", '{"a":{"b":"old","c":1}}', b"v", {"a": {"b": "v", "c": 1}}),
        ("body.a", '{"a":7}', b"9", {"a": 9}),
        ("body.a", '{"a":7}', b"v", {"a": "v"}),
        ("body.a", '{"a":"7"}', b"9", {"a": "9"}),
        ("body.a", '{"a":true}', b"9", {"a": "9"}),
        ("body.i[].a", '{"i":[{"a":"1","b":2},{}]}', b"v", {"i": [{"a": "v", "b": 2}, {"a": "v"}]}),
        ("body.i[].a", '{"i":[]}', b"v", {"i": [{"a": "v"}]}),
        ("body.i[].a", '{"i":7}', b"v", {"i": [{"a": "v"}]}),
    ],
)
def test_a_field_is_written_where_it_is_read_and_a_number_stays_one(place, body, value, expected):
    written = parse_place(place).write(make_request(body), value)
    assert json.loads(written.body) == expected
    assert set(parse_place(place).read_all(written)) == {value}


def test_a_header_is_written_once():
    request = with_headers(make_request(), (b"x-sig", b"1"), (b"x-sig", b"2"))
    assert parse_place("header.x-sig").write(request, b"v").headers.count((b"x-sig", b"v")) == 1
    assert parse_place("header.x-sig").read(parse_place("header.x-sig").write(request, b"v")) == b"v"
