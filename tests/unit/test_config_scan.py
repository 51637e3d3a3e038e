import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.scan import KEY_PARTS_MAX, NESTING_MAX, scan

MANY = ".".join(["a"] * (KEY_PARTS_MAX + 1))
MOST = ".".join(["a"] * KEY_PARTS_MAX)


def test_C2_a_dotted_key_of_20000_parts_is_refused_before_it_is_parsed():
    problem = scan("ok = 1\n" + ".".join(["a"] * 20_000) + " = 1\n")
    assert problem.line == 2
    assert "at most 32 parts, found one of 20000" in problem.message


@pytest.mark.parametrize(
    "text",
    [f"{MANY} = 1", f"[{MANY}]", f"[[{MANY}]]", f"x = {{ {MANY} = 1 }}", " . ".join(['"a"', "'b'", "c"] * 11) + " = 1"],
    ids=["pair", "table", "array of tables", "inline", "quoted and spaced"],
)
def test_C2_keys_with_too_many_parts_are_found_wherever_a_key_can_stand(text):
    assert scan(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        f"{MOST} = 1",
        f'x = "{MANY}"',
        f"x = '{MANY}'",
        f'x = """\n{MANY}\n"""',
        f"x = '''\n{MANY}\n'''",
        f"x = 1 # {MANY} " + "[" * 100,
        'x = "\\"' + "[" * 100 + '"',
        'x = """"' + "[" * 100 + '""""',
        "x = ''''" + "[" * 100 + "''''",
        'x = """\\"""' + "[" * 100 + '"""',
        "x = 3.14\ny = 1979-05-27T07:32:00.999Z",
        "x = [" * 1 + "[1], " * 100 + "]",
    ],
)
def test_strings_comments_and_numbers_are_no_false_alarm(text):
    tomli.loads(text)
    assert scan(text) is None


def test_values_nested_too_deep_are_refused_with_their_line():
    assert scan("x = " + "[" * NESTING_MAX + "]" * NESTING_MAX) is None
    problem = scan("\n\nx = " + "[" * (NESTING_MAX + 1))
    assert (problem.line, "64 deep" in problem.message) == (3, True)


def test_a_string_that_is_never_closed_is_the_parsers_to_judge():
    assert scan('x = "abc\n' + "[" * 100) is None


@given(st.text(st.sampled_from("a.[]{}=\"'\\#\n \t1,"), max_size=60))
def test_small_texts_are_never_refused(text):
    assert scan(text) is None


@given(st.lists(st.text(max_size=40), max_size=4))
def test_any_string_that_toml_can_hold_passes(values):
    text = "".join(f"k{number} = {basic(value)}\n" for number, value in enumerate(values)) + MOST + " = 1"
    assert [*tomli.loads(text).values()][: len(values)] == values
    assert scan(text) is None


def basic(value):
    return '"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in value) + '"'
