"""Row R13: values in a URL are pieces of it and never change its structure."""

import random
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from gateway.core.selector import Scope
from gateway.wire.url_template import TARGET_CHARACTERS_MAX, VALUE_BYTES_MAX, UnfitUrlError, UrlTemplate

BASE = "https://api.example:8443"


def target(path, **body):
    return UrlTemplate(BASE + path).target(Scope(None, body, None, None, "acme"))


def test_a_url_without_values_is_fixed():
    template = UrlTemplate("http://host/a?b=c")
    assert template.fixed
    assert template.url.target == "/a?b=c"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (BASE + "/{body.a}", "api.example:8443"),
        ("http://[::1]:80/{body.a}", "[::1]"),
        ("http://host?a={body.a}", "host"),
        ("unix:/run/crm.sock:/x/{body.a}", "unix:/run/crm.sock"),
    ],
)
def test_values_stand_in_path_or_query_of_any_form_of_url(url, place):
    template = UrlTemplate(url)
    assert template.url.place == place
    assert template.target(Scope(None, {"a": "v"}, None, None, "")).startswith("/")


@pytest.mark.parametrize(
    "url",
    [
        "{body.a}",
        "{body.a}://host/",
        "http://{body.a}/",
        "http://{body.a}",
        "http://a{body.a}.example/",
        "http://host:{body.a}/",
        "http://host{body.a}/x",
        "http://host:80{body.a}/x",
        "http://{body.a}@host/",
        "http://host\\{body.a}/",
        "unix:{body.a}:/x",
        "unix:/run/{body.a}:/x",
        "unix:/run/a.sock{body.a}",
        "unix:/run/a.sock:{body.a}",
        "http://host/#{body.a}",
        "http://host/../{body.a}",
        "http://host/%2{body.a}",
        "http://host/{{body.a}}",
        "http://host/{body.a",
        "http://host/{nonsense}",
        "http://169.254.169.254/{body.a}",
    ],
)
def test_a_value_anywhere_else_is_refused_when_the_configuration_is_read(url):
    with pytest.raises(ValueError):
        UrlTemplate(url)


@pytest.mark.parametrize(
    ("value", "piece"),
    [
        ("o-1", "o-1"),
        (5, "5"),
        (True, "true"),
        ("a b", "a%20b"),
        ("ü", "%C3%BC"),
        ("@evil", "%40evil"),
        ("#", "%23"),
        ("?x=1", "%3Fx%3D1"),
        ("&y", "%26y"),
        ("%2f", "%252f"),
        ("%2e%2e", "%252e%252e"),
        ("...", "..."),
        (";a=b", "%3Ba%3Db"),
        ("{body.b}", "%7Bbody.b%7D"),
    ],
)
def test_R13_a_value_is_one_percent_encoded_piece(value, piece):
    assert target("/x/{body.a}/y?q={body.a}", a=value) == f"/x/{piece}/y?q={piece}"


@pytest.mark.parametrize(
    ("path", "values", "words"),
    [
        ("/{body.a}", {"a": "../admin"}, "slash"),
        ("/{body.a}", {"a": "a\\b"}, "slash"),
        ("/{body.a}", {"a": ".."}, "is . or .."),
        ("/{body.a}", {"a": "."}, "is . or .."),
        ("/{body.a}{body.b}/x", {"a": ".", "b": "."}, "is . or .."),
        ("/.{body.a}", {"a": "."}, "is . or .."),
        ("/{body.a}", {"a": ""}, "empty"),
        ("/x?a={body.a}", {"a": ""}, "empty"),
        ("/{body.a}", {"a": "a\0"}, "control character"),
        ("/x?{body.a}", {"a": "a\r\nHost: evil"}, "control character"),
        ("/x?{body.a}", {"a": "a\u2028"}, "control character"),
        ("/{body.a}", {"a": "a\ud800"}, "lone surrogate"),
        ("/{body.a}", {"a": "a" * (VALUE_BYTES_MAX + 1)}, f"longer than {VALUE_BYTES_MAX} bytes"),
        ("/" + "{body.a}" * 8, {"a": "a" * VALUE_BYTES_MAX}, f"longer than {TARGET_CHARACTERS_MAX} characters"),
        ("/{body.a}", {}, "nothing at body.a"),
        ("/{body.a}", {"a": None}, "nothing at body.a"),
        ("/{body.a}", {"a": {"b": "/"}}, "slash"),
    ],
)
def test_R13_a_value_that_could_change_the_url_leaves_no_url(path, values, words):
    with pytest.raises(UnfitUrlError, match=words) as caught:
        target(path, **values)
    assert str(caught.value).startswith("url: ")
    assert "evil" not in str(caught.value)


def test_a_slash_in_the_query_is_only_a_value():
    assert target("/x?back={body.a}", a="/a/../b") == "/x?back=%2Fa%2F..%2Fb"


def test_a_question_mark_in_a_quoted_name_does_not_begin_the_query():
    assert target('/{body."a?b"}?c={body.c}', **{"a?b": "1", "c": "2"}) == "/1?c=2"


def test_R13_whatever_the_values_the_url_reads_back_as_it_was_written():
    """Any reader of URLs finds the fixed text, and the values where they were put."""
    draw = random.Random(13)
    letters = "ab./\\%?#&=+;:@ ~é漢\u2028\r\n\0\t\"'<>{}|^`[]-_0"
    sent = 0
    for _ in range(20_000):
        one, two = ("".join(draw.choices(letters, k=draw.randrange(6))) for _ in range(2))
        try:
            found = urlsplit(BASE + target("/fixed/{body.a}/end?q={body.b}&last=1", a=one, b=two))
        except UnfitUrlError:
            continue
        sent += 1
        assert found.netloc == "api.example:8443"
        assert [unquote(part) for part in found.path.split("/")] == ["", "fixed", one, "end"]
        assert parse_qsl(found.query) == [("q", two), ("last", "1")]
        assert found.path.isascii()
        assert found.path.isprintable()
    assert sent > 2_000
