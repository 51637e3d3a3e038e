"""Every preset, by its own samples through the real receiver: taken once, and refused in every way that must be."""

from pathlib import Path

import pytest

from gateway.blueprint.overlap import overlap
from gateway.blueprint.presets import BUILT_IN
from gateway.cli.sample import spoil
from gateway.cli.trial import KEYLESS, covers_body, read, scheme_name
from gateway.core.pattern import Pattern

NAMES = sorted(file.stem for file in BUILT_IN.glob("*.toml"))
SCHEMES = {name: scheme_name(read(BUILT_IN / f"{name}.toml")) for name in NAMES}
UNSIGNED = {name for name in NAMES if SCHEMES[name] == "none"}
DAY_MS = 86_400_000
SURVEYED = (Path(__file__).parent / "surveyed.txt").read_text().split()
"""Providers that were looked at before there was a preset."""


def test_every_provider_that_was_surveyed_has_a_preset():
    assert len(SURVEYED) == 101
    assert set(SURVEYED) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_samples_and_recipes_of_a_preset_are_of_types_that_it_knows(name):
    preset = read(BUILT_IN / f"{name}.toml")
    sent = Pattern(preset.types or ["*"])
    assert [sample.type for sample in preset.samples if not sent.matches(sample.type)] == []
    assert [each for each in preset.fetch.values() if not overlap(Pattern(each.events), sent)] == []


@pytest.mark.parametrize("name", NAMES)
async def test_every_sample_of_a_preset_is_taken_as_what_it_says_it_is_and_its_repeat_is_not(open_door, name):
    async with open_door(name) as door:
        assert door.preset.samples, "without a sample nothing is proven"
        for number, sample in enumerate(door.preset.samples, 1):
            before = {row.id for row in await door.events()}
            request = door.plan(sample).request(number, door.runtime.now_ms(), ())
            signed = door.plan(sample).signed(request)
            assert await door.post(signed) == door.source.ack_status
            events = [row for row in await door.events() if row.id not in before]
            assert (sample.type, sample.version) in {(row.type, row.version) for row in events}
            if door.preset.identify.get("id") or door.preset.identify.get("key"):
                assert await door.post(signed) == door.source.ack_status
                assert len(await door.events()) == len(before) + len(events), "a repeat makes no second event"


@pytest.mark.parametrize("name", sorted(set(NAMES) - UNSIGNED))
async def test_no_preset_takes_a_request_that_is_unsigned_spoilt_or_of_another_secret(open_door, tmp_path, name):
    async with open_door(name) as door:
        (other := tmp_path / "other").mkdir()
        stranger = type(door)(name, other, door.store)
        for sample in door.preset.samples:
            request = door.plan(sample).request(1, door.runtime.now_ms(), ())
            signed = door.plan(sample).signed(request)
            wrongs = [request, spoil(request, signed)]
            if SCHEMES[name] not in KEYLESS:
                wrongs.append(stranger.plan(sample).signed(request))
            for wrong in wrongs:
                assert 400 <= await door.post(wrong) < 500
            if covers_body(door.preset) and signed.body == request.body:
                assert await door.post(signed._replace(body=b" " + signed.body)) in {400, 401}
        assert await door.events() == []


@pytest.mark.parametrize("name", sorted(set(NAMES) - UNSIGNED))
async def test_a_preset_whose_signature_holds_the_time_refuses_what_is_old(open_door, name):
    async with open_door(name) as door:
        verify = {**door.preset.verify, **door.preset.source.get("verify", {})}
        for sample in door.preset.samples:
            request = door.plan(sample).request(1, door.runtime.now_ms(), ())
            old = door.plan(sample).signed(request)._replace(received_at=request.received_at + 2 * DAY_MS)
            expected = 401 if verify.get("timestamp") else door.source.ack_status
            assert await door.post(old) in ({expected} if verify.get("timestamp") else {expected, 401})
