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
_BESIDE_THE_KEY: Final = frozenset({"fields"})
"""What of a rule decides neither by what key an event is known nor what a repeat may have otherwise."""
_KEYS: Final = frozenset({"id", "key"})
"""With one of these, `occurrence` is a mark beside the key, which a new poller adds; without, it is the key."""
_OF_EVENTS: Final = frozenset({"type", "type_where", "type_aliases", "occurred_at"})
"""What decides a key only if its selectors read `event.…`."""


class Former(NamedTuple):
    """A rule that counts no more for new events, and until when repeats of older ones may need it."""

    until: int
    rule: Mapping[str, Any]


async def with_former_rules(
    blueprint: Blueprint, store: Store, now: int, running: Blueprint | None = None
) -> Blueprint:
    """Give `blueprint` with the rules that its sources had until lately, and note today's. Durable on return.

    `running` is what goes on if the store refuses a later part of the reload; at a start nothing does. Finds what is
    noted under a source's former name, too. Raises StoreError: then nothing was noted.
    """
    window = int(blueprint.config.store.keep.keys * 1000)
    kept = await store.notes(NOTE)
    notes: dict[str, bytes | None] = {}
    sources: dict[str, Source] = {}
    for name, source in blueprint.sources.items():
        held = kept.get(NOTE + name) or kept.get(f"{NOTE}{source.formerly}")
        rule, going_on = _noted(source), _going_on(source, running)
        former = [*_former(held, rule, going_on, now, window)][:FORMER_MAX]
        # In its order: of `versions` the first that fits.
        note = json.dumps({"rule": rule, "former": former, **_unless_same(rule, going_on)}).encode()
        if note != kept.get(NOTE + name):
            notes[NOTE + name] = note
        sources[name] = replace(source, former=tuple(_compiled(former)))
    if notes:
        await store.keep_notes(notes)
    return replace(blueprint, sources=sources, paths={each.path: each for each in sources.values()})


def _noted(source: Source) -> Mapping[str, Any]:
    """Give a source's rule as a note gives it back."""
    beside = {"occurrence"} if _KEYS & source.rule.keys() else ()
    rule: Mapping[str, Any] = json.loads(json.dumps({k: v for k, v in source.rule.items() if k not in beside}))
    return rule


def _going_on(source: Source, running: Blueprint | None) -> Mapping[str, Any] | None:
    """Give the rule by which the source's events come until a reload is through."""
    sources = {} if running is None else running.sources
    known = sources.get(source.name) or sources.get(source.formerly or "")
    return None if known is None else _noted(known)


def _unless_same(rule: Mapping[str, Any], going_on: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Give what a note says of the rule that goes on: nothing if `rule` is as good, so that few reloads write."""
    return {} if going_on is None or _deciding(going_on) == _deciding(rule) else {"running": going_on}


def _former(
    held: bytes | None, rule: Mapping[str, Any], going_on: Mapping[str, Any] | None, now: int, window: int
) -> Iterable[Former]:
    """Give the rules before `rule` that still count, the latest first.

    A noted rule may never have come to count, as its reload was refused after the note: then what it was to replace
    went on until now.
    """
    note = {"rule": rule, "former": []} if held is None else json.loads(held)
    until_now = (going_on or note.get("running"), note["rule"])
    ends, counted = now + window, {_deciding(rule)}
    for until, old in [*((ends, each) for each in until_now if each), *note["former"]]:
        if until > now and (key := _deciding(old)) not in counted:
            counted.add(key)
            yield Former(min(until, ends), old)


def _deciding(rule: Mapping[str, Any]) -> str:
    """Give what of a rule decides by what key an event is known, to be compared: the rest may be edited at will."""
    beside = _BESIDE_THE_KEY if _reads_event(rule) else _BESIDE_THE_KEY | _OF_EVENTS
    beside |= {"occurrence"} if _KEYS & rule.keys() else set()
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
