"""One daemon over several lives: what stays the same from one to the next, and what is done between two of them."""

import socket
import sys
import time
from contextlib import closing, contextmanager

import apsw


@contextmanager
def reserved_port():
    """Keep one port for the daemon over all its lives: bound here, never listened on, shared by SO_REUSEADDR."""
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        yield keeper.getsockname()[1]


def let_back_off_pass(home):
    """Make what was interrupted often due now, as if its minutes had passed; no daemon runs."""
    make_due(home.database)


def make_due(database):
    """Make what waits in a store due now; no daemon runs. `python lives.py DATABASE` does it in another namespace."""
    with closing(apsw.Connection(str(database))) as connection:
        now = time.time_ns() // 1_000_000
        connection.execute("UPDATE delivery SET due = ? WHERE state = 0 AND due > ?", (now, now))


async def drain(daemon, seconds=60):
    """Wait until every delivery is settled; none may be dead."""
    await daemon.wait_settled(seconds)
    listed = (await daemon.ask("/targets"))["targets"]
    assert not any(target["dead"] for target in listed), listed


async def count_events(daemon):
    """How many Truework events the store holds."""
    count, path = 0, "/events?source=truework&limit=1000"
    before = ""
    while True:
        page = await daemon.ask(path + before)
        count += len(page["events"])
        if page["before"] is None:
            return count
        before = f"&before={page['before']}"


if __name__ == "__main__":
    make_due(sys.argv[1])
