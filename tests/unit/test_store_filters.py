"""The builder of filters over sealed generations: a slice at a time, kept for the next start."""

from collections import deque

import apsw
import pytest

from gateway.store import filter_builder
from gateway.store.filter_builder import FilterBuilder
from gateway.store.key_filter import WORDS_MIN, KeyFilter
from gateway.store.migrate import migrate

PLENTY = 1 << 20


def key(number):
    return bytes(4) + number.to_bytes(8, "big") * 2


class Bench:
    """A builder whose steps are taken one by one, over generations in memory."""

    def __init__(self, connection, most_bytes=PLENTY):
        self.connection = connection
        self.steps = deque()
        self.kept = {}
        self.connected = 0
        self.filter = KeyFilter()
        self.builder = FilterBuilder(self.connect, self.filter, most_bytes, self.steps.append, self.kept.__setitem__)

    def connect(self):
        self.connected += 1
        return self.connection

    def generation(self, number, keys):
        self.connection.execute("INSERT INTO generation(id, started, sealed) VALUES (?, 0, 0)", (number,))
        self.connection.execute(f"CREATE TABLE key_{number}(key BLOB PRIMARY KEY) WITHOUT ROWID")
        for each in keys:
            self.connection.execute(f"INSERT INTO key_{number} VALUES (?)", (key(each),))

    def step(self):
        self.steps.popleft()()

    def run(self):
        count = 0
        while self.steps:
            self.step()
            count += 1
        return count

    def knows(self, number, each):
        return bool(self.filter.candidates(key(each)) & self.filter.ready.get(number, 0))


@pytest.fixture
def bench():
    connection = apsw.Connection(":memory:")
    migrate(connection)
    yield Bench(connection)
    connection.close()


def test_a_sealed_generation_gets_a_filter_that_holds_all_its_keys_and_is_kept(bench, monkeypatch):
    monkeypatch.setattr(filter_builder, "SLICE", 10)
    bench.generation(7, range(25))
    bench.builder.sealed([7])
    for _ in range(4):
        bench.step()
        assert not bench.filter.ready, "it is asked only once it is whole"
    assert bench.run() == 1, "25 keys are three slices"
    assert all(bench.knows(7, each) for each in range(25))
    assert not bench.knows(7, 99)
    assert bench.kept == {7: bench.filter.dump(7)}


def test_a_slice_that_is_full_is_not_taken_for_the_last(bench, monkeypatch):
    monkeypatch.setattr(filter_builder, "SLICE", 10)
    bench.generation(7, range(20))
    bench.builder.sealed([7])
    bench.run()
    assert all(bench.knows(7, each) for each in range(20))


def test_a_kept_filter_is_taken_over_without_a_look_at_the_keys(bench):
    bench.generation(7, range(5))
    bench.builder.sealed([7])
    bench.run()
    again = Bench(bench.connection)
    bench.connection.execute("UPDATE generation SET filter = ? WHERE id = 7", (bench.kept[7],))
    bench.connection.execute("DROP TABLE key_7")
    again.builder.sealed([7])
    again.run()
    assert all(again.knows(7, each) for each in range(5))
    assert again.kept == {}, "it is kept already"
    again.builder.sealed([7])
    assert again.run() == 1, "what is known is not begun again"


def test_a_kept_filter_that_does_not_fit_the_memory_is_built_anew(bench):
    large = KeyFilter()
    large.begin(7, WORDS_MIN * 4)
    bench.generation(7, range(5))
    bench.connection.execute("UPDATE generation SET filter = ? WHERE id = 7", (large.dump(7),))
    small = Bench(bench.connection, most_bytes=2 * WORDS_MIN)
    small.builder.sealed([7])
    small.run()
    assert all(small.knows(7, each) for each in range(5))
    assert list(small.kept) == [7]


def test_several_generations_are_filled_one_after_the_other_newest_first_by_one_connection(bench):
    for number in (7, 8):
        bench.generation(number, range(number, number + 3))
    bench.builder.sealed([8, 7])
    bench.run()
    assert list(bench.kept) == [8, 7]
    assert bench.connected == 1


def test_a_generation_that_has_expired_is_forgotten_also_while_it_is_filled(bench, monkeypatch):
    monkeypatch.setattr(filter_builder, "SLICE", 10)
    for number in (7, 8):
        bench.generation(number, range(25))
    bench.builder.sealed([7])
    bench.run()
    bench.builder.sealed([8, 7])
    for _ in range(3):
        bench.step()
    bench.connection.execute("DROP TABLE key_8")
    bench.step()
    bench.builder.sealed([])
    bench.run()
    assert bench.filter.ready == {}
    assert list(bench.kept) == [7], "a half is not kept"
    assert all(bench.filter.begin(number, WORDS_MIN) for number in range(16)), "every slot is free"


def test_the_filling_of_one_that_is_dropped_ends_and_the_next_one_is_begun(bench, monkeypatch):
    monkeypatch.setattr(filter_builder, "SLICE", 10)
    for number in (6, 7, 8):
        bench.generation(number, range(45))
    bench.builder.sealed([8, 7])
    for _ in range(3):
        bench.step()
    bench.builder.sealed([7])
    bench.run()
    assert list(bench.kept) == [7]
    bench.builder.sealed([6])
    for _ in range(3):
        bench.step()
    bench.builder.sealed([])
    bench.run()
    assert (bench.filter.ready, list(bench.kept)) == ({}, [7])


def test_one_whose_table_is_gone_before_it_is_begun_keeps_no_other_from_being_filled(bench):
    bench.generation(7, range(5))
    bench.builder.sealed([8, 7])
    bench.run()
    assert list(bench.kept) == [7]


def test_a_builder_that_is_closed_takes_no_further_step(bench, monkeypatch):
    monkeypatch.setattr(filter_builder, "SLICE", 10)
    for number in (7, 8):
        bench.generation(number, range(25))
    bench.builder.sealed([8, 7])
    bench.step()
    bench.step()
    bench.builder.close()
    assert bench.run() == 1
    assert bench.kept == {}


def test_one_that_is_sealed_while_another_is_filled_waits_for_its_turn(bench, monkeypatch):
    monkeypatch.setattr(filter_builder, "SLICE", 10)
    for number in (7, 8):
        bench.generation(number, range(25))
    bench.builder.sealed([7])
    bench.step()
    bench.step()
    bench.builder.sealed([8, 7])
    bench.run()
    assert list(bench.kept) == [7, 8]


def test_what_finds_no_slot_is_looked_up_on_the_disk_for_ever(bench):
    for number in range(16):
        bench.filter.begin(100 + number, WORDS_MIN)
    bench.generation(7, range(5))
    bench.builder.sealed([7])
    bench.run()
    assert (bench.filter.ready, bench.kept) == ({}, {})


def test_a_builder_that_never_had_anything_to_do_has_nothing_to_close(bench):
    bench.builder.close()
    bench.generation(7, range(5))
    bench.builder.sealed([7])
    bench.run()
    bench.builder.close()
    with pytest.raises(apsw.ConnectionClosedError):
        bench.connection.execute("SELECT 1")
