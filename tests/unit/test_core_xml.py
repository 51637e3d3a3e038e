"""XML: what becomes of it, and what is refused before it costs anything."""

import tracemalloc

import pytest

from gateway.core.head import encode_head
from gateway.core.identify import compile_identify, identify, recall
from gateway.core.model import Proof, Request, StoredEvent
from gateway.core.problems import ProblemsError
from gateway.core.xml import BYTES_MAX, DEPTH_MAX, NODES_MAX, parse_xml
from gateway.errors import RequestError

SOAP = b"""<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="urn:soap" xmlns:xsi="urn:xsi"><s:Body><list xmlns="urn:x">
 <Item><Id>1</Id><kind xsi:type="a:b">text <b/> more</kind></Item>
</list></s:Body></s:Envelope>"""


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        (b"<a>x</a>", {"a": "x"}),
        (b"<a/>", {"a": ""}),
        (b"<a> x </a>", {"a": " x "}),
        (b"<a>\n <b>1</b>\n</a>", {"a": {"b": "1"}}),
        (b"<a><b>1</b><b>2</b><c/></a>", {"a": {"b": ["1", "2"], "c": ""}}),
        (b"<a><b/><b/><b/></a>", {"a": {"b": ["", "", ""]}}),
        (b'<a n="1">x</a>', {"a": {"@n": "1", "#text": "x"}}),
        (b'<p:a xmlns:p="urn:p" xmlns:q="urn:q" q:n="1"><q:b/></p:a>', {"a": {"@n": "1", "b": ""}}),
        (b'<p:a><p:b xmlns:p="urn:p"/></p:a>', {"a": {"b": ""}}),
        (b'<a xmlns="urn:x" xmlnsy="1"/>', {"a": {"@xmlnsy": "1"}}),
        (b"<a>&lt;&amp;&#65;<![CDATA[<b>]]></a>", {"a": "<&A<b>"}),
        ("<a>é世</a>".encode(), {"a": "é世"}),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?><a>\xc3\xa9</a>', {"a": "é"}),
        (b"<!-- c --><?p i?><a>1<!-- 2 -->3</a>", {"a": "13"}),
    ],
)
def test_xml_becomes_tables_lists_and_texts(raw, meant):
    assert parse_xml(raw) == meant


def test_what_is_named_as_a_list_is_one_even_where_there_is_one():
    assert parse_xml(b"<a><b>1</b></a>", ["b"]) == {"a": {"b": ["1"]}}
    item = parse_xml(SOAP, ["Item"])["Envelope"]["Body"]["list"]["Item"]
    assert item == [{"Id": "1", "kind": {"@type": "a:b", "b": "", "#text": "text  more"}}]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "xml_doctype"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "xml_doctype"),
        (b'<!DOCTYPE a [<!ATTLIST a b CDATA "c">]><a/>', "xml_doctype"),
        (b"<a>&unknown;</a>", "xml_invalid"),
        (b"", "xml_invalid"),
        (b"no xml", "xml_invalid"),
        (b"<a>", "xml_invalid"),
        (b"<a/><b/>", "xml_invalid"),
        (b'<a n="1" n="2"/>', "xml_invalid"),
        (b"<a>\xe9</a>", "xml_invalid"),
        (b"<a>\0</a>", "xml_invalid"),
        ("<a/>".encode("utf-16"), "xml_invalid"),
        ("<a/>".encode("utf-16-le"), "xml_invalid"),
        (b'<a xmlns:p="p" xmlns:q="q" p:n="1" q:n="2"/>', "xml_repeated_name"),
        (b"<a>" * (DEPTH_MAX + 1) + b"</a>" * (DEPTH_MAX + 1), "xml_too_deep"),
        (b"<a>" + b"<b/>" * NODES_MAX + b"</a>", "xml_too_big"),
        (b"<a>" + b"x" * BYTES_MAX + b"</a>", "body_too_large"),
    ],
    ids=range(17),
)
def test_what_could_hurt_or_be_read_in_two_ways_is_refused(raw, reason):
    with pytest.raises(RequestError) as refused:
        parse_xml(raw)
    assert refused.value.reason == reason
    assert "unknown" not in str(refused.value.detail), "no piece of the payload is told"


def test_the_bounds_themselves_are_taken():
    assert parse_xml(b"<a>" * DEPTH_MAX + b"</a>" * DEPTH_MAX)
    assert len(parse_xml(b"<a>" + b"<b/>" * (NODES_MAX - 1) + b"</a>")["a"]["b"]) == NODES_MAX - 1


def test_a_long_name_of_a_vocabulary_is_not_written_out_for_each_name_of_it():
    named = b" ".join(b'p:n%d=""' % number for number in range(1000))
    raw = b'<p:a xmlns:p="%s" %s>%s</p:a>' % (b"u" * 50_000, named, b"".join(b"<p:b%d/>" % n for n in range(1000)))
    tracemalloc.start()
    try:
        document = parse_xml(raw)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000, "no 100 MB of names"
    finally:
        tracemalloc.stop()
    assert len(document["a"]) == 2000


RULE = {"format": "xml", "lists": ["Item"], "type": "body.kind.@type", "id": "body.Id"}
SPLIT = {**RULE, "split": "body.Envelope.Body.list.Item[]"}


def posted(body):
    return Request("POST", "/hooks/x", "", ((b"content-type", b"text/xml"),), body, "192.0.2.7", 1)


def test_selectors_read_xml_and_a_part_of_it_is_json():
    (event,) = identify(compile_identify(SPLIT), "acme", "main", posted(SOAP), Proof())
    assert (event.type, event.part) == ("a:b", b'{"Id":"1","kind":{"#text":"text  more","@type":"a:b","b":""}}')


def test_a_stored_event_of_xml_is_read_again_as_it_came():
    rule = compile_identify({**RULE, "type": "body.a.b"})
    (event,) = identify(rule, "acme", "main", posted(b"<a><b>x</b></a>"), Proof())
    head = encode_head(posted(b""), (), ())
    stored = StoredEvent(1, "acme", "main", event.type, "", None, 1, head, b"<a><b>x</b></a>", None)
    assert recall(rule, stored).body == event.body == {"a": {"b": "x"}}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({**RULE, "format": "yaml"}, 'format: expected "json" or "xml"'),
        ({"type": "body.a", "lists": ["Item"]}, "lists: goes with format"),
        ({**RULE, "lists": "Item"}, "lists: expected names of elements"),
        ({**RULE, "version": "body.v", "versions": {"1": {"format": "json"}}}, "format: cannot differ by version"),
    ],
)
def test_a_rule_for_xml_that_cannot_work_is_told(spec, text):
    with pytest.raises(ProblemsError, match=text):
        compile_identify(spec)
