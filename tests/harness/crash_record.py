"""Records what a daemon writes to its store, and when it answered, as strace saw it: the source of crash states.

Order is that of completion for writes and flushes and that of entry for answers, so that an answer never stands before
the flush it waited for. Memory maps are not seen: the store maps only the index of its log, which a start makes anew.
"""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CALLS = "pwrite64,fdatasync,fsync,ftruncate,unlink,sendto,recvfrom"
_STARTED = re.compile(r"^(\d+) +(\w+)\((.*)$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
_UNFINISHED = " <unfinished ...>"
_ORDER = re.compile(r'\\"order_id\\": \\"([\w-]+)\\"')
_FD = re.compile(r"^(\d+)<([^>]*)>")


class Op(NamedTuple):
    """One thing that happened."""

    kind: str
    """write, truncate, sync, unlink; attempted, acknowledged, sent."""
    name: str
    """The file's name, or the event's."""
    offset: int = 0
    """Of a write; the size of a truncate."""
    data: bytes = b""


def recording(trace: Path, kill: int = 0) -> tuple[str, ...]:
    """Give what stands before the daemon's command so that all it writes stands in `trace`.

    With `kill` it is ended by SIGKILL before a thread's flush of that number: what was written then is seen by the next
    start, but not flushed.
    """
    # strace 6.1 sends no signals where seccomp chooses the calls
    how = ["-e", f"inject=fdatasync:signal=KILL:when={kill}"] if kill else ["--seccomp-bpf"]
    return ("strace", "-D", "-f", "-q", "-y", "-s", "70000", "-o", str(trace), "-e", f"trace={CALLS}", *how)


def read(trace: str) -> list[Op]:
    """Read a recording."""
    asked: dict[str, str] = {}
    return [op for call, text, done in _calls(trace) for op in _ops(call, text, asked, done=done)]


def _calls(trace: str) -> Iterator[tuple[str, str, bool]]:
    """Give each call with its text: at its entry if it was parted (False), and at its end (True)."""
    parted: dict[str, str] = {}
    for line in trace.splitlines():
        if match := _STARTED.match(line):
            thread, call, text = match.groups()
            if text.endswith(_UNFINISHED):
                parted[thread] = text.removesuffix(_UNFINISHED)
                yield call, parted[thread], False
            else:
                yield call, text, False
                yield call, text, True
        elif (match := _RESUMED.match(line)) and match[1] in parted:
            yield match[2], parted.pop(match[1]) + match[3], True


def _ops(call: str, text: str, asked: dict[str, str], *, done: bool) -> Iterator[Op]:
    if call in {"sendto", "recvfrom"}:
        yield from _talk(call, text, asked, done=done)
    elif done and not re.search(r"= -1 E\w+", text[-60:]):
        yield from _change(call, text)


def _talk(call: str, text: str, asked: dict[str, str], *, done: bool) -> Iterator[Op]:
    """Who asks, whom is answered: known by the socket; a request comes whole, one at a time on a connection."""
    found, socket = _FD.match(text), text.split(",", 1)[0]
    order = _ORDER.search(text)
    if call == "recvfrom" and done and order and ', "POST ' in text[:200]:
        asked[socket] = order[1]
        yield Op("attempted", order[1])
    elif call == "sendto" and not done and found:
        if order and ', "POST ' in text[:200]:
            yield Op("sent", order[1])
        elif ', "HTTP/1.1 200' in text[:200] and socket in asked:
            yield Op("acknowledged", asked.pop(socket))


def _change(call: str, text: str) -> Iterator[Op]:
    if call == "unlink":
        yield Op("unlink", text.split('"')[1].rpartition("/")[2])
        return
    found = _FD.match(text)
    if found is None:
        return
    name = found[2].rpartition("/")[2]
    if call == "pwrite64":
        head, _, tail = text.rpartition('", ')
        data, _ = codecs.escape_decode(head.partition(', "')[2].encode("latin-1"))
        yield Op("write", name, int(tail.partition(", ")[2].partition(")")[0]), data)
    elif call == "ftruncate":
        yield Op("truncate", name, int(text.partition(", ")[2].partition(")")[0]))
    else:
        yield Op("sync", name)
