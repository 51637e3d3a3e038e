"""The cycle collector, kept away from the hot path: pauses of it would be pauses of every answer."""

import gc


def calm_collector() -> None:
    """Keep the cycle collector away from what lives as long as the process, and from values that are in no cycle.

    An event makes some fifty small values that die by reference count (it must make no cycle: a collection of 50,000
    dead ones was a pause of 100 ms); looking for cycles among them every 700 cost a tenth of all time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def collect_former() -> None:
    """Collect what former reloads left in cycles: a few hundred values each, which by itself would wait for 50,000.

    What was there at the start is not looked at, so this takes milliseconds.
    """
    gc.collect()
