"""docs/reliability.md names every promise with tests that exist, and says where it is weaker."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
PROMISES = dict(re.findall(r"^## (P\d+) · .*?\n(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE))
NAMED = re.findall(r"\[`(\w+)`\]\(\.\./([\w/.]+)\)", PAGE)


def test_every_promise_is_there_and_no_other():
    assert list(PROMISES) == [f"P{number}" for number in range(1, 29)]


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_has_a_test_that_is_named(promise):
    assert re.search(r"\[`\w+`\]\(\.\./(tests|gateway/testing)/", PROMISES[promise])


def test_every_test_that_is_named_exists():
    texts = {file: (ROOT / file).read_text() for _, file in NAMED}
    assert [name for name, file in NAMED if not re.search(rf"def {name}\(", texts[file])] == []
    assert len(NAMED) >= 80


def test_a_test_named_after_a_promise_that_does_not_exist_is_found():
    names = re.findall(r"def (test_\w+)", "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py")))
    numbers = {int(number) for name in names for number in re.findall(r"(?<=_)P(\d+)(?=_)", name)}
    assert numbers <= set(range(1, 29))


def test_every_harness_that_the_figures_name_exists():
    assert [file for file in re.findall(r"(?:pytest|python) ([\w/.]+\.py)", PAGE) if not (ROOT / file).exists()] == []


def test_the_page_says_what_no_test_shows():
    weaker = PAGE.split("## What none of this shows")[1]
    assert all(word in weaker for word in ("lies about flushing", "systemd", "real network"))
