"""Life under systemd: readiness, reload, watchdog and inherited sockets; without systemd all of it does nothing.

Protocols: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3). One datagram a message; a failure to send is never
fatal.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

import trio

from gateway.errors import ConfigError
from gateway.runtime import Runtime

FIRST_INHERITED: Final = 3
EXTEND_EVERY_SECONDS: Final = 10
EXTEND_BY_SECONDS: Final = 30


class Supervisor:
    """The service manager as the daemon sees it."""

    def __init__(self, runtime: Runtime, environ: Mapping[str, str]) -> None:
        self._runtime = runtime
        self._address = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_seconds = _watchdog_seconds(environ)
        """How often at least the watchdog must be fed; None if there is none."""

    def ready(self, status: str) -> None:
        """Tell that events are being accepted (also after a reload)."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """Tell that a reload began; `ready` ends it."""
        microseconds = int(self._runtime.monotonic() * 1_000_000)
        self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}\nSTATUS=reloading")

    def stopping(self) -> None:
        """Tell that the daemon is on its way out."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def status(self, text: str) -> None:
        """Show one line in `systemctl status`."""
        self._send(f"STATUS={text}")

    def feed_watchdog(self) -> None:
        """Tell that real work was done just now; nothing is sent where no watchdog waits for it."""
        if self.watchdog_seconds is not None:
            self._send("WATCHDOG=1")

    @asynccontextmanager
    async def starting(self, what: str) -> AsyncIterator[None]:
        """Ask for more time to start as long as the block runs, and show `what` is being done.

        Without an end: killed in the middle of a recovery or a migration, the next start would begin it again.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_extending, what)
            yield
            nursery.cancel_scope.cancel()

    async def _keep_extending(self, what: str) -> None:
        seconds = 0
        while True:
            self._send(f"EXTEND_TIMEOUT_USEC={EXTEND_BY_SECONDS * 1_000_000}\nSTATUS={what}, for {seconds} s")
            await trio.sleep(EXTEND_EVERY_SECONDS)
            seconds += EXTEND_EVERY_SECONDS

    def _send(self, text: str) -> None:
        if self._address:
            with suppress(OSError):  # perhaps only we lack a descriptor just now: the next one may reach it
                self._runtime.notify_supervisor(self._address, text.replace("\r", " ").encode())


def inherited_listeners(environ: Mapping[str, str], pid: int) -> dict[str, list[int]]:
    """Give the descriptors that a socket unit passed, by the unit's `FileDescriptorName`.

    Empty if none are for this process.
    """
    if environ.get("LISTEN_PID") != str(pid) or not environ.get("LISTEN_FDS", "").isdigit():
        return {}
    count = int(environ["LISTEN_FDS"])
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, list[int]] = {}
    for offset in range(count):
        name = names[offset] if offset < len(names) and names[offset] else "unknown"
        found.setdefault(name, []).append(FIRST_INHERITED + offset)
        os.set_inheritable(FIRST_INHERITED + offset, False)
    return found


def pick_inherited(found: Mapping[str, list[int]], name: str) -> list[int]:
    """Give the descriptors called `name`. Raises ConfigError that lists what was passed instead."""
    if name not in found:
        passed = ", ".join(sorted(found)) or "none"
        expected = f'[server].bind: "fd:{name}" expects a socket unit with FileDescriptorName={name}'
        raise ConfigError([f"{expected}; passed: {passed}. Start by the socket unit, or bind an address."])
    return found[name]


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    microseconds = environ.get("WATCHDOG_USEC", "")
    meant_for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(microseconds) / 1_000_000 if microseconds.isdigit() and meant_for_us else None
