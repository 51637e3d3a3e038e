"""The breaker of a provider that resources are fetched from: it outlasts the process, and a clock that steps."""

import pytest

from gateway.core.breaker import OPEN_FIRST_MS, OPEN_MAX_MS
from gateway.core.model import Delivered, TargetDown
from gateway.dispatch.memory import TargetMemory
from gateway.errors import StoreBusyError
from gateway.plugin import Context
from gateway.provider_api.provider_breaker import KEY, ProviderBreaker
from gateway.store.memory import open_memory
from gateway.store.settings import StoreSettings
from gateway.testing.store_desk import DAY, SECOND, SteppedRuntime

DOWN = TargetDown("HTTP 401")


@pytest.fixture
def runtime(monkeypatch):
    runtime = SteppedRuntime()
    monkeypatch.setattr(runtime, "random", lambda: 0.0)
    return runtime


@pytest.fixture
async def memory(runtime):
    async with open_memory(runtime, StoreSettings()) as store:
        yield TargetMemory(store, "crm")


async def another(runtime, memory):
    """Do as another process does."""
    breaker = ProviderBreaker(Context("crm", runtime, 1, memory=memory))
    await breaker.recall()
    return breaker


async def opened(runtime, memory, outcome=DOWN):
    breaker = await another(runtime, memory)
    breaker.note(outcome)
    await breaker.save()
    return breaker


async def test_a_provider_that_was_down_is_asked_by_a_probe_after_a_restart(runtime, memory):
    await opened(runtime, memory)
    runtime.advance(SECOND)
    breaker = await another(runtime, memory)
    assert (breaker.is_down, breaker.wait_ms()) == (True, OPEN_FIRST_MS - SECOND)
    runtime.advance(OPEN_FIRST_MS)
    breaker.begin()
    assert breaker.wait_ms() > 0, "one probe at a time"
    breaker.note(DOWN)
    await breaker.save()
    breaker = await another(runtime, memory)
    assert breaker.wait_ms() == 2 * OPEN_FIRST_MS, "it goes on doubling"
    runtime.advance(2 * OPEN_FIRST_MS)
    breaker.begin()
    breaker.note(Delivered())
    await breaker.save()
    assert not (await another(runtime, memory)).is_down


@pytest.mark.parametrize("by_ms", [DAY, 400 * DAY])
async def test_a_clock_that_goes_back_keeps_no_provider_from_being_asked(runtime, memory, by_ms):
    breaker = await opened(runtime, memory)
    runtime.step(-by_ms)
    breaker.step_back(by_ms, runtime.now_ms())
    assert breaker.wait_ms() == OPEN_FIRST_MS
    assert (await another(runtime, memory)).wait_ms() == OPEN_MAX_MS, "nor one that was closed meanwhile"


async def test_what_cannot_be_kept_or_read_is_one_more_try_at_most(runtime, memory, monkeypatch):
    await memory.keep(KEY, b'{"not": "ours"}')
    assert not (await another(runtime, memory)).is_down

    async def fail(*_):
        raise StoreBusyError("no room")

    monkeypatch.setattr(memory, "keep", fail)
    monkeypatch.setattr(memory, "recall", fail)
    assert (await opened(runtime, memory)).is_down
