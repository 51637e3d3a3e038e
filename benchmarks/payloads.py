"""What the benchmarks send: distinct requests of 1 kB, signed before the clock starts.

A Truework body is one fixed text with the order's number in it; a Truora body is a token, so those are made
beforehand and kept in a file, one a line. The open-loop generator and wrk's script (`ingest.lua`) send exactly these.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Final

SIZE: Final = 1024
NUMBER: Final = b"%012d"
PLACE: Final = "#" * 12
"""Stands where the number goes."""


def truework_body(tag: str) -> tuple[bytes, bytes]:
    """Give what stands before and after the number in the body of a Truework notification of `SIZE` bytes."""
    hook = {
        "id": 411,
        "event": "order.completed",
        "target": "https://hooks.example/hooks/truework",
        "triggered_at": "2026-11-21T12:00:00.000Z",
    }
    data = {"order_id": f"{tag}-{PLACE}", "state": "completed", "metadata": {"note": ""}}
    document = {"version": "2023-10-30", "hook": hook, "data": data}
    data["metadata"] = {"note": "x" * (SIZE - len(json.dumps(document)))}
    before, _, after = json.dumps(document).encode().partition(PLACE.encode())
    return before, after


def truework_request(tag: str, token: str) -> tuple[bytes, bytes]:
    """Give what stands before and after the number in a whole Truework request."""
    before, after = truework_body(tag)
    head = (
        f"POST /hooks/truework HTTP/1.1\r\nHost: hooks.example\r\nContent-Type: application/json\r\n"
        f"X-Truework-Token: {token}\r\nContent-Length: {SIZE}\r\n\r\n"
    )
    return head.encode() + before, after


def truora_token(tag: str, number: int, key: bytes) -> str:
    """Sign one token of about `SIZE` bytes with one event, whose id holds `number`."""
    name = f"HKE{tag}-{number:012d}"
    inner = {"process_id": name, "flow_id": "IPF1", "account_id": "ACC1", "status": "success", "note": "x" * 380}
    event = {
        "id": name,
        "event_type": "digital_identity.identity_process",
        "event_action": "succeeded",
        "object": inner,
        "version": "1.0",
        "timestamp": "2026-11-21T12:00:00.000Z",
    }
    claims = {"iss": "Truora", "iat": 1795262400, "events": [event]}
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    return f"{signed}.{_encode(hmac.digest(key, signed.encode(), hashlib.sha256))}"


def write_truora_tokens(path: Path, tag: str, key: str, count: int) -> None:
    """Sign `count` distinct tokens and write them to `path`, one a line."""
    with path.open("w") as file:
        for number in range(count):
            file.write(truora_token(tag, number, key.encode()) + "\n")


def truora_request(token: bytes) -> bytes:
    """Wrap a token into a whole request."""
    head = b"POST /hooks/truora HTTP/1.1\r\nHost: hooks.example\r\nContent-Type: application/jwt\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(token) + token


def _part(document: object) -> str:
    return _encode(json.dumps(document, separators=(",", ":")).encode())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
