"""CloudEvents that an `http` target sends, read by the official SDK: both modes, hostile values, what is left out."""

import json
from dataclasses import replace
from urllib.parse import unquote

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from hostile_http import OK, hostile, replies

from gateway.plugin import Context, Delivered, Rejected
from gateway.runtime import Runtime
from gateway.targets.http import Http
from gateway.targets.http_options import HttpOptions
from gateway.testing.target import sample_message

MODES = pytest.mark.parametrize("mode", ["cloudevents", "cloudevents-structured"])
DATA = b'{"order": "o-1",\n "note": "\\u00fc"}'
OCCURRED = 1_795_262_400_123


def message(**changes):
    given = {"content": DATA, "payload": DATA, "content_type": "application/json", "occurred_at": OCCURRED}
    return replace(sample_message(), **{**given, **changes})


async def deliver(message, **options):
    async with hostile(replies(OK)) as server:
        target = Http.build(HttpOptions(url=server.url(), **options))
        await target.open(Context(name="crm", runtime=Runtime(), connections=1))
        try:
            outcome = await target.deliver(message)
        finally:
            await target.close()
    return outcome, server.requests


async def sent(message, **options):
    outcome, (request,) = await deliver(message, **options)
    assert isinstance(outcome, Delivered)
    return request


async def read(message, **options):
    """Send, and read by the SDK what came."""
    request = await sent(message, **options)
    return from_http_event(HTTPMessage(dict(request.headers), request.body))


@MODES
async def test_the_sdk_reads_id_source_type_time_and_data_of_what_is_sent(mode):
    given = message()
    event = await read(given, format=mode)
    assert (event.get_id(), event.get_specversion()) == (given.id, "1.0")
    assert (event.get_source(), event.get_type()) == (f"/hookgate/{given.source}", given.type)
    assert round(event.get_time().timestamp() * 1000) == OCCURRED
    assert event.get_datacontenttype() == "application/json"
    assert event.get_data() == json.loads(DATA)
    assert event.get_subject() is None


@MODES
async def test_attributes_of_the_operator_take_values_of_the_message_and_lack_what_it_lacks(mode):
    given = {
        "source": "https://hooks.acme.example/{source}",
        "type": "com.acme.{event.type}",
        "subject": "{body.order}",
        "tenant": "{body.tenant}",
        "region": "eu",
    }
    event = await read(message(), format=mode, attributes=given)
    assert event.get_source() == f"https://hooks.acme.example/{message().source}"
    assert event.get_type() == f"com.acme.{message().type}"
    assert (event.get_subject(), event.get_extension("region")) == ("o-1", "eu")
    assert event.get_extension("tenant") is None


@MODES
@pytest.mark.parametrize(
    "value", ["Euro € ü 😀", 'a "quoted" 100 % %41 value', "x: y; z=1, 'q'", " blanks at the ends ", "%", "a" * 3000]
)
async def test_E25_any_text_in_an_attribute_arrives_as_it_was_and_no_header_is_split(mode, value):
    body = json.dumps({"order": value}).encode()
    request = await sent(message(content=body, payload=body), format=mode, attributes={"subject": "{body.order}"})
    event = from_http_event(HTTPMessage(dict(request.headers), request.body))
    assert event.get_subject() == value
    if mode == "cloudevents":
        assert unquote(request.headers["ce-subject"]) == value
        assert set(request.headers["ce-subject"]) <= set(map(chr, range(0x21, 0x7F))) - {'"'}


@MODES
@pytest.mark.parametrize("value", ["a\r\nce-id: other", "a\x00b", "a\x7f", "\ud800", "a" * 5000])
async def test_E25_what_no_attribute_may_hold_rejects_the_message(mode, value):
    body = json.dumps({"order": value}).encode()
    outcome, requests = await deliver(
        message(content=body, payload=body), format=mode, attributes={"subject": "{body.order}"}
    )
    assert (type(outcome), requests) == (Rejected, [])


async def test_data_that_is_no_json_stands_in_a_structured_event_as_base64():
    for content, kind in ((b"\x00\xff", "application/octet-stream"), (b"a=1", "application/x-www-form-urlencoded")):
        event = await read(message(content=content, content_type=kind), format="cloudevents-structured")
        assert (event.get_data(), event.get_datacontenttype()) == (content, kind)
    broken = await sent(message(content=b"{no json"), format="cloudevents-structured")
    assert json.loads(broken.body)["data_base64"] == "e25vIGpzb24="


async def test_binary_mode_sends_any_data_as_it_is_and_a_message_without_content_has_none():
    request = await sent(message(content=b"\x00\xff", content_type="application/octet-stream"), format="cloudevents")
    assert (request.body, request.headers["content-type"]) == (b"\x00\xff", "application/octet-stream")
    empty = await sent(message(content=b"", content_type=""), format="cloudevents-structured")
    assert not {"data", "data_base64", "datacontenttype"} & set(json.loads(empty.body))


async def test_time_is_that_of_acceptance_where_the_provider_gives_none():
    event = await read(message(occurred_at=None, accepted_at=OCCURRED + 1), format="cloudevents")
    assert round(event.get_time().timestamp() * 1000) == OCCURRED + 1


async def test_a_structured_event_is_what_is_signed_and_compressed_and_has_one_content_type():
    body = json.dumps({"order": "x" * 4000}).encode()
    request = await sent(message(content=body, payload=body), format="cloudevents-structured", compress="gzip")
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers["content-type"] == "application/cloudevents+json"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"attributes": {"subject": "x"}}, "write format"),
        ({"format": "cloudevents", "headers": {"CE-Id": "x"}}, "ce-id is written by format"),
        ({"format": "cloudevents", "pass_headers": ["ce-type"]}, "ce-type is written by format"),
        ({"format": "cloudevents-structured", "method": "GET"}, "POST it"),
        ({"format": "cloudevents-structured", "headers": {"Content-Type": "x/y"}}, "POST it"),
        ({"format": "cloudevents", "attributes": {"id": "x"}}, "id is written by the gateway"),
        ({"format": "cloudevents", "attributes": {"Tenant": "x"}}, "small letters"),
        ({"format": "cloudevents", "attributes": {"tenant_id": "x"}}, "small letters"),
        ({"format": "cloudevents", "attributes": {"tenant": "{header.x}"}}, "cannot stand in attribute tenant"),
    ],
)
def test_options_that_contradict_each_other_are_told(options, told):
    with pytest.raises(ValueError, match=told):
        HttpOptions(url="http://127.0.0.1:9/", **options)
