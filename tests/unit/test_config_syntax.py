"""A text that is no TOML: what is told of it, where, with which line, and never a secret."""

import pytest
import tomli

from gateway.config.documents import UnreadableError, read_document
from gateway.config.excerpt import WIDTH, excerpt
from gateway.config.syntax import find_mistake


def problem_of(folder, text):
    file = folder / "c.toml"
    file.write_text(text)
    with pytest.raises(UnreadableError) as told:
        read_document(file)
    return told.value.problem


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("b = = 2", "1:5", 'expected a value, found "=": write text in quotes'),
        ("b =\nc = 1", "1:4", "expected a value, found the end of the line: write one"),
        ("b = ", "1:5", "expected a value, found the end of the file: write one"),
        ("b = True", "1:5", "expected a value, found True: write true"),
        ("b = off", "1:5", "expected a value, found off: write false"),
        ("b = null", "1:5", "expected a value, found null: leave the key out"),
        ("b = crm", "1:5", "expected a value, found text without quotes: write it in quotes"),
        ("b = 5s", "1:5", "expected a value, found text without quotes: write it in quotes"),
        ("b = truework", "1:5", "expected a value, found text without quotes: write it in quotes"),
        ("b = 127.0.0.1:80", "1:5", "expected a value, found text without quotes: write it in quotes"),
        ("b = [1s, 2s]", "1:6", "expected a value, found text without quotes: write it in quotes"),
        ("b = 5 s", "1:7", "expected the end of the line, found other text: write one key a line, and values such"),
        ("b = \u201cx\u201d", "1:5", 'found "\u201c": write text in straight quotes'),
        ('b = "say "hi""', "1:11", "expected the end of the line, found other text: quotes within a text are"),
        ('b = "x" "y"', "1:9", "expected the end of the line, found '\"': quotes within"),
        ('b = "x\nc = 1', "1:7", "expected the quotes that end this text, found the end of the line: close it"),
        ("a = 1\nb = '''x\ny\n", "2:5", "expected the quotes that end this text, found the end of the file: close it"),
        ('# "\nb = """x""" # "\nc = "x', "3:5", "expected the quotes that end this text, found the end of the file"),
        ('b = "\x01"', "1:6", "expected text, found U+0001: write it as \\u and four hex digits"),
        ('b = "\\d"', "1:6", 'expected an escape such as \\n or \\", found another: write \\\\ for a backslash'),
        ('b = "\\u12"', "1:8", "expected the hex digits of a character"),
        ('b = ["x", "y"\n[c]\n', "2:1", 'expected "," or "]" in the list that begins on line 1, found "["'),
        ("b = { c = { d = 1 }\ne = 1", "2:1", 'expected "," or "}" in the table that begins on line 1, found other'),
        ("[a]\nx = 1\n[b]\n[a]\n", "4:1", "expected each name once, found one that stands on line 1 already: keep one"),
        ("[a]\nx = 1\n[b]\nx = 1\n x = 2", "5:2", "expected each name once, found one that stands on line 4 already"),
        ("x = [\n1\n]\nx = [\n2\n]", "4:1", "expected each name once, found one that stands on line 1 already"),
        ("x = 1\n[x]", "2:1", "expected each name once, found one that stands already: keep one"),
        ("a = {x = 1}\na.y = 2", "2:8", "expected a table that is still open, found one that was written as a whole"),
        ("b: 1", "1:2", 'expected "=" after the key, found ":": write = instead'),
        ("targets crm", "1:9", 'expected "=" after the key, found other text: write key = value, and the name'),
        ("[targets.crm\n", "1:13", 'expected "]" after the name of the table, found the end of the line: close it'),
        ("[[a]\n", "1:4", 'expected "]]" after the name of the table, found "]": close it'),
        ("// no comment", "1:1", 'expected a key or a [table], found "/": keys with other signs than letters'),
        ("\ufeffa = 1", "1:1", "found U+FEFF: save the file as UTF-8 without a byte order mark"),
        ("[]", "1:2", 'expected a name, found "]": one with other signs than letters'),
        ("b = 2026-02-30T00:00:00Z", "1:5", "expected a date that exists: write text in quotes"),
    ],
)  # fmt: skip
def test_C1_a_mistake_is_told_with_its_place_what_was_expected_and_what_to_write(tmp_path, text, place, expected):
    problem = problem_of(tmp_path, text)
    assert (str(problem.position), problem.message.startswith("no TOML: ")) == (f"{tmp_path}/c.toml:{place}", True)
    assert expected in problem.message


def test_a_rule_of_the_parser_that_nobody_knows_is_told_in_its_own_words():
    assert find_mistake("a", "Too many moons", 0) == (0, "Too many moons")


def test_the_line_is_shown_with_a_caret_below_its_place(tmp_path):
    assert problem_of(tmp_path, "a = 1\n\tb = = 2\n").excerpt == (" b = = 2", "     ^")
    assert problem_of(tmp_path, 'b = "\x1b[2J').excerpt == ('b = "?[2J', "     ^")


@pytest.mark.parametrize("column", [0, 10, 250, 499])
def test_of_a_long_line_that_part_is_shown(column):
    line = "".join(chr(ord("a") + n % 26) for n in range(500))
    shown, caret = excerpt(f"x\n{line}\ny", 2 + column)
    assert (len(shown), shown[caret.index("^")]) == (WIDTH, line[column])
    assert shown in line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('password = "canary', ("password = …",)),
        ('password "canary', ()),
        ('[targets.crm.headers]\nX-Key = "canary', ("X-Key = …",)),
        ('[sources.s.credentials]\nmain = "canary', ("main = …",)),
        ('url = "https://me:canary@crm.example', ("url = …",)),
        ('headers = {\n  x = "canary\n}', ()),
        ('a = """\ncanary \\d\n"""', ()),
        ("a = '''\ncanary", ("a = '''", "    ^")),
        ("token x = 'canary'", ("token x = …", "      ^")),
    ],
)
def test_of_a_line_that_may_hold_a_secret_the_key_alone_is_shown(tmp_path, text, shown):
    assert problem_of(tmp_path, text).excerpt == shown


SECRETS = '''
alerts = { targets = ["a"] }
[sources.s]
provider = "p"
[sources.s.credentials]
main = { secret = { inline = "canary" } }
old = "canary"
[targets.t]
type = "http"
url = "https://me:canary@crm.example/x"
headers = { Authorization = "Bearer canary", "X-Key" = """
canary
""", y = 'canary' }
password = "canary"
[targets.t.oauth]
client_secret = [
  "canary",
  'canary',
]
'''


@pytest.mark.parametrize("change", ["cut", "lose", "quote", "break"])
def test_no_mistake_anywhere_has_a_secret_shown(tmp_path, change):
    seen = 0
    for at in range(len(SECRETS)):
        before, after = SECRETS[:at], SECRETS[at:]
        text = {"cut": before, "lose": before + after[1:], "quote": f'{before}"{after}', "break": f"{before}\n{after}"}
        (tmp_path / "c.toml").write_text(text[change])
        try:
            read_document(tmp_path / "c.toml")
        except UnreadableError as error:
            seen += 1
            told = "\n".join([str(error.problem), *error.problem.excerpt])
            assert "canar" not in told, (at, told)
            assert "anary" not in told, (at, told)
    assert seen > 50


def test_every_mistake_of_the_parser_is_told_in_our_words():
    """Its words change between releases: then what is told falls back to them."""
    texts = ["= 1", "a", "a = ", "a = [", "a = {", "[a", 'a = "', "a = '", 'a = "\\q"', "a = 1\na = 2", "a = 1 2", "[]"]
    for text in texts:
        with pytest.raises(tomli.TOMLDecodeError) as error:
            tomli.loads(text)
        assert find_mistake(text, error.value.msg, error.value.pos).message.startswith("expected"), text
