"""The key that orders an event: which values are equal, and what is none."""

import pytest

from gateway.core.model import Request
from gateway.core.order import Order, parse_order_by
from gateway.core.selector import Scope


def key(body, selector="body.id"):
    request = Request("POST", "/", "", ((b"x-id", b"7"),), b"", "", 0)
    return Order(parse_order_by(selector), "block", "all").key(Scope(request, body, None, None, "shop"))


def test_equal_values_have_one_key_of_16_bytes_whatever_stands_beside_them():
    assert key({"id": "a", "n": 1}) == key({"n": 2, "id": "a"})
    assert len(key({"id": "a"})) == 16


def test_values_are_not_converted():
    assert len({key({"id": value}) for value in (5, "5", 5.0, True, "true", [5], {"a": 5})}) == 7


def test_the_keys_of_a_table_may_stand_in_any_order():
    assert key({"id": {"a": 1, "b": 2}}) == key({"id": {"b": 2, "a": 1}})


@pytest.mark.parametrize("body", [{}, {"id": None}, {"id": ""}, None, [], "text"])
def test_nothing_null_and_an_empty_text_are_no_key(body):
    assert key(body) is None


@pytest.mark.parametrize("value", [0, False, [], {}])
def test_other_empty_values_are_keys(value):
    assert key({"id": value}) is not None


def test_headers_and_the_source_can_order():
    assert key(None, "header.X-Id") == key({}, "header.x-id")
    assert key(None, "source") is not None


@pytest.mark.parametrize(
    ("selector", "problem"),
    [
        ("claims.sub", "claims are not kept"),
        ("event.id", "orders nothing"),
        ("event.key", "orders nothing"),
        ("id", "begin with"),
    ],
)
def test_what_cannot_order_is_refused(selector, problem):
    with pytest.raises(ValueError, match=problem):
        parse_order_by(selector)
