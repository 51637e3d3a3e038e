"""Generations of de-dup keys and their filters."""

import random

import apsw
import pytest

from gateway.store.codes import NameKind
from gateway.store.key_filter import SLOTS, WORDS_MIN, KeyFilter, words_for
from gateway.store.keys import KeyClaim, KeyGenerations, spent
from gateway.store.migrate import migrate
from gateway.store.names import Numbers
from gateway.testing.store_desk import HOUR, SteppedRuntime, digest

WINDOW = 16 * HOUR


@pytest.fixture
def connection():
    connection = apsw.Connection(":memory:")
    migrate(connection)
    yield connection
    connection.close()


class Keys:
    def __init__(self, connection):
        self.runtime = SteppedRuntime()
        self.filter = KeyFilter()
        self.connection = connection
        sources = Numbers(connection.cursor(), NameKind.SOURCE)
        self.generations = KeyGenerations(connection.cursor(), sources, self.runtime, WINDOW, self.filter)

    def claim(self, *keys):
        claims = [KeyClaim("shop", digest(key), digest("payload"), 1000 + key) for key in keys]
        return [verdict.kind for verdict in self.generations.claim_keys(claims)]

    def fill_filters(self):
        for number in self.generations.sealed():
            if self.filter.begin(number, WORDS_MIN):
                self.filter.add(number, (key for (key,) in self.connection.execute(f"SELECT key FROM key_{number}")))
                self.filter.finish(number)

    def tables(self):
        query = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name GLOB 'key_*'"
        return self.connection.execute(query).get


@pytest.fixture
def keys(connection):
    return Keys(connection)


@pytest.mark.parametrize("filtered", [False, True])
def test_a_key_is_found_in_every_generation(keys, filtered):
    for key in range(14):
        assert keys.claim(key) == ["new"]
        keys.runtime.advance(HOUR)
        if filtered:
            keys.fill_filters()
    assert keys.claim(*range(14)) == ["duplicate"] * 14
    assert keys.claim(99) == ["new"]
    assert keys.tables() == 15


def test_a_filled_filter_spares_the_look_into_its_generation(keys):
    keys.claim(1, 2, 3)
    keys.runtime.advance(HOUR)
    keys.generations.seal_if_due()
    keys.fill_filters()
    (old,) = keys.generations.sealed()
    keys.connection.execute(f"DROP TABLE key_{old}")
    assert keys.claim(4, 5) == ["new", "new"], "the table is not touched for keys that it cannot hold"
    with pytest.raises(apsw.SQLError, match="no such table"):
        keys.claim(1)


def test_an_expired_generation_is_emptied_in_slices_and_dropped(keys):
    keys.claim(*range(10))
    keys.runtime.advance(HOUR)
    keys.claim(10)
    keys.runtime.advance(WINDOW)
    removed = [keys.generations.expire_some(0, 4) for _ in range(3)]
    assert removed == [4, 4, 2]
    assert keys.tables() == 2
    assert keys.claim(3) == ["new"]
    assert keys.claim(10) == ["duplicate"]


def test_keep_can_make_the_window_longer_but_not_shorter(keys):
    keys.claim(1)
    keys.runtime.advance(HOUR)
    keys.claim(2)
    keys.runtime.advance(WINDOW - 1)
    assert keys.generations.expire_some(0, 100) == 0
    keys.runtime.advance(HOUR)
    assert keys.generations.expire_some(2 * WINDOW, 100) == 0
    assert keys.generations.expire_some(0, 100) == 1


def test_a_generation_that_was_begun_in_a_rolled_back_transaction_is_not_used(keys):
    keys.claim(1)
    keys.generations.committed()
    keys.runtime.advance(HOUR)
    keys.connection.execute("BEGIN")
    keys.claim(2)
    keys.connection.execute("ROLLBACK")
    keys.generations.rolled_back()
    assert keys.claim(1, 2) == ["duplicate", "new"]


def test_what_is_kept_of_a_former_key_is_found_by_later_versions():
    assert spent(b"\0\0\0\1former", b"digest").hex() == "00000001cb66afa080e0d20ccb449fd5c0bf43ef"


def some_keys(seed, count):
    source = random.Random(seed)
    return [bytes(4) + source.randbytes(16) for _ in range(count)]


def test_a_filter_never_denies_a_key_that_it_was_given_also_when_it_grows():
    known = {number: some_keys(number, 300) for number in range(SLOTS)}
    key_filter = KeyFilter()
    for number, keys in known.items():
        assert key_filter.begin(number, WORDS_MIN << number // 4)
        key_filter.add(number, keys)
        key_filter.finish(number)
    assert not key_filter.begin(SLOTS, WORDS_MIN), "all slots are taken"
    for number, keys in known.items():
        assert all(key_filter.candidates(key) & key_filter.ready[number] for key in keys)


def test_a_filter_denies_nearly_all_keys_that_it_was_not_given():
    key_filter = KeyFilter()
    key_filter.begin(1, words_for(10_000, 1 << 20))
    key_filter.add(1, some_keys(1, 10_000))
    key_filter.finish(1)
    wrong = sum(bool(key_filter.candidates(key)) for key in some_keys(2, 10_000))
    assert wrong < 200


def test_a_filter_that_is_forgotten_frees_its_slot_and_only_its_own():
    key_filter = KeyFilter()
    for number in (1, 2):
        key_filter.begin(number, WORDS_MIN)
        key_filter.add(number, some_keys(number, 100))
        key_filter.finish(number)
    key_filter.forget(1)
    assert list(key_filter.ready) == [2]
    assert all(key_filter.candidates(key) == key_filter.ready[2] for key in some_keys(2, 100))
    assert key_filter.begin(3, WORDS_MIN)
    key_filter.finish(3)
    assert not any(key_filter.candidates(key) & key_filter.ready[3] for key in some_keys(1, 100))


def test_the_slot_of_one_that_is_forgotten_is_free_and_clean():
    key_filter = KeyFilter()
    for number in range(SLOTS):
        key_filter.begin(number, WORDS_MIN)
        key_filter.add(number, some_keys(number, 100))
        key_filter.finish(number)
    key_filter.forget(5)
    assert key_filter.begin(99, WORDS_MIN)
    key_filter.finish(99)
    assert not any(key_filter.candidates(key) & key_filter.ready[99] for key in some_keys(5, 100))
    assert not key_filter.begin(100, WORDS_MIN), "one was free"


def test_a_kept_filter_answers_as_before_in_a_larger_one_too():
    old = KeyFilter()
    old.begin(0, WORDS_MIN)
    old.begin(7, WORDS_MIN)
    old.add(7, some_keys(7, 200))
    kept = old.dump(7)
    new = KeyFilter()
    new.begin(1, WORDS_MIN * 16)
    new.add(1, some_keys(1, 200))
    assert new.restore(7, kept, 1 << 20)
    new.finish(7)
    assert all(new.candidates(key) & new.ready[7] for key in some_keys(7, 200))
    assert sum(bool(new.candidates(key) & new.ready[7]) for key in some_keys(8, 1000)) < 20
    assert not new.restore(9, b"\xff" * 8 + kept[8:], 1 << 20), "one that does not fit is built anew"


def test_filters_stay_within_their_memory():
    assert words_for(10**8, 1 << 20) * 2 == 1 << 20
    assert words_for(10**8, (1 << 20) - 1) * 2 == 1 << 19
    assert words_for(1, 1 << 20) == WORDS_MIN
