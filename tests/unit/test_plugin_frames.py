"""Frames, messages and outcomes between the daemon and a worker: whole, bounded, believed only as far as checked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.model import Delivered, NotTried, Rejected, Retry, TargetDown
from gateway.plugin_host.codec import read_message, read_outcome, write_message, write_outcome
from gateway.plugin_host.frames import FrameError, FrameReader, write_frame
from gateway.testing import sample_message


@given(st.lists(st.tuples(st.dictionaries(st.text(), st.text()), st.binary(max_size=64)), max_size=5), st.data())
def test_frames_come_out_as_they_went_in_however_they_are_cut(frames, data):
    stream = b"".join(piece for header, body in frames for piece in write_frame(header, body))
    reader, found = FrameReader(10_000, 100), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        found += reader.feed(stream[:cut])
        stream = stream[cut:]
    assert [(frame.header, frame.body) for frame in found] == frames


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 8,
        b"".join(write_frame({"a": "x" * 200})),
        b"".join(write_frame({}, b"x" * 101)),
        b"\x00\x00\x00\x02\x00\x00\x00\x00[]",
        b"\x00\x00\x00\x02\x00\x00\x00\x00{x",
        b"\x00\x00\x00\x00\x00\x00\x00\x00",
    ],
)
def test_anything_else_is_an_error_before_it_is_held(data):
    with pytest.raises(FrameError):
        list(FrameReader(100, 100).feed(data))


OUTCOMES = [
    Delivered("200"),
    Delivered(),
    Retry("later"),
    Retry("later", 5),
    Retry("too much", throttle=True),
    Rejected("no"),
    TargetDown("gone", None, disable=True),
    TargetDown("busy", 2.5),
    NotTried("ours"),
]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_comes_back_as_it_was(outcome):
    assert read_outcome(write_outcome(outcome)) == outcome


def test_texts_are_cut_and_cleaned():
    assert read_outcome(write_outcome(Retry("a\nb\x1b[31m" + "x" * 10_000))) == Retry("a b [31m" + "x" * 492)
    assert read_outcome(write_outcome(Rejected(""))) == Rejected("no reason given")


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"outcome": "delivered"},
        {"outcome": "delivered", "text": 5},
        {"outcome": "fine", "text": ""},
        {"outcome": "retry", "text": "x", "after": "soon"},
        {"outcome": "retry", "text": "x", "after": -1},
        {"outcome": "retry", "text": "x", "after": float("inf")},
        {"outcome": "retry", "text": "x", "after": True},
        {"outcome": ["retry"], "text": "x"},
    ],
)
def test_an_outcome_that_nobody_wrote_is_an_error(header):
    with pytest.raises(FrameError):
        read_outcome(header)


@given(st.binary(max_size=50), st.none() | st.binary(max_size=50), st.none() | st.binary(max_size=50))
def test_a_message_comes_out_as_it_went_in(content, payload, progress):
    from dataclasses import replace

    message = replace(
        sample_message(), content=content, payload=content if payload is None else payload, progress=progress
    )
    (frame,) = FrameReader(10_000, 1000).feed(b"".join(write_message(1, message)))
    assert read_message(frame, message.save_progress) == message
