"""docs/targets.md: every option of each kind stands there, every example builds, every status is judged as it says."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from gateway.plugin import HttpReply, Smtp, load_kinds
from gateway.provider_api.fetch_options import FetchOptions
from gateway.targets.email_options import DigestTable
from gateway.targets.http_sign import SignTable
from gateway.targets.verdicts import judge_reply

PAGE = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")
KINDS = ("http", "file", "email", "shell")
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = [block for block in BLOCKS if "[targets." in block]
(SMTP,) = (tomllib.loads(block)["smtp"] for block in BLOCKS if "[smtp]" in block)
ROWS = re.findall(r"^\| ([0-9x, ]+) \| (\w+)(.*)", PAGE, re.MULTILINE)


def told_in(section, head):
    """The names in the first column of the table that begins with `head`."""
    rows = section.split(f"| {head} | meaning |\n")[1].split("\n\n")[0].splitlines()
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def keys_of(model):
    return {field.alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_of_a_kind_is_in_its_table_and_nothing_else(kind):
    section = PAGE.split(f"\n## {kind}\n")[1].split("\n## ")[0]
    assert told_in(section, "option") == keys_of(load_kinds("targets", {kind})[kind].options)


def test_every_key_of_smtp_is_in_its_table_and_nothing_else():
    assert told_in(PAGE, "key of `[smtp]`") == keys_of(Smtp)


@pytest.mark.parametrize(("key", "model"), [("sign", SignTable), ("digest", DigestTable)])
def test_every_key_of_a_table_is_in_its_own_table_and_nothing_else(key, model):
    assert told_in(PAGE, f"key of `{key}`") == keys_of(model)


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_builds(text):
    (table,) = tomllib.loads(text)["targets"].values()
    kind = load_kinds("targets", {table["type"]})[table.pop("type")]
    for key in ("timeout", "order_by", "send"):  # common to all kinds
        table.pop(key, None)
    if fetch := table.pop("fetch", None):
        assert FetchOptions.model_validate_json(json.dumps(fetch), strict=True)
    if "smtp" in kind.options.model_fields:
        table["smtp"] = {**SMTP, **table.get("smtp", {})}
    assert kind.build(kind.options.model_validate_json(json.dumps(table), strict=True))


def test_every_kind_has_an_example():
    assert {next(iter(tomllib.loads(text)["targets"].values()))["type"] for text in EXAMPLES} == set(KINDS)


@pytest.mark.parametrize(("statuses", "outcome", "more"), ROWS)
def test_every_status_is_judged_as_the_table_says(statuses, outcome, more):
    for status in statuses.split(", "):
        reply = HttpReply(int(status.replace("xx", "00")), (), b"", truncated=False)
        judged = judge_reply(reply, 1, 0)
        assert type(judged).__name__ == outcome
        assert getattr(judged, "throttle", False) == ("fewer messages" in more)


def test_the_table_of_statuses_was_found():
    assert {status for statuses, _, _ in ROWS for status in statuses.split(", ")} >= {
        "2xx",
        "429",
        "422",
        "410",
        "407",
        "3xx",
    }
