"""docs/targets.md: every option of each kind stands there, every example builds, every status is judged as it says."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from gateway.plugin import HttpReply, load_kinds
from gateway.targets.verdicts import judge_reply

PAGE = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")
KINDS = ("http", "file")
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
ROWS = re.findall(r"^\| ([0-9x, ]+) \| (\w+)", PAGE, re.MULTILINE)


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_of_a_kind_is_in_its_table_and_nothing_else(kind):
    section = PAGE.split(f"\n## {kind}\n")[1].split("\n## ")[0]
    told = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert told == set(load_kinds("targets", {kind})[kind].options.model_fields)


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_builds(text):
    (table,) = tomllib.loads(text)["targets"].values()
    kind = load_kinds("targets", {table["type"]})[table.pop("type")]
    assert kind.build(kind.options.model_validate_json(json.dumps(table), strict=True))


def test_every_kind_has_an_example():
    assert {next(iter(tomllib.loads(text)["targets"].values()))["type"] for text in EXAMPLES} == set(KINDS)


@pytest.mark.parametrize(("statuses", "outcome"), ROWS)
def test_every_status_is_judged_as_the_table_says(statuses, outcome):
    for status in statuses.split(", "):
        reply = HttpReply(int(status.replace("xx", "00")), (), b"", truncated=False)
        assert type(judge_reply(reply, 1, 0)).__name__ == outcome


def test_the_table_of_statuses_was_found():
    assert {status for statuses, _ in ROWS for status in statuses.split(", ")} >= {
        "2xx",
        "429",
        "422",
        "410",
        "407",
        "3xx",
    }
