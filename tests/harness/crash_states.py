"""Makes from a recording the states that a power loss may leave: flushed is there, the rest in any part or not at all.

Of what was written to a file since its last flush there is nothing, all, the first so many writes, any of them, and of
a write only some of its sectors (512 or 4,096 bytes). Files are apart: of one all may be there, of the other nothing.
Making and removing a file counts as durable at once: a lost entry of a folder is not tried.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.crash_record import Op
from harness.tq import Ledger

STORE = ("hookgate.db", "hookgate.db-wal", "hookgate.db-journal")


class State(NamedTuple):
    """One state after a crash, and what senders and targets knew by then."""

    at: int
    """How many entries of the recording had happened."""
    files: dict[str, bytes]
    ledger: Ledger
    sent: frozenset[str]


@dataclass
class _File:
    flushed: bytearray = field(default_factory=bytearray)
    pending: list[Op] = field(default_factory=list)

    def flush(self) -> None:
        for op in self.pending:
            _apply(self.flushed, op)
        self.pending.clear()


def states(ops: Sequence[Op], count: int, dice: random.Random, since: int = 0) -> Iterator[State]:
    """Give `count` states, at moments spread over the recording after its first `since` entries."""
    moments = sorted(dice.randint(since, len(ops)) for _ in range(count))
    files: dict[str, _File] = {}
    attempted, acknowledged, sent = set[str](), set[str](), set[str]()
    known = {"attempted": attempted, "acknowledged": acknowledged, "sent": sent}
    done = 0
    for moment in moments:
        for op in ops[done:moment]:
            if op.kind in known:
                known[op.kind].add(op.name)
            elif op.name in STORE:
                _happen(files, op)
        done = moment
        found = {name: bytes(_survivor(file, dice)) for name, file in files.items()}
        yield State(moment, found, Ledger(set(attempted), set(acknowledged)), frozenset(sent))


def _happen(files: dict[str, _File], op: Op) -> None:
    if op.kind == "unlink":
        files.pop(op.name, None)
    elif op.kind == "sync":
        files.setdefault(op.name, _File()).flush()
    else:
        files.setdefault(op.name, _File()).pending.append(op)


def _survivor(file: _File, dice: random.Random) -> bytearray:
    """Choose what of the pending writes reached the disk."""
    left = bytearray(file.flushed)
    pending = file.pending
    match dice.randrange(6):
        case 0:
            kept = []
        case 1:
            kept = pending
        case 2:
            kept = pending[: dice.randint(0, len(pending))]
        case 3:
            kept = [op for op in pending if dice.random() < 0.5]
        case _:
            whole = pending[: dice.randint(0, len(pending))]
            kept = [*whole[:-1], *(_torn(whole[-1], dice) if whole else [])]
    for op in kept:
        _apply(left, op)
    return left


def _torn(op: Op, dice: random.Random) -> list[Op]:
    """Some sectors of one write; sectors are counted from the begin of the file, as a disk does."""
    if op.kind != "write":
        return []
    size, first = dice.choice((512, 4096)), dice.random() < 0.5
    cuts = [0, *range(size - op.offset % size, len(op.data), size), len(op.data)]
    parts = [Op("write", op.name, op.offset + a, op.data[a:b]) for a, b in itertools.pairwise(cuts)]
    return parts[: dice.randint(0, len(parts))] if first else [part for part in parts if dice.random() < 0.5]


def _apply(content: bytearray, op: Op) -> None:
    if op.kind == "truncate":
        del content[op.offset :]
        content.extend(bytes(op.offset - len(content)))
        return
    content.extend(bytes(max(0, op.offset - len(content))))
    content[op.offset : op.offset + len(op.data)] = op.data
