"""What a plugin prints, as log lines: cut, cleaned and counted, so that no flood reaches the log or the loop.

A plugin that prints faster than we read waits in its own `print`: the pipe is the brake.
"""

from typing import Final

import structlog
import trio

from gateway.plugin_host.codec import one_line
from gateway.runtime import Runtime

LINE_MAX: Final = 500
"""Characters of a line that are kept."""
LINES_MAX: Final = 20
"""Lines that are logged in one period; the others are counted."""
PERIOD_SECONDS: Final = 10.0
CHUNK: Final = 16 * 1024
PAUSE_SECONDS: Final = 0.02
"""Between two chunks of a flood: at most 800 KiB a second are read."""

log = structlog.get_logger()


class Said:
    """The output of one target's workers."""

    def __init__(self, target: str, runtime: Runtime) -> None:
        self._target = target
        self._runtime = runtime
        self._period_ends = 0.0
        self._lines = 0
        self.dropped = 0
        """Lines that were not logged, since the start."""
        self._untold = 0

    async def listen(self, output: trio.abc.ReceiveStream) -> None:
        """Log what comes until the output ends."""
        held = b""
        skipping = False
        while data := await output.receive_some(CHUNK):
            first, *others = data.split(b"\n")
            lines = [held + first, *others]
            held = lines.pop()
            for line in lines:
                if not skipping:
                    self._say(line)
                skipping = False
            if len(held) > LINE_MAX * 4:
                if not skipping:
                    self._say(held)
                held, skipping = b"", True
            if len(data) == CHUNK:
                await trio.sleep(PAUSE_SECONDS)
        if held and not skipping:
            self._say(held)
        self._tell_dropped()

    def _say(self, line: bytes) -> None:
        now = self._runtime.monotonic()
        if now >= self._period_ends:
            self._tell_dropped()
            self._period_ends, self._lines = now + PERIOD_SECONDS, 0
        self._lines += 1
        if self._lines > LINES_MAX:
            self.dropped += 1
            self._untold += 1
        elif line.strip():
            text = one_line(line[: LINE_MAX * 4].decode("utf-8", "replace"), LINE_MAX)
            log.info("plugin.said", target=self._target, line=text)

    def _tell_dropped(self) -> None:
        if self._untold:
            log.info("plugin.said", target=self._target, line=f"({self._untold} more lines, not logged)")
            self._untold = 0
