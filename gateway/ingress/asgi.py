"""The receiver as an ASGI application: the same verb, for a server that speaks more than HTTP/1.1.

It relies on what `gateway.asgi` promises: the path was admitted, the body is whole and bounded, the client's address is
the one that is vouched for, nobody cancels it when the sender leaves.
"""

from gateway.asgi.connection import CERTIFICATES
from gateway.asgi.replies import send_reply
from gateway.asgi.types import AsgiApp, AsgiReceive, AsgiSend, Message
from gateway.core.model import Request
from gateway.runtime import Runtime
from gateway.wire.proxies import UNIX
from gateway.wire.state import Handler


def asgi_app(handler: Handler, runtime: Runtime) -> AsgiApp:
    """Give `handler` as an application; path and query are as sent, never decoded."""

    async def app(scope: Message, receive: AsgiReceive, send: AsgiSend) -> None:
        body = (await receive())["body"]
        client = scope["client"][0] if scope["client"] else UNIX
        path, query = scope["raw_path"].decode("ascii"), scope["query_string"].decode("ascii")
        headers = tuple(scope["headers"])
        certificates = scope[CERTIFICATES]
        request = Request(scope["method"], path, query, headers, body, client, runtime.now_ms(), certificates)
        await send_reply(send, await handler.handle(request))

    return app
