"""Truework and Truora as senders: requests as their pages describe them, and a client that insists as a provider does.

Truework puts the subscription's token into `X-Truework-Token` over a JSON body. Truora's whole body is a compact JWT
whose claims hold an array of events; it has been seen as `application/jwt`, as text, and wrapped into JSON. The client
keeps its connection alive and repeats a request until it gets a 2xx.
"""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import httptools
import jwt
import trio

from harness.tq import Ledger

Wrapping = Literal["jwt", "text", "json"]
TRUEWORK_PATH = "/hooks/truework"
TRUORA_PATH = "/hooks/truora"
RETRY_SECONDS = 0.05


class Signed(NamedTuple):
    """A request, ready to send as often as needed: a repeat has the same bytes."""

    name: str
    """By which the event is known in ledgers: the order's id, or the id of the (first) event."""
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def wire(self) -> bytes:
        """The bytes to send."""
        lines = [f"POST {self.path} HTTP/1.1", "Host: hooks.example", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


class Answer(NamedTuple):
    """What the gateway answered."""

    status: int
    headers: dict[str, str]
    body: bytes


def truework(
    order: str,
    token: str,
    *,
    event: str = "order.completed",
    state: str = "completed",
    version: str = "2023-10-30",
    triggered_at: str = "2026-11-21T12:00:00.000Z",
    request: str | None = None,
    metadata: dict[str, Any] | None = None,
    size: int = 1024,
    hook: int = 411,
    path: str = TRUEWORK_PATH,
) -> Signed:
    """Make a Truework notification of about `size` bytes for the order `order`."""
    data: dict[str, Any] = {"order_id": order, "state": state, "metadata": metadata or dict[str, Any]()}
    if event == "verification_request.state.change":
        data["verification_request_id"] = request or f"AAAA-{order}"
    hooked = {"id": hook, "event": event, "target": f"https://hooks.example{path}", "triggered_at": triggered_at}
    document: dict[str, Any] = {"version": version, "hook": hooked, "data": data}
    data["metadata"] = {**data["metadata"], "note": ""}
    data["metadata"]["note"] = "x" * (size - len(json.dumps(document)))
    body = json.dumps(document).encode()
    return Signed(order, path, (("Content-Type", "application/json"), ("X-Truework-Token", token)), body)


def truora_event(
    name: str,
    *,
    type: str = "digital_identity.identity_process",  # noqa: A002 - Truora's own word, less its prefix
    action: str = "succeeded",
    version: str = "1.0",
    status: str = "success",
    timestamp: str = "2026-11-21T12:00:00.000Z",
) -> dict[str, Any]:
    """Make one entry of `claims.events`."""
    inner = {
        "process_id": f"IDP{name}",
        "flow_id": "IPF1",
        "account_id": "ACC1",
        "status": status,
        "creation_date": timestamp,
    }
    return {
        "id": name,
        "event_type": type,
        "event_action": action,
        "object": inner,
        "version": version,
        "timestamp": timestamp,
    }


def truora(
    events: Sequence[dict[str, Any]],
    secret: str,
    *,
    wrapping: Wrapping = "jwt",
    algorithm: str = "HS256",
    issued_at: int = 1795262400,
    path: str = TRUORA_PATH,
) -> Signed:
    """Sign a batch of events as one token; `algorithm` "none" leaves it unsigned."""
    claims = {"iss": "Truora", "iat": issued_at, "events": list(events)}
    token = jwt.encode(claims, "" if algorithm == "none" else secret, algorithm=algorithm)
    return truora_token(events[0]["id"], token, wrapping=wrapping, path=path)


def truora_token(name: str, token: str, *, wrapping: Wrapping = "jwt", path: str = TRUORA_PATH) -> Signed:
    """Send `token` as Truora would, whatever it is."""
    if wrapping == "json":
        return Signed(name, path, (("Content-Type", "application/json"),), json.dumps({"token": token}).encode())
    content_type = "application/jwt" if wrapping == "jwt" else "text/plain; charset=utf-8"
    return Signed(name, path, (("Content-Type", content_type),), token.encode())


class Client:
    """One keep-alive connection to the gateway, opened when needed. One task at a time."""

    def __init__(self, place: int | Path) -> None:
        """`place` is a port on loopback or the path of a unix socket."""
        self.place = place
        self.refused = 0
        """Connections that were refused."""
        self._connection: trio.socket.SocketType | None = None
        self._reader = _Reader()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def send(self, request: Signed) -> Answer:
        """Send once. Raises OSError if the connection cannot be made or breaks before the whole answer."""
        return await self.exchange(request.wire())

    async def exchange(self, wire: bytes) -> Answer:
        """Send raw bytes and read one answer. Raises OSError as `send` does."""
        try:
            connection = await self._connected()
            while wire:
                wire = wire[await connection.send(wire) :]
            return await self._read(connection)
        except BaseException:
            self.close()
            raise

    async def insist(self, request: Signed, ledger: Ledger) -> Answer:
        """Repeat until a 2xx, as a provider does (faster), and write the ledger."""
        ledger.attempted.add(request.name)
        while True:
            try:
                answer = await self.send(request)
            except OSError:
                pass
            else:
                if 200 <= answer.status < 300:
                    ledger.acknowledged.add(request.name)
                    return answer
            await trio.sleep(RETRY_SECONDS)

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _is_tcp(self) -> bool:
        return isinstance(self.place, int)

    async def _connected(self) -> trio.socket.SocketType:
        if self._connection is None:
            connection = trio.socket.socket(trio.socket.AF_INET if self._is_tcp else trio.socket.AF_UNIX)
            try:
                if self._is_tcp:
                    connection.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
                await connection.connect(("127.0.0.1", self.place) if self._is_tcp else str(self.place))
            except BaseException as error:
                connection.close()
                self.refused += isinstance(error, ConnectionRefusedError)
                raise
            self._connection, self._reader = connection, _Reader()
        return self._connection

    async def _read(self, connection: trio.socket.SocketType) -> Answer:
        while self._reader.answer is None:
            received = await connection.recv(65536)
            if not received:
                raise ConnectionResetError("closed before the whole answer")
            self._reader.parser.feed_data(received)
        answer, self._reader.answer = self._reader.answer, None
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer


class _Reader:
    """Collects one answer at a time."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, piece: bytes) -> None:
        self._body += piece

    def on_message_complete(self) -> None:
        self.answer = Answer(self.parser.get_status_code(), self._headers, self._body)
        self._headers, self._body = {}, b""


async def post(port: int, request: Signed) -> Answer:
    """Send once on a connection of its own."""
    with Client(port) as client:
        return await client.send(request)


async def send_steadily(port: int, ledger: Ledger, token: str, stop: trio.Event, tag: str) -> int:
    """Send distinct Truework notifications one after the other until `stop`; give how many connections were refused."""
    with Client(port) as client:
        for number in itertools.count():
            if stop.is_set():
                break
            await client.insist(truework(f"{tag}-{number}", token), ledger)
        return client.refused
