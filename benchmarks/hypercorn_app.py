"""The stock stack to compare with: a trivial ASGI app under hypercorn's trio worker, which reads the body and answers 200."""

import argparse
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio import serve


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Read the whole body, keep nothing, answer."""
    if scope["type"] == "lifespan":
        return
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


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
