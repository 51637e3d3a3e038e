"""What order costs as the backlog grows, how an older store comes by it, and that long changes are cut into slices."""

from contextlib import contextmanager

import apsw
import pytest
import trio
from store_samples import desk_on

from gateway.store.accept import Offer, accept_all
from gateway.store.claim import claim_due
from gateway.store.contract import Acceptance, Backlog, NewDelivery, Ordering, Record
from gateway.store.ids import ORIGIN_MS, SHIFT
from gateway.store.ledger import Turn
from gateway.store.migrate import migrate, migrations
from gateway.store.record import record_all
from gateway.store.reorder import SLICE, begin
from gateway.store.start import start, stop
from gateway.testing.store_desk import NOTE, PLENTY, SECOND, SETTINGS, START_MS, SteppedRuntime, digest, new

BLOCK, SKIP, LATEST = Ordering("test"), Ordering("test", "skip"), Ordering("test", "skip", "latest")
HEADS = 50
LATER = START_MS + 60 * SECOND


class Counted:
    """A ledger whose SQLite steps and calls are counted."""

    def __init__(self, started):
        self.ledger = started.ledger
        self.steps = self.calls = 0
        self.ledger.connection.set_progress_handler(self._step, 1)
        self.ledger.cursor.exec_trace = self._call

    def _step(self):
        self.steps += 1
        return False

    def _call(self, _cursor, _text, _values):
        self.calls += 1
        return True

    def cost(self, act):
        """Give steps and calls of `act`, a transaction."""
        self.steps = self.calls = 0
        self.ledger.cursor.execute("BEGIN IMMEDIATE")
        result = act(Turn(START_MS))
        steps, calls = self.steps, self.calls
        self.ledger.cursor.execute("COMMIT")
        return steps, calls, result


@contextmanager
def counted(path):
    started = start(path, SteppedRuntime(), SETTINGS)
    try:
        yield Counted(started)
    finally:
        stop(started, flush=True)


def offers(count, keys, ordered=True):
    plain = [new(None, targets=()) for _ in range(count)]
    keyed = [
        one._replace(deliveries=(NewDelivery("all", "crm", False, key=digest(n % keys) if ordered else None),))
        for n, one in enumerate(plain)
    ]
    return [Offer(Acceptance(b"", b"{}", START_MS, (one,))) for one in keyed]


async def costs(folder, behind):
    """Give what claim, record and accept cost with `HEADS` keys in backoff and `behind` deliveries behind each."""
    folder.mkdir()
    async with desk_on(folder / "h.db") as desk:
        await desk.store.set_ordering("crm", BLOCK, lambda _: None)
    with counted(folder / "h.db") as counter:
        ledger = counter.ledger

        def claim(now=START_MS):
            return counter.cost(
                lambda turn: claim_due(ledger, turn, target="crm", limit=100, limit_bytes=PLENTY, now=now)
            )

        def record(claims, due):
            found = [one.delivery for one in claims]
            state = "delivered" if due is None else "pending"
            records = [Record(it.event_id, it.n, it.claims, state, due, 1, None, None, it.target) for it in found]
            return counter.cost(lambda turn: record_all(ledger, turn, records))[:2]

        for _ in range(behind + 1):
            counter.cost(lambda turn: accept_all(ledger, turn, offers(HEADS, HEADS)))
        heads = claim()[2]
        assert len(heads) == HEADS
        backed_off = record(heads, LATER)
        idle = claim()
        assert idle[2] == []
        settled = record(claim(LATER)[2], None)
        accepted = counter.cost(lambda turn: accept_all(ledger, turn, offers(HEADS, HEADS)))[:2]
        return {"back off": backed_off, "claim": idle[:2], "settle": settled, "accept": accepted}


async def test_claim_record_and_accept_cost_the_same_whatever_waits_behind_the_heads(tmp_path):
    few, many = await costs(tmp_path / "few", 2), await costs(tmp_path / "many", 100)
    for verb, (steps, calls) in many.items():
        assert steps < few[verb][0] * 1.3 + 100, (
            f"{verb} looks at what waits: {few[verb]} steps and calls, then {many[verb]}"
        )
        assert calls == few[verb][1], verb


async def test_what_has_no_key_costs_no_call_more_beside_an_ordered_target_than_without_one(tmp_path):
    found = []
    for ordered in (False, True):
        path = tmp_path / f"{ordered}.db"
        async with desk_on(path) as desk:
            if ordered:
                await desk.store.set_ordering("other", BLOCK, lambda _: None)
        with counted(path) as counter:
            counter.cost(lambda turn, it=counter: accept_all(it.ledger, turn, offers(10, 10, ordered=False)))
            found.append(
                counter.cost(lambda turn, it=counter: accept_all(it.ledger, turn, offers(200, 10, ordered=False)))[1]
            )
    assert found[0] == found[1]


async def test_an_ordered_batch_costs_as_many_calls_as_a_single_request(tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.store.set_ordering("crm", LATEST, lambda _: None)
    with counted(tmp_path / "h.db") as counter:
        ledger = counter.ledger
        counter.cost(lambda turn: accept_all(ledger, turn, offers(256, 256)))
        one = counter.cost(lambda turn: accept_all(ledger, turn, offers(1, 256)))[1]
        many = counter.cost(lambda turn: accept_all(ledger, turn, offers(256, 256)))[1]
    assert many <= one + 2, "a repeated search for superseded ones at most"


OLD = """
INSERT INTO name(id, kind, text) VALUES (1,1,'shop'),(2,2,'main'),(3,3,'t'),(4,4,'1'),(5,5,'all'),(6,6,'crm');
INSERT INTO request(id, head, body) VALUES (?1, x'', x'61'), (?1 + 1, x'', x'61'), (?1 + 2, x'', x'62');
INSERT INTO event(id, request, source, credential, type, version, accepted_at)
  SELECT id, id, 1, 2, 3, 4, ?2 FROM request;
INSERT INTO delivery(event, n, route, target, state, due, claims, attempts)
  VALUES (?1, 0, 5, 6, 0, ?2 + 5000, 1, 1), (?1 + 1, 0, 5, 6, 0, ?2, 0, 0), (?1 + 2, 0, 5, 6, 0, ?2, 0, 0);
UPDATE meta SET epoch = 3;
"""


async def test_P17_a_store_of_the_schema_before_is_brought_up_to_date_and_its_backlog_is_put_in_order(tmp_path):
    path, first = tmp_path / "h.db", (START_MS - ORIGIN_MS - 1000) << SHIFT
    connection = apsw.Connection(str(path))
    before = next(number for number, text in migrations() if "delivery_line" in text)
    migrate(connection, migrations()[: before - 1])
    connection.execute(OLD.replace("?1", str(first)).replace("?2", str(START_MS)))
    connection.close()
    async with desk_on(path) as desk:
        assert desk.store.backlog("crm") == Backlog(3, 0, 0, START_MS), "nothing is ordered"
        assert await desk.store.set_ordering("crm", BLOCK, lambda event: digest(event.body)) == 3
        assert desk.store.backlog("crm") == Backlog(3, 0, 0, START_MS, 1), "two keys, one waits"
        desk.runtime.advance(5000)  # the first backs off
        assert {claim.event.id for claim in await desk.claim()} == {first, first + 2}


@pytest.mark.parametrize("ordering", [BLOCK, LATEST])
async def test_a_long_backlog_is_put_in_order_in_slices_also_where_that_was_cut_short(tmp_path, ordering):
    count = 3 * SLICE + 7
    asked = []

    def key_of(event):
        asked.append(event.id)
        return None if event.part == b"0" else digest(event.part)

    async with desk_on(tmp_path / "h.db") as desk:
        ids = [await desk.accept_one(part=b"%d" % (number % 3)) for number in range(count)]
        with trio.CancelScope() as scope:
            scope.cancel()
            await desk.store.set_ordering("crm", ordering, key_of)
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.store.set_ordering("crm", ordering, key_of)
        assert set(asked) == set(ids)
        free = len(ids[::3])
        claims = await desk.claim(limit=count)
        if ordering is BLOCK:
            assert {claim.event.id for claim in claims} == {*ids[::3], ids[1], ids[2]}
            assert desk.store.backlog("crm") == Backlog(count - free - 2, free + 2, 0, None, count - free - 2)
        else:
            newest = {ids[number] for number in (count - 1, count - 2, count - 3) if number % 3}
            assert {claim.event.id for claim in claims} == {*ids[::3], *newest}
            assert desk.store.backlog("crm") == Backlog(0, free + 2, 0, None)


async def test_P9_keys_that_a_change_cut_short_left_blocked_are_freed_by_the_next_try(tmp_path):
    path = tmp_path / "h.db"

    def key_of(event):
        return digest(event.part)

    async with desk_on(path) as desk:
        await desk.store.set_ordering("crm", BLOCK, key_of)
        head = await desk.accept_one(part=b"a", order=b"a")
        await desk.settle(await desk.claim_one(), "dead")
        behind = await desk.accept_one(part=b"a", order=b"a")
        assert await desk.claim() == [], "it waits behind a dead one"
    started = start(path, SteppedRuntime(), SETTINGS)
    for asked in (SKIP, SKIP, BLOCK, SKIP):
        with committed(started.ledger) as turn:
            begun = begin(started.ledger, turn, target="crm", ordering=asked)
            assert begun is not None, "turns must change"
            assert not begun.rekey
    stop(started, flush=True)
    async with desk_on(path) as desk:
        await desk.store.set_ordering("crm", SKIP, key_of)
        assert (await desk.claim_one()).event_id == behind, "the next start goes on with what was begun"
        await desk.store.set_ordering("crm", SKIP, key_of)
        assert await desk.store.operator.retry([(head, 0)], NOTE) == 1


@contextmanager
def committed(ledger):
    ledger.cursor.execute("BEGIN IMMEDIATE")
    turn = Turn(START_MS)
    yield turn
    ledger.cursor.execute("COMMIT")
    ledger.committed(turn)
