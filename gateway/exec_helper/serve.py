"""The program `hookgate-exec`: takes one job from the socket on its standard input, runs it, answers, and exits.

Whoever may connect is decided twice: by the socket unit's owner and mode, and here by `--from`.
"""

import os
import pwd
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from gateway.exec_helper.protocol import (
    PREFIX,
    Ended,
    Frame,
    Job,
    ProtocolError,
    decode_header,
    decode_job,
    encode_ended,
    lengths,
)
from gateway.exec_helper.run import run

PATIENCE_SECONDS: Final = 10.0
"""How long the daemon may take to say its job, or to read the answer."""
_CREDENTIALS: Final = struct.Struct("3i")
"""pid, uid and gid of SO_PEERCRED."""


def main(arguments: list[str] | None = None) -> int:
    """Serve one run; gives the exit status: 0 also for a run that failed, 2 for wrong use."""
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    try:
        connection = socket.socket(fileno=os.dup(0))
    except OSError:
        sys.stderr.write("hookgate-exec: expected a socket as standard input: systemd or the gateway starts this\n")
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        # Who stops the unit signals the run too; we stay to tell how it ended. Handlers are not inherited by a program.
        signal.signal(number, lambda *_: None)
    with connection:
        connection.settimeout(PATIENCE_SECONDS)
        with suppress(OSError):  # the daemon is gone: nobody to tell
            connection.sendall(encode_ended(_serve(connection, options)))
    return 0


class Options(NamedTuple):
    """Who may connect, and what may run."""

    user: str | None = None
    instance: str = ""
    allow: Sequence[str] = ()


def _parse(arguments: Sequence[str]) -> Options:
    if not arguments:
        return Options()  # started by the daemon, for each run: no time for a parser
    from argparse import ArgumentParser  # noqa: PLC0415 - see above

    parser = ArgumentParser("hookgate-exec", description="Runs one command for the gateway and ends it whole.")
    parser.add_argument("--from", dest="user", help="the only user who may connect; unless written, our own")
    parser.add_argument("--instance", default="", help="systemd's %%i, which ends in the connecting user's number")
    parser.add_argument(
        "--allow", action="append", default=[], help="a program that may run, or a folder of such, ending in a slash"
    )
    return Options(**vars(parser.parse_args(arguments)))


def _serve(connection: socket.socket, options: Options) -> Ended:
    try:
        _check_peer(connection, options.user, options.instance)
        job = decode_job(_receive(connection))
        _check_program(job, options.allow)
    except (ValueError, PermissionError, LookupError) as error:
        return Ended("refused", detail=str(error))
    return run(job, connection)


def _check_peer(connection: socket.socket, user: str | None, instance: str) -> None:
    """Raises PermissionError for a peer that is not `user`, and LookupError if there is no such user.

    In a unit with users of its own (PrivateUsers=yes) SO_PEERCRED names everybody `nobody`, so systemd's word counts.
    """
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    found = int(instance.rpartition("-")[2]) if instance else _CREDENTIALS.unpack(credentials)[1]
    expected = pwd.getpwnam(user).pw_uid if user else os.getuid()
    if found != expected:
        raise PermissionError(f"user number {found} may not use this helper: expected {expected}, see --from")


def _check_program(job: Job, allowed: Sequence[str]) -> None:
    program = job.argv[0]
    if not program.startswith("/"):
        raise PermissionError(f"{program!r} is no absolute path")
    real = os.path.realpath(program)
    if allowed and not any(_covers(each, real) for each in allowed):
        raise PermissionError(f"{program!r} is not among the programs that this helper may run, see --allow")


def _covers(allowed: str, real: str) -> bool:
    place = os.path.realpath(allowed)
    return real.startswith(place + "/") if allowed.endswith("/") else real == place


def _receive(connection: socket.socket) -> Frame:
    header, payload = lengths(_exactly(connection, PREFIX.size))
    return decode_header(_exactly(connection, header)), _exactly(connection, payload)


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        try:
            received = connection.recv_into(view)
        except TimeoutError:
            raise ProtocolError("no whole job came in time") from None
        if not received:
            raise ProtocolError("the connection ended in mid job")
        view = view[received:]
    return bytes(data)
