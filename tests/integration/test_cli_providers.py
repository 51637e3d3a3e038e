"""`providers check`: what is wrong is told at the preset's own place; what is right, in one sentence."""

import json

import pytest
from click.testing import CliRunner

from gateway.cli.providers import providers

PRESET = """title = "Bookings"
verify.scheme = "hmac"
verify.header = "X-Signature"

[identify]
type = "body.type"
id = "body.id"
{more}
[[samples]]
name = "booked"
type = "class.booked"
body = {{ id = "{{uuid}}", type = "class.{what}", state = "new" }}
"""


@pytest.fixture
def check(tmp_path):
    def answer(text=None, *options, more="", what="booked"):
        file = tmp_path / "bookings.toml"
        file.write_text(PRESET.format(more=more, what=what) if text is None else text)
        found = CliRunner().invoke(providers, ["check", str(file), *options])
        return found.exit_code, found.output.replace(str(file), "FILE")

    return answer


def test_a_wrong_key_is_told_at_its_line_and_table_of_the_preset(check):
    text = PRESET.format(more='idd = "body.x"', what="booked").replace("verify.header", "verify.heder")
    status, output = check(text)
    assert status == 1
    assert "FILE:3:1: [verify].heder: unknown key" in output
    assert "FILE:8:1: [identify].idd: unknown key" in output
    assert output.index("heder") < output.index("idd")
    assert "next:  hookgate providers check FILE" in output
    assert "trial" not in output
    assert "config.toml" not in output


def test_of_a_preset_that_is_no_toml_the_line_is_shown(check):
    status, output = check("title = Acme\n")
    assert status == 1
    assert "FILE:1:9: no TOML: expected a value, found text without quotes: write it in quotes\n" in output
    assert "           title = Acme\n                   ^\n" in output
    problems = json.loads(check("title = Acme\n", "--json")[1])["problems"]
    assert [each.partition(" ")[0] for each in problems] == ["FILE:1:9:"]


def test_a_selector_that_finds_another_type_is_told_in_words(check):
    status, output = check(what="cancelled")
    assert (status, "()" in output) == (1, False)
    assert 'sample "booked": its type is class.cancelled, expected class.booked' in output


def test_what_is_right_is_said_in_one_sentence_with_how_it_was_tried(check):
    status, output = check()
    assert status == 0
    assert "right: 1 sample is taken once, and refused without its signature, with a spoilt signature, " in output
    assert "a day later" not in output, "nobody signs a time here"


def test_an_old_message_is_said_to_be_refused_only_where_it_is(check):
    signed = 'verify.header = "X-Signature"\nverify.template = "{timestamp}.{body}"\nverify.timestamp = "header.x-at"'
    text = PRESET.format(more="", what="booked").replace('verify.header = "X-Signature"', signed)
    status, output = check(text)
    assert (status, "with another body, a day later\n" in output) == (0, True), output


def test_a_named_field_that_finds_nothing_in_any_sample_is_told(check):
    more = '[identify.fields]\nstate = "body.state"\nsubject = "body.sbject"\n'
    status, output = check(more=more)
    assert (status, "identify.fields.subject finds nothing in any sample" in output) == (0, True)
    assert "identify.fields.state" not in output
    assert json.loads(check(None, "--json", more=more)[1])["notes"] == [
        "identify.fields.subject finds nothing in any sample"
    ]
