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


def test_a_text_that_only_toml_1_1_allows_has_no_places():
    assert find_positions("x = {\n a = 1,\n}\n", "f") == {}


def test_a_place_reads_as_file_line_column():
    assert str(Position("f.toml", 3, 7)) == "f.toml:3:7"
    assert str(Position("f.toml", 0, 0)) == "f.toml"
