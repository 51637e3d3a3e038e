"""What the rules of *identify* are once they are compiled; `core.identify` applies them.

Values only, pure; `core.identify_reader` makes them of what is written.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.aliases import TypeNames, ValueNames
from gateway.core.body_form import BodyForm
from gateway.core.fields import Fields
from gateway.core.model import Json
from gateway.core.omission import Omission
from gateway.core.pattern import Pattern
from gateway.core.selector import Path, Reader, Scope, Selector


@dataclass(frozen=True, slots=True)
class Split:
    """Where the parts of a request are."""

    each: Selector
    holder: Selector
    """The list itself, to tell an empty one from none."""
    media_type: bytes = b""
    """The only Content-Type whose bodies are split; empty: all are."""


@dataclass(frozen=True, slots=True)
class Unwrap:
    """Where in the body the event's own payload stands as a text."""

    selector: Selector
    base64: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """How the events of some versions are read."""

    type: Callable[[Scope], Json]
    type_names: TypeNames | None
    key: tuple[Reader, ...]
    """Readers of the key's parts."""
    key_is_id: bool
    """True: an empty or null value is no key."""
    key_reads_event: bool
    occurred_at: Callable[[Scope], Json] | None
    value_names: tuple[ValueNames, ...]
    split: Split | None
    unwrap: Unwrap | None = None
    occurrence: tuple[Reader, ...] = ()
    omission: Omission | None = None
    """What a repeat may have otherwise; None: nothing."""


@dataclass(frozen=True, slots=True)
class IdentifyRule:
    """How one source's requests become events. Made by `compile_identify`."""

    version: Selector | None
    base: Reading
    variants: tuple[tuple[Pattern, Reading], ...]
    fields: Fields
    """What routes and messages call `event.NAME`."""
    form: BodyForm
    body_paths: tuple[Path, ...]
    """What is read of the body, whatever the version: a key written twice there makes the request ambiguous."""

    def reading(self, version: str) -> Reading:
        """Give the way to read events of `version`."""
        for pattern, reading in self.variants:
            if pattern.matches(version):
                return reading
        return self.base
