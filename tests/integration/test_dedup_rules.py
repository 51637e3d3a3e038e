"""A changed de-dup rule: repeats of what came before the change are found by the old rule, for one window."""

import json
from dataclasses import replace

import pytest

from gateway.blueprint import build
from gateway.config.load import load
from gateway.core.identify import identify, remember
from gateway.core.model import Proof, Request
from gateway.dedup_rules import FORMER_MAX, with_former_rules
from gateway.store.memory import open_memory
from gateway.testing.store_desk import SETTINGS, SteppedRuntime

DAY = 86_400_000
HEAD = """
[store]
keep = { keys = "7d" }
[admin]
bind = "unix:admin.sock"
[targets.audit]
type = "file"
path = "audit.jsonl"
"""
SOURCE = """
[sources.NAME]
provider = "generic"
verify = { scheme = "none" }
identify.type = "body.type"
dedup = { key = KEY }
MORE
"""


def blueprint(folder, key, name="acme", more=""):
    path = folder / "hookgate.toml"
    path.write_text(HEAD + SOURCE.replace("NAME", name).replace("KEY", json.dumps(key)).replace("MORE", more))
    return build(load(path, {}))


async def rules_after(folder, store, now, *keys):
    for key in keys:
        found = await with_former_rules(blueprint(folder, key), store, now)
    return found.sources["acme"]


def keys_of(source, body):
    request = posted(body)
    events = identify(source.identify, source.name, "none", request, Proof())
    (event,) = remember(source.former, events, request, Proof())
    return event.key, tuple(key for key, _ in event.former)


BODY = {"type": "paid", "id": 1, "order": 2}


async def test_for_one_window_an_event_has_the_key_of_the_rule_before_too(tmp_path):
    async with open_memory(SteppedRuntime(), SETTINGS) as store:
        before = await rules_after(tmp_path, store, DAY, ["body.order"])
        old, none = keys_of(before, BODY)
        assert none == ()
        assert keys_of(await rules_after(tmp_path, store, 2 * DAY, ["body.id"]), BODY)[1] == (old,)
        assert keys_of(await rules_after(tmp_path, store, 9 * DAY - 1, ["body.id"]), BODY)[1] == (old,)
        assert (await rules_after(tmp_path, store, 9 * DAY, ["body.id"])).former == ()


async def test_a_rule_that_comes_back_is_not_its_own_former_one_and_the_latest_few_count(tmp_path):
    async with open_memory(SteppedRuntime(), SETTINGS) as store:
        back = await rules_after(tmp_path, store, DAY, ["body.order"], ["body.id"], ["body.order"])
        assert len(back.former) == 1
        assert keys_of(back, BODY)[0] not in keys_of(back, BODY)[1]
        many = [[f"body.n{number}"] for number in range(FORMER_MAX + 3)]
        assert len((await rules_after(tmp_path, store, DAY, *many)).former) == FORMER_MAX


async def test_edits_that_change_no_key_push_no_former_rule_out_and_make_none(tmp_path):
    async with open_memory(SteppedRuntime(), SETTINGS) as store:
        old = keys_of(await rules_after(tmp_path, store, DAY, ["body.order"]), BODY)[0]
        edits = [f'identify.fields.n{number} = "body.n"' for number in range(FORMER_MAX + 1)]
        edits += [f'identify.type_aliases = {{ paid = "p{number}" }}' for number in range(FORMER_MAX + 1)]
        edits += ['identify.occurred_at = "body.at"', 'identify.type_where = { "body.n" = "n" }']
        for edit in edits:
            edited = blueprint(tmp_path, ["body.id"], more=edit)
            found = (await with_former_rules(edited, store, 2 * DAY)).sources["acme"]
            assert keys_of(found, BODY)[1] == (old,), "of all the edits only the first changed the key"
        back = await rules_after(tmp_path, store, 3 * DAY, ["body.order"])
        assert len(back.former) == 1, "the rule of all the edits"


async def test_an_edit_of_the_type_counts_where_the_key_reads_it(tmp_path):
    async with open_memory(SteppedRuntime(), SETTINGS) as store:
        await rules_after(tmp_path, store, DAY, ["event.type", "body.id"])
        renamed = blueprint(tmp_path, ["event.type", "body.id"], more='identify.type_aliases = { paid = "settled" }')
        found = (await with_former_rules(renamed, store, DAY)).sources["acme"]
        assert len(keys_of(found, BODY)[1]) == 1


async def test_a_former_rule_reads_versions_in_the_order_they_were_written_in(tmp_path):
    versions = """identify.version = "body.version"
[sources.acme.identify.versions."2023-*"]
key = ["body.order"]
[sources.acme.identify.versions."*"]
key = ["body.else"]
"""
    async with open_memory(SteppedRuntime(), SETTINGS) as store:
        before = await with_former_rules(blueprint(tmp_path, ["body.id"], more=versions), store, DAY)
        body = {**BODY, "version": "2023-01"}
        old = keys_of(before.sources["acme"], body)[0]
        assert keys_of(await rules_after(tmp_path, store, DAY, ["body.id"]), body)[1] == (old,)


async def test_P4_a_rule_that_goes_on_since_its_reload_was_refused_after_the_note_counts_for_a_window_more(tmp_path):
    """At the next reload, and at the next start; the rule of the refused one changes nothing."""
    old, new, back = (blueprint(tmp_path, [key]) for key in ("body.order", "body.id", "body.order"))
    async with open_memory(SteppedRuntime(), SETTINGS) as store:
        running = await with_former_rules(old, store, 0)
        await with_former_rules(new, store, 0, running)  # then the store refuses to rename
        await with_former_rules(new, store, 3 * DAY, running)  # the same, after events by the old rule
        for started in (5 * DAY, 12 * DAY - 1):
            source = (await with_former_rules(new, store, started)).sources["acme"]
            assert keys_of(source, BODY)[1] == (keys_of(running.sources["acme"], BODY)[0],)
        assert (await with_former_rules(new, store, 12 * DAY)).sources["acme"].former == ()
        late = await with_former_rules(back, store, 12 * DAY, new)
        assert len(late.sources["acme"].former) == 1, "what was refused once is a rule like others"


async def test_P4_a_refused_reload_of_a_renamed_source_does_not_end_the_window_of_the_rule_that_goes_on(tmp_path):
    renamed = blueprint(tmp_path, ["body.id"], "shop", 'formerly = "acme"')
    async with open_memory(SteppedRuntime(), SETTINGS) as store:
        running = await with_former_rules(blueprint(tmp_path, ["body.order"]), store, 0)
        await with_former_rules(renamed, store, 0, running)  # then the store refuses to rename
        await with_former_rules(renamed, store, 6 * DAY, running)
        later = await with_former_rules(renamed, store, 12 * DAY, renamed)
        assert len(later.sources["shop"].former) == 1


async def test_a_reload_that_changes_no_rule_keeps_no_former_one_longer(tmp_path):
    async with open_memory(SteppedRuntime(), SETTINGS) as store:
        old, new = blueprint(tmp_path, ["body.order"]), blueprint(tmp_path, ["body.id"])
        await with_former_rules(new, store, DAY, await with_former_rules(old, store, 0))
        for later in (5 * DAY, 8 * DAY - 1):
            assert len((await with_former_rules(new, store, later, new)).sources["acme"].former) == 1
        assert (await with_former_rules(new, store, 8 * DAY, new)).sources["acme"].former == ()


async def test_a_renamed_source_takes_its_rules_along(tmp_path):
    async with open_memory(SteppedRuntime(), SETTINGS) as store:
        await rules_after(tmp_path, store, DAY, ["body.order"])
        renamed = blueprint(tmp_path, ["body.id"], "shop", 'formerly = "acme"')
        assert len((await with_former_rules(renamed, store, DAY)).sources["shop"].former) == 1


async def test_a_rule_that_this_version_cannot_read_is_passed_over(tmp_path):
    async with open_memory(SteppedRuntime(), SETTINGS) as store:
        await store.keep_notes({"dedup-rules/acme": json.dumps({"rule": {"teype": 1}, "former": []}).encode()})
        assert (await rules_after(tmp_path, store, DAY, ["body.id"])).former == ()


async def test_the_path_leads_to_the_same_source_as_the_name(tmp_path):
    async with open_memory(SteppedRuntime(), SETTINGS) as store:
        await with_former_rules(blueprint(tmp_path, ["body.order"]), store, DAY)
        found = await with_former_rules(blueprint(tmp_path, ["body.id"]), store, DAY)
        assert found.paths["/hooks/acme"] is found.sources["acme"]
        assert replace(found.sources["acme"], former=()) != found.sources["acme"]


async def test_a_repeat_is_still_known_when_what_repeats_differ_in_was_changed(tmp_path):
    async with open_memory(SteppedRuntime(), SETTINGS) as store:
        await rules_after(tmp_path, store, DAY, ["body.id"])
        later = blueprint(tmp_path, ["body.id"], more='identify.repeats_differ_in = ["body.order"]')
        source = (await with_former_rules(later, store, DAY)).sources["acme"]
        (old,) = identify(source.former[0], "acme", "none", posted(BODY), Proof())
        (event,) = remember(
            source.former, identify(source.identify, "acme", "none", posted(BODY), Proof()), posted(BODY), Proof()
        )
        assert event.former == ((old.key, old.digest),)
        assert event.digest != old.digest


OCCURRING = (
    HEAD
    + """
[sources.acme]
provider = "generic"
verify = { scheme = "none" }
identify.type = "body.type"
identify.occurrence = OCCURRENCE
MORE
[pollers.acme]
source = "acme"
url = "https://api.example.com/items"
items = "body.items[]"
every = "5m"
"""
)
KEYED = 'dedup = { key = ["body.order"] }'


async def occurring(folder, store, occurrence, more=""):
    path = folder / "hookgate.toml"
    path.write_text(OCCURRING.replace("OCCURRENCE", json.dumps(occurrence)).replace("MORE", more))
    return (await with_former_rules(build(load(path, {})), store, DAY)).sources["acme"]


def known_by(source):
    """Give the key of a sample event, and those it would have been known by."""
    request = posted({"type": "paid", "id": 1, "order": 2})
    (event,) = remember(source.former, identify(source.identify, "acme", "none", request, Proof()), request, Proof())
    return event.key, [key for key, _ in event.former]


@pytest.mark.parametrize("after", [("body.id", KEYED), (["body.id", "body.order"], "")])
async def test_a_source_whose_key_was_its_occurrence_is_still_known_by_it(after, tmp_path):
    async with open_memory(SteppedRuntime(), SETTINGS) as store:
        old, none = known_by(await occurring(tmp_path, store, "body.id"))
        key, former = known_by(await occurring(tmp_path, store, *after))
        assert (none, former) == ([], [old])
        assert key not in {None, old}


async def test_an_occurrence_beside_a_key_may_change_as_it_likes(tmp_path):
    async with open_memory(SteppedRuntime(), SETTINGS) as store:
        for occurrence in ("body.id", "body.order"):
            assert (await occurring(tmp_path, store, occurrence, KEYED)).former == ()


def posted(body):
    return Request("POST", "/hooks/acme", "", (), json.dumps(body).encode(), "192.0.2.1", 0)
