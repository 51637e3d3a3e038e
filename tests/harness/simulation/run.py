"""Runs seeds: one, with what happened for people to read, or many, as a test or a release run does."""

import gc
import os
import shutil
import tempfile
import traceback
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import structlog
import trio

import gateway.daemon
from gateway.plugin_host.catalogue import Catalogue
from harness.simulation.world import World

SHOWN = 40
"""Lines of what happened that are told of a seed that fails."""
AT_ONCE = 50
"""So many runs a process does: what each leaves in cycles is not looked for."""
FOLDER = Path("/dev/shm")
"""In memory, where there is such a place: what a disk may lose is the crash states' to show."""


@dataclass(frozen=True)
class Found:
    """What came of one seed."""

    seed: int
    failures: list[str] = field(default_factory=list)
    digest: str = ""
    steps: int = 0
    lines: tuple[str, ...] = ()

    def __str__(self):
        told = "\n".join(f"  {line}" for line in self.lines[-SHOWN:])
        failures = "\n".join(self.failures)
        return f"{told}\n{failures}\nagain: python -m harness.simulation {self.seed}   (trace {self.digest})"


def simulate(seed):
    """Run one seed to its end, or to the first promise that is broken."""
    folder = Path(tempfile.mkdtemp(prefix="hookgate-sim-", dir=FOLDER if FOLDER.is_dir() else None))
    run = trio._core._run
    former, state = run._ALLOW_DETERMINISTIC_SCHEDULING, run._r.getstate()
    run._ALLOW_DETERMINISTIC_SCHEDULING = True
    run._r.seed(f"scheduler {seed}")
    os.environ["STATE_DIRECTORY"] = str(folder)
    gc.disable()
    try:
        return _simulate(seed, folder)
    finally:
        gc.enable()
        del os.environ["STATE_DIRECTORY"]
        run._ALLOW_DETERMINISTIC_SCHEDULING = former
        run._r.setstate(state)
        shutil.rmtree(folder)


def simulate_all(seeds):
    """Run many seeds, as many at once as there are cores; gives what came of each, in their order."""
    cores = len(os.sched_getaffinity(0))
    context = get_context("spawn")
    with ProcessPoolExecutor(cores, context, max_tasks_per_child=AT_ONCE) as workers:
        yield from workers.map(simulate, seeds, chunksize=5)


def _simulate(seed, folder):
    world = World(seed, folder)
    configuration = structlog.get_config()

    def take(_logger, level, entry):
        world.log(level, entry.pop("event"), entry)
        raise structlog.DropEvent

    with world.disk.under(), _surroundings(world):
        structlog.configure(processors=[take])
        try:
            trio.run(world.run, clock=world.clock.mock)
        except BaseException as error:  # noqa: BLE001 - whatever ends the run is told with its trace
            world.trace.say("".join(traceback.format_exception(error)).replace(str(folder), ""))
            world.fail("P21", repr(error).replace(str(folder), ""))
        finally:
            structlog.configure(**configuration)
    trace = world.trace
    return Found(seed, world.failures, trace.digest, trace.count, tuple(trace.lines))


@cache
def _installed():
    """What is installed does not change while this runs: reading it again takes longer than all else of a start."""
    return Catalogue(Path())._installed


@contextmanager
def _surroundings(world):
    """What the daemon finds around it: installed kinds, and in place of what is a process's own, or the admin API's,
    to whose listener nobody comes, nothing.
    """
    stand_ins = {name: lambda *_: None for name in ("configure", "calm_collector", "collect_former", "make_app")}
    former = {name: getattr(gateway.daemon, name) for name in stand_ins}
    sleep, trio.sleep = trio.sleep, world.clock.sleep
    found, installed = vars(Catalogue)["_installed"], _installed()
    Catalogue._installed = installed
    vars(gateway.daemon).update(stand_ins)
    try:
        yield
    finally:
        vars(gateway.daemon).update(former)
        Catalogue._installed = found
        trio.sleep = sleep
