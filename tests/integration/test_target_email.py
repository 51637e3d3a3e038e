"""The `email` target: what a real mail server gets, and what becomes of every way in which one can refuse."""

import email
import email.policy
from dataclasses import replace

import pytest
import trio

from gateway.plugin import (
    Context,
    Delivered,
    NotTried,
    Rejected,
    Retry,
    SecretText,
    TargetDown,
    TemplateFile,
    load_kinds,
)
from gateway.runtime import Runtime
from gateway.targets.email import Email
from gateway.targets.email_options import EmailOptions
from gateway.testing.target import check_target, sample_message
from harness.mail import PASSWORD, USER, Authority, real_server, told_server

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


def options(port, **more):
    smtp = {"host": "127.0.0.1", "port": port, "tls": "none", "from": "Hookgate <hooks@acme.example>"}
    smtp |= more.pop("smtp", {})
    return EmailOptions(**{"to": ["ops@acme.example"], "smtp": smtp, **more})


async def deliver(chosen, message=None, runtime=None):
    target = Email.build(chosen)
    await target.open(Context(name="ops-mail", runtime=runtime or Runtime(), connections=2))
    try:
        return await target.deliver(message or sample_message())
    finally:
        await target.close()


def read(envelope):
    return email.message_from_bytes(envelope.content.replace(b"\r\n", b"\n"), policy=email.policy.default)


async def mail_of(message=None, **more):
    with real_server() as (mailbox, port):
        outcome = await deliver(options(port, **more), message)
    assert isinstance(outcome, Delivered), outcome
    (envelope,) = mailbox.mails
    return envelope, read(envelope)


def with_payload(payload, **more):
    return replace(sample_message(), payload=payload, content=b"", **more)


def test_the_kind_is_installed_and_sends_no_payload_with_little_at_once():
    assert load_kinds("targets", {"email"})["email"] is Email
    assert (Email.send, Email.concurrency) == ("empty", 2)


async def test_the_target_keeps_the_contract_of_targets():
    with real_server() as (mailbox, port):
        table = {
            "to": ["ops@acme.example"],
            "smtp": {"host": "127.0.0.1", "port": port, "tls": "none", "from": "h@a.b"},
        }
        await check_target(Email, table, Context(name="ops-mail", runtime=Runtime(), connections=2))
        assert mailbox.mails


async def test_a_mail_goes_over_starttls_with_a_login(authority):
    with real_server(tls_context=authority.context, require_starttls=True, auth_required=True) as (mailbox, port):
        smtp = {"tls": "required", "user": USER, "password": SecretText(PASSWORD), "ca": str(authority.file)}
        outcome = await deliver(options(port, smtp=smtp))
    assert isinstance(outcome, Delivered)
    assert [tls for _, tls in mailbox.logins] == [True]
    assert mailbox.mails[0].rcpt_tos == ["ops@acme.example"]
    assert mailbox.mails[0].mail_from == "hooks@acme.example"


async def test_a_mail_goes_over_implicit_tls(authority):
    with real_server(ssl_context=authority.context) as (mailbox, port):
        outcome = await deliver(options(port, smtp={"tls": "implicit", "ca": str(authority.file)}))
    assert isinstance(outcome, Delivered)
    assert len(mailbox.mails) == 1


async def test_a_certificate_of_somebody_else_takes_the_target_down(authority, tmp_path):
    with real_server(tls_context=authority.context) as (mailbox, port):
        other = Authority(tmp_path)
        outcome = await deliver(options(port, smtp={"tls": "required", "ca": str(other.file)}))
    assert isinstance(outcome, TargetDown)
    assert outcome.reason.startswith("tls: certificate refused")
    assert mailbox.mails == []


async def test_a_wrong_password_takes_the_target_down_and_is_not_shown(authority):
    with real_server(tls_context=authority.context, auth_required=True) as (mailbox, port):
        smtp = {"tls": "required", "user": USER, "password": SecretText("wrong-canary"), "ca": str(authority.file)}
        outcome = await deliver(options(port, smtp=smtp))
    assert isinstance(outcome, TargetDown)
    assert outcome.reason == "login: the server refuses the login with 535"
    assert mailbox.mails == []


async def test_the_headers_tell_event_date_and_that_no_person_wrote_it():
    envelope, mail = await mail_of(with_payload(b"{}"), cc=["boss@acme.example"])
    assert envelope.rcpt_tos == ["ops@acme.example", "boss@acme.example"]
    assert mail["From"] == "Hookgate <hooks@acme.example>"
    assert (mail["To"], mail["Cc"]) == ("ops@acme.example", "boss@acme.example")
    assert mail["Subject"] == "acme: order.completed"
    assert mail["Message-ID"] == "<evt_0000000000000001.conformance@acme.example>"
    assert mail["Date"].datetime.timestamp() == sample_message().accepted_at // 1000
    assert (mail["Auto-Submitted"], mail["Precedence"]) == ("auto-generated", "bulk")


async def test_nobody_gets_a_mail_twice():
    envelope, _ = await mail_of(to=["a@acme.example", "a@acme.example"], cc=["a@acme.example"])
    assert envelope.rcpt_tos == ["a@acme.example"]


async def test_the_default_text_has_the_facts_and_where_to_look_but_not_the_payload():
    _, mail = await mail_of(with_payload(b'{"name":"canary"}'))
    text = mail.get_content()
    for fact in ("acme", "order.completed", "2023-10-30", "evt_0000000000000001", "2023-11-14 22:13:20 UTC"):
        assert fact in text
    assert "hookgate events show evt_0000000000000001" in text
    assert "canary" not in str(mail)


async def test_what_send_makes_is_attached():
    message = replace(sample_message(), content=b'{"a":1}', content_type="application/json; charset=utf-8")
    _, mail = await mail_of(message)
    (attached,) = mail.iter_attachments()
    assert attached.get_content_type() == "application/json"
    assert attached.get_content() == b'{"a":1}'
    assert attached.get_filename() == "evt_0000000000000001.json"


async def test_templates_write_text_and_escaped_html():
    _, mail = await mail_of(
        with_payload('{"who":"<b>Zoë & co</b>"}'.encode()),
        text=TemplateFile("a.txt", "Hello {{ body.who }} ({{ event.id }})"),
        html=TemplateFile("a.html", "<p>{{ body.who }}</p>"),
    )
    assert mail.get_content_type() == "multipart/alternative"
    assert mail.get_body(("plain",)).get_content() == "Hello <b>Zoë & co</b> (evt_0000000000000001)\n"
    assert mail.get_body(("html",)).get_content() == "<p>&lt;b&gt;Zoë &amp; co&lt;&#x2f;b&gt;</p>\n"


async def test_lines_that_are_only_dots_arrive_and_end_nothing():
    text = "one\n.\n..\n.quit\nMAIL FROM:<x@y.example>\n"
    _, mail = await mail_of(with_payload(b"{}"), text=TemplateFile("a.txt", text))
    assert mail.get_content() == text


async def test_a_template_that_cannot_be_filled_rejects_the_message():
    chosen = options(1, text=TemplateFile("a.txt", "{{ body.absent }}"))
    outcome = await deliver(chosen, with_payload(b'{"secret":"canary"}'))
    assert isinstance(outcome, Rejected)
    assert outcome.reason.startswith("template: ")
    assert "canary" not in outcome.reason


async def test_a_warning_of_the_gateway_s_own_goes_out_whatever_template_and_subject_are():
    body = b'{"type":"target.down","subject":"crm","at":1,"data":{"target":"crm","reason":"refused: 10.0.0.5"}}'
    message = with_payload(body, source="hookgate", type="target.down", version="1")
    template = TemplateFile("a.txt", "{{ body.data.order.state }}")
    _, mail = await mail_of(message, subject="{source}: {body.data.state}", text=template, html=template)
    assert mail["Subject"] == "Hookgate: Target crm is down"
    assert "refused: 10.0.0.5" in mail.get_content()


async def test_the_subject_and_a_recipient_take_values_of_the_payload():
    envelope, mail = await mail_of(
        with_payload(b'{"owner":"jo","state":"d\xc3\xb6ne\\tnow"}'),
        to=["{body.owner}@acme.example"],
        subject="{event.type}: {body.state}",
    )
    assert envelope.rcpt_tos == ["jo@acme.example"]
    assert mail["Subject"] == "order.completed: döne now"


async def test_a_subject_without_its_value_is_the_default_one():
    _, mail = await mail_of(with_payload(b"no json"), subject="{source} {body.state}")
    assert mail["Subject"] == "acme: order.completed"


@pytest.mark.parametrize(
    "bad", ["a\\r\\nBcc: x@evil.example", "a\\nb", "a\\u2028b", "a\\u0000b", "\\u0085", "\\u001b[0m"]
)
async def test_M1_a_line_end_or_control_character_in_the_subject_kills_the_message(bad):
    async with told_server() as server:
        message = with_payload(b'{"v":"%s"}' % bad.encode())
        outcome = await deliver(options(server.port, subject="x {body.v}"), message)
        assert server.connections == 0
    assert outcome == Rejected("header: the subject holds a line end or another control character")


@pytest.mark.parametrize(
    "bad",
    [
        "a@b> RCPT TO:<x@evil.example", "a@evil.example,b", "a\\r\\nRCPT TO:<x@y>", "a\\u2028b", "a\\u0000", "a b", "",
        "<a",
        '\\"a\\"', "a%b", "a!b", "ü", "@evil.example:a", "a" * 1000, ".a", "a..b", "a.",
        "=?utf-8?q?x?=", "a=?utf-8?q?x=0a?=",
    ],
)  # fmt: skip
async def test_M2_a_recipient_from_a_payload_that_is_no_plain_address_kills_the_message(bad):
    async with told_server() as server:
        for template in ("{body.v}@acme.example", "{body.v}"):
            outcome = await deliver(options(server.port, to=[template]), with_payload(b'{"v":"%s"}' % bad.encode()))
            assert isinstance(outcome, Rejected)
            assert outcome.reason.startswith("header: a recipient: ")
        assert server.connections == 0


async def test_M3_the_mail_is_the_same_on_every_attempt():
    one, _ = await mail_of(sample_message(), html=TemplateFile("a.html", "<p>{{ event.id }}</p>"))
    two, _ = await mail_of(replace(sample_message(), attempt=7), html=TemplateFile("a.html", "<p>{{ event.id }}</p>"))
    assert one.content == two.content


async def test_M6_only_who_lacks_the_mail_gets_it_at_the_next_attempt():
    saved = []
    message = replace(sample_message(), save_progress=saved.append)
    with real_server() as (mailbox, port):
        chosen = options(port, to=["a@acme.example", "b@acme.example", "c@acme.example"])
        mailbox.refuse = {"b@acme.example": "452 4.2.2 mailbox full", "c@acme.example": "550 5.1.1 unknown"}
        first = await deliver(chosen, message)
        mailbox.refuse.pop("b@acme.example")
        second = await deliver(chosen, replace(message, attempt=2, progress=saved[-1]))
        mailbox.refuse.clear()
        third = await deliver(chosen, replace(message, attempt=3, progress=saved[-1]))
        fourth = await deliver(chosen, replace(message, attempt=4, progress=saved[-1]))
    assert isinstance(first, Retry)
    assert "1 of 3 recipients have it" in first.reason
    assert isinstance(second, Rejected)
    assert second.reason == "2 of 3 recipients have it; refused: c@acme.example: 550 5.1.1 unknown"
    assert isinstance(third, Delivered)
    assert isinstance(fourth, Delivered)
    assert [envelope.rcpt_tos for envelope in mailbox.mails] == [[f"{name}@acme.example"] for name in "abc"]


async def test_nobody_there_takes_the_target_down():
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))
        outcome = await deliver(options(taken.getsockname()[1]))
    assert isinstance(outcome, TargetDown)
    assert outcome.reason.startswith("refused: ")


@pytest.mark.parametrize(
    ("host", "words"),
    [("169.254.169.254", "cloud metadata"), ("127.1", "four decimal numbers"), ("2130706433", "four decimal numbers")],
)
def test_R10_a_server_at_a_denied_or_oddly_written_address_is_refused(host, words):
    with pytest.raises(ValueError, match=words):
        Email.build(options(25, smtp={"host": host}))


async def test_R9_a_name_that_resolves_to_a_denied_address_is_never_connected_to():
    class Rebound(Runtime):
        async def resolve(self, host, port, seconds):
            return [(trio.socket.AF_INET, "169.254.169.254", port)]

    outcome = await deliver(options(25, smtp={"host": "mail.example"}), runtime=Rebound())
    assert isinstance(outcome, TargetDown)
    assert outcome.reason.startswith("denied-address: ")


async def test_a_busy_resolver_costs_nothing():
    class Deaf(Runtime):
        async def resolve(self, host, port, seconds):
            raise BlockingIOError(11, "busy")

    assert isinstance(await deliver(options(25, smtp={"host": "mail.example"}), runtime=Deaf()), NotTried)


async def test_C6_a_message_that_goes_round_is_rejected_as_a_loop():
    message = replace(sample_message(), headers={"hookgate-hops": "5"})
    outcome = await deliver(options(1), message)
    assert isinstance(outcome, Rejected)
    assert outcome.reason.startswith("loop: ")


async def test_a_ca_that_is_missing_is_an_oserror_at_open(tmp_path):
    target = Email.build(options(1, smtp={"tls": "required", "ca": str(tmp_path / "none.pem")}))
    with pytest.raises(OSError, match=r"none\.pem"):
        await target.open(Context(name="ops-mail", runtime=Runtime(), connections=1))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"to": []}, "at least 1"),
        ({"to": ["ops"]}, "plain mail address"),
        ({"to": ["Ops <ops@acme.example>"]}, "plain mail address"),
        ({"to": ["{header.x}@acme.example"]}, "cannot stand here"),
        ({"to": ["{body.a} x@acme.example"]}, "plain mail address"),
        ({"subject": "a\nb"}, "line end"),
        ({"subject": "{event.key}"}, "cannot stand here"),
        ({"from": "nobody"}, "plain mail address"),
        ({"bcc": ["a@b.c"]}, "bcc"),
        ({"smtp": {"host": "mail:25", "from": "a@b.c"}}, "without a port"),
        ({"smtp": {"host": "m", "from": "a@b.c", "user": "u"}}, "belong together"),
        (
            {"smtp": {"host": "m", "from": "a@b.c", "tls": "none", "user": "u", "password": SecretText("p")}},
            "in the clear",
        ),
        ({"smtp": {"host": "m", "from": "a@b.c", "tls": "none", "ca": "/x"}}, "for TLS"),
        ({"smtp": {"host": "m", "from": "a@b.c", "ca": "x"}}, "absolute"),
    ],
)
def test_options_that_cannot_work_are_refused_with_the_reason(table, words):
    with pytest.raises(ValueError) as caught:
        EmailOptions(**{"to": ["a@b.c"], "smtp": {"host": "m", "from": "a@b.c"}, **table})
    assert words in str(caught.value)


def test_a_password_that_smtp_cannot_carry_is_refused_without_quoting_it():
    with pytest.raises(ValueError, match="beyond printable ASCII") as caught:
        Email.build(options(1, smtp={"user": "u", "password": SecretText("canäry")}))
    assert "can" not in str(caught.value).replace("cannot", "")


def test_the_password_is_not_shown():
    chosen = options(1, smtp={"user": "u", "password": SecretText("canary")})
    assert "canary" not in repr(chosen) + str(chosen) + chosen.model_dump_json()
