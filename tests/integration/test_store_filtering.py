"""The filters of a real store: built once a slice of the window is sealed, kept for the next start, dropped with it."""

import apsw
from store_samples import crash_copy, desk_on, rows

from gateway.store.contract import Keep
from gateway.testing.store_desk import HOUR, new

KEEP = Keep(1000 * HOUR, 1000 * HOUR, 1000 * HOUR, 16 * HOUR)


async def built(desk):
    """Which filters may be asked, once all is built that is to be built."""
    engine = desk.store._engine
    for _ in range(10):
        await engine._copier.call(lambda: None)
    await desk.store.probe()
    return sorted(engine._filters._filter.ready)


async def test_a_sealed_slice_gets_a_filter_which_the_next_start_has_at_once(tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        assert await built(desk) == []
        first = await desk.accept_one("first")
        desk.runtime.advance(HOUR)
        await desk.accept_one("second")
        assert await built(desk) == [1]
    assert rows(tmp_path / "h.db", "SELECT id, filter IS NOT NULL FROM generation") == [(1, 1), (2, 0)]
    async with desk_on(tmp_path / "h.db") as desk:
        assert await built(desk) == [1]
        assert (await desk.accept(new("first")))[0] == ("duplicate", first, 0, ())
        desk.runtime.advance(HOUR)
        await desk.accept_one("third")
        desk.runtime.advance(16 * HOUR)
        await desk.retain_all(KEEP)
        assert 1 not in await built(desk), "it has expired"


async def test_keys_grow_older_over_a_crash_by_what_was_kept_last(tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        desk.runtime.advance(HOUR)
        await desk.store.probe()
        copy = crash_copy(tmp_path / "h.db", tmp_path / "copy")
    connection = apsw.Connection(str(copy))
    assert connection.execute("SELECT dedup_ms FROM meta").get == HOUR
    connection.close()
