"""Identify: what Truework's, Truora's and other requests become, and what is refused."""

import copy
from hashlib import blake2b

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.head import encode_head
from gateway.core.identify import UNKNOWN, compile_identify, identify, recall
from gateway.core.model import Proof, Request, StoredEvent
from gateway.core.moments import read_moment, write_moment
from gateway.core.problems import ProblemsError
from gateway.core.selector import parse_selector
from gateway.errors import RequestError

TRUEWORK = {
    "version": "body.version",
    "type": "body.hook.event",
    "key": [
        "body.hook.id",
        "body.version",
        "body.hook.event",
        "body.data.order_id",
        "body.data.verification_request_id",
        "body.data.state",
        "body.hook.triggered_at",
    ],
    "occurred_at": "body.hook.triggered_at",
    "aliases": {"body.data.state": {"action-requred": "action-required"}},
}
TRUORA = {
    "split": "claims.events[]",
    "version": "body.version",
    "type": "{body.event_type}.{body.event_action}",
    "id": "body.id",
    "occurred_at": "body.timestamp",
    "type_aliases": {"identity_process.*": "digital_identity.identity_process.*"},
}
ORDER = {
    "version": "2023-10-30",
    "hook": {"id": 7, "event": "order.completed", "triggered_at": "2023-10-30T12:34:56.789Z"},
    "data": {"order_id": "o1", "state": "completed"},
}


def posted(body, content_type=b"application/json", headers=(), query=""):
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return Request("POST", "/hooks/x", query, ((b"content-type", content_type), *headers), raw, "192.0.2.7", 1)


def events(spec, body, proof=None, **kwargs):
    rule = compile_identify(spec)
    return identify(rule, "acme", "main", posted(body, **kwargs), proof or Proof())


def event(spec, body, **kwargs):
    (only,) = events(spec, body, **kwargs)
    return only


def refusal(spec, body, **kwargs):
    with pytest.raises(RequestError) as error:
        events(spec, body, **kwargs)
    assert error.value.status == 400
    return error.value.reason


def changed(document, *path, to):
    document = copy.deepcopy(document)
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = to
    return document


def truora_claims(*ids):
    return {
        "iss": "Truora",
        "iat": 1700000000,
        "events": [
            {
                "id": each,
                "event_type": "digital_identity.identity_process",
                "event_action": "succeeded",
                "object": {"status": "success"},
                "version": "1.0",
                "timestamp": "2023-10-30T12:34:56Z",
            }
            for each in ids
        ],
    }


def test_a_truework_request_is_one_event_with_its_composite_key():
    found = event(TRUEWORK, ORDER)
    assert (found.source, found.credential) == ("acme", "main")
    assert (found.type, found.version) == ("order.completed", "2023-10-30")
    assert found.occurred_at == 1698669296789
    assert len(found.key) == 16
    assert found.part is None
    assert found.digest == blake2b(orjson.dumps(ORDER), digest_size=16).digest()
    assert found.body == ORDER


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("hook", "id"), 8),
        (("version",), "2024-01-01"),
        (("hook", "event"), "order.canceled"),
        (("data", "order_id"), "o2"),
        (("data", "verification_request_id"), "v1"),
        (("data", "state"), "canceled"),
        (("hook", "triggered_at"), "2023-10-30T12:34:57.789Z"),
    ],
)
def test_each_part_of_the_truework_key_tells_events_apart(path, to):
    assert event(TRUEWORK, ORDER).key != event(TRUEWORK, changed(ORDER, *path, to=to)).key


def test_what_is_not_in_the_key_makes_a_repeat_with_another_digest():
    other = changed(ORDER, "data", "metadata", to={"a": 1})
    assert event(TRUEWORK, ORDER).key == event(TRUEWORK, other).key
    assert event(TRUEWORK, ORDER).digest != event(TRUEWORK, other).digest


def test_an_alias_changes_key_and_match_but_not_the_payload():
    misspelt = event(TRUEWORK, changed(ORDER, "data", "state", to="action-requred"))
    right = event(TRUEWORK, changed(ORDER, "data", "state", to="action-required"))
    assert misspelt.key == right.key
    assert misspelt.body["data"]["state"] == "action-required"
    assert misspelt.digest != right.digest
    assert misspelt.part is None


def test_a_state_that_nobody_published_is_no_reason_to_refuse():
    assert event(TRUEWORK, changed(ORDER, "data", "state", to="brand-new")).body["data"]["state"] == "brand-new"


def test_aliases_reach_through_lists():
    spec = {"type": "body.t", "aliases": {"body.items[].state": {"ok": "done"}}}
    found = event(spec, {"t": "x", "items": [{"state": "ok"}, {"state": "no"}, 3, {}]})
    assert found.body["items"] == [{"state": "done"}, {"state": "no"}, 3, {}]


def test_a_truora_request_splits_into_an_event_for_each_part():
    first, second = events(TRUORA, b"a.b.c", Proof(truora_claims("H1", "H2"), claims_are_payload=True))
    assert first.type == "digital_identity.identity_process.succeeded"
    assert first.version == "1.0"
    assert first.key != second.key
    assert orjson.loads(first.part) == truora_claims("H1")["events"][0]
    assert first.digest == blake2b(first.part, digest_size=16).digest()
    assert first.claims["iss"] == "Truora"
    assert first.body["id"] == "H1"


def test_J8_the_same_claims_in_another_token_are_the_same_event():
    proof = Proof(truora_claims("H1"), claims_are_payload=True)
    backwards = {key: proof.claims[key] for key in reversed(proof.claims)}
    backwards["events"] = [dict(reversed(each.items())) for each in proof.claims["events"]]
    (one,) = events(TRUORA, b"a.b.c", proof)
    (two,) = events(TRUORA, b"other.token.text", Proof(backwards, claims_are_payload=True))
    assert (one.key, one.digest, one.part) == (two.key, two.digest, two.part)


def test_product_names_are_normalised_by_exact_entry_or_glob():
    spec = {"type": "body.t", "type_aliases": {"a.*": "b.*", "a.x": "c", "*-done": "done.*"}}
    sent = ["a.y", "a.x", "order-done", "a.", "z"]
    assert [event(spec, {"t": text}).type for text in sent] == ["b.y", "c", "done.order", "b.", "z"]


def test_a_jwt_that_is_the_body_makes_its_claims_the_payload():
    proof = Proof({"z": 1, "kind": "user.created", "jti": "j1"}, claims_are_payload=True)
    (found,) = events({"type": "body.kind", "id": "body.jti"}, b"a.b.c", proof)
    assert found.part == b'{"jti":"j1","kind":"user.created","z":1}'
    assert found.body is found.claims


def test_a_jwt_in_a_header_leaves_the_body_the_payload():
    (found,) = events({"type": "body.t", "id": "claims.jti"}, {"t": "x"}, Proof({"jti": "1"}))
    assert (found.part, found.body) == (None, {"t": "x"})
    assert found.key


def test_a_batch_in_the_body_splits_and_selectors_mean_the_part():
    spec = {"split": "body.items[]", "type": "body.kind", "id": "body.id", "version": "header.x-version"}
    found = events(spec, {"items": [{"kind": "a", "id": 1}, {"kind": "b", "id": 1}]}, headers=((b"x-version", b"3"),))
    assert [(each.type, each.version) for each in found] == [("a", "3"), ("b", "3")]
    assert found[0].key == found[1].key


def test_a_body_that_is_a_list_splits_as_well():
    assert [each.type for each in events({"split": "body[]", "type": "body.t"}, [{"t": "a"}, {"t": "b"}])] == ["a", "b"]


def test_a_batch_without_parts_is_no_event_and_no_error():
    assert events({"split": "body.items[]", "type": "body.t"}, {"items": []}) == ()


@pytest.mark.parametrize("body", [{}, {"items": {}}, {"items": None}, []])
def test_a_batch_without_a_list_is_one_event_of_unknown_type(body):
    (only,) = events({"split": "body.items[]", "type": "body.t"}, body)
    assert (only.type, only.part) == (UNKNOWN, None)


def test_a_batch_over_the_limit_is_refused_whole():
    spec = {"split": "body[]", "type": "body.t"}
    assert len(events(spec, [{"t": "a"}] * 1000)) == 1000
    assert refusal(spec, [{"t": "a"}] * 1001) == "parts_too_many"


def test_one_part_without_a_type_costs_the_others_nothing():
    assert [each.type for each in events({"split": "body[]", "type": "body.t"}, [{"t": "a"}, {}])] == ["a", UNKNOWN]


@pytest.mark.parametrize("body", [{}, {"t": None}, {"t": ""}, [], "t", 1, None])
def test_an_event_without_a_type_is_unknown_and_not_refused(body):
    assert event({"type": "body.t"}, body).type == UNKNOWN


@pytest.mark.parametrize("value", ["a\nb", "a\x00", "x" * 201, "\u202e", True, ["a"], {"a": 1}])
@pytest.mark.parametrize("what", ["type", "version"])
def test_a_type_or_version_that_is_no_short_printable_text_is_unknown(what, value):
    spec = {"type": "body.type", "version": "body.version"}
    assert getattr(event(spec, {"type": "t", "version": "v", what: value}), what) == UNKNOWN


@pytest.mark.parametrize(
    ("value", "text"), [(4, "4"), (1.5, "1.5"), ("é 1", "é 1"), (None, ""), ("x" * 200, "x" * 200)]
)
def test_versions_may_be_numbers_or_missing(value, text):
    assert event({"type": "body.t", "version": "body.v"}, {"t": "x", "v": value}).version == text


@pytest.mark.parametrize("odd", [2**70, 10**5000, float("inf"), float("nan")], ids=["2**70", "10**5000", "inf", "nan"])
def test_a_number_that_json_does_not_have_is_no_name(odd):
    (found,) = events({"type": "claims.v", "version": "claims.v"}, {"t": "x"}, Proof({"v": odd}))
    assert (found.type, found.version) == (UNKNOWN, UNKNOWN)


def test_a_template_joins_the_type_and_needs_all_its_values():
    spec = {"type": "{header.x-topic}.{body.action}"}
    assert event(spec, {"action": "opened"}, headers=((b"x-topic", b"issues"),)).type == "issues.opened"
    assert event(spec, {"action": "opened"}).type == UNKNOWN


def test_the_rule_varies_by_version_and_the_version_is_read_first():
    spec = {
        "version": "body.version",
        "type": "body.event",
        "id": "body.id",
        "versions": {
            "2*": {"type": "body.kind", "key": ["body.a", "body.b"], "aliases": {"body.kind": {"x": "y"}}},
            "3*": {"split": "body.items[]", "type": "body.name"},
        },
    }
    old = event(spec, {"version": "1.0", "event": "old", "id": 1})
    new = event(spec, {"version": "2.0", "kind": "x", "a": 1})
    batch = events(spec, {"version": "3.1", "items": [{"name": "p", "id": 5}, {"name": "q", "id": 6}]})
    assert (old.type, new.type) == ("old", "y")
    assert new.key
    assert [(each.type, each.version) for each in batch] == [("p", "3.1"), ("q", "3.1")]
    assert len({each.key for each in batch}) == 2


def test_parts_of_one_request_may_have_different_versions():
    spec = {"split": "body[]", "version": "body.v", "type": "body.a", "versions": {"2": {"type": "body.b"}}}
    found = events(spec, [{"v": "1", "a": "old"}, {"v": "2", "b": "new", "a": "-"}])
    assert [(each.version, each.type) for each in found] == [("1", "old"), ("2", "new")]


@pytest.mark.parametrize("body", [{"t": "x"}, {"t": "x", "id": None}, {"t": "x", "id": ""}])
def test_without_an_id_there_is_no_dedup(body):
    assert event({"type": "body.t", "id": "body.id"}, body).key is None
    assert event({"type": "body.t"}, body).key is None


def test_a_composite_key_of_which_nothing_is_there_is_no_key():
    assert event({"type": "body.t", "key": ["body.a", "body.b"]}, {"t": "x"}).key is None
    assert event({"type": "body.t", "key": ["body.a", "body.b"]}, {"t": "x", "b": ""}).key is not None


def test_the_source_is_not_in_the_key_so_that_a_rename_keeps_it():
    rule = compile_identify(TRUEWORK)
    one, two = (identify(rule, name, "main", posted(ORDER), Proof())[0] for name in ("acme", "other"))
    assert one.key == two.key


def test_a_key_may_be_made_of_what_was_identified():
    spec = {"type": "body.t", "key": ["event.type", "event.version", "event.occurred_at"], "type_aliases": {"a": "b"}}
    found = event(spec, {"t": "a"})
    assert found.key == event(spec, {"t": "b"}).key != event(spec, {"t": "c"}).key


PARTS = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.0, 1.0, "", "0", "1", "null", "a", '"', ","])
)
ABSENT_PART = object()


@settings(deadline=None)
@given(*[st.lists(PARTS | st.just(ABSENT_PART) | st.lists(PARTS, max_size=2), min_size=3, max_size=3)] * 2)
def test_keys_are_equal_exactly_if_all_parts_are_equal_in_type_and_value(one, two):
    spec = {"type": "body.t", "key": ["body.0", "body.1", "body.2"]}

    def key(parts):
        body = {str(place): part for place, part in enumerate(parts) if part is not ABSENT_PART}
        return event(spec, {"t": "x", **body}).key

    def told(parts):
        return [repr(part) for part in parts]

    assert (key(one) == key(two)) == (told(one) == told(two))


def test_S14_ids_are_compared_as_they_are_without_folding():
    spec = {"type": "body.t", "id": "body.id"}
    assert len({event(spec, {"t": "x", "id": text}).key for text in ("é", "e\u0301", "É", "E", "e", "\uff45")}) == 6


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2023-10-30T12:34:56.789Z", 1698669296789),
        ("2023-10-30T12:34:56.789123456Z", 1698669296789),
        ("2023-10-30T14:34:56+02:00", 1698669296000),
        ("2023-10-30 12:34:56", 1698669296000),
        ("2023-10-30", 1698624000000),
        (1698669296, 1698669296000),
        (1698669296.789, 1698669296789),
        (1698669296789, 1698669296789),
        ("1698669296", 1698669296000),
        ("1698669296789", 1698669296789),
    ],
)
def test_a_moment_is_read_as_iso_seconds_or_milliseconds(value, moment):
    assert read_moment(value) == moment


ODD_TEXTS = ["", "soon", "2023-13-01", "1" * 41, "nan", "inf", "1e400", "0001-01-01T00:00:00Z", "2023-W99-9"]
ODD_TEXTS += ["9999-12-31T23:59:59-14:00"]


@pytest.mark.parametrize("value", [*ODD_TEXTS, -5, 0, 10**18, float("nan"), float("inf"), float("-inf"), True, [], {}])
def test_a_moment_that_is_unusable_is_none_and_no_error(value):
    assert read_moment(value) is None
    assert event({"type": "body.t", "occurred_at": "body.at"}, {"t": "x", "at": value}).occurred_at is None


@settings(deadline=None)
@given(st.integers(1, 253_402_300_799_999))
def test_moments_read_back_as_they_were_written(moment):
    assert read_moment(write_moment(moment)) == moment


def test_D2_a_repeated_key_that_the_rule_reads_refuses_the_request():
    assert refusal({"type": "body.t"}, b'{"t":"a","t":"b"}') == "json_repeated_key"
    assert refusal({"split": "body.e[]", "type": "body.t"}, b'{"e":[{"t":"a","t":"b"}]}') == "json_repeated_key"
    assert refusal({"type": "{body.t}"}, b'{"t":"a","t":"b"}') == "json_repeated_key"
    assert event({"type": "body.t"}, b'{"t":"a","x":1,"x":2}').type == "a"


def test_D2_a_key_that_only_the_rule_of_some_version_reads_counts_for_all():
    spec = {"type": "body.t", "version": "body.v", "versions": {"2": {"type": "body.x"}}}
    assert refusal(spec, b'{"t":"a","v":"1","x":1,"x":2}') == "json_repeated_key"


def test_D2_a_repeated_key_that_verification_reads_refuses_the_request():
    rule = compile_identify({"type": "header.x-topic"}, [parse_selector("body.token")])
    request = posted(b'{"token":"a","token":"b"}', headers=((b"x-topic", b"t"),))
    with pytest.raises(RequestError, match="json_repeated_key"):
        identify(rule, "acme", "main", request, Proof())


def test_D3_a_body_that_calls_itself_json_must_be_json():
    spec = {"type": "header.x-topic"}
    headers = ((b"x-topic", b"t"),)
    assert refusal(spec, b'{"a":NaN}', headers=headers) == "json_invalid"
    assert (
        refusal(spec, b"{", content_type=b"application/vnd.acme+JSON; charset=utf-8", headers=headers) == "json_invalid"
    )


@pytest.mark.parametrize("body", [b"", b"payload=%7B%7D", b"\xff\xfe", b"<xml/>"])
def test_a_body_that_is_no_json_passes_when_no_rule_reads_it(body):
    found = event({"type": "header.x-topic"}, body, content_type=b"text/plain", headers=((b"x-topic", b"t"),))
    assert (found.type, found.body, found.part) == ("t", None, None)


def test_a_body_that_a_rule_reads_must_be_json_or_a_form_whatever_it_is_called():
    assert refusal({"type": "body.t"}, b"t=1", content_type=b"text/plain") == "json_invalid"


@pytest.mark.parametrize("odd", [2**70, "\ud800"])
def test_claims_that_json_cannot_hold_are_refused_and_no_crash(odd):
    with pytest.raises(RequestError, match="json_unwritable"):
        events({"type": "body.t"}, b"a.b.c", Proof({"t": "x", "odd": odd}, claims_are_payload=True))
    with pytest.raises(RequestError, match="json_unwritable"):
        events({"type": "body.t", "id": "claims.odd"}, {"t": "x"}, Proof({"odd": odd}))


@pytest.mark.parametrize("hostile", ["{body.x}", "%s%n", "{0.__init__}", "__class__", "{{7*7}}"])
def test_D6_a_type_from_the_payload_is_plain_text(hostile):
    assert event({"type": "body.t"}, {"t": hostile}).type == hostile
    assert event({"type": "{body.t}.x"}, {"t": hostile}).type == f"{hostile}.x"


def test_a_stored_event_is_seen_again_as_it_was_seen_when_it_came():
    request = posted(changed(ORDER, "data", "state", to="action-requred"), headers=((b"x-env", b"live"),), query="a=1")
    rule = compile_identify(TRUEWORK)
    (found,) = identify(rule, "truework", "main", request, Proof())
    head = encode_head(request, (), ())
    stored = StoredEvent(1, "truework", "main", found.type, found.version, None, 1, head, request.body, None)
    scope = recall(rule, stored)
    assert scope.body == found.body
    for text in ("header.x-env", "query.a", "event.type", "event.version", "body.data.state"):
        seen = parse_selector(text).value(scope)
        assert seen == parse_selector(text).value(scope._replace(request=request, event=found, body=found.body))


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({}, "type: expected a selector"),
        ({"type": "data.x"}, "type: selector 'data.x'"),
        ({"type": "{body.x"}, "type: template"),
        ({"type": 3}, "type: a selector is text"),
        ({"type": ["body.a", "x"]}, r"type\[1\]: selector 'x'"),
        ({"type": []}, "type: expected 1 to 32 selectors"),
        ({"repeats_differ_in": "header.x"}, r"repeats_differ_in: expected a selector of a key in the body"),
        ({"repeats_differ_in": "body.a[]"}, r"repeats_differ_in: expected a selector of a key in the body"),
        ({"repeats_differ_in": "body.n", "unwrap": "body.x"}, "repeats_differ_in: cannot stand beside unwrap"),
        ({"type_where": {"x": "a"}}, r"type_where\.x: selector 'x'"),
        ({"type_where": {"body.x": 1}}, "expected a type as text, found 1"),
        ({"type_where": ["body.x"]}, "type_where: expected a table"),
        ({"type": "body.t", "tpye": "body.x"}, "tpye: unknown key 'tpye'; did you mean 'type'?"),
        ({"type": "body.t", "id": "body.i", "key": ["body.k"]}, "key: cannot stand beside id"),
        ({"type": "body.t", "key": []}, "key: expected 1 to 32 selectors"),
        ({"type": "body.t", "key": ["body.a", "x"]}, r"key\[1\]: selector 'x'"),
        ({"type": "body.t", "split": "body.items"}, r"split: expected a list of body or claims"),
        ({"type": "body.t", "split": "header.x"}, "split: expected a list of body or claims"),
        ({"type": "body.t", "aliases": {"header.x": {"a": "b"}}}, '"header.x": expected a selector of a key in body'),
        ({"type": "body.t", "aliases": {"body.x": {"a": 1}}}, "as meant"),
        ({"type": "body.t", "type_aliases": {"a.*": "b"}}, "expected one \\* on both sides"),
        ({"type": "body.t", "versions": {"2": {"type": "body.x"}}}, "versions: needs version"),
        ({"type": "body.t", "version": "body.v", "versions": {"2": {}}}, "versions: expected a table"),
        ({"type": "body.t", "version": "body.v", "versions": {"": {"id": "body.i"}}}, "expected a text or glob"),
        ({"type": "body.t", "version": "body.v", "versions": {"2": {"id": "x"}}}, "versions.2.id: selector 'x'"),
        ({"type": "body.t", "version": "body.v", "versions": {"2": {"version": "body.w"}}}, "cannot differ by version"),
    ],
)
def test_a_bad_rule_is_told_with_its_place(spec, told):
    with pytest.raises(ProblemsError, match=told):
        compile_identify(spec)


def test_all_that_is_wrong_with_a_rule_is_told_at_once_and_only_once():
    spec = {"type": "x", "id": "y", "version": "body.v", "versions": {"1": {"occurred_at": "z"}}}
    with pytest.raises(ProblemsError) as error:
        compile_identify(spec)
    assert [problem.path for problem in error.value.problems] == [("id",), ("type",), ("versions", "1", "occurred_at")]


def test_keys_that_the_configuration_left_empty_count_as_not_written():
    spec = {"type": "body.t", "id": None, "key": None, "aliases": {}, "type_aliases": {}, "versions": {}, "split": None}
    assert event(spec, {"t": "x"}).key is None


FORM = b"application/x-www-form-urlencoded; charset=utf-8"


def test_a_form_is_read_as_a_table_of_texts_now_and_when_it_is_seen_again():
    rule = {"type": "body.MessageStatus", "id": "body.MessageSid"}
    raw = b"MessageSid=SM1&MessageStatus=sent+to&To=%2B1&To=2&Empty="
    found = event(rule, raw, content_type=FORM)
    assert found.type == "sent to"
    assert found.body == {"MessageSid": "SM1", "MessageStatus": "sent to", "To": ["+1", "2"], "Empty": ""}
    assert found.key
    head = encode_head(posted(raw, FORM), (), ())
    stored = StoredEvent(1, "acme", "main", found.type, "", None, 1, head, raw, None)
    assert recall(compile_identify(rule), stored).body == found.body


@pytest.mark.parametrize("raw", [b'{"type":"note","text":"&type=paid&id=1&"}', b' \n[{"text":"&type=paid&id=1&"}]'])
def test_a_signed_document_that_is_called_a_form_is_not_read_as_one(raw):
    rule = {"type": "body.type", "id": "body.id"}
    found = event(rule, raw, content_type=FORM)
    assert found.type == event(rule, raw).type != "paid"
    assert found.key == event(rule, raw).key, "sent again under another type it is still a repeat"
    stored = StoredEvent(1, "acme", "main", found.type, "", None, 1, encode_head(posted(raw, FORM), (), ()), raw, None)
    assert recall(compile_identify(rule), stored).body == orjson.loads(raw)


@pytest.mark.parametrize(("raw", "reason"), [(b"a=1&" * 1001, "form_too_big"), (b"a=%ff", "form_invalid")])
def test_a_form_of_too_many_fields_or_no_utf_8_is_refused_where_a_rule_reads_it(raw, reason):
    assert refusal({"type": "body.a"}, raw, content_type=FORM) == reason
    assert event({"type": "header.x"}, raw, content_type=FORM).body is None
    assert event({"type": "body.a"}, b"a=1&" * 1000, content_type=FORM).type == UNKNOWN


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        ({"event": {"type": "message"}, "type": "outer"}, "message"),
        ({"kind": "a", "action": "b", "type": "outer"}, "a.b"),
        ({"event": {"type": None}, "kind": "a", "type": "outer"}, "outer"),
        ({"other": 1}, UNKNOWN),
    ],
)
def test_of_a_list_of_types_the_first_that_finds_something_counts(body, meant):
    assert event({"type": ["body.event.type", "{body.kind}.{body.action}", "body.type"]}, body).type == meant


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        ({"message": {"text": "type"}, "poll": 1}, "a message"),
        ({"poll": None}, "poll"),
        ({"message": 1, "kind": "said"}, "said"),
        ({"other": 1}, UNKNOWN),
    ],
)
def test_a_type_is_told_by_what_is_there_where_no_field_says_it(body, meant):
    where = {"body.message": "a message", "body.poll": "poll"}
    assert event({"type": "body.kind", "type_where": where}, body).type == meant
    if "kind" not in body:
        assert event({"type_where": where}, body).type == meant


WRAPPED = {"type": "body.subscription", "id": "body.message.id", "unwrap": "body.message.data"}


REPEATS = {"type": "body.t", "repeats_differ_in": ["body.meta.attempt", "body.tries[].at"]}
TRIED = {"t": "a", "meta": {"attempt": 1, "to": "x"}, "tries": [{"at": 1, "ok": False}]}


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({**TRIED, "meta": {"attempt": 2, "to": "x"}, "tries": [{"at": 5, "ok": False}]}, True),
        ({**TRIED, "meta": {"to": "x"}}, True),
        ({**TRIED, "meta": {"attempt": 1, "to": "y"}}, False),
        ({**TRIED, "tries": [{"at": 1, "ok": True}]}, False),
        ({**TRIED, "tries": [{"at": 1, "ok": False}] * 2}, False),
        ({**TRIED, "tries": {"at": 2}}, False),
        ({**TRIED, "meta": 1}, False),
    ],
)
def test_what_repeats_differ_in_is_no_part_of_the_comparison_and_stays_in_the_payload(other, same):
    first, second = event(REPEATS, TRIED), event(REPEATS, other)
    assert (first.digest == second.digest) is same
    assert second.body == other
    assert event({"type": "body.t"}, TRIED).digest != event({"type": "body.t"}, other).digest


def test_what_repeats_differ_in_is_compared_as_sent_before_aliases_and_may_not_be_written_twice():
    spec = {**REPEATS, "aliases": {"body.state": {"a": "b"}}}
    assert event(spec, {"state": "a"}).digest != event(spec, {"state": "b"}).digest
    assert refusal(REPEATS, b'{"meta": {"attempt": 1, "attempt": 2}}') == "json_repeated_key"
    assert event(REPEATS, b"name=x", content_type=b"application/x-www-form-urlencoded").digest


def test_what_a_body_wraps_is_the_payload_and_the_rules_read_what_was_sent():
    sent = {"subscription": "orders", "message": {"id": "m1", "data": '{"state": "paid"}'}, "attempt": 1}
    found = event(WRAPPED, sent)
    assert (found.type, found.body, found.part) == ("orders", {"state": "paid"}, b'{"state": "paid"}')
    again = event(WRAPPED, {**sent, "attempt": 2})
    assert (again.key, again.digest) == (found.key, found.digest), "what changes around it makes no conflict"


def test_base64_is_unwrapped_strictly_and_text_that_is_no_json_is_a_payload_all_the_same():
    spec = {**WRAPPED, "unwrap_encoding": "base64"}
    assert event(spec, {"subscription": "a", "message": {"data": "aGVsbG8="}}).part == b"hello"
    with pytest.raises(RequestError, match="unwrap"):
        event(spec, {"subscription": "a", "message": {"data": "aGV sbG8="}})


def test_a_body_that_wraps_nothing_stays_as_it_was_sent():
    sent = {"subscription": "orders", "message": {"id": "m1"}}
    found = event(WRAPPED, sent)
    assert (found.part, found.body) == (None, sent)


def test_aliases_mean_what_is_inside_and_a_stored_event_is_seen_as_it_was():
    spec = {**WRAPPED, "aliases": {"body.state": {"payed": "paid"}}}
    found = event(spec, {"subscription": "orders", "message": {"data": '{"state": "payed"}'}})
    assert found.body == {"state": "paid"}
    assert found.part == b'{"state": "payed"}'
    request = posted({})
    stored = StoredEvent(1, "acme", "main", "orders", "", None, 1, encode_head(request, (), ()), b"{}", found.part)
    scope = recall(compile_identify(spec), stored)
    assert (scope.body, scope.claims) == ({"state": "paid"}, None)


@pytest.mark.parametrize(
    "more", [{"split": "body.items[]"}, {"unwrap": "header.x"}, {"unwrap": "body.a[].b"}, {"unwrap_encoding": "hex"}]
)
def test_unwrap_is_one_field_of_a_body_that_is_not_split(more):
    with pytest.raises(ProblemsError):
        compile_identify({**WRAPPED, **more})
