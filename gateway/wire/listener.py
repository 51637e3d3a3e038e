"""The inbound HTTP server: accepts on every listener, keeps the numbers bounded, sweeps deadlines, drains at last.

One task for each connection, one sweeper for all. What a connection speaks is for whoever made the server to say:
`over_http1` is ours, strict and bounded (`parser`, `limits`), `gateway.asgi` has another. Knows nothing of webhooks.
"""

import errno
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

import trio

from gateway.runtime import Runtime, Socket
from gateway.wire.connection import over_http1
from gateway.wire.limits import ACCEPT_PAUSE_SECONDS, PATIENCE_SECONDS, SEND_BUFFER_BYTES, SWEEP_SECONDS, Limits
from gateway.wire.proxies import UNIX, TrustedProxies, peer_address, peer_group
from gateway.wire.reply import Reply, encode_reply, error_reply
from gateway.wire.state import Connect, Handler, ServedConnection, ServerState
from gateway.wire.tls import ServerTls

__all__ = ["Handler", "Limits", "Listener", "Reply", "Server", "Statistics", "over_http1"]

_ONE_CONNECTION: Final = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ECONNRESET, errno.EINTR})
"""Errors of accept that concern the connection that was lost, not the next one."""


class Listener(NamedTuple):
    """A listening socket, TCP or unix, and its certificate if it speaks TLS."""

    socket: trio.socket.SocketType
    tls: ServerTls | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """A server at one moment."""

    connections: int
    requests: int
    """Whole requests given to the handler so far."""
    refused: Mapping[str, int]
    """By reason, so far: requests answered by the listener itself, connections turned away or lost."""
    body_bytes: int
    """Bytes of request bodies held now."""


class Server:
    """An HTTP server. `serve` runs once."""

    def __init__(
        self,
        connect: Connect,
        limits: Limits,
        runtime: Runtime,
        trusted_proxies: Sequence[str] = (),
        on_error: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        """Serve what `connect` makes of accepted sockets; `on_error` is told of each exception that is ours.

        Raises ValueError for a bad proxy.
        """
        self._connect = connect
        self._state = ServerState(limits, runtime, TrustedProxies(trusted_proxies), on_error)
        self._state.make_room = self._end_slow_body
        self._connections: set[ServedConnection] = set()
        self._groups: Counter[str] = Counter()
        self._accepting = trio.CancelScope()
        self._serving = trio.CancelScope()
        self._closed = trio.Event()
        """The listeners are: what was accepted is among the connections."""
        self._changed = trio.Event()
        """The set of connections is not what it was; a new event for every change."""

    async def serve(
        self, listeners: Sequence[Listener], task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until `drain`; closes the listeners. Cancellation ends every connection and handler at once."""
        self._state.tick()
        with self._serving:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._sweep)
                try:
                    with self._accepting:
                        async with trio.open_nursery() as accepting:
                            for listener in listeners:
                                accepting.start_soon(self._accept, listener, nursery)
                            task_status.started()
                finally:
                    for listener in listeners:
                        listener.socket.close()
                    self._closed.set()

    async def drain(self, seconds: float) -> None:
        """Accept no more; close idle connections now, answer requests under way; after `seconds` cut off the rest."""
        self._state.draining = True
        self._accepting.cancel()
        with trio.move_on_after(seconds):
            await self._closed.wait()
            for connection in self._connections:
                connection.drain()
            while self._connections:
                await self._changed.wait()
        self._serving.cancel()
        while self._connections:
            await self._changed.wait()

    def use(self, limits: Limits, trusted_proxies: Sequence[str]) -> None:
        """Go by other limits and proxies from now on; running deadlines stay. Raises ValueError for a bad proxy."""
        proxies = TrustedProxies(trusted_proxies)
        self._state.limits, self._state.proxies = limits, proxies

    def statistics(self) -> Statistics:
        """Count what there is and was."""
        state = self._state
        return Statistics(len(self._connections), state.requests, dict(state.refused), state.body_bytes)

    async def _sweep(self) -> None:
        while True:
            if not self._connections:
                await self._changed.wait()
            await trio.sleep(SWEEP_SECONDS)
            self._state.tick()
            for connection in self._connections:
                connection.sweep()

    async def _accept(self, listener: Listener, nursery: trio.Nursery) -> None:
        if listener.socket.family != trio.socket.AF_UNIX:
            # connections inherit both
            listener.socket.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
            listener.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        while True:
            try:
                socket, name = await self._state.runtime.accept(listener.socket)
            except OSError as error:
                self._state.refused["accept"] += 1
                if error.errno not in _ONE_CONNECTION:
                    await trio.sleep(ACCEPT_PAUSE_SECONDS)
                continue
            self._begin(socket, peer_address(name), listener.tls, nursery)

    def _begin(self, socket: Socket, peer: str, tls: ServerTls | None, nursery: trio.Nursery) -> None:
        self._state.tick()
        exempt = peer == UNIX or self._state.proxies.trusts(peer)
        group = None if exempt else peer_group(peer)
        reason = self._make_room(group)
        if reason:
            self._state.refused[reason] += 1
            return self._turn_away(socket, encrypted=tls is not None)
        connection = self._connect(socket, peer, group, tls, self._state)
        self._connections.add(connection)
        if group is not None:
            self._groups[group] += 1
        self._change()
        nursery.start_soon(self._run, connection)
        return None

    def _make_room(self, group: str | None) -> str:
        """Close a connection where a limit is reached; give the limit's name if there is none that may be closed."""
        limits, everybody = self._state.limits, self._connections
        if group is not None and self._groups[group] >= limits.connections_per_peer:
            own = [one for one in everybody if one.group == group]
            if not (self._close_idle(own) or self._end_slowest(own)):
                return "peer_connections"
        if len(everybody) >= limits.connections and not (
            self._close_idle(everybody) or self._even_out(group) or self._end_slowest(everybody)
        ):
            return "connections"
        return ""

    def _close_idle(self, these: Collection[ServedConnection]) -> bool:
        """Close the longest idle one."""
        idle = [one for one in these if one.idle]
        if idle:
            min(idle, key=lambda one: one.deadline).expire()
            self._state.refused["idle_gave_way"] += 1
        return bool(idle)

    def _even_out(self, group: str | None) -> bool:
        """End the slowest connection of the peer that keeps us waiting most, unless the new one's does about as much.

        Else a few peers that never end a request could keep all others out. Peers that are not counted keep theirs.
        """
        slow = [one for one in self._connections if one.group is not None and one.kept_waiting_since < inf]
        shares = Counter(one.group for one in slow)
        most, count = max(shares.items(), key=lambda share: share[1], default=(None, 0))
        return count > shares[group] + 1 and self._end_slowest([one for one in slow if one.group == most], 0)

    def _end_slowest(self, these: Collection[ServedConnection], patience: float = PATIENCE_SECONDS) -> bool:
        """End the one whose peer has kept it waiting longest, if for longer than `patience` seconds."""
        slowest = min(these, key=lambda one: one.kept_waiting_since, default=None)
        if slowest is None or slowest.kept_waiting_since + patience > self._state.now:
            return False
        slowest.give_way()
        return True

    def _end_slow_body(self) -> bool:
        return self._end_slowest([one for one in self._connections if one.held])

    def _turn_away(self, socket: Socket, *, encrypted: bool) -> None:
        with socket:
            if not encrypted:
                with suppress(OSError):
                    socket.send(encode_reply(error_reply(503), self._state.date, close=True, head_only=False))

    async def _run(self, connection: ServedConnection) -> None:
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            if connection.group is not None:
                self._groups[connection.group] -= 1
                if not self._groups[connection.group]:
                    del self._groups[connection.group]
            self._change()

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
