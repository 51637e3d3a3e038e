"""Every acceptance test gets a home of its own for the real process."""

import sys

import pytest

from harness.home import temporary_home


@pytest.fixture
def home():
    with temporary_home() as home:
        yield home


@pytest.fixture
def tell(capsys):
    """Print figures that a reader of the run should see, whatever pytest captures."""

    def write(text):
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return write
