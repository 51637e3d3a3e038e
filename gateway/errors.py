"""Exceptions, sorted by who must act.

A failed delivery is no exception: it is an `Outcome` (`gateway.core.model`). Every message names the thing, the
place, what was expected, what was found and what to do; none holds a secret or a payload.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar


class HookgateError(Exception):
    """The base of all that this package raises on purpose."""


class ConfigError(HookgateError):
    """The operator must change the configuration, a secret or the environment.

    `problems` holds every problem found, one per line of the report; the running configuration stays as it was.
    `excerpts` has for some of them lines of the file, for a terminal.
    """

    def __init__(self, problems: list[str], excerpts: Mapping[str, Sequence[str]] = MappingProxyType({})) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.excerpts = excerpts


class PluginError(HookgateError):
    """The author of a plugin broke its contract; raised when it is loaded, never while an event is delivered."""


class RequestError(HookgateError):
    """The sender's request cannot be taken.

    The reply carries `status` and a fixed text for it; `reason` is a code for counters, `detail` is for the log only.
    """

    def __init__(self, status: int, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.status = status
        self.reason = reason
        self.detail = detail


class VerificationError(RequestError):
    """The request does not prove who sent it: 401 unless the preset asks for another status."""

    def __init__(self, reason: str, detail: str = "", status: int = 401) -> None:
        super().__init__(status, reason, detail)


class KeyUnavailableError(HookgateError):
    """A key that the provider publishes cannot be had now: the sender gets 503, since the fault is not proven his."""

    reason = "key_unavailable"

    def __init__(self, detail: str, after: float) -> None:
        super().__init__(detail)
        self.after = after
        """Seconds after which another try may help."""


class VisitFailedError(KeyUnavailableError):
    """An address that the provider wants to see visited did not answer: the sender gets 503 and asks again."""

    reason = "visit_failed"


class SecretNotLearnedError(KeyUnavailableError):
    """The provider has not said its secret yet, so nobody can tell who sent: the sender gets 503 and tries again."""

    reason = "secret_not_learned"


class StoppingError(HookgateError):
    """An operator's order came when the parts that carry it out had ended for a stop: nothing was changed."""


class StoreError(HookgateError):
    """The environment failed the store: the sender gets 503 and tries again."""


class StoreBusyError(StoreError):
    """The store's queue is over its bytes or its wait; nothing was written; the caller may try again later."""


class StoreFullError(StoreError):
    """The disk is at its low-water mark: nothing new is accepted, deliveries still settle."""


class StoreBrokenError(StoreError):
    """A commit failed with an I/O error, its outcome is unknown: nothing more is acknowledged, the process exits.

    Never retried: a second fsync may report success for lost data (PostgreSQL's "fsync errors" page).
    """


ExceptionT = TypeVar("ExceptionT", bound=BaseException)


def leaves(group: BaseExceptionGroup[ExceptionT]) -> Iterator[ExceptionT]:
    """Give the exceptions of a group and of the groups in it."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error
