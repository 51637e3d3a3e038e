"""The store's small parts: ids, backlogs in memory, names, statements, codes."""

import re

import apsw
import pytest

from gateway.core.model import UNSETTLED
from gateway.store import names
from gateway.store.backlog import Backlogs, Changes
from gateway.store.claim import LOOKED_AT_MAX
from gateway.store.codes import GATE_CODES, HOLD_CODES, OUTCOME_CODES, STATE_CODES, NameKind
from gateway.store.contract import Backlog
from gateway.store.ids import ORIGIN_MS, IdMint, first_id
from gateway.store.migrate import migrate
from gateway.store.names import NameBook
from gateway.store.statements import FOLDER, ListStatement, RowStatement, fitting, load_statements


@pytest.fixture
def connection():
    connection = apsw.Connection(":memory:")
    migrate(connection)
    yield connection
    connection.close()


def test_K1_ids_rise_over_steps_back_restarts_and_bursts():
    mint = IdMint()
    ids = [mint.mint(ORIGIN_MS + 5) for _ in range(20_000)]
    ids += [mint.mint(ORIGIN_MS - 10**9), mint.mint(0)]
    again = IdMint(ids[-1])
    ids += [again.mint(ORIGIN_MS), again.mint(ORIGIN_MS + 10**6)]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("node", [0, 3])
@pytest.mark.parametrize("sequence", [0, 1, 2, 7])
def test_ids_go_on_behind_the_last_one_of_the_process_before(node, sequence):
    last = first_id(ORIGIN_MS + 5) | node << 14 | sequence
    again = IdMint(last, node)
    assert [again.mint(ORIGIN_MS), again.mint(ORIGIN_MS)] == [last + 1, last + 2]


def test_an_id_is_within_its_millisecond_and_its_node():
    now = ORIGIN_MS + 123_456
    mint = IdMint()
    assert [mint.mint(now), mint.mint(now)] == [first_id(now), first_id(now) + 1]
    assert mint.mint(now) < first_id(now + 1)
    assert IdMint(node=3).mint(now) - IdMint(node=2).mint(now) == 1 << 14
    assert first_id(0) == 0
    assert IdMint().mint(3_723_753_600_000).bit_length() <= 63, "ids of 2088 fit a signed integer of 64 bits"


def test_K1_a_clock_that_is_in_2106_for_a_moment_leaves_no_id_that_sqlite_cannot_hold(connection):
    mint = IdMint()
    before, broken, after = (mint.mint(now) for now in (ORIGIN_MS + 10**9, 0xFFFFFFFF * 1000, ORIGIN_MS + 2 * 10**9))
    assert before < broken < after == first_id(ORIGIN_MS + 2 * 10**9)
    assert connection.execute("SELECT ?", (broken,)).get == broken


def test_backlogs_follow_the_changes_of_each_commit():
    backlogs = Backlogs()
    changes = Changes()
    changes["crm"].add_pending(2, 50)
    changes["crm"].add_pending(1, 40)
    changes["audit"].in_flight += 1
    backlogs.apply(changes)
    assert backlogs.of("crm") == Backlog(3, 0, 0, 40)
    taken = Changes()
    taken["crm"].pending -= 1
    taken["crm"].in_flight += 1
    taken["crm"].set_next_due(50)
    backlogs.apply(taken)
    assert backlogs.of("crm") == Backlog(2, 1, 0, 50)
    done = Changes()
    done["audit"].in_flight -= 1
    backlogs.apply(done)
    assert (backlogs.of("audit"), backlogs.targets()) == (Backlog(), ["crm"])


def test_a_renamed_target_has_what_waited_under_the_old_name_and_what_came_since():
    backlogs, changes = Backlogs(), Changes()
    for target, factor in (("crm", 1), ("sales", 10)):
        change = changes[target]
        change.add_pending(3 * factor, 50 * factor)
        change.in_flight, change.dead, change.waiting = 2 * factor, factor, 4 * factor
    backlogs.apply(changes)
    backlogs.rename("crm", "sales")
    assert backlogs.of("sales") == Backlog(33, 22, 11, 50, 44)
    backlogs.rename("nobody", "nothing")
    assert backlogs.targets() == ["sales"]


def test_what_the_parts_of_a_commit_changed_adds_up():
    whole, part = Changes(), Changes()
    for changes in (whole, part):
        change = changes["crm"]
        change.add_pending(3, 50)
        change.in_flight, change.dead, change.waiting = 2, 4, 1
    whole.add(part)
    backlogs = Backlogs()
    backlogs.apply(whole)
    assert backlogs.of("crm") == Backlog(6, 4, 8, 50, 2)
    emptied = Changes()
    emptied["crm"].pending, emptied["crm"].waiting = -6, -2
    backlogs.apply(emptied)
    assert backlogs.of("crm") == Backlog(0, 4, 8, None, 0), "nothing is due where nothing waits"


def test_a_claim_and_a_newcomer_in_one_commit_give_the_earlier_due_time():
    changes, part = Changes(), Changes()
    part["crm"].set_next_due(90)
    changes.add(part)
    changes["crm"].add_pending(1, 70)
    backlogs = Backlogs()
    backlogs.apply(changes)
    assert backlogs.of("crm").next_due == 70


def test_names_are_given_once_and_forgotten_with_their_transaction(connection):
    book = NameBook(connection.cursor())
    shop = book.sources["shop"]
    assert book.targets["shop"] != shop, "kinds do not mix"
    connection.execute("BEGIN")
    lost = book.sources["lost"]
    assert book.texts[lost] == "lost"
    connection.execute("ROLLBACK")
    book.forget()
    assert book.sources["found"] == lost, "the number is free again"
    assert (book.texts[lost], book.sources["shop"]) == ("found", shop)


def test_a_name_looked_up_after_a_part_was_undone_is_forgotten_with_the_whole(connection):
    book = NameBook(connection.cursor())
    connection.execute("BEGIN")
    crm = book.targets["crm"]
    connection.execute("SAVEPOINT one")
    connection.execute("ROLLBACK TO one")
    book.forget()
    assert book.targets["crm"] == crm, "the rest of the transaction still has it"
    connection.execute("ROLLBACK")
    book.forget()
    assert book.targets["audit"] == crm, "the number is free again"
    assert book.targets["crm"] != crm, "two targets under one number would get each other's events"


def test_names_in_memory_are_bounded(connection, monkeypatch):
    monkeypatch.setattr(names, "LIMIT", 10)
    book = NameBook(connection.cursor())
    numbers = {text: book.types[text] for text in map(str, range(50))}
    assert len(book.types) <= 10
    assert all(book.types[text] == number for text, number in numbers.items())
    assert all(book.texts[number] == text for text, number in numbers.items())


@pytest.mark.parametrize("count", [0, 1, 2, 3, 63, 64, 65, 256, 257, 600])
def test_any_number_of_rows_is_written_by_few_calls(connection, count):
    calls = []
    cursor = connection.cursor()
    connection.execute("CREATE TABLE t(a, b)")
    cursor.exec_trace = lambda *call: calls.append(call) or True
    statement = RowStatement("INSERT INTO t SELECT * FROM (VALUES :rows) WHERE column1 IS NOT NULL", 2)
    statement.execute(cursor, [value for row in range(count) for value in (row, -row)])
    assert connection.execute("SELECT count(*), count(DISTINCT a) FROM t").get == (count, count)
    assert len(calls) == -(-count // 256)
    found = ListStatement("SELECT a FROM t WHERE a IN (:ids)").run(connection.cursor(), range(count))
    assert sorted(found) == [(row,) for row in range(count)]


def test_sizes_are_the_smallest_that_fit():
    assert [fitting(count) for count in (1, 2, 3, 5, 64, 65, 256)] == [1, 2, 4, 8, 64, 128, 256]


def test_every_statement_has_a_name_and_a_purpose():
    for path in FOLDER.glob("*.sql"):
        statements = load_statements(path.stem)
        headings = [line for line in path.read_text().splitlines() if line.startswith("-- ")]
        assert len(headings) == len(statements), path.name
        assert all(len(heading.split(": ", 1)[1]) > 5 for heading in headings), path.name


ROW = "INSERT INTO delivery(event, n, route, target, state, due, epoch, claims, attempts, settled_at) VALUES "


@pytest.mark.parametrize(
    "values",
    [
        "(1, 0, 1, 1, 5, NULL, NULL, 0, 0, NULL)",  # no such state
        "(1, 0, 1, 1, 1, 9, 1, 1, 0, NULL)",  # due, but in flight
        "(1, 0, 1, 1, 1, NULL, NULL, 1, 0, NULL)",  # in flight, but nobody's
        "(1, 0, 1, 1, 0, 9, 1, 1, 0, NULL)",  # pending, but somebody's
        "(1, 0, 1, 1, 2, NULL, NULL, 1, 1, NULL)",  # delivered, but not settled
        "(1, 0, 1, 1, 0, 9, NULL, 0, 0, 9)",  # pending, but settled
        "(1, 0, 1, 1, 0, 9, NULL, 1, 2, NULL)",  # more attempts than claims
    ],
)
def test_the_schema_refuses_a_delivery_outside_its_life_cycle(connection, values):
    with pytest.raises(apsw.ConstraintError):
        connection.execute(ROW + values)


@pytest.mark.parametrize("state", STATE_CODES)
def test_the_schema_takes_every_state_of_the_life_cycle(connection, state):
    due, epoch = ("9" if state == "pending" else "NULL"), ("1" if state == "in_flight" else "NULL")
    settled = "NULL" if state in UNSETTLED else "9"
    connection.execute(f"{ROW}(1, 0, 1, 1, {STATE_CODES[state]}, {due}, {epoch}, 1, 1, {settled})")


@pytest.mark.parametrize(
    ("table", "column", "codes"),
    [
        ("delivery", "state", STATE_CODES.values()),
        ("event", "hold", [code for code in HOLD_CODES.values() if code]),
        ("attempt", "outcome", OUTCOME_CODES.values()),
        ("gate", "kind", GATE_CODES.values()),
        ("name", "kind", NameKind),
    ],
)
def test_the_schema_and_the_code_know_the_same_numbers(connection, table, column, codes):
    schema = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).get
    assert f"CHECK ({column} BETWEEN {min(codes)} AND {max(codes)})" in schema


def test_a_claim_reads_the_index_of_what_is_due_and_sorts_nothing(connection):
    text = load_statements("claim")["find_due"]
    plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + text, [None] * max_parameter(text))]
    assert plan[0] == "CO-ROUTINE d"  # not MATERIALIZE: what is not asked for is not read
    assert plan[1] == "SEARCH delivery USING INDEX delivery_due (target=? AND due>? AND due<?)"
    assert not any("TEMP B-TREE" in step for step in plan)


def test_a_claim_looks_at_no_more_of_what_replays_brought_where_there_is_very_much_of_it(connection):
    steps = [steps_to_claim(connection, first, 10_000) for first in (0, 10_000)]
    assert steps[1] <= steps[0] + 10


def steps_to_claim(connection, first, count):
    """Add so many replayed deliveries that are due, and give the steps (by 1,000) it takes to look for others."""
    connection.executemany(
        "INSERT INTO delivery(event, n, route, target, state, due, replay) VALUES (?, 0, 1, 2, 0, 3, 'r')",
        ((number,) for number in range(first, first + count)),
    )
    steps = []
    connection.set_progress_handler(lambda: bool(steps.append(1)), 1000)
    values = (2, 9, 64, 0, LOOKED_AT_MAX)
    assert connection.execute(load_statements("claim")["find_due"], values).fetchall() == []
    connection.set_progress_handler(None)
    return len(steps)


def test_a_record_finds_its_delivery_by_the_primary_key(connection):
    text = load_statements("record")["write_states"].replace(":rows", "(?,?,?,?,?,?,?,?,?)")
    plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + text, [None] * 9)]
    assert "SEARCH delivery USING PRIMARY KEY (event=? AND n=?)" in plan


@pytest.mark.parametrize(
    ("noun", "name", "found"),
    [
        ("expiry", "find_expired", "SEARCH delivery USING INDEX delivery_expiry (expires_at>? AND expires_at<?)"),
        ("steps", "find_expiring_latest_first", "SEARCH delivery USING INDEX delivery_expiry (expires_at>? AND "),
        ("steps", "find_expiring_first_first", "SEARCH delivery USING INDEX delivery_expiry (expires_at>?)"),
        ("steps", "find_behind", "SEARCH delivery USING COVERING INDEX delivery_due (target=? AND due>? AND "),
    ],
)
def test_what_expires_and_what_a_step_moves_is_found_by_an_index_in_order(connection, noun, name, found):
    text = load_statements(noun)[name]
    plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + text, [None] * max_parameter(text))]
    assert plan[0].startswith(found)
    assert not any("TEMP B-TREE" in step for step in plan)


def max_parameter(text):
    return max(int(number) for number in re.findall(r"\?(\d+)", text))
