import pytest
from pydantic import BaseModel, Field, ValidationError

from gateway.config.lines import Position
from gateway.config.problems import Problem, Report
from gateway.config.sentences import did_you_mean
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


class Odd(BaseModel):
    """Options as a plugin may have them."""

    size: int = Field(gt=5, default=6)
    name: str = Field(pattern="^a", max_length=3, default="a")
    both: int | str = 1
    token: str = ""


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"size": 5}, "size: expected Input should be greater than 5, found 5"),
        ({"name": "b"}, 'name: expected text that fits ^a, found "b"'),
        ({"name": "aaaa"}, 'name: expected at most 3 characters, found "aaaa"'),
        ({"both": [1]}, "both: expected a whole number or text in quotes, found a list"),
        ({"token": 5}, "token: expected text in quotes, found something else"),
    ],
)
def test_whatever_a_plugin_asks_for_is_told_in_one_sentence(data, expected):
    report = Report("c.toml", {})
    with pytest.raises(ValidationError) as caught:
        Odd.model_validate(data)
    report.add_invalid(caught.value, data, Odd.model_json_schema())
    assert [str(problem) for problem in report.problems] == [f"c.toml: {expected}"]
