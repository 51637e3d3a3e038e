"""What the daemon and the helper say to each other: frames of a JSON header and raw bytes, pure and bounded.

The daemon sends one job, then only keeps its side open: closing it ends the run. The helper answers `started` once the
program runs, and `ended` when nothing of it is left; `ended` alone if it never ran.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

PREFIX: Final = struct.Struct(">II")
"""Length of the header, length of the bytes after it."""
HEADER_MAX: Final = 32 * 1024 * 1024
PAYLOAD_MAX: Final = 256 * 1024 * 1024
OUTPUT_BYTES: Final = 64 * 1024
TERM_SECONDS: Final = 2.0
"""From SIGTERM to SIGKILL."""
KILL_SECONDS: Final = 2.0
"""From the first SIGKILL until the helper gives up; with TERM_SECONDS less than the 5 s that are promised."""

How: TypeAlias = Literal["exit", "signal", "timeout", "hung_up", "not_started", "refused", "lost"]
"""`lost` is never sent: the daemon's word for a helper that vanished in mid run."""

Frame: TypeAlias = tuple[dict[str, Any], bytes]


class ProtocolError(ValueError):
    """The other side does not speak this protocol."""


class Job(NamedTuple):
    """One run."""

    argv: tuple[str, ...]
    """The program's absolute path and its arguments."""
    env: Mapping[str, str]
    """The whole environment."""
    cwd: str
    timeout_seconds: float
    stdin: bytes
    output_bytes: int = OUTPUT_BYTES
    """How much of the end of its output is kept."""


class Ended(NamedTuple):
    """How a run ended, and the end of its output."""

    how: How
    number: int = 0
    """The exit status, the signal's number, or the errno of `not_started`."""
    detail: str = ""
    survivors: int = 0
    """Processes that even SIGKILL did not end in time (they hang in the kernel)."""
    output: bytes = b""


def encode_job(job: Job) -> bytes:
    """Write a job as one frame."""
    return encode(
        {
            "argv": job.argv,
            "env": dict(job.env),
            "cwd": job.cwd,
            "timeout_seconds": job.timeout_seconds,
            "output_bytes": job.output_bytes,
        },
        job.stdin,
    )


def decode_job(frame: Frame) -> Job:
    """Read a job. Raises ProtocolError."""
    header, stdin = frame
    try:
        job = Job(**{**header, "argv": tuple(header["argv"])}, stdin=stdin)
    except (KeyError, TypeError) as error:
        raise ProtocolError(f"this is no job: {error}") from None
    if not isinstance(header["argv"], list | tuple) or not isinstance(job.env, dict):
        raise ProtocolError("this is no job: expected a list as argv, a table as env")
    texts = [*job.argv, *job.env, *job.env.values(), job.cwd]
    if not job.argv or not all(isinstance(text, str) for text in texts):
        raise ProtocolError("this is no job: expected texts as argv, env and cwd")
    if type(job.timeout_seconds) not in {int, float} or type(job.output_bytes) is not int:
        raise ProtocolError("this is no job: expected numbers as timeout and output")
    if not 0 < job.timeout_seconds < 1e6 or not 0 <= job.output_bytes <= PAYLOAD_MAX:
        raise ProtocolError("this is no job: timeout or output out of bounds")
    return job


def encode_ended(ended: Ended) -> bytes:
    """Write the last frame of a run."""
    return encode({"frame": "ended", **ended._replace(output=b"")._asdict(), "output": None}, ended.output)


def decode_ended(frame: Frame) -> Ended:
    """Read the last frame of a run. Raises ProtocolError."""
    header, output = frame
    try:
        ended = Ended(header["how"], header["number"], header["detail"], header["survivors"], output)
    except KeyError as error:
        raise ProtocolError(f"this is no end of a run: {error} is missing") from None
    if ended.how not in get_args(How):
        raise ProtocolError(f"this is no end of a run: {str(ended.how)[:40]!r}")
    if not (type(ended.number) is type(ended.survivors) is int and type(ended.detail) is str):
        raise ProtocolError("this is no end of a run: expected numbers and a text")
    return ended


def encode(header: Mapping[str, Any], payload: bytes = b"") -> bytes:
    """Write one frame."""
    text = json.dumps(header).encode("ascii")
    return PREFIX.pack(len(text), len(payload)) + text + payload


def lengths(prefix: bytes) -> tuple[int, int]:
    """Read a frame's prefix. Raises ProtocolError for more than may come."""
    header, payload = PREFIX.unpack(prefix)
    if header > HEADER_MAX or payload > PAYLOAD_MAX:
        raise ProtocolError("a frame is longer than the protocol allows")
    return header, payload


def decode_header(text: bytes) -> dict[str, Any]:
    """Read a frame's header. Raises ProtocolError."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise ProtocolError("a frame's header is no JSON object")
    return header
