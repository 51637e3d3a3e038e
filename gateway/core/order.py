"""What orders the deliveries of one target: a key of each event, and what becomes of those that come after a dead one.

Pure. Two events have the same key if the selector finds equal values in both: 5 and "5" differ. Where it finds nothing,
null or an empty text, the event has no key: its delivery is not ordered and waits for no other.
"""

from hashlib import blake2b
from typing import Final, Literal, NamedTuple

import orjson

from gateway.core.selector import ABSENT, FindField, Scope, Selector, parse_selector

_NO_VALUES: Final = (ABSENT, None, "")


class Order(NamedTuple):
    """How one target is ordered."""

    by: Selector
    on_dead: Literal["block", "skip"]
    """Whether a dead delivery stops its key, or the next one goes."""
    keep: Literal["all", "latest"]
    """`latest`: of what waits only the newest of a key is delivered."""
    meaning: str = ""
    """What the selector comes to in each source: what `event.NAME` stands for, what rules make of what it reads.

    Empty if it is plain.
    """

    @property
    def rule(self) -> str:
        """The rule as the store remembers it: what was put in order by another one is ordered anew."""
        return f"{self.by.text} = {self.meaning}" if self.meaning else self.by.text

    def key(self, scope: Scope) -> bytes | None:
        """Give the digest of the key (16 bytes); None if there is none."""
        value = self.by.value(scope)
        if value in _NO_VALUES:
            return None
        return blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def parse_order_by(text: str, field: FindField | None = None) -> Selector:
    """Compile the selector of a key; `field` finds `event.NAME`.

    Raises ValueError, also for what is not known of a stored event any more.
    """
    selector = parse_selector(text, field)
    if selector.root == "claims":
        raise ValueError(
            f"selector {text!r}: claims are not kept, so a replay would have no key; use body, or a header"
        )
    if text in ("event.id", "event.key"):
        raise ValueError(f"selector {text!r}: no two events share it, so it orders nothing")
    return selector
