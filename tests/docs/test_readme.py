"""The first page tells the truth: its tests exist, its configuration builds, its links lead somewhere."""

import re
from pathlib import Path

import pytest

from gateway.blueprint import build
from gateway.config.load import load
from gateway.config.model_server import Server

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TESTS = re.findall(r"\[`(test_\w+)`\]\((tests/[\w/.]+)\)", README)
LINKS = re.findall(r"\]\(([\w./-]+)\)", README)


def test_the_table_of_what_happens_has_a_test_for_each_row():
    table = README.split("## What happens when")[1].split("It does not promise")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) == len(TESTS) >= 9


@pytest.mark.parametrize(("name", "file"), TESTS)
def test_a_test_that_the_first_page_names_exists(name, file):
    assert f"def {name}(" in (ROOT / file).read_text()


@pytest.mark.parametrize("link", sorted(set(LINKS)))
def test_a_link_of_the_first_page_leads_somewhere(link):
    assert (ROOT / link).exists()


def test_the_configuration_of_the_first_page_builds(tmp_path):
    (tmp_path / "secrets").mkdir(mode=0o700)
    secret = tmp_path / "secrets" / "truework-orders"
    secret.write_text("a-token-of-truework-0123456789")
    secret.chmod(0o600)
    file = tmp_path / "config.toml"
    file.write_text(README.split("```toml\n")[1].split("```")[0])
    blueprint = build(load(file, {}))
    assert list(blueprint.sources) == ["truework"]
    assert list(blueprint.targets) == ["crm"]
    default = {each.port for each in Server().bind}
    assert default.isdisjoint(each.port for each in blueprint.config.server.bind), "the demonstration may still run"
