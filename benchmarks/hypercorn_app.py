"""The stock stack to compare with: a trivial ASGI app under hypercorn's trio worker; it reads the body, answers 200."""

import argparse

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from hypercorn.typing import (
    ASGIReceiveCallable,
    ASGISendCallable,
    HTTPResponseBodyEvent,
    HTTPResponseStartEvent,
    Scope,
)


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Read the whole body, keep nothing, answer."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])  # how an application says that it has no lifespan
    while (message := await receive())["type"] == "http.request" and message["more_body"]:
        pass
    headers = [(b"content-length", b"0")]
    await send(HTTPResponseStartEvent(type="http.response.start", status=200, headers=headers, trailers=False))
    await send(HTTPResponseBodyEvent(type="http.response.body", body=b"", more_body=False))


async def main(port: int) -> None:
    """Serve until killed."""
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "ERROR"
    await serve(app, config)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    trio.run(main, parser.parse_args().port)
