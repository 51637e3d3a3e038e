"""Whether two patterns have a text in common: a credential for `order.*` serves a route for `*.completed`."""

from gateway.core.routing import Pattern


def overlap(one: Pattern, other: Pattern) -> bool:
    """Tell whether some text fits both."""
    return any(_common(first, second) for first in one.globs for second in other.globs)


def _common(one: str, other: str) -> bool:
    """Walk both globs at once; `reached` holds the places in `other` that the text so far may stand at."""
    reached = _past_stars({0}, other)
    for character in one:
        if character == "*":
            reached = set(range(min(reached), len(other) + 1)) if reached else reached
        else:
            stay = {place for place in reached if other[place : place + 1] == "*"}
            reached = _past_stars(
                stay | {place + 1 for place in reached if other[place : place + 1] == character}, other
            )
    return len(other) in reached


def _past_stars(places: set[int], glob: str) -> set[int]:
    found = set(places)
    for place in sorted(places):
        end = place
        while glob[end : end + 1] == "*":
            end += 1
            found.add(end)
    return found
