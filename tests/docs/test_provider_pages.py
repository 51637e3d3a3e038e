"""docs/providers/: a page for each preset, written by the program, and a table of what each was proven against."""

from pathlib import Path

import pytest

from gateway.blueprint.presets import BUILT_IN
from gateway.cli.provider_page import overview, page
from gateway.cli.trial import read

FOLDER = Path(__file__).parents[2] / "docs/providers"
STALE = "run: hookgate providers pages docs/providers"
NAMES = sorted(file.stem for file in BUILT_IN.glob("*.toml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_what_the_preset_says(name):
    assert (FOLDER / f"{name}.md").read_text() == page(name, read(BUILT_IN / f"{name}.toml")), STALE


def test_the_overview_lists_every_preset_and_no_page_is_left_over():
    presets = {name: read(BUILT_IN / f"{name}.toml") for name in NAMES}
    assert (FOLDER / "README.md").read_text() == overview(presets), STALE
    assert {file.stem for file in FOLDER.glob("*.md")} == {*NAMES, "README"}
