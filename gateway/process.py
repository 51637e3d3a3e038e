"""The process of the daemon, from its first moment to its exit status: what it shows, how its threads take turns."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import structlog
import trio

from gateway.allocator import give_back_large_pieces
from gateway.daemon import open_daemon
from gateway.errors import ConfigError, HookgateError, leaves
from gateway.log import configure
from gateway.prctl import hide_memory
from gateway.runtime import Runtime

GIL_SECONDS: Final = 0.0005
"""With a busy thread each switch may wait this long: the default of 5 ms would cost the writer its rhythm."""

log = structlog.get_logger()


def run(config_path: Path) -> int:
    """Run the daemon until SIGTERM or SIGINT; give the process's exit status.

    Problems go to the log, secrets do not.
    """
    os.umask(0o077)  # what we write holds other people's data
    hide_memory()
    give_back_large_pieces()
    sys.setswitchinterval(GIL_SECONDS)
    configure("info", "auto")
    status = 0
    try:
        trio.run(_main, config_path)
    except* ConfigError as errors:
        status = _tell(problem for error in leaves(errors) for problem in error.problems)
    except* HookgateError as errors:
        status = _tell(str(error) for error in leaves(errors))
    return status


async def _main(config_path: Path) -> None:
    async with open_daemon(config_path, Runtime()) as daemon:
        await daemon.run()
    log.info("daemon.stopped")


def _tell(problems: Iterable[str]) -> int:
    for problem in problems:
        log.error("daemon.failed", problem=problem)
    return 1
