"""What of a document is left out when a repeat is compared with its event: a count of tries, the time of sending.

The document itself stays as it is: only the tables on the way to what is left out are made anew.
"""

from collections.abc import Sequence
from typing import Final

from gateway.core.model import Json
from gateway.core.selector import Selector

_EACH: Final = object()
"""A step into every item of a list."""


class Omission:
    """The fields that are left out. Immutable, pure."""

    __slots__ = ("_ways",)

    def __init__(self, selectors: Sequence[Selector]) -> None:
        """Take selectors of keys of the body. Raises ValueError for another."""
        self._ways = tuple(map(_steps, selectors))

    def rest(self, document: Json) -> Json:
        """Give `document` without them."""
        for steps in self._ways:
            document = _without(document, steps)
        return document


def _steps(selector: Selector) -> tuple[object, ...]:
    if selector.root != "body" or not selector.path[-1]:
        raise ValueError(f"expected a selector of a key in the body, found {selector.text!r}")
    first, *others = selector.path
    return (*first, *(step for keys in others for step in (_EACH, *keys)))


def _without(value: Json, steps: tuple[object, ...]) -> Json:
    step, below = steps[0], steps[1:]
    if step is _EACH:
        return [_without(each, below) for each in value] if type(value) is list else value
    if type(value) is not dict or step not in value:
        return value
    if not below:
        return {key: each for key, each in value.items() if key != step}
    return {**value, step: _without(value[step], below)}
