"""Digests: one mail for several messages to the same people, over a real mail server; and what is attached."""

import email
import email.policy
from dataclasses import replace

import pytest
import trio
from pydantic import ValidationError

from gateway.plugin import Context, Delivered, Gather, Rejected, Retry, TargetDown, TemplateFile, gather_of
from gateway.runtime import Runtime
from gateway.targets.email import Email
from gateway.targets.email_options import EmailOptions
from gateway.testing.target import check_target, sample_message
from harness.mail import HANG, real_server, told_server

BOTH = ["ops@acme.example", "boss@acme.example"]


def options(port, **more):
    smtp = {"host": "127.0.0.1", "port": port, "tls": "none", "from": "Hookgate <hooks@acme.example>"}
    return EmailOptions(**{"to": ["ops@acme.example"], "digest": {"every": "15m", "count": 3}, "smtp": smtp, **more})


def message(number, **more):
    body = b'{"owner":"u%d"}' % number
    return replace(sample_message(), id=f"evt_{number:016x}", payload=body, content=b"", **more)


async def deliver(chosen, messages):
    target = Email.build(chosen)
    await target.open(Context(name="ops-mail", runtime=Runtime(), connections=2))
    try:
        return await target.deliver_many(messages)
    finally:
        await target.close()


def read(envelope):
    return email.message_from_bytes(envelope.content.replace(b"\r\n", b"\n"), policy=email.policy.default)


def text_of(mail):
    return mail.get_body(("plain",)).get_content()


async def test_a_digest_keeps_the_contract_of_targets():
    with real_server() as (mailbox, port):
        smtp = {"host": "127.0.0.1", "port": port, "tls": "none", "from": "h@a.b"}
        table = {"to": ["ops@acme.example"], "smtp": smtp, "digest": {"count": 10}}
        await check_target(Email, table, Context(name="ops-mail", runtime=Runtime(), connections=2))
        assert mailbox.mails


def test_a_target_gathers_only_if_it_is_told_to():
    assert gather_of(Email.build(options(25))) == Gather(900.0, 3)
    assert gather_of(Email.build(options(25, digest=None))) is None
    assert not hasattr(Email.build(options(25, digest=None)), "deliver_many")


async def test_several_messages_are_one_mail_that_lists_and_tells_them():
    with real_server() as (mailbox, port):
        outcomes = await deliver(options(port, subject="{event.type} {body.owner}"), [message(n) for n in (1, 2, 3)])
    assert [type(outcome) for outcome in outcomes] == [Delivered] * 3
    mail = read(mailbox.mails[0])
    assert len(mailbox.mails) == 1
    assert mail["Subject"] == f"{sample_message().type} u1 (and 2 more)"
    for number in (1, 2, 3):
        assert f"{number}. {sample_message().type} u{number}" in text_of(mail)
        assert f"hookgate events show evt_{number:016x}" in text_of(mail)


async def test_a_single_message_is_the_mail_that_it_would_be_without_a_digest():
    with real_server() as (mailbox, port):
        await deliver(options(port), [message(1)])
        single = Email.build(options(port, digest=None))
        await single.open(Context(name="ops-mail", runtime=Runtime(), connections=2))
        await single.deliver(message(1))
    assert mailbox.mails[0].content == mailbox.mails[1].content


async def test_the_same_messages_make_the_same_mail_on_every_try_and_others_another():
    with real_server() as (mailbox, port):
        for chosen in ((1, 2), (1, 2), (1, 2, 3)):
            await deliver(options(port), [message(number) for number in chosen])
    first, second, third = mailbox.mails
    assert first.content == second.content
    assert read(first)["Message-ID"] != read(third)["Message-ID"]


async def test_each_person_gets_only_the_messages_that_are_for_them():
    with real_server() as (mailbox, port):
        messages = [message(1), message(2), replace(message(1), id="evt_" + "a" * 16)]
        await deliver(options(port, to=["{body.owner}@acme.example"]), messages)
    assert [mail.rcpt_tos for mail in mailbox.mails] == [["u1@acme.example"], ["u2@acme.example"]]
    assert "evt_" + "a" * 16 in text_of(read(mailbox.mails[0]))
    assert "evt_" + "a" * 16 not in text_of(read(mailbox.mails[1]))


async def test_M6_after_one_recipient_refused_only_that_one_gets_the_old_messages_and_all_get_the_new():
    notes = {}
    with real_server() as (mailbox, port):
        mailbox.refuse = {BOTH[1]: "450 later"}
        old = [message(n, save_progress=lambda note, n=n: notes.update({n: note})) for n in (1, 2)]
        outcomes = await deliver(options(port, to=BOTH), old)
        assert [type(outcome) for outcome in outcomes] == [Retry] * 2
        mailbox.refuse = {}
        again = [replace(each, progress=notes[n]) for n, each in enumerate(old, 1)]
        outcomes = await deliver(options(port, to=BOTH), [*again, message(3)])
    assert [type(outcome) for outcome in outcomes] == [Delivered] * 3
    assert [mail.rcpt_tos for mail in mailbox.mails] == [BOTH[:1], BOTH[1:], BOTH]


async def test_who_has_a_mail_is_noted_though_the_next_mail_is_cut_short():
    notes = []
    messages = [replace(message(1), save_progress=notes.append), message(2)]
    async with told_server(RCPT={"TO:<u2@acme.example>": HANG}) as server, trio.open_nursery() as nursery:
        nursery.start_soon(deliver, options(server.port, to=["{body.owner}@acme.example"]), messages)
        with trio.fail_after(30):
            while b"RCPT TO:<u2@acme.example>" not in server.lines:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert notes == [b'["u1@acme.example"]']


async def test_a_message_that_cannot_be_mailed_does_not_keep_the_others_back():
    with real_server() as (mailbox, port):
        chosen = options(port, to=["{body.owner}@acme.example"])
        bad = replace(message(2), payload=b'{"owner":"a b"}')
        outcomes = await deliver(chosen, [message(1), bad, message(3)])
    assert [type(outcome) for outcome in outcomes] == [Delivered, Rejected, Delivered]
    assert len(mailbox.mails) == 2


async def test_a_server_that_is_down_is_asked_once_for_all_of_them():
    async with told_server(greeting=b"554 no") as server:
        chosen = options(server.port, to=["{body.owner}@acme.example"])
        outcomes = await deliver(chosen, [message(1), message(2), message(3)])
        assert server.connections == 1
    assert [type(outcome) for outcome in outcomes] == [TargetDown] * 3


async def test_a_text_template_is_filled_for_each_message(tmp_path):
    with real_server() as (mailbox, port):
        chosen = options(port, text=TemplateFile("t.txt", "owner {{ body.owner }}"))
        await deliver(chosen, [message(1), message(2)])
    assert "owner u1" in text_of(read(mailbox.mails[0]))
    assert "owner u2" in text_of(read(mailbox.mails[0]))


def test_html_and_a_digest_do_not_go_together():
    with pytest.raises(ValidationError, match="a digest is plain text"):
        options(25, html=TemplateFile("t.html", "<p>x</p>"))


@pytest.mark.parametrize("digest", [{"every": "59s"}, {"every": "8d"}, {"count": 1}, {"count": 251}])
def test_the_limits_of_a_digest(digest):
    with pytest.raises(ValidationError, match=next(iter(digest))):
        options(25, digest=digest)


async def test_each_payload_is_a_file_named_after_its_event_whatever_is_in_it():
    with real_server() as (mailbox, port):
        contents = [b'{"name":"../../etc/passwd"}', b'{"n":2}']
        messages = [
            replace(message(n), content=content, content_type="application/json")
            for n, content in enumerate(contents, 1)
        ]
        await deliver(options(port), messages)
    files = list(read(mailbox.mails[0]).iter_attachments())
    assert [file.get_filename() for file in files] == [f"evt_{n:016x}.json" for n in (1, 2)]
    assert [file.get_payload(decode=True) for file in files] == contents


@pytest.mark.parametrize("digest", [None, {"count": 3}])
async def test_what_is_too_big_together_is_left_out_and_the_text_says_which(digest):
    big = [replace(message(n), content=b"x" * 600, content_type="text/plain") for n in (1, 2)]
    with real_server() as (mailbox, port):
        chosen = options(port, attach_max="1KiB", digest=digest)
        if digest:
            await deliver(chosen, big)
        else:
            target = Email.build(chosen)
            await target.open(Context(name="ops-mail", runtime=Runtime(), connections=2))
            big = [replace(big[0], content=b"x" * 1025)]
            await target.deliver(big[0])
    mail = read(mailbox.mails[0])
    left_out = big[-1]
    assert [file.get_filename() for file in mail.iter_attachments()] == ([f"{big[0].id}.txt"] if digest else [])
    assert f"    {left_out.id} ({len(left_out.content)}B)" in text_of(mail)
    assert "1KiB (attach_max)" in text_of(mail)
