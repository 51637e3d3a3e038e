"""The recorder reads a trace as it happened, and crash states are what a disk may leave, no less and no more."""

import random

from harness.crash_record import Op, read
from harness.crash_states import states

TRACE = r"""
11 recvfrom(5<socket:[1]>, "POST /hooks/truework HTTP/1.1\r\n\r\n{\"order_id\": \"o-1\"}", 65536, 0, NULL, NULL) = 52
12 pwrite64(7</s/hookgate.db-wal>, "\0\0017\"\\\377", 6, 32) = 6
12 fdatasync(7</s/hookgate.db-wal> <unfinished ...>
11 recvfrom(5<socket:[1]>, 0x7f, 65536, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)
12 <... fdatasync resumed>) = 0
11 sendto(5<socket:[1]>, "HTTP/1.1 200 OK\r\n\r\n", 19, 0, NULL, 0 <unfinished ...>
12 ftruncate(7</s/hookgate.db-wal>, 0) = 0
11 <... sendto resumed>) = 19
12 pwrite64(7</s/hookgate.db-wal>, "x", 1, 0) = -1 EIO (Input/output error)
12 unlink("/s/hookgate.db-journal") = 0
"""


def test_a_trace_is_read_in_the_order_in_which_it_binds():
    wal = "hookgate.db-wal"
    assert read(TRACE) == [
        Op("attempted", "o-1"),
        Op("write", wal, 32, b'\0\x017"\\\xff'),
        Op("sync", wal),
        Op("acknowledged", "o-1"),
        Op("truncate", wal, 0),
        Op("unlink", "hookgate.db-journal"),
    ]


def contents(ops, count=2000):
    return {state.files.get("hookgate.db") for state in states(ops, count, random.Random(1)) if state.at == len(ops)}


def test_what_was_flushed_is_in_every_state():
    ops = [Op("write", "hookgate.db", 0, b"abc"), Op("sync", "hookgate.db")]
    assert contents(ops) == {b"abc"}


def test_what_was_not_flushed_is_there_in_any_part_and_in_any_order():
    flushed = [Op("write", "hookgate.db", 0, b"a" * 1024), Op("sync", "hookgate.db")]
    later = [Op("write", "hookgate.db", 0, b"b" * 1024), Op("write", "hookgate.db", 1024, b"c" * 512)]
    found = {content.replace(b"\0", b"0").decode()[::512] for content in contents(flushed + later)}
    assert found == {"aa", "bb", "ba", "ab", "aac", "bbc"}


def test_what_senders_knew_belongs_to_the_moment():
    ops = [Op("attempted", "o"), Op("acknowledged", "o"), Op("sent", "o")]
    known = {
        (state.at, bool(state.ledger.acknowledged), bool(state.sent)) for state in states(ops, 50, random.Random(1))
    }
    assert known == {(0, False, False), (1, False, False), (2, True, False), (3, True, True)}
