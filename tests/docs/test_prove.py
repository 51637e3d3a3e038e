"""`make prove` runs harnesses that exist, sets sizes that they read, and fails when one of them fails."""

import pytest

from harness import prove
from harness.prove import HARNESSES, ROOT, SEEDS, Harness, Result, figures, row


@pytest.mark.parametrize("harness", HARNESSES, ids=lambda harness: harness.title)
def test_a_harness_exists_and_reads_the_sizes_it_is_given(harness):
    file = ROOT / harness.file
    assert file.exists()
    assert all(name in file.read_text() for name in harness.release)


def test_every_seed_is_read_by_a_harness():
    texts = [(ROOT / harness.file).read_text() for harness in HARNESSES if harness.file.endswith(".py")]
    assert all(any(seed in text for text in texts) for seed in SEEDS)


def test_a_report_has_the_figures_and_none_of_pytests_dots():
    assert figures(["..F.s", ".... [ 12%]", "", "  3 kills: lost 0"]) == ["3 kills: lost 0"]
    sizes = {"HOOKGATE_KILL_CYCLES": "9"}
    held = Result(Harness("P1 kill", "f.py", sizes), sizes, True, 2.4, ["lost 0 | none", "ok"])
    assert row(held) == "| P1 kill | kill_cycles 9 | lost 0 / none<br>ok | 2 s |"


def test_what_fails_is_told_with_its_words(tmp_path):
    broken = tmp_path / "test_broken.py"
    broken.write_text("def test_it():\n    assert 'seven' == 'eight'\n")
    result = prove.prove(Harness("broken", str(broken)), 1, release=True)
    assert not result.held
    assert any("seven" in line for line in result.said)
    assert "**failed**" in row(result)
