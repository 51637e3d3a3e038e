from pathlib import Path

import tomli

from gateway.config.lines import Position, find_positions

TEXT = """alerts = { targets = ["a", "é"] } # x
[server]
# a comment
limits.body = "1MiB"
"odd key" = 1
[sources."a.b".credentials]
orders = { secret = { file = "x" }, event = [
  # a comment
  "e",
] }
[[samples]]
name = "one"
[samples.body]
x = 1
[[samples]]
name = "two"
[[samples.body.events]]
id = 1
"""


def place(*path):
    position = find_positions(TEXT, "f.toml").get(path)
    return position and (position.line, position.column)


def test_every_key_and_item_has_its_line_and_column():
    assert place("alerts") == (1, 1)
    assert place("alerts", "targets", 1) == (1, 28)
    assert place("server") == (2, 2)
    assert place("server", "limits") == (4, 1)
    assert place("server", "limits", "body") == (4, 1)
    assert place("server", "odd key") == (5, 1)
    assert place("sources", "a.b", "credentials", "orders", "secret", "file") == (7, 23)
    assert place("sources", "a.b", "credentials", "orders", "event", 0) == (9, 3)


def test_arrays_of_tables_count_their_tables():
    assert place("samples", 0, "name") == (12, 1)
    assert place("samples", 0, "body", "x") == (14, 1)
    assert place("samples", 1, "name") == (16, 1)
    assert place("samples", 1, "body", "events", 0, "id") == (18, 1)


def test_columns_count_characters_and_not_bytes():
    assert find_positions("x = { é = 1, y = 2 }".replace("é", '"é"'), "f")["x", "y"].column == 16


def test_places_in_one_very_long_line_cost_little():
    found = find_positions("x = [" + '"é", ' * 100_000 + "]", "f")
    assert found["x", 99_999].column == 6 + 99_999 * 6


def test_a_text_with_other_syntax_of_toml_1_1_has_no_places():
    assert find_positions('x = "\\e"\n', "f") == {}


def test_a_place_reads_as_file_line_column():
    assert str(Position("f.toml", 3, 7)) == "f.toml:3:7"
    assert str(Position("f.toml", 0, 0)) == "f.toml"


OVER_LINES = '''alerts = {
  targets = ["audit"], # why { not
  again = { "delivery.dead" = "10m" },
  text = """a
  } {""",
}
[sources.a]
provider = "git,hub}" # {
steps = [
  { c = 1, d = 2 },
  { c = 1,
    d = 3, },
]
'''


def test_inline_tables_over_several_lines_have_places_and_move_none_behind_them():
    found = {path: (place.line, place.column) for path, place in find_positions(OVER_LINES, "f").items()}
    assert found["alerts", "again", "delivery.dead"] == (3, 13)
    assert found["alerts", "text"] == (4, 3)
    assert found["sources", "a", "provider"] == (8, 1)
    assert found["sources", "a", "steps", 1, "d"] == (12, 5)


def test_every_table_of_the_example_has_its_place():
    text = (Path(__file__).parents[2] / "config.example.toml").read_text()
    places = find_positions(text, "f")
    assert {(key,) for key in tomli.loads(text)} <= set(places)
