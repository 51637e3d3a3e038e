"""P17: from each schema that ever was to today's, killed at every statement of every step, and then started."""

import sys
from contextlib import closing

import apsw
import pytest
import trio
from store_samples import desk_on

from gateway.store.contract import DeliveryQuery
from gateway.store.migrate import migrate, migrations

NEWEST = migrations()[-1][0]
STATES = {"pending": 0, "in_flight": 1, "delivered": 2, "dead": 3, "cancelled": 4}
KILLED = """
import os, shutil, signal, sys
import apsw
from gateway.store.migrate import migrate

def die_at(connection, statement):
    left = [statement]
    def trace(*_):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return True
    connection.exec_trace = trace

folder, statement = sys.argv[1], 0
while True:
    statement += 1
    path = f"{folder}/{statement}.db"
    for end in ("", "-wal"):
        if os.path.exists(f"{folder}/old.db{end}"):
            shutil.copy(f"{folder}/old.db{end}", path + end)
    child = os.fork()
    if not child:
        connection = apsw.Connection(path)
        connection.pragma("synchronous", "full")
        die_at(connection, statement)
        migrate(connection)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
"""
"""Makes in a folder a store for each statement: killed as it was about to be carried out; the last one is through."""


def write_schema(path, number):
    """Make a store as schema `number` had it (0: no tables at all) with one delivery in each state."""
    with closing(apsw.Connection(str(path))) as connection:
        connection.pragma("journal_mode", "wal")
        if number:
            migrate(connection, [step for step in migrations() if step[0] <= number])
            connection.execute("INSERT INTO name(id, kind, text) VALUES (1, 1, 's'), (2, 5, 'r'), (3, 6, 'crm')")
            connection.execute("UPDATE meta SET epoch = 1")
        for event, state in enumerate(STATES.values() if number else (), 9):
            connection.execute("INSERT INTO request VALUES (?, x'', x'7b7d')", (event,))
            connection.execute("INSERT INTO event VALUES (?1, ?1, 1, 1, 1, 1, 5, NULL, NULL, NULL, NULL)", (event,))
            connection.execute(
                "INSERT INTO delivery(event, n, route, target, state, due, epoch, attempts, claims, settled_at)"
                " VALUES (?, 0, 2, 3, ?, ?, ?, 1, 2, ?)",
                (event, state, None if state else 7, 1 if state == 1 else None, 8 if state > 1 else None),
            )


def version_of(path):
    with closing(apsw.Connection(str(path))) as connection:
        tables = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'delivery'").get
        found = connection.execute("SELECT state FROM delivery ORDER BY event").fetchall() if tables else []
        return connection.pragma("user_version"), [state for (state,) in found]


@pytest.mark.timeout(600)  # for a machine that does much else
@pytest.mark.parametrize("former", range(NEWEST))
async def test_P17_killed_at_any_statement_from_any_former_schema_a_store_starts_with_all_that_waited(former, tmp_path):
    write_schema(tmp_path / "old.db", former)
    await trio.run_process([sys.executable, "-c", KILLED, str(tmp_path)])
    stores = sorted((path for path in tmp_path.glob("[0-9]*.db")), key=lambda path: int(path.stem))
    versions = []
    for path in stores:
        version, states = version_of(path)
        versions.append(version)
        assert states == (list(STATES.values()) if former else []), path.name
        async with desk_on(path) as desk:
            listed = await desk.store.deliveries(DeliveryQuery())
            found = sorted(row.state for row in listed)
            assert found == (["cancelled", "dead", "delivered", "pending", "pending"] if former else [])
    assert versions == sorted(versions), "one step after the other"
    assert set(versions) == set(range(former, NEWEST + 1)), "each step was killed, and carried out"
    assert len(stores) >= 4 * (NEWEST - former), "at each statement: begin, change, number, commit"
