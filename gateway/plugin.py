"""All that a plugin may import; the built-in verifiers and targets import nothing else of the gateway.

A **target** is a class with `deliver` (or a plain function) marked with `@target`; it gives an outcome and never
raises on purpose: an uncaught exception counts as `Retry`, a wrong return value as `TargetDown`. A **verifier** is a
class with `verify` marked with `@verifier`. Options are pydantic models: unknown keys are errors, field descriptions
become the documentation.

A **transform** is a function marked with `@transform`; it gives new content for a target's message.

Plugins are found by the entry-point groups `hookgate.targets`, `hookgate.verifiers` and `hookgate.transforms`; the
entry point's name is the `type`, `scheme` or `transform` that the operator writes. `gateway.testing` proves that an
implementation keeps its contract.
"""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

from pydantic import ConfigDict

from gateway.config.described import Described
from gateway.config.model_smtp import Sender, Smtp
from gateway.config.references import SecretText, TemplateFile
from gateway.config.units import ByteCount, Duration, duration_between, parse_duration, size_between, size_text
from gateway.core.document import parse_document, parse_form, refuse_repeated_keys
from gateway.core.encodings import ENCODERS, Encoding, decode_base64, decode_base64url, encode_base64url
from gateway.core.fields import message_field
from gateway.core.head import decode_head
from gateway.core.keys import KeyForm, decode_key, fit_secret
from gateway.core.mailbox import check_address, parse_mailbox
from gateway.core.model import (
    Delivered,
    Headers,
    Json,
    Message,
    NotTried,
    Outcome,
    Proof,
    Rejected,
    Request,
    Retry,
    TargetDown,
)
from gateway.core.published import NO_KEYS, KeyedVerifier, KeyRef, Keys, NeedsKey, Published, proven
from gateway.core.render import CompiledTemplate, TemplateSource, TemplateUnfitError, message_values
from gateway.core.selector import Scope, Selector, Template, parse_selector, parse_template
from gateway.core.signing import (
    STANDARD_WEBHOOKS,
    Algorithm,
    SignatureShape,
    SignatureStyle,
    Signer,
    SigningKey,
    TimestampUnit,
    hmac_key,
    signed_variables,
    standard_key,
)
from gateway.core.xml import parse_xml
from gateway.errors import KeyUnavailableError, PluginError, RequestError, VerificationError
from gateway.runtime import Runtime, Socket
from gateway.wire.client import HttpClient, HttpReply, TlsOptions, Url, WireError, check_headers, parse_url
from gateway.wire.dial import dial_blocking, tls_cause
from gateway.wire.exec_client import Ended as ExecEnded
from gateway.wire.exec_client import ExecClient, ExecError
from gateway.wire.exec_client import Job as ExecJob
from gateway.wire.guard import Guard, parse_rule
from gateway.wire.proxy import Proxy
from gateway.wire.url_template import UnfitUrlError, UrlTemplate

__all__ = [
    "ENCODERS",
    "NO_KEYS",
    "STANDARD_WEBHOOKS",
    "Algorithm",
    "BatchTarget",
    "ByteCount",
    "CompiledTemplate",
    "Context",
    "Delivered",
    "Duration",
    "Encoding",
    "ExecClient",
    "ExecEnded",
    "ExecError",
    "ExecJob",
    "Gather",
    "Group",
    "Guard",
    "Headers",
    "HttpClient",
    "HttpReply",
    "Json",
    "KeyForm",
    "KeyRef",
    "KeyUnavailableError",
    "KeyedVerifier",
    "Keys",
    "Memory",
    "Message",
    "NeedsKey",
    "NotTried",
    "Options",
    "Outcome",
    "PluginError",
    "Proof",
    "Proxy",
    "Published",
    "Rejected",
    "Replays",
    "Request",
    "RequestError",
    "RestingTarget",
    "Retry",
    "Runtime",
    "Scope",
    "SecretText",
    "Selector",
    "SendForm",
    "Sender",
    "SignatureShape",
    "SignatureStyle",
    "Signer",
    "SigningKey",
    "Smtp",
    "Socket",
    "Target",
    "TargetDown",
    "TargetKind",
    "Template",
    "TemplateFile",
    "TemplateSource",
    "TemplateUnfitError",
    "TimestampUnit",
    "TlsOptions",
    "TransformKind",
    "UnfitUrlError",
    "Url",
    "UrlTemplate",
    "VerificationError",
    "Verifier",
    "VerifierKind",
    "WireError",
    "check_address",
    "check_headers",
    "decode_base64",
    "decode_base64url",
    "decode_head",
    "decode_key",
    "dial_blocking",
    "duration_between",
    "encode_base64url",
    "fit_secret",
    "gather_of",
    "hmac_key",
    "load_kinds",
    "message_field",
    "message_values",
    "parse_document",
    "parse_form",
    "parse_mailbox",
    "parse_rule",
    "parse_selector",
    "parse_template",
    "parse_url",
    "parse_xml",
    "proven",
    "refuse_repeated_keys",
    "signed_variables",
    "size_between",
    "size_text",
    "standard_key",
    "target",
    "tls_cause",
    "transform",
    "verifier",
]

SendForm: TypeAlias = Literal["payload", "request", "envelope", "empty"]
Replays: TypeAlias = Literal["yes", "ask", "never"]
"""Whether a target takes replayed events: always, only if the operator names it, or not at all."""

Group: TypeAlias = Literal["targets", "verifiers", "transforms"]
"""The groups of kinds; `hookgate.` before it is the entry points' group."""


class Options(Described):
    """The base of a plugin's options: frozen, unknown keys refused, field docstrings used as documentation.

    A field of type `SecretText` takes a reference to a secret, one of type `TemplateFile` the path of a template; the
    gateway reads both, and a new content counts as a change of the target. A field `smtp: Smtp` gets the table
    `[smtp]`, with the keys that the target's own `smtp` table says anew.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def warnings(self) -> Sequence[tuple[str, str]]:
        """Give what works but is probably not meant, as key and sentence: `hookgate check` and the log tell it."""
        return ()


OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True, slots=True)
class Context:
    """What an open target may use of the gateway; valid until its `close` returns."""

    name: str
    """The target's name in the configuration."""
    runtime: Runtime
    """The door to clock and threads."""
    connections: int
    """How many deliveries may run at once: the size of a connection pool."""
    user_agent: str = "hookgate"
    state_folder: Path = Path()
    """Where relative paths of options begin."""
    timeout_seconds: float = 30.0
    """After so long a delivery is cancelled."""
    guard: Guard = field(default_factory=Guard)
    """What connections may lead to; it knows the gateway's own listeners. Narrow it by an operator's lists."""
    memory: "Memory | None" = None
    """What outlives the process; None where nothing does (a plugin's own process, tests)."""


class Memory(Protocol):
    """A few small values of one target that outlive the process. They are gone once the target was disabled."""

    async def recall(self, key: str) -> bytes | None:
        """Give a value; None if there is none. Raises StoreError."""
        ...

    async def keep(self, key: str, value: bytes) -> None:
        """Keep a value; durable on return. Raises StoreError."""
        ...


class Target(Protocol):
    """A configured place to deliver to.

    One object per target and configuration; deliveries may run at the same time.
    """

    async def open(self, context: Context) -> None:
        """Get ready before the first delivery. A failure makes the target down; it is called again at each probe."""
        ...

    async def deliver(self, message: Message) -> Outcome:
        """Try once.

        Cancelled when the target's timeout is over; must leave nothing half-done that a second try would spoil.
        """
        ...

    async def close(self) -> None:
        """Give everything back; called once after `open` succeeded, no delivery runs."""
        ...


@runtime_checkable
class BatchTarget(Protocol):
    """A target that delivers many at once (file: one write and one fsync for many).

    One that rather waits until there are more, as a digest does, has an attribute `gather`, a `Gather`.
    """

    async def deliver_many(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Try each once; give one outcome for each, in order."""
        ...


@runtime_checkable
class RestingTarget(Protocol):
    """A target that keeps something between deliveries for speed alone: connections, say."""

    def rest(self) -> None:
        """Give back what is not worth keeping; called about twice a minute while there is little to do.

        Deliveries may run meanwhile. Must be quick.
        """
        ...


@dataclass(frozen=True, slots=True)
class Gather:
    """How long a target rather waits for more messages; what waits is in the store meanwhile, not in memory."""

    seconds: float
    """From when the first of them was due."""
    count: int
    """So many are delivered at once, and never more together."""


def gather_of(target: Target) -> Gather | None:
    """Give what a target gathers for; None if it takes what there is."""
    found = getattr(target, "gather", None)
    return found if isinstance(found, Gather) else None


@dataclass(frozen=True, slots=True)
class TargetKind(Generic[OptionsT]):
    """A kind of target, as the operator names it in `type`."""

    options: type[OptionsT]
    build: Callable[[OptionsT], Target]
    """Make the target; no side effects, `open` comes later. Raises ValueError for options that do not fit together."""
    timeout_seconds: float | None
    """None: the operator must write one."""
    concurrency: int
    send: SendForm
    """The form of message unless the operator writes another."""
    replay: Replays = "yes"
    """Whether it takes replayed events unless the operator writes so; "ask" where a repeat is seen or felt."""


class Verifier(Protocol):
    """A verification scheme with its options and one credential's secret."""

    def verify(self, request: Request) -> Proof:
        """Prove that `request` is genuine, from its raw bytes, before anything is parsed.

        Raises VerificationError otherwise.

        Pure and quick: no I/O, no clock but `request.received_at`, secrets compared as bytes in constant time.
        """
        ...

    def sign(self, request: Request) -> Request:
        """Give `request` as the provider would send it, for `hookgate send` and tests."""
        ...


@dataclass(frozen=True, slots=True)
class VerifierKind(Generic[OptionsT]):
    """A verification scheme, as the operator names it in `scheme`."""

    options: type[OptionsT]
    build: Callable[[OptionsT, bytes], Verifier]
    """Make the verifier from options and secret (empty if there is none).

    Raises ValueError for an unfit secret, without quoting it.
    """
    needs_secret: bool | Callable[[OptionsT], bool]
    """Whether a credential must have one; a function tells it by the options."""

    def wants_secret(self, options: OptionsT) -> bool:
        """Tell whether a credential with these options must have a secret."""
        return self.needs_secret if isinstance(self.needs_secret, bool) else self.needs_secret(options)


@dataclass(frozen=True, slots=True)
class TransformKind(Generic[OptionsT]):
    """A way to make a message's content, as the operator names it in `send = { transform = "…" }`."""

    options: type[OptionsT]
    apply: Callable[[Message, OptionsT], Any]
    """Give bytes, or bytes and their content type; plain or async."""


DeliverFunction: TypeAlias = Callable[[Message, OptionsT], Outcome | Awaitable[Outcome]]


class FunctionTarget(Generic[OptionsT]):
    """A target made of one function; a plain one runs in a thread of the file pool."""

    def __init__(self, function: Callable[[Message, OptionsT], Any], options: OptionsT) -> None:
        self._function = function
        self._options = options
        self._asynchronous = inspect.iscoroutinefunction(function)

    async def open(self, context: Context) -> None:
        """Keep the context."""
        self._context = context

    async def deliver(self, message: Message) -> Outcome:
        """Call the function."""
        if self._asynchronous:
            outcome: Outcome = await self._function(message, self._options)
        else:
            outcome = await self._context.runtime.in_file_thread(lambda: self._function(message, self._options))
        return outcome

    async def close(self) -> None:
        """Nothing to give back."""


def target(
    options: type[OptionsT],
    *,
    timeout: str | None = "30s",
    concurrency: int = 16,
    send: SendForm = "envelope",
    replay: Replays = "yes",
) -> Callable[[Callable[..., Any]], TargetKind[OptionsT]]:
    """Mark a class (built with its options) or a function `(message, options) -> Outcome` as a kind of target."""

    def mark(thing: Callable[..., Any]) -> TargetKind[OptionsT]:
        build: Callable[[OptionsT], Target] = thing
        if not inspect.isclass(thing):
            build = partial(FunctionTarget, thing)
        seconds = None if timeout is None else parse_duration(timeout)
        return TargetKind(options, build, seconds, concurrency, send, replay)

    return mark


def verifier(
    options: type[OptionsT], *, needs_secret: bool | Callable[[OptionsT], bool] = True
) -> Callable[[Callable[[OptionsT, bytes], Verifier]], VerifierKind[OptionsT]]:
    """Mark a class (built with its options and the secret) as a verification scheme."""

    def mark(build: Callable[[OptionsT, bytes], Verifier]) -> VerifierKind[OptionsT]:
        return VerifierKind(options, build, needs_secret)

    return mark


def transform(options: type[OptionsT]) -> Callable[[Callable[[Message, OptionsT], Any]], TransformKind[OptionsT]]:
    """Mark a function `(message, options) -> bytes | (bytes, content type)` as a transform."""

    def mark(function: Callable[[Message, OptionsT], Any]) -> TransformKind[OptionsT]:
        return TransformKind(options, function)

    return mark


def load_kinds(group: Literal["targets", "verifiers"], wanted: set[str]) -> dict[str, Any]:
    """Load the kinds named in `wanted` from the entry points of `group`; names that nobody provides are left out.

    Raises PluginError if one of them cannot be imported or is no kind. Nothing else is imported.
    """
    expected = TargetKind if group == "targets" else VerifierKind
    kinds: dict[str, Any] = {}
    for entry in entry_points(group=f"hookgate.{group}"):
        if entry.name in wanted:
            kinds[entry.name] = _load(entry, expected)
    return kinds


def kind_names(group: Literal["targets", "verifiers"]) -> list[str]:
    """Name every installed kind of `group`, without importing it."""
    return sorted(entry.name for entry in entry_points(group=f"hookgate.{group}"))


def _load(entry: Any, expected: type) -> Any:  # noqa: ANN401 - an entry point holds anything
    try:
        kind = entry.load()
    except Exception as error:
        raise PluginError(f"plugin {entry.name!r} ({entry.value}) cannot be imported: {error}") from error
    if not isinstance(kind, expected):
        raise PluginError(
            f"plugin {entry.name!r} ({entry.value}) is no {expected.__name__}: mark it with @target or @verifier"
        )
    return kind
