"""Where a harness's choices come from: one seed for each, the same in every build, any other on demand.

A build that failed must fail again, and one that passed must pass: so a build looks at the same cases each time. `make
prove` chooses another seed each time, at sizes at which new cases are found.
"""

import os
from typing import Final

BUILD: Final = "1"


def seed_of(harness: str) -> int:
    """Give what HOOKGATE_<harness>_SEED says, or the seed of every build."""
    return int(os.environ.get(f"HOOKGATE_{harness}_SEED", BUILD))
