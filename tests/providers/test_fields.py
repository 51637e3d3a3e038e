"""Fields of the presets: each is found in a sample of its provider, as a stored event is read again."""

import pytest

from gateway.blueprint.presets import BUILT_IN
from gateway.cli.trial import read
from gateway.core.identify import named_fields

FIELDS = {
    file.stem: set(fields) for file in sorted(BUILT_IN.glob("*.toml")) if (fields := read(file).identify.get("fields"))
}


def test_most_presets_name_what_an_event_is_about():
    assert len([name for name, fields in FIELDS.items() if "subject" in fields]) >= 80


@pytest.mark.parametrize("name", FIELDS)
async def test_every_field_of_a_preset_is_in_one_of_its_samples(open_door, name):
    async with open_door(name) as door:
        found = {}
        for number, sample in enumerate(door.preset.samples, 1):
            plan = door.plan(sample)
            await door.post(plan.signed(plan.request(number, door.runtime.now_ms(), ())))
        for row in await door.events():
            stored = await door.store.event(row.id)
            found |= named_fields({name: door.source.identify}, stored)
        assert {key for key, value in found.items() if value not in (None, "")} == FIELDS[name]
