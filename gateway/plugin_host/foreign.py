"""Foreign code in our own process: whatever it raises, an exit included, is its failure and not the end of the daemon.

For whoever calls a plugin's code here: catch `BaseException`, let a cancellation pass, tell the rest.
"""

from typing import Final

import trio

TEXT_MAX: Final = 500


def cancellation_in(error: BaseException) -> trio.Cancelled | None:
    """Give the cancellation that `error` is or holds, if there is one: it belongs to whoever cancelled."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for each in error.exceptions if (found := cancellation_in(each))), None)
    return error if isinstance(error, trio.Cancelled) else None


def told(error: BaseException) -> str:
    """Give the text of a foreign exception, which may be any, or none."""
    try:
        return writable(str(error))[:TEXT_MAX]
    except BaseException:  # noqa: BLE001 - `__str__` is foreign code, too
        return "its text cannot be had"


def raised(error: BaseException) -> str:
    """Give the name and the text of a foreign exception."""
    return f"{type(error).__name__}: {told(error)}"[:TEXT_MAX]


def writable(text: str) -> str:
    """Give `text` without the halves of characters that neither the store nor the log can write."""
    return text.encode("utf-8", "replace").decode()
