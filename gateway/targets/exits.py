"""What the end of a command means: outcomes of exit statuses, signals and failed starts, with the end of its output."""

import errno
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Literal, TypeAlias

from gateway.plugin import Delivered, ExecEnded, NotTried, Outcome, Rejected, Retry, TargetDown

Verdict: TypeAlias = Literal["delivered", "retry", "rejected", "down"]

EX_TEMPFAIL: Final = 75
"""Of sysexits.h: a failure that passes."""
_FIXED: Final[Mapping[int, Verdict]] = {0: "delivered", EX_TEMPFAIL: "retry"}
_DETAIL_MAX: Final = 200
_REASON_MAX: Final = 500
_TOO_LONG: Final = frozenset({errno.E2BIG, errno.EINVAL})
_OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})


def check_exits(exits: dict[str, Verdict]) -> dict[str, Verdict]:
    """Check the operator's table. Raises ValueError."""
    for status in exits:
        if not (status.isascii() and status.isdigit() and str(int(status)) == status and 1 <= int(status) <= 255):
            raise ValueError(f'expected exit statuses "1" to "255" (0 is always delivered), found {status!r}')
    return exits


def judge(ended: ExecEnded, exits: Mapping[int, Verdict], took_ms: int) -> Outcome:
    """Give the outcome of a run that took `took_ms`."""
    match ended.how:
        case "exit":
            verdict = exits.get(ended.number) or _FIXED.get(ended.number, "rejected")
            return _outcome(verdict, f"exit {ended.number} in {took_ms} ms", ended)
        case "signal":
            return _outcome("retry", f"ended by {_signal_name(ended.number)}", ended)
        case "timeout":
            return _outcome("retry", f"timeout: not done within {took_ms / 1000:.1f} s, ended", ended)
        case "not_started":
            return _judge_start(ended)
        case _:
            return _outcome("retry", ended.detail or "the run was cut off", ended)


def _judge_start(ended: ExecEnded) -> Outcome:
    text = escaped(f"cannot start: {ended.detail}".encode(), _REASON_MAX)
    if ended.number in _TOO_LONG:
        return Rejected(text)
    return NotTried(text) if ended.number in _OURS else TargetDown(text)


def _outcome(verdict: Verdict, text: str, ended: ExecEnded) -> Outcome:
    if ended.survivors:
        text += f"; {ended.survivors} processes of it could not be ended"
    room = (_DETAIL_MAX if verdict == "delivered" else _REASON_MAX) - len(text) - 2
    if output := escaped(ended.output, room):
        text += f": {output}"
    match verdict:
        case "delivered":
            return Delivered(text)
        case "retry":
            return Retry(text)
        case "rejected":
            return Rejected(text)
        case "down":
            return TargetDown(text)


def _signal_name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def escaped(output: bytes, room: int) -> str:
    r"""Write the end of a command's output in at most `room` characters of one line: `\n`, `\x1b`, `\xff`."""
    text = output[-4 * room :].decode("utf-8", "backslashreplace").strip()
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return line if len(line) <= room else "…" + line[len(line) - room + 1 :]
