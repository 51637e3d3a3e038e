"""Fixtures of all kinds of tests."""

import sys

import pytest


@pytest.fixture
def tell(capsys):
    """Print figures that a reader of the run should see, whatever pytest captures."""

    def write(text):
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return write
