"""The example's lines, damaged by the thousand: a configuration that builds, or problems that each have a place.

HOOKGATE_CONFIGS sets how many, HOOKGATE_CONFIGS_SEED repeats a run.
"""

import os
import random
import re

import pytest
from test_config_docs import BLOCKS, EXAMPLE, PARTS, build_in, uncommented, world  # noqa: F401 - the fixture

from gateway.errors import ConfigError
from harness.hostile_values import damaged
from harness.seeds import seed_of

CONFIGS = int(os.environ.get("HOOKGATE_CONFIGS", "200"))
SEED = seed_of("CONFIGS")
VALUES = (
    '""',
    '"a"',
    "'x y'",
    '"\\u0000"',
    '"\\n"',
    '"{body.a}"',
    '"{"',
    '"*"',
    '"../../etc/passwd"',
    '"' + "a" * 5000 + '"',
    "0",
    "-1",
    "1" + "0" * 400,
    "1e999",
    "nan",
    "-inf",
    "true",
    "1979-05-27",
    "07:32:00",
    "[]",
    "[[]]",
    "[1, 'a', {}]",
    "{}",
    "{ file = 5 }",
    "{ file = '../x' }",
    "{ env = 'HOME' }",
    "{ a = { b = { c = 1 } } }",
    "[" * 70 + "]" * 70,
    '["30s", "2m"]',
    '"0s"',
    '"99999999d"',
    '"hmac"',
    '"none"',
)
LINES = (
    "[server]",
    "[sources.x]",
    "[[routes]]",
    "[targets.crm.retry]",
    "[sources.truework.credentials.orders.secret]",
    'include = ["*.toml"]',
    'include = ["\\u0000"]',
    'include = [""]',
    "a.b.c.d = 1",
    '"" = 1',
    "__proto__ = 1",
    "= 1",
    '"\\ud7ff\\u2028" = 1',
    "x = 1 x = 2",
    "\t",
    "#",
)
PLAIN = [number for number in BLOCKS if "plugin" not in PARTS[number] and "isolation" not in PARTS[number]]
"""A plugin is asked in a process of its own, which takes its time."""


def hostile(seeded):
    """Change a line or some of the example, with one of its commented blocks taken in."""
    lines = uncommented(seeded.choice(PLAIN)).split("\n") if seeded.random() < 0.8 else EXAMPLE.split("\n")
    live = [at for at, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")]
    for _ in range(seeded.choice((1, 1, 2, 4))):
        at = seeded.choice(live)
        name, equals, _ = lines[at].partition("=")
        kind = seeded.randrange(8)
        if kind <= 2 and equals:
            lines[at] = f"{name}= {seeded.choice(VALUES)}"
        elif kind == 3:
            lines[at] = damaged(lines[at], seeded)
        elif kind == 4:
            lines[at] = ""
        elif kind == 5:
            lines[at] = f"{lines[at]}\n{lines[seeded.choice(live)]}"
        elif kind == 6:
            lines[at] = f"{seeded.choice(LINES)}\n{lines[at]}"
        else:
            lines[at] = re.sub(r'"[^"]*"', lambda _: seeded.choice(VALUES), lines[at], count=1)
    return "\n".join(lines)


@pytest.mark.timeout(600 + CONFIGS)  # for a machine that does much else
def test_C8_a_damaged_configuration_is_never_a_traceback_and_each_problem_has_a_place(world, monkeypatch, tell):  # noqa: F811
    seeded = random.Random(SEED)
    built = told = 0
    for _ in range(CONFIGS):
        text = hostile(seeded)
        try:
            build_in(world, text.encode("utf-8", "replace").decode(), monkeypatch)
        except ConfigError as error:
            told += len(error.problems)
            for problem in error.problems:
                assert re.match(r"(config|conf\.d/more)\.toml(:\d+:\d+)?: ", problem), problem
                assert "a-demonstration-secret" not in problem
        except Exception as error:
            (world / "failed.toml").write_text(text)
            raise AssertionError(f"seed {SEED}: {world}/failed.toml") from error
        else:
            built += 1
    tell(f"{CONFIGS} damaged configurations (seed {SEED}): {built} build all the same, {told} problems told")
    assert built > CONFIGS / 100
    assert told > CONFIGS / 3
