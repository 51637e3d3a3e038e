"""The `shell` target: one run of a program for each message, through the exec helper.

The payload goes to its standard input, facts of the event to its environment, chosen values to its arguments; never
anything to a shell. The environment holds nothing of the daemon's. `deliver` returns, or ends when cancelled, only when
no process of the run is left, so no delivery ever runs twice at once.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

from gateway.plugin import (
    Context,
    ExecClient,
    ExecError,
    ExecJob,
    Message,
    NotTried,
    Options,
    Outcome,
    Rejected,
    TargetDown,
    target,
)
from gateway.targets.command import Command, check_list, check_pieces, check_text
from gateway.targets.exits import Verdict, check_exits, escaped, judge

EXEC_SOCKET: Final = "/run/hookgate-exec.sock"
"""Of `hookgate-exec.socket`; not below /run/hookgate, which goes away whenever the daemon stops."""
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HERE: Final = "daemon"


def _check_environment(variables: dict[str, str]) -> dict[str, str]:
    for name, value in variables.items():
        if not _VARIABLE.fullmatch(name) or name.startswith("HOOKGATE_"):
            raise ValueError(f"expected names of letters, digits and _, not beginning with HOOKGATE_, found {name!r}")
        check_text(value, name)
    return variables


def _check_folder(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise ValueError(f"expected an absolute path, found {path!r}")
    return path


def _check_exec(place: str) -> str:
    if place != _HERE and not (place.startswith("unix:/") and "\0" not in place):
        raise ValueError(f'expected "unix:/path/of/the.sock" or "{_HERE}", found {place!r}')
    return place


class ShellOptions(Options):
    """What to run, and where. A target of this kind must say its `timeout`."""

    command: Annotated[
        tuple[str, ...],
        BeforeValidator(check_list),
        AfterValidator(check_pieces),
        Field(examples=[["/usr/local/bin/deploy", "--env", "prod", "--", "{body.id}"]]),
    ]
    """The program's absolute path and its arguments, each a text of its own; `{body.id}`, `{event.type}` or `{source}`
    in an argument stands for the value. No shell reads it."""
    environment: Annotated[dict[str, str], AfterValidator(_check_environment), Field(default_factory=dict, repr=False)]
    """More variables. Without it the program gets PATH, LANG and the event's facts, and nothing of the daemon's."""
    folder: Annotated[str, AfterValidator(_check_folder)] = "/"
    """The program's working folder."""
    exit: Annotated[dict[str, Verdict], AfterValidator(check_exits), Field(default_factory=dict)]
    """What exit statuses mean: `{ "3" = "retry" }`. Unless written, 0 is delivered, 75 is tried again, any other is
    rejected."""
    exec: Annotated[str, AfterValidator(_check_exec)] | None = None
    """The exec helper's socket. `"unix:/run/hookgate-exec.sock"` is taken by itself if it is there; `"daemon"` is to
    run beside the daemon, as its user and with its rights."""

    def warnings(self) -> Sequence[tuple[str, str]]:
        """Tell of runs with the daemon's own rights that nobody asked for."""
        if self.exec is not None or os.path.exists(EXEC_SOCKET):  # noqa: PTH110 - one look
            return ()
        text = (
            f"there is no exec helper at {EXEC_SOCKET}: the command runs as the daemon's own user and with its "
            'rights; start hookgate-exec.socket, or accept it with exec = "daemon"'
        )
        return [("exec", text)]


@target(ShellOptions, timeout=None, concurrency=1, send="payload", replay="ask")
class Shell:
    """Delivers by running a program."""

    def __init__(self, options: ShellOptions) -> None:
        self._options = options
        self._command = Command(options.command)
        self._exits = {int(status): verdict for status, verdict in options.exit.items()}
        self._environment = {"PATH": PATH, "LANG": "C.UTF-8", **options.environment}

    async def open(self, context: Context) -> None:
        """Choose the helper: the one that is configured, else the usual one if it is there, else one of our own."""
        self._runtime = context.runtime
        self._seconds = context.timeout_seconds
        place = self._options.exec
        if place is None:
            found = await self._runtime.in_file_thread(lambda: os.path.exists(EXEC_SOCKET))  # noqa: PTH110
            place = f"unix:{EXEC_SOCKET}" if found else _HERE
        self._client = ExecClient(self._runtime, None if place == _HERE else place.removeprefix("unix:"))

    async def deliver(self, message: Message) -> Outcome:
        """Run the program once and judge its end. Cancellation ends all of its processes first, within 5 s."""
        try:
            job = self._job(message)
        except ValueError as error:
            return Rejected(escaped(f"command: {error}".encode(), 500))
        started = self._runtime.monotonic()
        try:
            ended = await self._client.run(job)
        except ExecError as error:
            return TargetDown(escaped(f"exec helper: {error}".encode(), 500))
        except OSError as error:
            return NotTried(escaped(f"cannot start the exec helper: {error}".encode(), 500))
        return judge(ended, self._exits, round((self._runtime.monotonic() - started) * 1000))

    async def close(self) -> None:
        """Nothing to give back: each run has a helper process or connection of its own."""

    def _job(self, message: Message) -> ExecJob:
        facts = _facts(message)
        for name, value in facts.items():
            check_text(value, name)
        environment = {**self._environment, **facts}
        return ExecJob(
            self._command.arguments(message), environment, self._options.folder, self._seconds, message.content
        )


def _facts(message: Message) -> Mapping[str, str]:
    return {
        "HOOKGATE_EVENT_ID": message.id,
        "HOOKGATE_EVENT_TYPE": message.type,
        "HOOKGATE_EVENT_VERSION": message.version,
        "HOOKGATE_OCCURRED_AT": "" if message.occurred_at is None else str(message.occurred_at),
        "HOOKGATE_ACCEPTED_AT": str(message.accepted_at),
        "HOOKGATE_SOURCE": message.source,
        "HOOKGATE_ROUTE": message.route,
        "HOOKGATE_TARGET": message.target,
        "HOOKGATE_ATTEMPT": str(message.attempt),
        "HOOKGATE_CONTENT_TYPE": message.content_type,
    }
