"""The worker's side: builds one plugin and answers calls, each in a task of its own.

Whatever a plugin raises, exits or returns becomes the answer to its own call. A call that does not end when it is told
to is the daemon's to judge: it ends the whole process.
"""

import json
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import outcome
import trio
from pydantic import ValidationError

import gateway
from gateway.config.references import References
from gateway.config.secrets import SecretReference
from gateway.config.sentences import explain
from gateway.core.model import Message, Retry
from gateway.errors import PluginError
from gateway.plugin import Context, Options, Target, TargetKind, TransformKind
from gateway.plugin_host.catalogue import Provider, load
from gateway.plugin_host.codec import PROGRESS_MAX, REASON_MAX, broken, one_line, read_message, write_outcome
from gateway.plugin_host.content import Content, call_transform, judge_content
from gateway.plugin_host.frames import Frame
from gateway.plugin_host.gauges import read_gauges
from gateway.runtime import Runtime

SPARE_THREADS: Final = 4
OURS: Final = tuple(str(Path(package.__file__ or "").parent) for package in (gateway, trio, outcome))
"""Frames of these say nothing to a plugin's author."""
CONTEXT_VALUES: Final = ("name", "connections", "user_agent", "timeout_seconds")


class Channel(Protocol):
    """What `worker.Channel` offers."""

    def send(self, header: Mapping[str, Any], body: bytes = b"") -> None:
        """Send one frame."""
        ...

    def start_reading(self, take: Callable[[Frame], None]) -> None:
        """Call `take` with each frame."""
        ...


def run(channel: Channel, hello: Mapping[str, Any]) -> None:
    """Do what the first frame asks: describe a kind, or serve it until told to close."""
    try:
        kind = load(Provider(*hello["provider"]))
        if hello["do"] == "describe":
            channel.send(_describe(kind, hello))
            return
        options = _options(kind, hello["options"], Given(hello["given"]))
    except BaseException as error:  # noqa: BLE001 - its import, its options and their validators are the plugin's code
        channel.send({"ready": False, "problem": one_line(_told(error), REASON_MAX)})
        return
    trio.run(_serve, channel, kind, options, hello)


def _told(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return "its options no longer fit: hookgate check"
    return str(error) if isinstance(error, PluginError) else f"its options cannot be read: {_shown(error)}"


def _describe(kind: Any, hello: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - one of KINDS
    schema = kind.options.model_json_schema()
    answer: dict[str, Any] = {
        "ready": True,
        "schema": schema,
        "timeout": getattr(kind, "timeout_seconds", 0.0),
        "concurrency": getattr(kind, "concurrency", 0),
        "replay": getattr(kind, "replay", "yes"),
        "send": getattr(kind, "send", "payload"),
        "problems": [],
        "asked": [],
    }
    table = hello["options"]
    if table is None:
        return answer
    given = Given(hello["given"])
    try:
        options = _options(kind, table, given)
        answer["asked"] = given.asked
        if isinstance(kind, TargetKind) and not given.asked:
            kind.build(options)
    except ValidationError as error:
        answer["problems"] = [[list(path), text] for path, text in explain(error, table, schema, hello["also_known"])]
    except ValueError as error:
        answer["problems"] = [[[], str(error)]]
    return answer


def _options(kind: Any, table: Any, given: "Given") -> Options:  # noqa: ANN401 - one of KINDS, and JSON
    options: Options = kind.options.model_validate_json(json.dumps(table), strict=True, context=given)
    return options


class Given(References):
    """What options refer to, as the daemon read it; what it has not read yet is asked for."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self.asked: list[tuple[str, str]] = []

    def secret(self, reference: SecretReference) -> str:
        """Give a secret."""
        return self._find("secret", reference.model_dump_json(exclude_none=True))

    def template(self, name: str) -> str:
        """Give a template's text."""
        return self._find("template", name)

    def _find(self, kind: str, name: str) -> str:
        if (found := self._given.get(f"{kind} {name}")) is not None:
            return found
        self.asked.append((kind, name))
        return ""


async def _serve(channel: Channel, kind: Any, options: Options, hello: Mapping[str, Any]) -> None:  # noqa: ANN401
    runtime = Runtime()
    runtime.file_limiter.total_tokens = hello["connections"] + SPARE_THREADS
    more = {name: hello[name] for name in CONTEXT_VALUES}
    context = Context(runtime=runtime, state_folder=Path(hello["state_folder"]), **more)
    try:
        plugin: Plugin = (
            HostedTransform(kind, options, runtime)
            if isinstance(kind, TransformKind)
            else HostedKind(kind.build(options))
        )
        await plugin.open(context)
    except BaseException as error:  # noqa: BLE001 - whatever a plugin raises, the daemon gets to know it
        channel.send({"ready": False, "problem": one_line(f"cannot be opened: {_shown(error)}", REASON_MAX)})
        return
    async with trio.open_nursery() as nursery:
        desk = Desk(channel, plugin, nursery)
        token = trio.lowlevel.current_trio_token()
        channel.send({"ready": True})
        channel.start_reading(lambda frame: token.run_sync_soon(desk.take, frame))
        await trio.sleep_forever()


class Plugin(Protocol):
    """A plugin of either group, ready to be called."""

    async def open(self, context: Context) -> None:
        """Get ready."""
        ...

    async def call(self, message: Message) -> tuple[dict[str, Any], bytes]:
        """Give the answer's header and body."""
        ...

    async def close(self) -> None:
        """Give everything back."""
        ...


class HostedKind:
    """A target."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.open = target.open
        self.close = target.close

    async def call(self, message: Message) -> tuple[dict[str, Any], bytes]:
        """Deliver."""
        return write_outcome(await self._target.deliver(message)), b""


class HostedTransform:
    """A transform."""

    def __init__(self, kind: TransformKind[Any], options: Options, runtime: Runtime) -> None:
        self._kind = kind
        self._options = options
        self._runtime = runtime

    async def open(self, _context: Context) -> None:
        """Nothing to get ready."""

    async def call(self, message: Message) -> tuple[dict[str, Any], bytes]:
        """Give the new content."""
        judged = judge_content(await call_transform(self._kind, message, self._options, self._runtime))
        if isinstance(judged, Content):
            return {"outcome": "content", "content_type": judged.content_type}, judged.body
        return write_outcome(judged), b""

    async def close(self) -> None:
        """Nothing to give back."""


class Desk:
    """Takes calls and cancellations in the trio thread."""

    def __init__(self, channel: Channel, plugin: Plugin, nursery: trio.Nursery) -> None:
        self._channel = channel
        self._plugin = plugin
        self._nursery = nursery
        self._calls: dict[int, trio.CancelScope] = {}

    def take(self, frame: Frame) -> None:
        """Begin, cancel or close, as the frame says."""
        match frame.header["do"]:
            case "deliver":
                self._nursery.start_soon(self._call, frame)
            case "cancel":
                if scope := self._calls.get(frame.header["call"]):
                    scope.cancel()
            case "close":
                self._nursery.start_soon(self._close)

    async def _call(self, frame: Frame) -> None:
        number = frame.header["call"]
        answer: tuple[dict[str, Any], bytes] = ({"outcome": "cancelled"}, b"")
        with trio.CancelScope() as scope:
            self._calls[number] = scope
            answer = await self._answer(number, frame)
        del self._calls[number]
        header, body = answer
        self._channel.send({"call": number, **header, "gauges": read_gauges()}, body)

    async def _answer(self, number: int, frame: Frame) -> tuple[dict[str, Any], bytes]:
        spoiled: list[str] = []

        def save_progress(progress: object) -> None:
            if isinstance(progress, bytes) and len(progress) <= PROGRESS_MAX:
                self._channel.send({"call": number, "outcome": "progress"}, progress)
            else:
                spoiled.append(f"progress must be at most {PROGRESS_MAX} bytes, found {type(progress).__name__}")

        try:
            answer = await self._plugin.call(read_message(frame, save_progress))
        except trio.Cancelled:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit and its like are a failed try, no more
            _tell(error)
            return write_outcome(Retry(_shown(error))), b""
        return (broken(spoiled[0]), b"") if spoiled else answer

    async def _close(self) -> None:
        try:
            await self._plugin.close()
        except BaseException as error:  # noqa: BLE001 - we end anyway; its author reads it in the log
            _tell(error)
        self._nursery.cancel_scope.cancel()


def _tell(error: BaseException) -> None:
    """Write an error and where in the plugin it was raised: one line, for the log."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(OURS)]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[:-5:-1])
    sys.stderr.write(f"{_shown(error)} ({places})\n")


def _shown(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001 - even its text is the plugin's code
        return type(error).__name__
