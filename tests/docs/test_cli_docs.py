"""docs/cli.md describes every verb; every example in it and in the help is one that the command takes."""

import re
import shlex
from pathlib import Path

import click
import pytest

from gateway.cli.main import cli

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
NO_JSON = {
    "run": "it answers nothing, its log is JSON where no terminal is",
    "schema": "its answer is JSON anyway",
}


def leaves(group, prefix=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, (*prefix, name))
        else:
            yield " ".join((*prefix, name)), command


VERBS = dict(leaves(cli))


def section(verb):
    found = re.search(rf"^## hookgate {verb}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def commands(text):
    return re.findall(r"^\s*(hookgate .*)$", text, re.MULTILINE)


def resolve(line):
    """Parse a line as the command would; click refuses what it does not know."""
    words = shlex.split(re.split(r" \||>| 2>", line)[0])[1:]
    command, context = cli, click.Context(cli)
    while isinstance(command, click.Group):
        command = command.get_command(context, words.pop(0))
    with command.make_context("hookgate", words):
        return command


def test_the_page_has_a_section_for_every_verb_and_no_other():
    assert set(re.findall(r"^## hookgate (.*)$", PAGE, re.MULTILINE)) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example_of_itself_in_the_page_and_in_its_help(verb):
    for text in (section(verb), VERBS[verb].epilog or ""):
        examples = commands(text)
        assert examples
        assert any(resolve(line) is VERBS[verb] for line in examples)


@pytest.mark.parametrize(
    "line", sorted({*commands(PAGE), *(c for v in VERBS.values() for c in commands(v.epilog or ""))})
)
def test_every_example_is_one_that_the_command_takes(line):
    if not line.endswith("--help"):
        assert resolve(line) in VERBS.values()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_a_configuration_and_answers_in_json(verb):
    options = {name for parameter in VERBS[verb].params for name in parameter.opts}
    assert "--config" in options or verb in {"schema", "units exec", "providers check"}  # about no configuration
    assert ("--json" in options) != (verb in NO_JSON)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_every_option_says_what_it_does(verb):
    assert VERBS[verb].help
    for parameter in VERBS[verb].params:
        assert isinstance(parameter, click.Argument) or parameter.help, parameter.name
