"""What the blueprint makes of a target's limits and of its rule for being disabled."""

import pytest
from blueprint_harness import AUDIT, TRUEWORK, make_world  # noqa: F401 - the fixture `world`

from gateway.core.failures import DisableRule
from gateway.core.pace import Rate

ROUTE = '[routes.r]\nsource = "truework"\ntargets = ["crm", "audit"]\n'
CRM = '[targets.crm]\ntype = "http"\nurl = "http://127.0.0.1:9/"\n'


def crm(world, *lines):
    return world.build(TRUEWORK, AUDIT, ROUTE, CRM, *lines).targets["crm"]


def test_a_target_without_limits_has_none_but_its_window(world):
    plan = crm(world)
    assert (plan.rate, plan.disable, plan.window_bytes) == (None, None, 8 * 1024 * 1024)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('rate = "50/s"', Rate(50.0, 5)),
        ('rate = "3/s"', Rate(3.0, 1)),
        ('rate = "120/m"', Rate(2.0, 1)),
        ('rate = "1800/h"\nburst = 20', Rate(0.5, 20)),
    ],
)
def test_a_rate_is_kept_by_the_second_with_a_tenth_of_it_as_burst_unless_written(world, lines, expected):
    assert crm(world, lines).rate == expected


def test_a_window_and_a_rule_are_read_as_they_are_written(world):
    plan = crm(world, 'window = "16MiB"\ndisable = { failures = "82.5%", within = "60m", at_least = 30 }')
    assert plan.window_bytes == 16 * 1024 * 1024
    assert plan.disable == DisableRule(0.825, 3_600_000, 30)
    assert crm(world, 'disable = { failures = "100%", within = "1m" }').disable == DisableRule(1.0, 60_000, 20)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('rate = "50"', 'expected a rate like "50/s"'),
        ('rate = "0/s"', 'expected a rate like "50/s"'),
        ('rate = "50/d"', 'expected a rate like "50/s"'),
        ("rate = 50", 'expected a rate like "50/s"'),
        ("burst = 5", 'goes with rate: write, for example, rate = "50/s"'),
        ('window = "1GB"\nrate = "1/s"\nburst = 0', "burst"),
        ('window = "1KiB"', 'expected a size from "64KiB" to "1GiB", found "1KiB"'),
        ('disable = { failures = 0.8, within = "60m" }', 'expected a share like "80%"'),
        ('disable = { failures = "101%", within = "60m" }', 'expected a share like "80%"'),
        ('disable = { failures = "80%", within = "8d" }', 'expected a duration from "1m" to "7d", found "8d"'),
        ('disable = { failures = "80%" }', "within"),
    ],
)
def test_what_is_no_limit_is_told_with_its_place_and_what_was_expected(world, line, told):
    (problem,) = world.problems(TRUEWORK, AUDIT, ROUTE, CRM, line)
    assert "[targets.crm]" in str(problem)
    assert told in str(problem)


def test_a_changed_limit_is_a_changed_target(world):
    assert crm(world, 'rate = "50/s"').fingerprint != crm(world, 'rate = "51/s"').fingerprint
