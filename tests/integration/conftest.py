"""Fixtures of several modules."""

import listener_world
import pytest


@pytest.fixture(params=["own", "hypercorn"])
def either_http(request, monkeypatch):
    """Run the test on both servers that `[server] http` names."""
    monkeypatch.setattr(listener_world, "speaker", request.param)
