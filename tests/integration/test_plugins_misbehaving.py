"""Row P22 and the rows G: whatever a plugin does, it costs its own deliveries; a healthy plugin and a file go on."""

import os
import signal

import trio
from dispatch_bench import opened_store, wait_until
from plugin_bench import HEALTHY, Bench, dispatched, file_plan, send

from gateway.plugin import Delivered, Retry

RAISES = "def deliver(message, options):\n    raise {}\n"
RETURNS = "def deliver(message, options):\n    return {}\n"

UNSHOWN = """
def deliver(message, options):
    class Odd(BaseException):
        def __str__(self):
            raise SystemExit
    raise Odd
"""
SHIELDED = """
async def deliver(message, options):
    with trio.CancelScope(shield=True):
        await trio.sleep_forever()
"""
QUICK = {"G2": 3.0, "G4": 3.0}
"""The timeout of what hangs; long enough for its process to start."""

FAILED_TRIES = {
    "G1_raises": (RAISES.format("ValueError('no')"), "ValueError: no"),
    "G1_exits_by_SystemExit": (RAISES.format("SystemExit(3)"), "SystemExit: 3"),
    "G1_raises_KeyboardInterrupt": (RAISES.format("KeyboardInterrupt"), "KeyboardInterrupt"),
    "G1_raises_a_group": (RAISES.format("ExceptionGroup('many', [ValueError()])"), "ExceptionGroup: many"),
    "G1_raises_a_group_of_exits": (RAISES.format("BaseExceptionGroup('many', [SystemExit()])"), "BaseExceptionGroup"),
    "G1_raises_in_a_coroutine": ("async def deliver(message, options):\n    raise SystemExit\n", "SystemExit"),
    "G1_raises_what_cannot_be_shown": (UNSHOWN, "Odd"),
    "G2_loops": ("def deliver(message, options):\n    while True: pass\n", "timeout"),
    "G2_hangs_in_a_thread": ("def deliver(message, options):\n    time.sleep(600)\n", "timeout"),
    "G2_hangs_async": ("async def deliver(message, options):\n    await trio.sleep_forever()\n", "timeout"),
    "G2_blocks_its_own_loop": ("async def deliver(message, options):\n    time.sleep(600)\n", "timeout"),
    "G2_swallows_cancellation": (SHIELDED, "timeout"),
    "G5_exits_at_once": ("def deliver(message, options):\n    os._exit(7)\n", "exited with status 7"),
    "G5_segfaults": ("def deliver(message, options):\n    ctypes.string_at(0)\n", "SIGSEGV"),
    "G3_eats_memory": ("def deliver(message, options):\n    return 'x' * 2**31\n", "MemoryError"),
    "G3_writes_into_the_message": (
        "def deliver(message, options):\n    message.headers['a'] = 'b'\n",
        "TypeError: 'mappingproxy' object does not support item assignment",
    ),
    "G4_closes_what_is_not_its_own": (
        "def deliver(message, options):\n    os.closerange(3, 512); time.sleep(600)\n",
        "",
    ),
}
BROKEN_TARGETS = {
    "G3_returns_None": (RETURNS.format("None"), "it returned NoneType"),
    "G3_returns_a_text": (RETURNS.format("'delivered'"), "it returned str"),
    "G3_returns_the_class": (RETURNS.format("Delivered"), "it returned type"),
    "G3_returns_a_senseless_wait": (RETURNS.format("Retry('x', after=float('nan'))"), "no number of seconds"),
    "G3_returns_a_wait_of_text": (RETURNS.format("Retry('x', after='soon')"), "no number of seconds"),
    "G3_returns_bytes_of_detail": (RETURNS.format("Delivered(b'x')"), "holds no text"),
    "G3_saves_progress_that_is_no_bytes": (
        "def deliver(message, options):\n    message.save_progress('x' * 10)\n    return Delivered()\n",
        "progress must be",
    ),
    "G3_saves_endless_progress": (
        "def deliver(message, options):\n    message.save_progress(b'x' * 70000)\n    return Delivered()\n",
        "progress must be",
    ),
    "G3_speaks_for_the_worker": (
        "def deliver(message, options):\n    os.write(3, b'nonsense' * 100); time.sleep(600)\n",
        "its worker sent a frame",
    ),
}


async def test_P22_plugins_that_fail_cost_one_try_of_their_own_and_nobody_else_anything(tmp_path):
    """All of them at once, beside a healthy plugin and a file."""
    bench = Bench(tmp_path)
    bad = [bench.plan(case, code, timeout=QUICK.get(case[:2], 30.0)) for case, (code, _) in FAILED_TRIES.items()]
    plans = [*bad, bench.plan("good", HEALTHY), file_plan(tmp_path)]
    async with opened_store(tmp_path) as store, dispatched(store, *plans) as (dispatcher, watcher):
        await send(store, dispatcher, 0, *FAILED_TRIES)
        for number in range(1, 21):
            await send(store, dispatcher, number, "good", "audit")
        await wait_until(lambda: len(watcher.tries) == len(FAILED_TRIES) + 40, seconds=90)
        tries = {one.record.target: one for one in watcher.tries}
        for case, (_, reason) in FAILED_TRIES.items():
            outcome = tries[case].outcome
            assert (case, type(outcome)) == (case, Retry)
            assert (case, reason in outcome.reason) == (case, True), outcome.reason
            assert (case, tries[case].record.attempts) == (case, 1)
        others = [one for one in watcher.tries if one.record.target in {"good", "audit"}]
        assert [type(one.outcome) for one in others] == [Delivered] * 40
        assert watcher.closed == []


async def test_P22_plugins_that_break_their_contract_are_down_and_lose_no_delivery(tmp_path):
    bench = Bench(tmp_path)
    bad = [bench.plan(case, code) for case, (code, _) in BROKEN_TARGETS.items()]
    async with (
        opened_store(tmp_path) as store,
        dispatched(store, *bad, bench.plan("good", HEALTHY)) as (
            dispatcher,
            watcher,
        ),
    ):
        await send(store, dispatcher, 0, *BROKEN_TARGETS, "good")
        await wait_until(lambda: len(watcher.closed) == len(BROKEN_TARGETS), seconds=90)
        await wait_until(lambda: [one for one in watcher.tries if one.record.target == "good"])
        await wait_until(lambda: all(store.backlog(case).pending == 1 for case in BROKEN_TARGETS))
        for gate in watcher.closed:
            assert (gate.target, BROKEN_TARGETS[gate.target][1] in gate.reason) == (gate.target, True), gate.reason
        assert store.backlog("good").dead + store.backlog("good").pending == 0


IMPORTS = {
    "raises": ("raise RuntimeError('at import')", "RuntimeError: at import"),
    "exits": ("raise SystemExit(1)", "SystemExit: 1"),
    "exits_hard": ("import os; os._exit(5)", "exited with status 5"),
    "segfaults": ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
    "has_no_kind": ("x = 1", "found 0"),
    "is_no_python": ("def (", "SyntaxError"),
}


async def test_G5_plugins_that_cannot_be_imported_are_down_and_the_rest_starts(tmp_path):
    bench = Bench(tmp_path)
    for case, (code, _) in IMPORTS.items():
        bench.write(case, code, head="")
    bad = [bench.plan(case, described=True) for case in IMPORTS]
    async with (
        opened_store(tmp_path) as store,
        dispatched(store, *bad, bench.plan("good", HEALTHY)) as (
            dispatcher,
            watcher,
        ),
    ):
        await send(store, dispatcher, 0, *IMPORTS, "good")
        await wait_until(lambda: [one for one in watcher.tries if one.record.target == "good"])
        await wait_until(lambda: len(watcher.closed) == len(IMPORTS))
        for gate in watcher.closed:
            assert (gate.target, IMPORTS[gate.target][1] in gate.reason) == (gate.target, True), gate.reason
        await wait_until(lambda: all(store.backlog(case).pending == 1 for case in IMPORTS))


async def test_P22_a_plugin_that_hangs_leaves_the_loop_to_the_others(tmp_path):
    """Counted, not timed: while one plugin loops, the daemon's loop turns on and a healthy one answers each call."""
    bench, loops = Bench(tmp_path), tmp_path / "loops"
    hangs = f"async def deliver(message, options):\n    open({str(loops)!r}, 'x').close()\n    while True: pass\n"
    plans = [bench.plan("bad", hangs, timeout=100.0), bench.plan("good", HEALTHY)]
    async with opened_store(tmp_path) as store, dispatched(store, *plans) as (dispatcher, watcher):
        turns = 0

        async def turn():
            nonlocal turns
            while True:
                await trio.sleep(0.01)
                turns += 1

        async with trio.open_nursery() as nursery:
            await send(store, dispatcher, 0, "bad")
            await wait_until(loops.exists)
            nursery.start_soon(turn)
            for number in range(1, 6):
                await send(store, dispatcher, number, "good")
                await wait_until(lambda: not store.backlog("good").pending and not store.backlog("good").in_flight)
            await wait_until(lambda: turns >= 20)
            nursery.cancel_scope.cancel()
        assert [one.record.target for one in watcher.tries] == ["good"] * 5, "a healthy plugin waited for the hung one"
        os.kill(bench.worker("bad").pid, signal.SIGKILL)  # its try need not be waited for
