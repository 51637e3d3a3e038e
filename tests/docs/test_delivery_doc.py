"""docs/delivery.md: the table of decisions holds row by row, and covers every outcome and every form of policy."""

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from gateway.core.lifecycle import OutcomeName, decide, interrupted, next_states
from gateway.core.model import Delivered, Delivery, NotTried, Outcome, Rejected, Retry, TargetDown
from gateway.core.retry import KEYS, NAMED_POLICIES, parse_policy
from gateway.core.units import parse_duration

PAGE = (Path(__file__).parents[2] / "docs" / "delivery.md").read_text(encoding="utf-8")
HEAD = "| outcome | `retry` | tries before | waited before | draw | becomes | due in | tries | waited |\n"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.split(HEAD)[1].split("\n\n")[0].splitlines()[1:]
]
WRITTEN = sorted({row[1].strip("`") for row in ROWS} - {"any"})
TIMES = {"once": 1, "twice": 2}
NOW = 1_800_000_000_000


def policy_of(text):
    return parse_policy(tomllib.loads(f"retry = {text}")["retry"])


def outcome_of(text):
    name, _, more = text.partition(", ")
    asked = parse_duration(more.removeprefix("asks for ")) if more.startswith("asks for ") else None
    if more and asked is None:
        assert (name, more) in {("TargetDown", "disables"), ("Retry", "throttles")}
    match name:
        case "Delivered":
            return Delivered()
        case "Rejected":
            return Rejected("")
        case "NotTried":
            return NotTried("")
        case "TargetDown":
            return TargetDown("", asked, disable=more == "disables")
        case "Retry":
            return Retry("", asked, throttle=more == "throttles")


def decided(outcome, retry, tries, waited, draw):
    delivery = Delivery(1, 0, "crm", "r", 1, int(tries), 0, None, NOW, round(parse_duration(waited) * 1000))
    name, _, more = outcome.partition(", ")
    if name == "interrupted":
        times = TIMES.get(more) or int(more.removesuffix(" times"))
        return interrupted(delivery._replace(interrupted=times), NOW)
    return decide(delivery, outcome_of(outcome), policy_of(retry), NOW, float(draw))


@pytest.mark.parametrize("row", ROWS, ids=" · ".join)
def test_every_decision_is_as_the_table_says(row):
    outcome, retry, tries, waited, draw, *expected = row
    becomes, due, tries_after, waited_after = expected
    for written in WRITTEN if retry == "any" else [retry.strip("`")]:
        found = decided(outcome, written, tries, waited, draw)
        assert found.state == becomes
        assert found.due == (None if due == "never" else NOW + round(parse_duration(due) * 1000))
        assert found.attempts == int(tries_after)
        assert found.waited == round(parse_duration(waited_after) * 1000)
        assert found.state in next_states("in_flight", found.outcome_name)


def test_the_table_has_every_outcome_with_every_end_that_it_can_have():
    found = {
        (decision.outcome_name, decision.state)
        for outcome, retry, *given, _, _, _, _ in ROWS
        for decision in [decided(outcome, WRITTEN[0] if retry == "any" else retry.strip("`"), *given)]
    }
    assert found == {(name, state) for name in get_args(OutcomeName) for state in next_states("in_flight", name)}
    assert {type(outcome_of(row[0])) for row in ROWS if not row[0].startswith("interrupted")} == set(get_args(Outcome))


def test_the_table_has_every_key_and_every_built_in_policy():
    assert {text.strip('"') for text in WRITTEN if text.startswith('"')} == set(NAMED_POLICIES)
    tables = [tomllib.loads(f"retry = {text}")["retry"] for text in WRITTEN if text.startswith("{")]
    assert {key for table in tables for key in table} == set(KEYS)
    assert {type(table["jitter"]) for table in tables if "jitter" in table} == {float, str}


def test_every_key_of_a_policy_is_explained_and_nothing_else():
    table = PAGE.split("| key | meaning |\n")[1].split("\n\n")[0]
    assert {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])} == set(KEYS)


def test_the_examples_are_sound():
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    written = tomllib.loads(text)
    assert parse_policy(written["policies"]["short"]).jitter == "full"
    assert parse_policy(written["targets"]["crm"]["retry"]).give_up == 3 * 86_400
