"""Every acceptance test gets a home of its own for the real process."""

import pytest

from harness.home import temporary_home


@pytest.fixture
def home():
    with temporary_home() as home:
        yield home
