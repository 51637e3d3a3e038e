"""P1, P3 and P7: whatever a power loss leaves of what a running daemon wrote, all it had acknowledged is there.

`HOOKGATE_CRASH_STATES` sets how many states are checked (10,000 on each Python in CI, 500,000 for a release),
`HOOKGATE_CRASH_SEED` repeats a choice. Every hundredth is opened by the store's own start, the others by SQLite with
its own check.
"""

import json
import os
import random
import shutil
import signal
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import apsw
import pytest
import trio

from gateway.errors import StoreError
from harness.audit import open_and_look
from harness.crash_record import read, recording
from harness.crash_states import states
from harness.daemon import running
from harness.home import temporary_home
from harness.killer import is_installed
from harness.planted import planted
from harness.seeds import seed_of
from harness.senders import Client, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import open_sink

STATES = int(os.environ.get("HOOKGATE_CRASH_STATES", "10000"))
SEED = seed_of("CRASH")
SENDERS = 4
EVENTS = 25
"""Of each sender."""
DELIVERED = 2
LIST = "SELECT r.body, d.state FROM event e JOIN request r ON r.id = e.request LEFT JOIN delivery d ON d.event = e.id"
pytestmark = pytest.mark.skipif(not is_installed(), reason="strace is not installed: nothing can be recorded")


@pytest.fixture
def disk():
    """Where states are written: in memory if there is such a place, since nothing of them has to last."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="hg-crash-", dir=memory if memory.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


async def send(port, tag):
    with Client(port) as client:
        for number in range(EVENTS):
            assert (await client.send(truework(f"{tag}-{number}", ORDERS_TOKEN))).status == 200


async def record(home, *bugs):
    """Run a daemon under load, with a log that is copied often; give all that it wrote and said."""
    trace = home.folder / "trace"
    async with open_sink() as sink:
        Settings(home, crm=sink.url, file=False).write()
        async with running(home, before=(*recording(trace), *planted("eager", *bugs))) as daemon:
            async with trio.open_nursery() as load:
                for number in range(SENDERS):
                    load.start_soon(send, daemon.port, f"s{number}")
            await daemon.wait_settled()
            assert await daemon.stop() == 0
    ops = read(trace.read_text("latin-1"))
    told = [op.name for op in ops if op.kind == "acknowledged"]
    assert len(set(told)) == len(told) == SENDERS * EVENTS, "every answer stands in the recording"
    return ops


def write(folder, files):
    for old in folder.iterdir():
        old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / "hookgate.db"


def look(database):
    """Recover by SQLite; give the state of the delivery by event, and what is wrong with the file."""
    if not database.exists():
        return {}, []
    with closing(apsw.Connection(str(database))) as connection:
        connection.pragma("synchronous", "off")
        sound = connection.pragma("quick_check")
        if connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'delivery'").get == 0:
            return {}, [sound]
        rows = connection.execute(LIST).fetchall()
    found = {json.loads(body)["data"]["order_id"]: state for body, state in rows}
    return found, [sound, *(["an event twice, or with two deliveries"] if len(found) != len(rows) else [])]


def judge(state, found, sound):
    """Say what is wrong with a state; nothing if it keeps the promises."""
    if sound not in ([], ["ok"]):
        return f"corrupt: {sound}"
    account = state.ledger.account(list(found))
    if account.lost:
        return f"lost {len(account.lost)} acknowledged"
    settled = {name for name, each in found.items() if each in {DELIVERED, "delivered"}}
    if account.unexpected or None in found.values() or settled - state.sent:
        return "contradicts itself"
    return ""


async def check(ops, count, disk, dice, since=0):
    """Check states of a recording after its first entries; give the faults by moment."""
    faults = {}
    for number, state in enumerate(states(ops, count, dice, since)):
        database = write(disk, state.files)
        try:
            found, sound = look(database)
            if number % 100 == 0:
                again = await open_and_look(write(disk, state.files))
                sound += again.faults
                if set(again.orders) != set(found):  # of a corrupt file each may read something else
                    sound.append("the store's own start finds other events")
            wrong = judge(state, found, sound)
        except (apsw.Error, StoreError, ValueError, LookupError, TypeError) as error:  # a body that is none any more
            wrong = f"corrupt: {error!r}"
        if wrong:
            faults[state.at] = wrong
    return faults


@pytest.mark.timeout(36_000)
async def test_P1_P3_whatever_a_power_loss_leaves_all_that_was_acknowledged_is_there(home, disk, tell):
    ops, began = await record(home), trio.current_time()
    kinds = [op.kind for op in ops if op.name.startswith("hookgate.db")]
    faults = await check(ops, STATES, disk, random.Random(SEED))
    tell(
        f"{STATES} crash states (seed {SEED}) of {kinds.count('write')} writes and {kinds.count('sync')} flushes, "
        f"{SENDERS * EVENTS} acknowledged, {trio.current_time() - began:.0f} s: {len(faults)} wrong"
    )
    assert faults == {}
    told = [number for number, op in enumerate(ops) if op.kind == "acknowledged"]
    between = {op.name for op in ops[told[0] : told[-1]] if op.kind == "write"}
    assert "hookgate.db" in between, "the log was copied into the file while events came"


async def test_a_store_that_does_not_flush_its_commits_loses_acknowledged_events(home, disk):
    """The harness itself: `synchronous=NORMAL` must be found out."""
    faults = await check(await record(home, "normal"), 300, disk, random.Random(1))
    assert any("lost" in fault for fault in faults.values()), faults


async def test_a_store_that_never_flushes_is_corrupt_after_a_power_loss(home, disk):
    """The harness itself: `synchronous=OFF` must be found out."""
    faults = await check(await record(home, "off"), 300, disk, random.Random(1))
    assert any("corrupt" in fault for fault in faults.values()), faults


async def die_before_a_flush(home, nth):
    """Be killed before a flush while events come; gives what was written."""
    trace = home.folder / "first"
    Settings(home, file=False, crm="http://127.0.0.1:9/").write()
    async with running(home, before=recording(trace, nth)) as daemon:
        with Client(daemon.port) as client, suppress(OSError):
            for number in range(100):
                await client.send(truework(f"o-{number}", ORDERS_TOKEN))
        assert await daemon.wait_ended() == -signal.SIGKILL
    return read(trace.read_text("latin-1"))


async def live_again(home, asked, *bugs):
    """Start, get the same events again, be killed; gives what was written."""
    trace = home.folder / "second"
    async with running(home, before=(*recording(trace), *(planted(*bugs) if bugs else ()))) as daemon:
        with Client(daemon.port) as client:
            for name in asked:
                assert (await client.send(truework(name, ORDERS_TOKEN))).status == 200
        await daemon.kill()
    return read(trace.read_text("latin-1"))


async def check_second_life(disk, nth, *bugs):
    """Give the faults of states after the second life's first answer; the first one ended inside an acceptance."""
    for number in range(nth, nth + 12):
        with temporary_home() as home:
            first = await die_before_a_flush(home, number)
            asked, told = ([op.name for op in first if op.kind == kind] for kind in ("attempted", "acknowledged"))
            if len(asked) == len(told):
                continue  # it was killed in a record: what all were told was flushed already
            second = await live_again(home, asked, *bugs)
            answered = len(first) + next(n for n, op in enumerate(second, 1) if op.kind == "acknowledged")
            return await check([*first, *second], 200, disk, random.Random(nth), answered)
    raise AssertionError("no kill struck an acceptance")


@pytest.mark.parametrize("nth", [24, 31])
async def test_P4_what_is_acknowledged_again_after_a_kill_before_its_flush_survives_a_power_loss(disk, nth):
    """The start-up barrier: a repeat is answered 2xx by what a start can see, so that must have been flushed."""
    assert await check_second_life(disk, nth) == {}


async def test_a_start_that_flushes_nothing_loses_what_it_acknowledged_again(disk):
    """The harness itself: without its flushes the second life's answers must be found to be lies."""
    faults = await check_second_life(disk, 24, "off")
    assert any("lost" in fault or "corrupt" in fault for fault in faults.values()), faults
