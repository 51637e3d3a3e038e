"""JSON within texts of a body: rules and routes see what it holds, and what is stored is read again alike."""

from urllib.parse import urlencode

import pytest

from gateway.core.head import encode_head
from gateway.core.identify import compile_identify, identify, recall
from gateway.core.model import Proof, Request, StoredEvent
from gateway.core.problems import ProblemsError
from gateway.errors import RequestError

RULE = compile_identify({"json_texts": ["list"], "split": "body.list[]", "type": "body.t", "id": "body.id"})
FORM = ((b"content-type", b"application/x-www-form-urlencoded"),)


def posted(body, headers=FORM):
    return Request("POST", "/hooks/x", "", headers, body, "192.0.2.7", 1)


def events(body, rule=RULE, **more):
    return identify(rule, "acme", "main", posted(body, **more), Proof())


def test_a_list_in_a_field_of_a_form_is_taken_apart():
    found = events(urlencode({"list": '[{"t": "a", "id": 1}, {"t": "b", "id": 2}]'}).encode())
    assert [(each.type, each.part) for each in found] == [("a", b'{"id":1,"t":"a"}'), ("b", b'{"id":2,"t":"b"}')]


def test_a_text_in_json_is_opened_too_and_what_is_no_text_stays():
    rule = compile_identify({"json_texts": ["inner", "other", "gone"], "type": "body.inner.t"})
    (event,) = events(b'{"inner": "{\\"t\\": \\"a\\"}", "other": 7}', rule, headers=())
    assert (event.type, event.body) == ("a", {"inner": {"t": "a"}, "other": 7})


@pytest.mark.parametrize("text", ["no json", "[1", "[" * 100 + "]" * 100])
def test_a_text_that_is_no_json_within_bounds_is_refused(text):
    with pytest.raises(RequestError) as refused:
        events(urlencode({"list": text}).encode())
    assert refused.value.status == 400


def test_a_stored_event_is_read_again_as_it_came():
    rule = compile_identify({"json_texts": ["x"], "type": "body.x.t"})
    body = urlencode({"x": '{"t": "a"}'}).encode()
    (event,) = events(body, rule)
    stored = StoredEvent(1, "acme", "main", "a", "", None, 1, encode_head(posted(b""), (), ()), body, None)
    assert recall(rule, stored).body == event.body == {"x": {"t": "a"}}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"json_texts": "x"}, "json_texts: expected names of fields"),
        ({"json_texts": ["x"], "format": "xml"}, "json_texts: cannot stand beside format"),
        ({"json_texts": ["x"] * 9}, "json_texts: expected at most 8 names"),
    ],
)
def test_names_that_cannot_work_are_told(spec, text):
    with pytest.raises(ProblemsError, match=text):
        compile_identify({"type": "body.t", **spec})
