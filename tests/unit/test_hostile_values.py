"""Every parser gets damaged words by the ten thousand: it gives a good value or the one error that it promises.

HOOKGATE_VALUES sets how many in all, HOOKGATE_VALUES_SEED repeats a run.
"""

import os
import random

import pytest
from hostile_parsers import PARSERS, Parser

from harness.hostile_http1 import damage
from harness.hostile_values import bent, damaged
from harness.seeds import seed_of

VALUES = int(os.environ.get("HOOKGATE_VALUES", "100000"))
SEED = seed_of("VALUES")


def hostile(good, seeded):
    """Damage one of the good inputs, by its kind; now and then take something else altogether."""
    one = seeded.choice(good)
    if isinstance(one, bytes):
        return seeded.randbytes(seeded.randrange(30)) if seeded.random() < 0.05 else damage(one, seeded)
    if isinstance(one, str):
        return damaged(one, seeded)
    bad = bent(one, seeded)
    return bad if isinstance(bad, dict) or not isinstance(one, dict) else {**one, "x": bad}


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_P21_I1_a_parser_gives_a_good_value_or_the_error_that_it_promises(parser):
    seeded = random.Random(f"{SEED} {parser.name}")
    taken = 0
    for one in parser.good:
        taken += _outcome(parser, one)
    for _ in range(VALUES // len(PARSERS)):
        taken += _outcome(parser, hostile(parser.good, seeded))
    assert taken, "some of it is still good, so that more than the first check is reached"


def _outcome(parser, value):
    try:
        parser.call(value)
    except parser.raises:
        return False
    except Exception as error:
        raise AssertionError(f"{parser.name} (seed {SEED}): {value!r:.2000}") from error
    return True


def careless(value):
    return int(value["number"])


def test_a_parser_that_raises_something_else_is_found_out():
    planted = Parser("planted", ({"number": 5},), careless, (KeyError, ValueError))
    with pytest.raises(AssertionError, match="planted"):
        test_P21_I1_a_parser_gives_a_good_value_or_the_error_that_it_promises(planted)
