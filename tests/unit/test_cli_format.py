"""What people see on a terminal: times and sizes in words, and no text that acts on the terminal."""

import json

import pytest

from gateway.cli.format import ago, ago_since_start, counted, plain, point, size, span, table, when, write_json


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\r\nforged: line", "a\\r\\nforged: line"),
        ("\x9b2J", "\\x9b2J"),
        ("abc\u202egnp.exe", "abc\\u202egnp.exe"),
        ("bell\x07", "bell\\x07"),
        ("<script>[bold]ünï 日本", "<script>[bold]ünï 日本"),
    ],
)
def test_A3_text_of_senders_cannot_act_on_a_terminal(hostile, shown):
    assert plain(hostile) == shown


def test_A3_a_cell_is_neither_markup_nor_control(capsys):
    table(["type"], [["[link=https://evil.example]x[/link]\x1b]0;title\x07"]])
    out = capsys.readouterr().out
    assert "[link=https://evil.example]x[/link]\\x1b]0;title\\x07" in out
    assert "\x1b" not in out


def test_a_table_in_a_pipe_keeps_one_row_on_one_line(capsys):
    table(["a", "b"], [["x" * 150, "y" * 150]])
    assert any("x" * 150 in line and "y" * 150 in line for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (0.4, "0s"),
        (59, "59s"),
        (61, "1m 1s"),
        (3600, "1h"),
        (7500, "2h 5m"),
        (90061, "1d 1h"),
        (86460, "1d"),
    ],
)
def test_durations_show_their_two_largest_units(seconds, shown):
    assert span(seconds) == shown


def test_moments_are_told_as_people_ask_for_them():
    assert ago(1_000, 181_000) == "3m ago"
    assert ago(301_000, 1_000) == "in 5m"
    assert ago(None, 5) == when(None) == "-"
    assert when(1_700_000_000_123) == "2023-11-14 22:13:20Z"


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 2**30, "5.0 GiB"), (3 * 2**40, "3.0 TiB")],
)
def test_sizes_have_a_unit(count, shown):
    assert size(count) == shown


def test_every_answer_ends_with_the_next_command(capsys):
    point("hookgate status")
    assert capsys.readouterr().out == "\nnext: hookgate status\n"
    write_json({"a": 1}, "hookgate status")
    assert json.loads(capsys.readouterr().out) == {"a": 1, "next": "hookgate status"}


def test_one_thing_is_written_as_one():
    assert [counted(n, "events") for n in (0, 1, 2)] == ["0 events", "1 event", "2 events"]
    assert [counted(n, "new deliveries") for n in (1, 2)] == ["1 new delivery", "2 new deliveries"]


def test_what_did_not_happen_since_the_start_is_not_said_to_have_never_happened():
    assert (ago_since_start(None, 5), ago_since_start(4000, 9000)) == ("none since start", "5s ago")
