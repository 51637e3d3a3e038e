"""Fixtures of all kinds of tests."""

import sys

import pytest
from hypothesis import settings

# A build looks at the same examples each time, as it does with every other seed, and a machine that stands still for a
# moment fails none: `--hypothesis-profile default` looks for new ones.
settings.register_profile("build", derandomize=True, deadline=None)
settings.load_profile("build")


@pytest.fixture
def tell(capsys):
    """Print figures that a reader of the run should see, whatever pytest captures."""

    def write(text):
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return write
