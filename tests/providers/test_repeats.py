"""What a provider writes anew into each repeat makes no conflict of it; whatever else differs does."""

import json

import pytest

from gateway.blueprint.presets import BUILT_IN
from gateway.cli.trial import read

PRESETS = {file.stem: read(file) for file in sorted(BUILT_IN.glob("*.toml"))}
FIELDS = {
    name: [field.removeprefix("body.") for field in preset.identify["repeats_differ_in"]]
    for name, preset in PRESETS.items()
    if "repeats_differ_in" in preset.identify
}
BATCHES = {"hubspot": lambda body: body, "line": lambda body: body["events"]}
"""Where a provider's batch has its events."""


def rewritten(request, name, fields):
    """Give a sample's request with other values at `fields` of each of its events."""
    body = json.loads(request.body)
    for event in BATCHES[name](body) if name in BATCHES else [body]:
        for field in fields:
            *above, last = field.split(".")
            holder = event
            for key in above:
                holder = holder[key]
            holder[last] = {"was": holder.get(last)}
    return request._replace(body=json.dumps(body).encode())


@pytest.mark.parametrize("name", FIELDS)
async def test_a_repeat_that_counts_itself_is_a_repeat_and_another_body_is_a_conflict(open_door, name):
    async with open_door(name, on_disk=True) as door:
        plan = door.plan(door.preset.samples[0])
        request = plan.request(1, door.runtime.now_ms(), ())
        assert await door.post(plan.signed(request)) == door.source.ack_status
        first = await door.events()
        repeat = rewritten(request, name, FIELDS[name])
        assert repeat.body != request.body
        assert await door.post(plan.signed(repeat)) == door.source.ack_status
        assert await door.events() == first, "neither a second event nor a conflict"
        other = rewritten(repeat, name, ["something"])
        assert await door.post(plan.signed(other)) == door.source.ack_status
        assert [row.hold for row in await door.events()].count("conflict") == len(first)


async def test_without_the_rule_such_a_repeat_is_a_conflict(open_door):
    assert "meta.attempt" in FIELDS["telnyx"]
    async with open_door("typeform", on_disk=True) as door:
        plan = door.plan(door.preset.samples[0])
        request = plan.request(1, door.runtime.now_ms(), ())
        for each in (request, rewritten(request, "typeform", ["attempt"])):
            assert await door.post(plan.signed(each)) == door.source.ack_status
        assert sorted(str(row.hold) for row in await door.events()) == ["None", "conflict"]
