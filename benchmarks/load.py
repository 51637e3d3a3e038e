"""Runs the load generators on the load's core and reads what they found.

wrk drives as fast as it can (how much?), the open-loop generator at a fixed rate (how late?). All requests are
distinct; wrk's script stops sending them before wrk ends, so that every counted request has its answer.
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from payloads import truework_request

HERE: Final = Path(__file__).parent
DAEMON_CORE: Final = ("taskset", "-c", "0")
LOAD_CORE: Final = ("taskset", "-c", "1")
BOTH_CORES: Final = ("taskset", "-c", "0,1")
CONNECTIONS: Final = 64
_RESULT: Final = re.compile(r"RESULT answered=(\d+) refused=(\d+) broken=(\d+)")


class BenchmarkError(Exception):
    """A run that proves nothing, or proves the gateway wrong."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """A file of signed Truora tokens, or a Truework subscription's token and a tag that makes its bodies distinct."""

    truework: str = ""
    tag: str = ""
    truora: Path | None = None


async def saturate(port: int, tokens: Tokens, seconds: int, folder: Path) -> int:
    """Send as fast as answers come for `seconds`; give the number of requests that were answered 2xx."""
    if tokens.truora:
        arguments = ["truora", str(seconds), str(tokens.truora)]
    else:
        before, after = truework_request(tokens.tag, tokens.truework)
        (folder / "before").write_bytes(before)
        (folder / "after").write_bytes(after)
        arguments = ["truework", str(seconds), str(folder / "before"), str(folder / "after")]
    out = await _wrk(port, seconds + 1, arguments)
    answered, refused, broken = (int(number) for number in _RESULT.findall(out)[0])
    if broken:
        raise BenchmarkError(f"{broken} connections broke or timed out:\n{out}")
    return answered - refused


async def saturate_plainly(port: int, seconds: int, folder: Path) -> float:
    """The same load on a server that takes anything; give its rate."""
    before, after = truework_request("plain", "none")
    (folder / "before").write_bytes(before)
    (folder / "after").write_bytes(after)
    never = str(10 * seconds)
    out = await _wrk(port, seconds, ["truework", never, str(folder / "before"), str(folder / "after")])
    answered, refused, _ = (int(number) for number in _RESULT.findall(out)[0])
    return (answered - refused) / seconds


async def send_at(port: int, tokens: Tokens, rate: float, seconds: float) -> dict[str, Any]:
    """Send at `rate` a second; give the generator's report."""
    command = [*LOAD_CORE, sys.executable, str(HERE / "openloop.py"), str(port), "--rate", str(rate)]
    command += ["--seconds", str(seconds), "--connections", str(CONNECTIONS)]
    if tokens.truora:
        command += ["--truora", str(tokens.truora)]
    else:
        command += ["--token", tokens.truework, "--tag", tokens.tag]
    done = await trio.run_process(command, capture_stdout=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


async def _wrk(port: int, seconds: int, arguments: list[str]) -> str:
    command = [*LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-s", str(HERE / "ingest.lua"), f"http://127.0.0.1:{port}", "--", *arguments]
    done = await trio.run_process(command, capture_stdout=True)
    return done.stdout.decode()
