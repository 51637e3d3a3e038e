"""Mails as bytes: whatever a payload holds, it makes no header, line or recipient that the operator did not write."""

import email
import email.policy
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.blueprint import OWN_SOURCE as OWN
from gateway.core.mailbox import check_address, parse_mailbox
from gateway.core.own_events import KINDS
from gateway.targets.mail import SUBJECT_MAX, HeaderError, Parts, Recipients, check_subject, write_mail
from gateway.targets.mail_own import MEANINGS, TITLES
from gateway.targets.mail_text import OWN_SOURCE, default_subject, default_text
from gateway.testing.target import sample_message

HEADERS = [
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Precedence", "X-Auto-Response-Suppress",
    "Hookgate-Hops", "MIME-Version",
]  # fmt: skip
ANYTHING = st.text(st.characters(), max_size=300)
NASTY = st.text(st.sampled_from('\r\n\t\0\x0b\x0c\x1c\x85\u2028\u2029 .:<>"=?é\U0001f600aB\ud800'), max_size=300)


def written(subject="x", text="x", html=None, content=b"", content_type="", sender="h@acme.example"):
    message = replace(sample_message(), content=content, content_type=content_type)
    attached = (message,) if content else ()
    return write_mail([message], sender, Recipients(("a@acme.example",), ()), Parts(subject, text, html, attached), 1)


def parsed(data):
    return email.message_from_bytes(data.replace(b"\r\n", b"\n"), policy=email.policy.default)


@given(ANYTHING | NASTY)
def test_M1_a_subject_is_refused_or_arrives_as_one_header_with_the_same_text(text):
    try:
        subject = check_subject(text)
    except HeaderError:
        assert re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", text)
        return
    assert len(subject) <= SUBJECT_MAX
    mail = parsed(written(subject=subject))
    assert [name for name in mail.keys() if not name.startswith("Content-")] == HEADERS  # noqa: SIM118 - with repeats
    assert " ".join(str(mail["Subject"]).split()) == " ".join(subject.split())


@pytest.mark.parametrize(
    "word",
    [
        "=?utf-8?q?x=0d=0aBcc:_x@evil.example?=", "=?utf-8?b?eA0KQmNjOiB4QGV2aWwuZXhhbXBsZQ==?=",
        "=?us-ascii?q?x=0d=0a=0d=0aanother_text?=", "=?utf-8?b?////?=", "=?utf-16?b?//4KAA==?=", "=\t?utf-8?q?=0a?=",
    ],
)  # fmt: skip
def test_M1_an_encoded_word_in_a_subject_stays_what_was_written_and_breaks_nothing(word):
    for subject in (word, f"döne {word} ä", "x" * 150 + word, f"({word})"):
        mail = parsed(written(subject=check_subject(subject)))
        assert [name for name in mail.keys() if not name.startswith("Content-")] == HEADERS  # noqa: SIM118 - with repeats
        assert str(mail["Subject"])[:150].replace(" ", "") == subject[:150].expandtabs(1).replace(" ", "")
        assert mail.get_content() == "x\n"


@given(ANYTHING | NASTY, ANYTHING | NASTY, st.binary(max_size=300), ANYTHING | NASTY)
def test_no_line_of_a_mail_is_too_long_or_ends_otherwise_than_smtp_has_it(text, html, content, content_type):
    data = written("x", text, html, content, content_type)
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert b"\r" not in data.replace(b"\r\n", b"")
    assert max(map(len, data.split(b"\r\n"))) <= 998
    assert data.isascii()
    mail = parsed(data)
    assert mail["To"] == "a@acme.example"
    attached = [part.get_payload(decode=True) for part in mail.iter_attachments()]
    assert attached == ([content] if content else [])


@pytest.mark.parametrize("content_type", ["message/delivery-status", "Message/rfc822; a=b", "multipart/mixed"])
def test_what_says_that_it_has_parts_is_attached_as_bytes(content_type):
    (attached,) = parsed(written(content=b"From: x\r\n\r\n\xff", content_type=content_type)).iter_attachments()
    assert attached.get_content_type() == "application/octet-stream"
    assert attached.get_payload(decode=True) == b"From: x\r\n\r\n\xff"


def test_long_names_leave_the_addresses_and_the_id_as_they_are():
    address = f"{'a' * 64}@{'.'.join(['b' * 60] * 3)}.ex"
    message = replace(sample_message(), target="t" * 64)
    data = write_mail(
        [message], f"{'Zoë ' * 25}<{address}>", Recipients((address,), (address,)), Parts("x", "x", None), 1
    )
    mail = parsed(data)
    assert [mail[name].addresses[0].addr_spec for name in ("From", "To", "Cc")] == [address] * 3
    assert mail["Message-ID"] == f"<evt_0000000000000001.{'t' * 64}@{address.partition('@')[2]}>"
    assert max(map(len, data.split(b"\r\n"))) <= 998


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=2000))
def test_a_text_arrives_as_it_was_written(text):
    assert parsed(written(text=text)).get_content().rstrip("\n") == text.rstrip("\n")


def test_what_looks_like_a_boundary_is_none():
    text = "\n--=_evt_0000000000000001_0--\n--=_evt_0000000000000001_1\n"
    mail = parsed(written(text=text, html=text, content=b"x"))
    assert mail.get_body(("plain",)).get_content() == text
    assert len(list(mail.walk())) == 5


@given(st.text(max_size=300) | st.from_regex(r"[a-z.@<> ,%!]{0,40}"))
def test_M2_an_address_has_nothing_that_ends_a_command_or_a_header(text):
    try:
        check_address(text)
    except ValueError:
        return
    assert re.fullmatch(r"[!-;=?-~]+@[A-Za-z0-9.-]+", text, re.ASCII)
    assert len(text) <= 254
    assert not set(text) & set('"%!,;:()[]\\<> ')


@pytest.mark.parametrize("text", ["a@b", "a.b+c@x-y.example", "o'neil@acme.example", "a@xn--80ak6aa92e.com"])
def test_plain_addresses_are_taken(text):
    assert check_address(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@b.c", ("", "a@b.c")),
        ("Ops <a@b.c>", ("Ops", "a@b.c")),
        ('"Ops, all" <a@b.c>', ("Ops, all", "a@b.c")),
        ("Zoë<a@b.c>", ("Zoë", "a@b.c")),
    ],
)
def test_a_sender_may_have_a_name(text, expected):
    assert parse_mailbox(text) == expected
    assert parsed(written(sender=text))["From"].addresses[0].display_name == expected[0]


@pytest.mark.parametrize("text", ["", "a", "<a@b.c> x", "a\nb <a@b.c>", "x <y> <a@b.c>", "x <>", "a\u2028 <a@b.c>"])
def test_a_sender_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="plain mail address"):
        parse_mailbox(text)


def own(kind, subject, **data):
    return replace(sample_message(), source="hookgate", type=kind), {"subject": subject, "data": data}


def test_the_name_of_the_own_source_is_the_gateway_s():
    assert OWN_SOURCE == OWN


def test_every_own_event_has_a_title_and_a_meaning():
    assert set(KINDS) == set(TITLES) == set(MEANINGS)


def test_a_dead_delivery_is_told_with_its_reason_and_what_to_do():
    message, body = own(
        "delivery.dead", "crm", target="crm", source="acme", type="order.x", event_id="evt_1", reason="HTTP 422"
    )
    assert default_subject(message, body) == "Hookgate: A delivery to crm is dead"
    text = default_text(message, body)
    assert "reason    HTTP 422" in text
    assert "hookgate events show evt_1" in text
    assert "hookgate retry evt_1 " in text
    assert "hookgate deliveries list --state dead --target crm " in text


def test_an_event_that_no_route_took_is_told_with_what_each_route_wanted():
    unmet = ["route a: version 2.*", 'route b: match body.state = "x"']
    text = default_text(*own("event.unmatched", "acme order.x", source="acme", event_id="evt_1", unmet=unmet))
    assert 'unmet     route a: version 2.*; route b: match body.state = "x"' in text
    assert "hookgate events show evt_1 " in text


def test_no_version_is_told_where_there_is_none():
    message, body = own("event.unmatched", "acme order.x", source="acme", type="order.x", version="")
    assert "version" not in default_text(message, body)
    assert "version" not in default_text(replace(sample_message(), version=""), {})


@pytest.mark.parametrize("kind", [*MEANINGS, "something.new"])
@pytest.mark.parametrize("body", [None, [], {}, {"data": None, "subject": None}, {"data": {"target": {"a": 1}}}])
def test_an_own_event_of_any_form_has_a_text(kind, body):
    message = replace(sample_message(), source="hookgate", type=kind)
    assert "hookgate " in default_text(message, body)
    assert "{" not in default_subject(message, body)


def test_every_command_that_a_mail_recommends_exists():
    from gateway.cli.main import cli

    for advice in MEANINGS.values():
        for line, _ in advice.commands:
            verb, *words = line.split()[1:]
            command = cli.get_command(None, verb)
            if hasattr(command, "commands"):
                command = command.commands[words.pop(0)]
            arguments = [word.replace("{event_id}", "EVENT").replace("{target}", "TARGET") for word in words]
            assert command.make_context(verb, arguments), line


@given(ANYTHING | NASTY)
def test_what_a_sender_chose_fills_one_line_of_the_text_only(value):
    message, body = own("delivery.dead", value, target=value, reason=value)
    plain, known = own("delivery.dead", "x", target="x", reason="x")
    assert len(default_text(message, body).splitlines()) == len(default_text(plain, known).splitlines())
    assert len(default_subject(message, body).splitlines()) == 1
