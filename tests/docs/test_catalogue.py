"""Every row of the catalogue of bad input has tests that carry its id, and no test carries an id that is no row."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = tomllib.loads((ROOT / "tests" / "catalogue.toml").read_text())
PLACES = [
    *(ROOT / "tests").rglob("*.py"),
    *(ROOT / "plugins").rglob("test_*.py"),
    *(ROOT / "gateway/testing").glob("*.py"),
]
NAMES = {name for path in PLACES for name in re.findall(r"^(?:async )?def (\w+)\(", path.read_text(), re.MULTILINE)}


def carries(name, row):
    return re.search(rf"(^|_){row}_", name) is not None


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_tests_that_exist_and_carry_its_id(row):
    written = ROWS[row]
    assert written["input"], row
    assert written["answer"], row
    assert written["tests"], row
    assert [name for name in written["tests"] if name not in NAMES or not carries(name, row)] == []


def test_every_id_in_the_name_of_a_test_is_a_row_or_a_promise():
    found = {(name, row) for name in NAMES for row in re.findall(r"(?<=_)([A-Z]\d+)(?=_)", name) if "test_" in name}
    promises = {f"P{number}" for number in range(1, 29)}
    assert {(name, row) for name, row in found if row not in ROWS and row not in promises} == set()


def test_the_catalogue_holds_all_its_surfaces():
    assert {row[0] for row in ROWS} >= set("HSJDCGRMFXBKAWVOEN")
    assert len(ROWS) >= 119
