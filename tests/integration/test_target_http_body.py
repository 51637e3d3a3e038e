"""What an `http` target sends when a template or a transform writes its content, from the configuration to the wire."""

import base64
import gzip
from pathlib import Path

import pytest
from hostile_http import OK, hostile, replies
from standardwebhooks import Webhook

from gateway.blueprint import build
from gateway.config.load import load
from gateway.core.head import encode_head
from gateway.core.model import Delivered, Delivery, Message, Request, StoredEvent
from gateway.plugin import Context
from gateway.runtime import Runtime

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
PAYLOAD = b'{"order": {"id": "o-1", "lines": ["a", "b"]}}'
TRANSFORM = """
from gateway.plugin import Options, transform

class Nothing(Options):
    pass

@transform(Nothing)
def apply(message, options):
    return ("\\n".join(message.data["order"]["lines"]) * 1000).encode(), "text/plain"
"""
FORMS = {
    '{ template = "crm.j2", content_type = "application/json" }': (b'{"ref": "o-1", "of": "acme"}', "application/json"),
    '{ transform = "lines" }': (b"a\nb" * 1000, "text/plain"),
    '"payload"': (PAYLOAD, "application/json"),
    '"request"': (PAYLOAD, "application/json"),
    '"empty"': (b"", None),
}


def configured(folder, url, send):
    """Build the target of a configuration in `folder`."""
    (folder / "secrets").mkdir()
    (folder / "plugins").mkdir(mode=0o755)
    for name, text in {
        "secrets/crm": SECRET,
        "plugins/lines.py": TRANSFORM,
        "crm.j2": '{"ref": {{ body.order.id }}, "of": {{ source }}}',
        "config.toml": f'[targets.crm]\ntype = "http"\nurl = "{url}/{{body.order.id}}"\ncompress = "gzip"\n'
        f'headers = {{ X-Order = "{{body.order.id}}" }}\nsign = {{ secret = {{ file = "crm" }} }}\nsend = {send}\n',
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    return build(load(Path("config.toml"), {})).targets["crm"]


def rendered(plan) -> Message:
    headers = ((b"content-type", b"application/json"),)
    head = encode_head(Request("POST", "/hooks/acme", "", headers, PAYLOAD, "127.0.0.1", 1), (), ())
    event = StoredEvent(1, "acme", "main", "order.completed", "1", None, 1, head, PAYLOAD, None)
    return plan.renderer.render(Delivery(1, 0, "crm", "orders", 1, 0, 0, None, 1), event)


@pytest.mark.parametrize("send", FORMS)
async def test_content_of_every_form_is_signed_and_compressed_and_values_stay_the_payload_s(
    send, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    async with hostile(replies(OK)) as server:
        plan = configured(tmp_path, server.url("/orders"), send)
        target = plan.kind.build(plan.options)
        await target.open(Context(name="crm", runtime=Runtime(), connections=1))
        try:
            assert isinstance(await target.deliver(rendered(plan)), Delivered)
        finally:
            await target.close()
    (request,) = server.requests
    content, content_type = FORMS[send]
    packed = len(content) >= 1024
    assert (gzip.decompress(request.body) if packed else request.body) == content
    assert request.headers.get("content-encoding") == ("gzip" if packed else None)
    assert request.headers.get("content-type") == content_type
    assert (request.line, request.headers["x-order"]) == (b"POST /orders/o-1 HTTP/1.1", "o-1")
    if not packed:  # the library takes text only
        Webhook(SECRET).verify(request.body, request.headers, json_parse=False)
