"""docs/own-events.md: the table of kinds is that of the code, with fields and periods, and its numbers hold."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from gateway.config.model_routes import Alerts
from gateway.core.own_events import KINDS
from gateway.core.told import SUBJECTS_MAX
from gateway.core.units import parse_duration
from gateway.distress import DEADLINE_SECONDS, PATIENCE_SECONDS
from gateway.watch import DEFAULTS, LOOK_EVERY_SECONDS

PAGE = (Path(__file__).parents[2] / "docs" / "own-events.md").read_text(encoding="utf-8")
HEAD = "| type | when | fields of `data` | told again after |\n|---|---|---|---|\n"
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.split(HEAD)[1].split("\n\n")[0].splitlines()]
ALERTS = tomllib.loads(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0])["alerts"]


def test_every_kind_has_a_row_in_the_order_of_the_code():
    assert [row[0].strip("`") for row in ROWS] == list(KINDS)


@pytest.mark.parametrize("row", ROWS, ids=[row[0].strip("`") for row in ROWS])
def test_a_row_has_the_fields_and_the_period_of_its_kind(row):
    kind = KINDS[row[0].strip("`")]
    assert tuple(re.findall(r"`(\w+)`", row[2])) == kind.fields
    assert parse_duration(row[3]) == kind.again


def test_the_example_is_a_configuration_that_says_every_key_with_its_default():
    written = Alerts.model_validate_json(json.dumps(ALERTS), strict=True)
    assert set(ALERTS) == set(Alerts.model_fields)
    assert written.model_copy(update={"targets": DEFAULTS.targets, "again": {}}) == DEFAULTS


def test_the_numbers_of_the_text_are_those_of_the_code():
    assert f"at most {SUBJECTS_MAX} subjects" in PAGE
    assert f"for at most {DEADLINE_SECONDS:.0f} s" in PAGE
    assert f"accepted for {PATIENCE_SECONDS:.0f} s" in PAGE
    assert (LOOK_EVERY_SECONDS, "every ten minutes" in PAGE) == (600.0, True)
