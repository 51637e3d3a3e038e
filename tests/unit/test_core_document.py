"""Documents from strangers: strict, bounded, and cheap to refuse."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.document import NODES_MAX, parse_document, refuse_repeated_keys
from gateway.core.selector import parse_selector
from gateway.errors import RequestError
from harness.cost import processor_within


def refusal(raw, **bounds):
    with pytest.raises(RequestError) as error:
        parse_document(raw, **bounds)
    return error.value


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"[" * 100_000, "json_invalid"),
        (b"[" * 100_000 + b"]" * 100_000, "json_invalid"),
        (b"[" * 65 + b"]" * 65, "json_too_deep"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "json_too_deep"),
        (b"[" + b"{}," * 330_000 + b"{}]", "json_too_big"),
        (b"[" + b"0," * 330_000 + b"0]", "json_too_big"),
        (b"9" * 1_000_000, "json_invalid"),
        (b"[" * 100_001 + b'"' + b'\\"' * 400_000, "json_too_big"),
    ],
    ids=["open", "deep", "lists 65", "tables 65", "empty tables", "numbers", "long number", "open text of quotes"],
)
def test_D1_deep_wide_and_long_documents_are_refused_at_once(raw, reason):
    with processor_within(0.05):
        error = refusal(raw)
    assert (error.status, error.reason) == (400, reason)


def test_D1_what_is_just_inside_the_bounds_is_parsed():
    assert parse_document(b"[" * 64 + b"]" * 64)
    assert len(parse_document(b"[" + b"0," * (NODES_MAX - 2) + b"0]")) == NODES_MAX - 1


def test_D1_brackets_and_commas_inside_text_are_no_structure():
    text = json.dumps({"a": "[{," * 100_000, "b": '\\"[' * 100}).encode()
    assert parse_document(text) == json.loads(text)


def test_D1_many_shallow_tables_are_not_taken_for_deep_ones():
    assert len(parse_document(b"[" + b'{"a":[]},' * 1000 + b"{}]")) == 1001


def test_D1_a_document_over_the_byte_limit_is_413():
    error = refusal(b'"12345678"', max_bytes=9)
    assert (error.status, error.reason) == (413, "body_too_large")


@pytest.mark.parametrize(
    "raw", [b"NaN", b"Infinity", b"-Infinity", b"[1e999]", b'{"a":NaN}', b"1" + b"0" * 400, b'{"a":-1e999}']
)
def test_D3_numbers_that_json_does_not_have_are_refused(raw):
    assert refusal(raw).reason == "json_invalid"


@pytest.mark.parametrize(
    "raw", [b"", b"\xef\xbb\xbf{}", b'"\\ud800"', b'"\xff"', b"{", b"{}{}", b"'a'", b"// x\n1", b"[1,]", b'"\n"']
)
def test_what_is_no_json_is_refused(raw):
    assert (refusal(raw).status, refusal(raw).reason) == (400, "json_invalid")


def test_a_refusal_holds_nothing_of_the_payload():
    assert "hush" not in str(refusal(b'{"secret": hush}'))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=4), below, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(JSON, st.sampled_from([None, 1]), st.booleans())
def test_what_python_writes_is_read_back_and_has_no_repeated_keys(document, indent, ascii_only):
    raw = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    try:
        encoded = raw.encode()
    except UnicodeEncodeError:
        return  # a lone surrogate is no JSON text
    if "\\ud" not in raw:
        assert parse_document(encoded) == document
        refuse_repeated_keys(encoded, orjson.loads(encoded), [(("a",),), ((),)])


def repeats(raw, *selectors):
    try:
        refuse_repeated_keys(raw, orjson.loads(raw), [parse_selector(text).path for text in selectors])
    except RequestError as error:
        return (error.status, error.reason) == (400, "json_repeated_key")
    return False


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":{"id":1,"id":2}}',
        b'{"a":{"id":1,"\\u0069d":2}}',
        b'{"a":{"id":1,"id":1}}',
        b'{"a":{"id":1,"id":"\\u0022\\u0022"}}',
        b'{"a":{"id":1}, "a":{"id":2}}',
        b'{"a":{"id":1,"id":2,"b":1e7}}',
        b'{ "a" : { "id" : 1, "x" : "\\"", "id" : 2 } }',
    ],
)
def test_D2_a_repeated_key_on_a_path_that_a_rule_reads_is_refused(raw):
    assert repeats(raw, "body.a.id")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":{"id":1},"b":{"id":1,"id":2},"id":3}',
        b'{"a":{"id":1,"x":1,"x":2}}',
        b'{"a":{"id":"id","x":["id","id"],"y":"\\u0022id\\u0022"}}',
        b'{"a":{"id":{"z":1,"z":2}}}',
        b'[{"id":1,"id":2}]',
    ],
)
def test_D2_a_repeated_key_that_no_rule_reads_is_none_of_our_business(raw):
    assert not repeats(raw, "body.a.id")


def test_D2_repeats_are_found_inside_lists():
    assert repeats(b'{"e":[{"id":1},{"id":1,"id":2}]}', "body.e[].id")
    assert not repeats(b'{"e":[{"id":1},{"id":1}],"f":1,"f":2}', "body.e[].id")


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", 'q"', "\\u0022"]), JSON), max_size=4), st.booleans())
def test_D2_exactly_the_documents_with_a_repeated_key_are_refused(pairs, spaced):
    space = " " if spaced else ""
    inner = ",".join(f"{json.dumps(key)}{space}:{space}{json.dumps(value)}" for key, value in pairs)
    raw = f"{{{inner}}}".encode()
    if b"\\ud" in raw:
        return  # a lone surrogate is no JSON text
    count = sum(key == "a" for key, _ in pairs)
    assert repeats(raw, "body.a") == (count > 1)
