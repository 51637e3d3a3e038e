"""Which de-dup rules count for each source: today's, and for one window those that it replaced.

A reload, another version of a preset or another file at the next start may change what tells one event from another.
The store knows older events by their old keys, so a repeat that comes after the change is looked up by the old rules
too. The store keeps a note of each source's rules; nothing here is asked per request.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from gateway.blueprint import Blueprint, Source
from gateway.core.identify import IdentifyRule, compile_identify
from gateway.core.problems import ProblemsError
from gateway.store.contract import Store

NOTE: Final = "dedup-rules/"
FORMER_MAX: Final = 4
"""Rules that are looked up besides today's; of more changes within a window the latest count."""


class Former(NamedTuple):
    """A rule that counts no more for new events, and until when repeats of older ones may need it."""

    until: int
    rule: Mapping[str, Any]


async def with_former_rules(blueprint: Blueprint, store: Store, now: int) -> Blueprint:
    """Give `blueprint` with the rules that its sources had until lately, and note today's. Durable on return.

    Finds what is noted under a source's former name, too. Raises StoreError: then nothing was noted.
    """
    window = int(blueprint.config.store.keep.keys * 1000)
    kept = await store.notes(NOTE)
    notes: dict[str, bytes | None] = {}
    sources: dict[str, Source] = {}
    for name, source in blueprint.sources.items():
        held = kept.get(NOTE + name) or kept.get(f"{NOTE}{source.formerly}")
        keys = {key: value for key, value in source.rule.items() if key != "occurrence"}  # a mark, no part of the key
        rule = json.loads(json.dumps(keys))
        former = [*_former(held, rule, now, window)][:FORMER_MAX]
        note = json.dumps({"rule": rule, "former": former}, sort_keys=True).encode()
        if note != kept.get(NOTE + name):
            notes[NOTE + name] = note
        sources[name] = replace(source, former=tuple(_compiled(former)))
    if notes:
        await store.keep_notes(notes)
    return replace(blueprint, sources=sources, paths={each.path: each for each in sources.values()})


def _former(held: bytes | None, rule: Mapping[str, Any], now: int, window: int) -> Iterable[Former]:
    """Give the rules before `rule` that still count, newest first."""
    if held is None:
        return
    note = json.loads(held)
    if note["rule"] != rule:
        yield Former(now + window, note["rule"])
    for until, old in note["former"]:
        if until > now and old != rule:
            yield Former(min(until, now + window), old)


def _compiled(former: Iterable[Former]) -> Iterable[IdentifyRule]:
    for each in former:
        try:
            yield compile_identify(each.rule)
        except ProblemsError:  # another version wrote it, in words that this one does not know
            continue
