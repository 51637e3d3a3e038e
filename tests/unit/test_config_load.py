# ruff: noqa: E501 - a case of a table is one line
from pathlib import Path

import pytest

from gateway.config import documents
from gateway.config.load import load
from gateway.config.problems import path_text
from gateway.config.sentences import found_text
from gateway.errors import ConfigError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder, text, name="config.toml"):
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return Path(name)


def problems(folder, text):
    return [str(problem) for problem in load(write(folder, text), {}).problems]


def refusal(folder, text=None):
    file = Path("config.toml") if text is None else write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[server]\nbnid = []", 'config.toml:2:1: [server].bnid: unknown key; did you mean "bind"?'),
        ("[sever]", 'config.toml:1:2: sever: unknown key; did you mean "server"?'),
        ("[log]\nqq = 1", "config.toml:2:1: [log].qq: unknown key; known here: format, level"),
        ("[log]\nlevel = 'inof'", 'expected "debug", "info", "warning" or "error", found "inof"'),
        ("[server]\nbehind_proxy = 'yes'", 'config.toml:2:1: [server].behind_proxy: expected true or false, found "yes"'),
        ("[server]\nbehind_proxy = 1", "expected true or false, found 1"),
        ("[server.limits]\nheader_count = 1.5", "expected a whole number, found 1.5"),
        ("[server.limits]\nheader_count = 1", "expected at least 8, found 1"),
        ("[server.limits]\nheader_count = 1001", "expected at most 1000, found 1001"),
        ("[server.limits]\nbody = 5", 'expected a size like "64KiB" or "1MiB", found 5'),
        ("[server]\ntrusted_proxies = '10.0.0.0/8'", 'expected a list, found "10.0.0.0/8": write ["10.0.0.0/8"]'),
        ("[server]\ntrusted_proxies = [5]", "config.toml:2:20: [server].trusted_proxies[0]: expected text in quotes, found 5"),
        ("[server]\nlimits = []", "[server].limits: expected a table, found an empty list"),
        ("[server]\ntls = [1]", "[server].tls: expected a table, found a list"),
        ("[server.tls]\ncert = 'x'", "[server].tls.key: expected this key, found none: write it"),
        ("[server]\nbind = []", "expected at least 1 of them, found an empty list"),
        ("[routes.r]\ntargets = ['a b']", 'expected a name of letters, digits, "-" and "_"'),
        ("[routes.r]\ntargets = ['a']\nevent = 5", 'expected a text such as "order.*" or a list of them'),
        ("[routes.r]\ntargets = ['a']\nevent = ['']", "expected a text or glob such as order.*, found ''"),
        ("[routes.'a b']\ntargets = ['a']", "config.toml:1:2: [routes.a b]: expected a name of letters"),
        ("[targets.t]\ntype = 'x'\nsend = 'paylaod'", 'expected "payload", "request", "envelope" or "empty", found "paylaod"'),
        ("[targets.t]\ntype = 'x'\nsend = { tempalte = 'x' }", '[targets.t].send.tempalte: unknown key; did you mean "template"?'),
        ("[targets.t]\ntype = 'x'\nretry = { dealys = ['1s'] }", 'config.toml:3:11: [targets.t].retry.dealys: unknown key; did you mean "delays"?'),
        ("[targets.t]\ntype = 'x'\nretry = { delays = ['0s'] }", '[targets.t].retry.delays[0]: expected a duration from "1s" to "30d", found "0ms"'),
        ("[targets.t]\ntype = 'x'\nretry = 5", "[targets.t].retry: expected text in quotes or a table, found 5"),
        ("[policies.p]\nfactor = 'x'", 'expected a number, found "x"'),
        ("[store]\nsqlite = '../x'", 'expected a file name or path without ".."'),
        ("[sources.s]\nprovider = 'p'\npath = 'x'", 'expected a path such as "/hooks/acme"'),
        ("[sources.s]\nprovider = 'p'\nack.status = 404", "expected at most 299, found 404"),
        ("[targets]\nt = 5", "[targets.t]: expected a table, found 5"),
        ("targets = 5", "config.toml:1:1: targets: expected a table, found 5: write [targets.NAME]"),
        ("[[routes]]\nsource = 's'", "routes: expected a table, found a list: write [routes.NAME]"),
        ("[sources.s]\nprovider = 'p'\ncredentials.a = 'x'", 'found "x"; its keys are event, learned, secret, verify, version'),
        ("alerts = 'crm'", 'found "crm"; its keys are again, expiry, refusing, targets, unused'),
        ("include = 5", "config.toml:1:1: include: expected a list, found 5"),
    ],
)  # fmt: skip
def test_C1_what_is_wrong_is_told_with_line_key_path_and_what_was_expected(folder, text, expected):
    assert any(expected in problem for problem in problems(folder, text)), problems(folder, text)


def test_C1_all_problems_come_in_one_report_in_the_order_of_the_lines(folder):
    text = "[server]\nbnid = 1\nbehind_proxy = 2\n[log]\nlevel = 3\n[targets.a]\n[targets.b]\ntype = 4\n[routes.r]\ntargets = []"
    found = problems(folder, text)
    assert [problem.split(":")[1] for problem in found] == ["2", "3", "5", "6", "8", "10"]


def test_C1_a_name_that_stands_twice_in_a_file_is_refused_with_its_line(folder):
    assert refusal(folder, "[targets.a]\ntype = 'x'\n[targets.a]\n")[0].startswith("config.toml:3:")


def test_C1_a_syntax_error_is_told_with_line_and_column(folder):
    assert refusal(folder, "a = 1\nb = = 2") == [
        'config.toml:2:5: no TOML: expected a value, found "=": write text in quotes'
    ]


def test_a_list_that_is_too_short_but_for_what_is_wrong_in_it_is_told_by_that_alone(folder):
    found = problems(folder, "[server]\nbind = ['8080']\n[routes.r]\nsource = 's'\ntargets = []")
    assert [problem.split(": ")[1] for problem in found] == ["[server].bind[0]", "[routes.r].targets"]


def test_only_the_broken_table_is_left_out(folder):
    loaded = load(write(folder, "[targets.a]\ntype = 5\n[targets.b]\ntype = 'x'\nretry = 'p'\n[log]\nlevel = 'x'"), {})
    assert set(loaded.config.targets) == {"b"}
    assert loaded.broken == {("targets", "a"), ("log", "level")}


def test_an_unknown_key_alone_does_not_lose_its_table(folder):
    loaded = load(write(folder, "[targets.a]\ntype = 'x'\nretry = { first = '1s', fst = '1s' }"), {})
    assert loaded.config.targets["a"].retry.first == 1.0
    assert (len(loaded.problems), loaded.broken) == (1, frozenset())


def test_several_problems_of_one_table_are_all_told(folder):
    found = problems(folder, "[sources.s]\nprovider = 1\npath = 2\nbody = 3\n[sources.t]\nprovider = 'p'")
    assert len(found) == 3
    assert set(load(Path("config.toml"), {}).config.sources) == {"t"}


def test_toml_1_1_is_read_and_its_problems_name_the_file(folder):
    text = "[log]\nlevel = 'x'\n[server]\ntls = {\n  cert = 'a',\n  key = \"\\e\",\n}\n"
    assert problems(folder, text) == [
        'config.toml: [log].level: expected "debug", "info", "warning" or "error", found "x"'
    ]


def test_a_secret_in_the_wrong_place_is_not_quoted(folder):
    text = "[sources.s]\nprovider = 'p'\ncredentials.main = { secret = 'canary' }\n[admin]\ntoken = { file = ['canary'], env = 'can ary' }"
    found = "\n".join(problems(folder, text))
    assert "a secret is never written here: put it into a file" in found
    assert "canary" not in found
    assert "can ary" not in found


def test_a_secret_file_that_is_no_text_is_told_by_its_kind(folder):
    found = "\n".join(problems(folder, "[admin]\ntoken = { file = 12345 }"))
    assert "expected text in quotes, found something else" in found
    assert "12345" not in found


class TestIncludes:
    MAIN = "include = ['conf.d/*.toml']\n[targets.a]\ntype = 'x'"

    def test_tables_of_all_files_are_put_together(self, folder):
        write(folder, "[targets.b]\ntype = 'y'", "conf.d/1.toml")
        write(folder, "[routes.r]\nsource = 's'\ntargets = ['b']\n[log]\nlevel = 'debug'", "conf.d/2.toml")
        loaded = load(write(folder, self.MAIN), {})
        assert (set(loaded.config.targets), set(loaded.config.routes)) == ({"a", "b"}, {"r"})
        assert loaded.config.log.level == "debug"
        assert [file.name for file in loaded.files] == ["config.toml", "1.toml", "2.toml"]

    def test_a_problem_names_the_file_it_is_in(self, folder):
        write(folder, "\n[targets.b]\ntype = 5", "conf.d/1.toml")
        assert problems(folder, self.MAIN) == ["conf.d/1.toml:3:1: [targets.b].type: expected text in quotes, found 5"]

    def test_C1_a_name_in_two_files_is_an_error_that_tells_both_places(self, folder):
        write(folder, "[targets.a]\ntype = 'y'", "conf.d/1.toml")
        expected = "config.toml:2:2: [targets.a]: stands in two files, the second time at conf.d/1.toml:1:2: keep one"
        assert problems(folder, self.MAIN) == [expected]

    def test_a_section_without_names_stands_in_one_file_only(self, folder):
        write(folder, "[log]\nlevel = 'debug'", "conf.d/1.toml")
        assert "log: stands in two files" in problems(folder, self.MAIN + "\n[log]\n")[0]

    def test_places_are_told_as_far_as_they_are_known(self, folder):
        write(folder, "[targets.a]\ntype = 'y'\nx = \"\\e\"", "conf.d/1.toml")
        assert "the second time at conf.d/1.toml: keep" in problems(folder, self.MAIN)[0]

    def test_a_file_that_includes_itself_or_another_twice_is_an_error(self, folder):
        write(folder, "include = ['../config.toml', '2.toml']", "conf.d/1.toml")
        write(folder, "", "conf.d/2.toml")
        found = refusal(folder, self.MAIN)
        assert len(found) == 2
        assert all("is already part of this configuration" in problem for problem in found)

    def test_a_file_that_is_not_there_is_an_error_and_an_empty_glob_is_none(self, folder):
        assert refusal(folder, "include = ['nope.toml']") == [
            'config.toml:1:12: include[0]: expected a file, found none at "nope.toml": create it or remove this'
        ]
        assert problems(folder, "include = ['nope/*.toml']") == []

    @pytest.mark.parametrize("pattern", ["", ".", "conf.d"])
    def test_a_folder_in_the_place_of_a_file_is_told_where_it_is_written(self, folder, pattern):
        write(folder, "", "conf.d/1.toml")
        (found,) = refusal(folder, f"include = ['{pattern}']")
        assert found.startswith("config.toml:1:12: include[0]: expected a file, found a folder at")

    def test_problems_of_all_files_are_told_even_if_none_can_be_read(self, folder):
        write(folder, "x = = 1", "conf.d/1.toml")
        write(folder, "y = = 1", "conf.d/2.toml")
        assert [problem.partition(":")[0] for problem in refusal(folder, self.MAIN)] == [
            "conf.d/1.toml",
            "conf.d/2.toml",
        ]

    def test_an_include_that_is_no_list_of_texts_is_told(self, folder):
        assert "include[0]: expected text in quotes, found 5" in problems(folder, "include = [5]")[0]

    def test_the_number_of_files_is_bounded(self, folder, monkeypatch):
        monkeypatch.setattr(documents, "FILES_MAX", 2)
        for number in range(3):
            write(folder, "", f"conf.d/{number}.toml")
        assert "includes more than 2 files" in refusal(folder, self.MAIN)[0]


class TestFiles:
    def test_a_missing_file_is_told(self, folder):
        assert refusal(folder) == ["config.toml: cannot be read: No such file or directory"]

    def test_C2_a_file_over_1_MiB_is_refused(self, folder):
        assert "at most 1 MiB" in refusal(folder, "#" * (1024 * 1024 + 1))[0]
        assert problems(folder, "#" * (1024 * 1024)) == []

    def test_C2_a_costly_key_is_refused_with_its_line(self, folder):
        assert refusal(folder, "\n" + ".".join(["a"] * 20_000) + " = 1")[0].startswith(
            "config.toml:2:1: expected a key of at most"
        )

    def test_bytes_that_are_no_utf_8_are_told_with_their_line(self, folder):
        (folder / "config.toml").write_bytes(b"a = 1\nb = '\xff'")
        assert refusal(folder) == ["config.toml:2:6: expected UTF-8 text, found other bytes: save the file as UTF-8"]

    def test_a_number_of_thousands_of_digits_is_an_error_and_no_crash(self, folder):
        assert "no TOML" in refusal(folder, "a = " + "1" * 5000)[0]

    def test_dates_and_infinite_numbers_are_told_like_any_wrong_value(self, folder):
        found = problems(folder, "[log]\nlevel = 1979-05-27\n[policies.p]\njitter = inf\n")
        assert 'found "1979-05-27"' in found[0]
        assert "expected at most 1" in found[1]

    def test_equal_bytes_have_equal_digests(self, folder):
        first = load(write(folder, "[log]\n"), {}).digest
        assert (load(write(folder, "[log]\n"), {}).digest, load(write(folder, "[log] \n"), {}).digest == first) == (
            first,
            False,
        )


def test_long_values_are_cut_and_paths_read_like_toml():
    assert found_text("x" * 100) == '"' + "x" * 56 + "..."
    assert found_text(True) == "true"
    assert found_text({}) == "a table"
    assert path_text(("targets", "a", "retry", "delays", 0)) == "[targets.a].retry.delays[0]"
    assert path_text(("server", "tls", "cert")) == "[server].tls.cert"
    assert path_text(("targets", "a")) == "[targets.a]"
    assert path_text(("include", 0)) == "include[0]"
    assert path_text(()) == ""


@pytest.mark.parametrize("path", ["/hooks//x", "/", "/hooks/é", "/hooks?x", "/" + "x" * 256])
def test_a_source_s_path_is_plain(folder, path):
    assert "expected a path such as" in problems(folder, f"[sources.s]\nprovider = 'p'\npath = '{path}'")[0]


def test_a_loaded_configuration_gives_its_problems_to_a_report(folder):
    loaded = load(write(folder, "[log]\nlevel = 1\n[targets.t]\ntype = 2"), {})
    assert loaded.report().problems == loaded.problems
    assert len(loaded.problems) == 2
