"""A `Reply` as ASGI messages."""

from gateway.asgi.types import AsgiSend
from gateway.wire.reply import Reply


async def send_reply(send: AsgiSend, reply: Reply) -> None:
    """Send `reply` whole; names of headers in lower case, as HTTP/2 wants them."""
    headers = [(name.lower(), value) for name, value in reply.headers]
    if reply.status not in {204, 304}:
        headers.append((b"content-type", reply.content_type.encode("latin-1")))
        headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})
