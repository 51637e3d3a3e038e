"""The line before the writer: who comes first, how much at once, and who is turned away."""

import threading

import pytest

from gateway.errors import StoreBusyError
from gateway.store import queue
from gateway.store.contract import Acceptance
from gateway.store.queue import CommitQueue, Job, Recording
from gateway.store.settings import StoreSettings
from gateway.testing.store_desk import SteppedRuntime, new


@pytest.fixture
def runtime():
    return SteppedRuntime()


def line(runtime, **settings):
    return CommitQueue(runtime, StoreSettings(**settings))


def request(source="shop", size=10):
    return Acceptance(b"", bytes(size), 0, (new(source=source),))


def sources(batch):
    return [entry.acceptance.events[0].event.source for entry in batch.entries]


def test_sources_take_turns_so_that_a_flood_delays_only_itself(runtime):
    waiting = line(runtime)
    for _ in range(300):
        waiting.add_entry(request("flood"))
    waiting.add_entry(request("quiet"))
    waiting.add_entry(request("calm"))
    first = sources(waiting.take())
    assert first[:4] == ["flood", "quiet", "calm", "flood"]
    assert len(first) == queue.BATCH_REQUESTS


def test_a_source_keeps_its_order(runtime):
    waiting = line(runtime)
    entries = [waiting.add_entry(request(source)) for source in "abaab"]
    taken = waiting.take().entries
    assert [entry for entry in taken if entry in (entries[0], entries[2], entries[3])] == [
        entries[i] for i in (0, 2, 3)
    ]


def test_a_batch_is_bounded_in_bytes_but_takes_one_request_of_any_size(runtime):
    waiting = line(runtime)
    for size in (queue.BATCH_BYTES * 2, 10, queue.BATCH_BYTES - 5, 10, 10):
        waiting.add_entry(request(size=size))
    assert [len(waiting.take().entries) for _ in range(3)] == [1, 2, 2]


def test_records_and_jobs_come_with_the_first_batch(runtime):
    waiting = line(runtime)
    for _ in range(300):
        waiting.add_entry(request())
    job = Job(lambda ledger, turn: None, None, grows=False)
    waiting.add_job(job)
    recording = Recording([], lambda taken: None)
    waiting.add_recording(recording)
    batch = waiting.take()
    assert (batch.recordings, batch.jobs) == ([recording], [job])


def test_a_batch_takes_so_many_records_and_jobs_and_the_rest_comes_next(runtime):
    waiting = line(runtime)
    jobs = [Job(lambda ledger, turn: None, None, grows=False) for _ in range(queue.BATCH_JOBS + 1)]
    for job in jobs:
        waiting.add_job(job)
    recordings = [Recording([None] * size, lambda taken: None) for size in (1, queue.BATCH_RECORDS - 1, 1)]
    for each in recordings:
        waiting.add_recording(each)
    first, second = waiting.take(), waiting.take()
    assert (first.recordings, first.jobs) == (recordings[:2], jobs[:-1])
    assert (second.recordings, second.jobs) == (recordings[2:], jobs[-1:])


def test_a_job_that_keeps_its_turn_comes_after_what_was_queued_before_it_and_the_jobs_behind_it_too(
    runtime, monkeypatch
):
    monkeypatch.setattr(queue, "BATCH_REQUESTS", 2)
    waiting = line(runtime)
    for source in "aaab":
        waiting.add_entry(request(source))
    first, kept, last = (
        Job(lambda ledger, turn: None, None, grows=False, in_turn=turn) for turn in (False, True, False)
    )
    for job in (first, kept, last):
        waiting.add_job(job)
    waiting.add_entry(request("a"))
    batches = [waiting.take() for _ in range(3)]
    assert [sources(batch) for batch in batches] == [["a", "b"], ["a", "a"], ["a"]]
    assert [batch.jobs for batch in batches] == [[first], [], [kept, last]]


def test_a_job_that_keeps_its_turn_does_not_wait_for_what_comes_later(runtime):
    waiting = line(runtime)
    waiting.add_entry(request())
    waiting.take()
    job = Job(lambda ledger, turn: None, None, grows=False, in_turn=True)
    waiting.add_job(job)
    waiting.add_entry(request())
    batch = waiting.take()
    assert (batch.jobs, len(batch.entries)) == ([job], 1)


def test_a_queue_over_its_bytes_turns_newcomers_away(runtime):
    waiting = line(runtime, queue_bytes=100)
    waiting.add_entry(request(size=90))
    with pytest.raises(StoreBusyError, match="90 bytes wait"):
        waiting.add_entry(request(size=11))
    waiting.add_entry(request(size=10))
    waiting.take()
    waiting.add_entry(request(size=500))
    assert (waiting.count, waiting.size) == (1, 500), "a single one may be larger than the queue"


def test_a_queue_that_waits_too_long_turns_newcomers_away(runtime):
    waiting = line(runtime, queue_wait_seconds=1.0)
    waiting.add_entry(request("a"))
    runtime.advance(900)
    waiting.add_entry(request("b"))
    runtime.advance(200)
    with pytest.raises(StoreBusyError, match=r"waited 1\.1 s"):
        waiting.add_entry(request("a"))
    waiting.take()
    waiting.add_entry(request("a"))


def test_the_oldest_is_known_after_a_part_was_taken(runtime, monkeypatch):
    monkeypatch.setattr(queue, "BATCH_REQUESTS", 1)
    waiting = line(runtime, queue_wait_seconds=1.0)
    waiting.add_entry(request("a"))
    runtime.advance(500)
    waiting.add_entry(request("b"))
    runtime.advance(100)
    waiting.add_entry(request("d"))
    waiting.take()
    runtime.advance(800)
    waiting.add_entry(request("c"))
    runtime.advance(100)
    waiting.add_entry(request("c"))
    runtime.advance(1)
    with pytest.raises(StoreBusyError):
        waiting.add_entry(request("c"))


def test_what_is_put_back_comes_first(runtime):
    waiting = line(runtime)
    one, two, three = (Recording([], lambda taken: None) for _ in range(3))
    waiting.add_recording(three)
    waiting.put_back([one, two])
    assert waiting.take().recordings == [one, two, three]


def test_a_closed_queue_gives_what_is_left_and_then_nothing(runtime):
    waiting = line(runtime)
    waiting.add_entry(request())
    waiting.close()
    assert len(waiting.take().entries) == 1
    assert waiting.take() is None


def recording():
    return Recording([], lambda _: None)


def in_background(call):
    found = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    return thread, found


def test_records_alone_wait_for_company_and_share_the_next_requests_commit(runtime, monkeypatch):
    monkeypatch.setattr(queue, "RECORDINGS_SECONDS", 1000)
    waiting = line(runtime)
    waiting.add_recording(recording())
    thread, found = in_background(waiting.take)
    waiting.add_recording(recording())
    thread.join(0.05)
    assert found == []
    waiting.add_entry(request())
    thread.join(30)
    assert (len(found[0].recordings), len(found[0].entries)) == (2, 1)


def test_records_that_find_no_company_are_written_soon_all_the_same(runtime, monkeypatch):
    monkeypatch.setattr(queue, "RECORDINGS_SECONDS", 0.01)
    waiting = line(runtime)
    thread, found = in_background(waiting.take)
    waiting.add_recording(recording())
    thread.join(30)
    assert len(found[0].recordings) == 1


def test_many_records_wait_for_nobody(runtime, monkeypatch):
    monkeypatch.setattr(queue, "RECORDINGS_SECONDS", 1000)
    waiting = line(runtime)
    thread, found = in_background(waiting.take)
    for _ in range(queue.RECORDINGS_URGENT):
        waiting.add_recording(recording())
    thread.join(30)
    assert len(found[0].recordings) == queue.RECORDINGS_URGENT


def test_a_ring_that_comes_as_the_rest_ends_is_neither_lost_nor_counted_twice(runtime, monkeypatch):
    monkeypatch.setattr(queue, "RECORDINGS_SECONDS", 0)
    waiting = line(runtime)
    taken = 0
    for _ in range(2000):
        thread, found = in_background(waiting.take)
        waiting.add_recording(recording())
        thread.join(30)
        taken += len(found[0].recordings)
    assert taken == 2000


class LateBell:
    """Rings, once, just as whoever waits for it gives up."""

    def __init__(self, bell, ring):
        self.bell, self.ring = bell, ring

    def acquire(self, timeout=-1):
        if self.ring and timeout >= 0:
            ring, self.ring = self.ring, None
            ring()
            return False
        return self.bell.acquire(timeout=timeout)

    def release(self):
        self.bell.release()


def test_a_ring_just_after_the_rest_has_ended_is_taken_and_does_not_ring_again(runtime):
    waiting = line(runtime)
    waiting.add_recording(recording())
    waiting._bell = LateBell(waiting._bell, lambda: waiting.add_entry(request()))
    batch = waiting.take()
    assert (len(batch.recordings), len(batch.entries)) == (1, 1)
    assert not waiting._bell.bell.acquire(blocking=False), "the bell is silent again"
    thread, found = in_background(waiting.take)
    waiting.add_entry(request())
    thread.join(30)
    assert len(found[0].entries) == 1


def test_what_is_queued_when_it_closes_is_still_taken(runtime, monkeypatch):
    monkeypatch.setattr(queue, "RECORDINGS_SECONDS", 1000)
    waiting = line(runtime)
    waiting.add_recording(recording())
    waiting.close()
    assert len(waiting.take().recordings) == 1
    assert waiting.take() is None
