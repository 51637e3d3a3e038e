"""Which de-dup rules count for each source: today's, and for one window those that it replaced.

A reload, another version of a preset or another file at the next start may change what tells one event from another.
The store knows older events by their old keys, so a repeat that comes after the change is looked up by the old rules
too. The store keeps a note of each source's rules; nothing here is asked per request.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from gateway.blueprint import Blueprint, Source
from gateway.core.identify import IdentifyRule, compile_identify
from gateway.core.problems import ProblemsError
from gateway.store.contract import Store

NOTE: Final = "dedup-rules/"
FORMER_MAX: Final = 4
"""Rules that are looked up besides today's; of more changes within a window the latest count."""
_BESIDE_THE_KEY: Final = frozenset({"fields", "occurrence"})
"""What of a rule decides neither by what key an event is known nor what a repeat may have otherwise."""
_OF_EVENTS: Final = frozenset({"type", "type_where", "type_aliases", "occurred_at"})
"""What decides a key only if its selectors read `event.…`."""


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
        rule = json.loads(json.dumps({key: value for key, value in source.rule.items() if key != "occurrence"}))
        former = [*_former(held, rule, now, window)][:FORMER_MAX]
        note = json.dumps({"rule": rule, "former": former}).encode()  # in its order: of `versions` the first that fits
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
    note, key = json.loads(held), _deciding(rule)
    if _deciding(note["rule"]) != key:
        yield Former(now + window, note["rule"])
    for until, old in note["former"]:
        if until > now and _deciding(old) != key:
            yield Former(min(until, now + window), old)


def _deciding(rule: Mapping[str, Any]) -> str:
    """Give what of a rule decides by what key an event is known, to be compared: the rest may be edited at will."""
    beside = _BESIDE_THE_KEY if _reads_event(rule) else _BESIDE_THE_KEY | _OF_EVENTS
    versions = {glob: _without(beside, changes) for glob, changes in _versions(rule).items()}
    return json.dumps(_without(beside, {**rule, "versions": versions}))


def _without(beside: Collection[str], table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: table[name] for name in sorted(table) if name not in beside}


def _reads_event(rule: Mapping[str, Any]) -> bool:
    written = [table.get(name) for table in (rule, *_versions(rule).values()) for name in ("id", "key")]
    selectors = [each for one in written for each in (one if isinstance(one, list) else [one])]
    return any(isinstance(each, str) and each.startswith("event.") for each in selectors)


def _versions(rule: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Give what a rule says of versions; what another version of the daemon wrote may be no table."""
    found = rule.get("versions")
    return (
        {glob: changes for glob, changes in found.items() if isinstance(changes, dict)}
        if isinstance(found, dict)
        else {}
    )


def _compiled(former: Iterable[Former]) -> Iterable[IdentifyRule]:
    for each in former:
        try:
            yield compile_identify(each.rule)
        except ProblemsError:  # another version wrote it, in words that this one does not know
            continue
