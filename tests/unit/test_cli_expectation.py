"""What `send` says of the answers, and when its exit status tells that they are not as they should be."""

import pytest
from blueprint_harness import AUDIT, TRUEWORK, make_world  # noqa: F401 - a fixture
from click.testing import CliRunner

from gateway.cli.expectation import Expectation, expectation, in_words
from gateway.cli.providers import providers
from gateway.plugin import Request

PLAIN = {"bad_signature": False, "old": 0.0, "duplicate": False, "burst": 1}
SPOILT, TAKEN = Expectation(True, "its signature is spoilt"), Expectation(False, "")


@pytest.mark.parametrize(
    ("expected", "answers", "wanted", "fits", "words"),
    [
        (TAKEN, {200: 3}, {}, True, "taken with 200, as it should be"),
        (TAKEN, {200: 2, 503: 1}, {}, False, "answered 200/503, but it should be taken"),
        (TAKEN, {401: 1}, {}, False, "answered 401, but it should be taken"),
        (SPOILT, {401: 2}, {}, True, "refused with 401, as it should be: its signature is spoilt"),
        (SPOILT, {200: 1}, {}, False, "taken with 200, but it should be refused: its signature is spoilt; does the "),
        (SPOILT, {503: 1}, {}, False, "answered 503, but it should be refused"),
        (TAKEN, {200: 2}, {"duplicate": True}, True, "each was sent twice, and the second makes no event"),
        (TAKEN, {200: 9}, {"burst": 9}, True, "9 at once, each on a connection of its own"),
    ],
)
def test_the_answers_are_told_in_words_with_whether_they_are_as_they_should_be(expected, answers, wanted, fits, words):
    found, meaning = in_words(expected, answers, {**PLAIN, **wanted})
    assert found is fits
    assert words in meaning


STAMPED = """
[sources.stamped]
provider = "generic"
credentials.main = { secret = { file = "one" } }
identify = { type = "body.event" }
verify = { scheme = "hmac", header = "X-Sig", shape = "pairs", timestamp = "pair.t", template = "{timestamp}.{body}" }
[routes.r]
source = "stamped"
targets = ["audit"]
"""
HOUR = 3_600_000


@pytest.mark.parametrize(
    ("name", "age", "refused"), [("stamped", HOUR, True), ("stamped", 60_000, False), ("truework", HOUR, False)]
)
def test_what_is_old_must_be_refused_only_where_the_source_itself_refuses_it(world, name, age, refused):
    source = world.build(STAMPED, TRUEWORK, AUDIT).sources[name]
    signed = source.credentials[0].verifier.sign(Request("POST", source.path, "", (), b"{}", "", 2 * HOUR - age))
    wanted = {**PLAIN, "old": age / 1000}
    assert expectation(source, signed, 2 * HOUR, wanted).refused is refused


def test_an_unknown_provider_is_told_with_the_nearest(world):
    answer = CliRunner().invoke(providers, ["show", "gihtub"])
    assert answer.exit_code == 1
    assert "there is no provider 'gihtub'; did you mean \"github\"?" in answer.output
