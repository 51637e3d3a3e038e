import pytest

from gateway.config.lines import Position
from gateway.config.problems import Problem, Report, did_you_mean
from gateway.errors import ConfigError

PLACES = {("routes", "r"): Position("c.toml", 4, 1), ("routes", "r", "verify"): Position("c.toml", 5, 1)}


def test_a_key_without_a_place_is_told_at_the_nearest_key_above_it():
    report = Report("c.toml", PLACES)
    assert report.position(("routes", "r", "verify", "secret")) == Position("c.toml", 5, 1)
    assert report.position(("store",)) == Position("c.toml", 0, 0)


def test_what_was_made_of_something_is_told_there():
    report = Report("c.toml", PLACES)
    report.come_from(("sources", "p"), ("routes", "r"))
    report.come_from(("sources", "p", "credentials", "r", "verify", "x"), ("sources", "p", "verify", "x"))
    report.add(("sources", "p", "credentials", "r", "verify", "x"), "wrong")
    report.warn(("sources", "p"), "odd")
    assert [str(problem) for problem in report.problems] == ["c.toml:5:1: [routes.r].verify.x: wrong"]
    assert [str(warning) for warning in report.warnings] == ["c.toml:4:1: [routes.r]: odd"]


def test_each_problem_is_told_once_and_all_of_them_together():
    report = Report("c.toml", PLACES, [Problem(Position("b.toml", 9, 1), (), "first")])
    report.add(("routes", "r"), "wrong")
    report.add(("routes", "r"), "wrong")
    report.add_problem(Problem(Position("a.toml", 1, 1), (), "else"))
    with pytest.raises(ConfigError) as caught:
        report.check()
    assert caught.value.problems == ["a.toml:1:1: else", "b.toml:9:1: first", "c.toml:4:1: [routes.r]: wrong"]


def test_a_report_without_problems_raises_nothing():
    report = Report("c.toml", PLACES)
    report.warn((), "odd")
    report.check()


def test_only_a_near_word_is_suggested():
    assert did_you_mean("crn", ["crm", "audit"]) == '; did you mean "crm"?'
    assert did_you_mean("xyz", ["crm"]) == ""
