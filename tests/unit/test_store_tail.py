"""The mark beside a store of how much of its log was committed."""

import os
import struct

import pytest

from gateway.store.tail import Mark, TailMark, lost_tail, read_log_header


def test_the_mark_of_the_log_survives_only_whole(tmp_path):
    store = tmp_path / "h.db"
    store.with_name("h.db-wal").write_bytes(bytes(range(32)))
    mark = TailMark(store)
    assert mark.read() is None
    mark.write(7)
    assert mark.read() == Mark(bytes(range(16, 24)), 7)
    mark.close()
    flip(store.with_name("h.db-tail"), 12)
    mark = TailMark(store)
    assert mark.read() is None, "a torn mark says nothing"
    mark.close()


def test_the_mark_of_the_log_is_whole_though_the_system_takes_a_part_at_a_time(monkeypatch, tmp_path):
    store, pwrite = tmp_path / "h.db", os.pwrite
    store.with_name("h.db-wal").write_bytes(bytes(range(32)))
    mark = TailMark(store)
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, at: pwrite(descriptor, data[:5], at))
    mark.write(7)
    assert mark.read() == Mark(bytes(range(16, 24)), 7)
    mark.close()


def test_the_mark_of_a_log_that_began_anew_is_of_the_new_one(tmp_path):
    store = tmp_path / "h.db"
    log = store.with_name("h.db-wal")
    mark = TailMark(store)
    log.write_bytes(b"a" * 32)
    for frames, expected in ((0, b"\0"), (3, b"a"), (5, b"a"), (5, b"b"), (6, b"b"), (2, b"c")):
        if expected > b"a":
            log.write_bytes(expected * 32)
        mark.write(frames)
        assert mark.read() == Mark(expected * 8, frames)
    mark.close()


def test_a_mark_of_another_kind_says_nothing(tmp_path):
    store = tmp_path / "h.db"
    store.with_name("h.db-tail").write_bytes(bytes(24))
    mark = TailMark(store)
    assert mark.read() is None
    mark.close()


def test_a_log_that_is_not_there_has_no_header(tmp_path):
    assert read_log_header(tmp_path / "h.db-wal") == b""
    (tmp_path / "h.db-wal").write_bytes(bytes(range(100)))
    assert read_log_header(tmp_path / "h.db-wal") == bytes(range(32))


def header_of(order, salt):
    """The first bytes of a log as the file format has them: magic, version, size of a page, count, salts, checksum."""
    words = struct.unpack(f"{order}6I", struct.pack(">4I", 0x377F0682 + (order == ">"), 3007000, 4096, 0) + salt)
    one = two = 0
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) % 2**32
        two = (two + second + one) % 2**32
    return struct.pack(f"{order}6I", *words) + struct.pack(">2I", one, two)


@pytest.mark.parametrize("order", ["<", ">"])
def test_only_a_whole_header_of_another_log_tells_that_it_began_anew(order):
    header, mark = header_of(order, b"new salt"), Mark(b"old salt", 9)
    assert lost_tail(mark, header, 0) is None, "what was committed before was copied before it began anew"
    told = lost_tail(mark._replace(salt=b"new salt"), header, 8)
    assert "holds 8 good frames, 9 were committed" in told
    for place in range(32):
        damaged = header[:place] + bytes([header[place] ^ 2]) + header[place + 1 :]
        assert lost_tail(mark, damaged, 0) is not None, place
    assert lost_tail(mark, header[:31], 0) is not None


def test_a_log_that_holds_what_was_committed_lost_nothing():
    header = bytes.fromhex("377f0682002de21800001000000000012e1f0c8f9a7a4d4a") + b"\0" * 8
    assert lost_tail(Mark(b"other" + bytes(3), 9), header, 0) is not None, "this header's own checksum is wrong"
    assert lost_tail(None, header, 0) is None
    assert lost_tail(Mark(header[16:24], 9), header, 9) is None
    assert lost_tail(Mark(b"", 0), b"", 0) is None


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
