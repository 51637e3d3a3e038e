"""Mail servers that refuse, lie, fall silent or talk for ever: each costs what docs/targets.md says, and no thread."""

from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest
import trio

from gateway.plugin import Context, Delivered, Rejected, Retry, SecretText, TargetDown
from gateway.runtime import Runtime
from gateway.targets.email import Email
from gateway.targets.email_options import EmailOptions
from gateway.testing.target import sample_message
from harness.mail import CLOSE, FINE, HANG, PASSWORD, USER, Authority, told_server


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


def options(port, to=("a@acme.example",), seconds=30.0, **smtp):
    table = {"host": "127.0.0.1", "port": port, "tls": "none", "from": "h@acme.example", **smtp}
    chosen = EmailOptions(to=to, smtp=table)
    return chosen.model_copy(update={"smtp": chosen.smtp.model_copy(update={"timeout": seconds})})


async def opened(chosen, connections=1):
    target = Email.build(chosen)
    await target.open(Context(name="ops-mail", runtime=Runtime(), connections=connections))
    return target


async def outcome_of(chosen=options, **answers):
    async with told_server(**answers) as server:
        target = await opened(chosen(server.port))
        return await target.deliver(sample_message()), server


@pytest.mark.parametrize(
    ("step", "answer", "kind"),
    [
        ("greeting", b"554 no service here", TargetDown),
        ("greeting", b"421 busy", TargetDown),
        ("greeting", CLOSE, TargetDown),
        ("greeting", b"HTTP/1.1 400 Bad Request", TargetDown),
        ("greeting", b"-1 x", TargetDown),
        ("EHLO", b"502 what", TargetDown),
        ("EHLO", CLOSE, TargetDown),
        ("MAIL", b"451 later", Retry),
        ("MAIL", b"550 not you", TargetDown),
        ("MAIL", b"530 login first", TargetDown),
        ("MAIL", b"552 too big", Rejected),
        ("MAIL", b"421 closing", TargetDown),
        ("MAIL", CLOSE, Retry),
        ("RCPT", b"450 later", Retry),
        ("RCPT", b"550 unknown", Rejected),
        ("RCPT", b"354 what", Retry),
        ("RCPT", b"421 closing", TargetDown),
        ("RCPT", CLOSE, Retry),
        ("DATA", b"451 later", Retry),
        ("DATA", b"554 no", Rejected),
        ("DATA", b"250 done already", Retry),
        ("DATA", CLOSE, Retry),
        (".", b"451 later", Retry),
        (".", b"554 this is spam", Rejected),
        (".", b"421 closing", TargetDown),
        (".", b"354 more", Retry),
        (".", b"nonsense", Retry),
        (".", b"250 queued", Delivered),
        ("QUIT", CLOSE, Delivered),
        ("QUIT", HANG, Delivered),
    ],
)
async def test_every_answer_is_judged_as_the_table_says(step, answer, kind):
    outcome, server = await outcome_of(**{step: answer})
    assert isinstance(outcome, kind), outcome
    assert len(server.contents) == (step in (".", "QUIT"))


@pytest.mark.parametrize(
    ("step", "answer", "kind"),
    [
        ("RCPT", b"250-a\r\n550 b", Rejected),
        ("RCPT", b"550-a\r\n250 b", Delivered),
        ("RCPT", b"250\tok", Retry),
        ("RCPT", b"25 ok", Retry),
        ("RCPT", b"2500 ok", Retry),
        ("RCPT", b" 250 ok", Retry),
        ("RCPT", b"+25 ok", Retry),
        ("RCPT", b"\xd9\xa2\xd9\xa5\xd9\xa0 ok", Retry),
        ("RCPT", b"250", Delivered),
        ("RCPT", b"000 what", Retry),
        ("RCPT", b"999 what", Rejected),
        (".", b"250-a\r\nnonsense", Retry),
        (".", b"199 hm", Retry),
        (".", b"000 ok", Retry),
        (".", b"550-a\r\n250 b", Delivered),
    ],
)
async def test_M7_of_an_answer_the_last_line_counts_and_what_is_no_answer_ends_the_conversation(step, answer, kind):
    outcome, _ = await outcome_of(**{step: answer})
    assert isinstance(outcome, kind), outcome


async def test_M3_a_connection_lost_after_the_last_line_is_tried_again_and_said_to_be_unknown():
    outcome, server = await outcome_of(**{".": CLOSE})
    assert isinstance(outcome, Retry)
    assert "nobody knows whether the mail was taken" in outcome.reason
    assert b"\r\nMessage-ID: <evt_0000000000000001.conformance@acme.example>\r\n" in server.contents[0]


async def test_M6_a_mail_that_some_may_not_get_goes_to_the_others():
    answers = {"RCPT": {"TO:<b@acme.example>": b"550 unknown", "TO:<c@acme.example>": b"450 later"}}
    saved = []
    async with told_server(**answers) as server:
        target = await opened(options(server.port, to=("a@acme.example", "b@acme.example", "c@acme.example")))
        outcome = await target.deliver(replace(sample_message(), save_progress=saved.append))
    assert isinstance(outcome, Retry)
    assert outcome.reason == (
        "1 of 3 recipients have it; refused: b@acme.example: 550 unknown; c@acme.example: 450 later"
    )
    assert saved == [b'["a@acme.example"]']
    assert server.lines[1:3] == [b"MAIL FROM:<h@acme.example>", b"RCPT TO:<a@acme.example>"]


@pytest.mark.parametrize("answer", [b"451 later", b"554 no"])
async def test_M6_nobody_counts_as_having_a_mail_whose_content_was_refused(answer):
    saved = []
    async with told_server(**{".": answer}) as server:
        target = await opened(options(server.port))
        await target.deliver(replace(sample_message(), save_progress=saved.append))
    assert saved == []


@pytest.mark.parametrize("progress", [b"", b"\x00\xff{", b"{}", b"[1]", b'["x@y.example"]', b'"a@acme.example"'])
async def test_progress_that_means_nothing_means_that_nobody_has_the_mail(progress):
    saved = []
    async with told_server() as server:
        target = await opened(options(server.port))
        message = replace(sample_message(), progress=progress, save_progress=saved.append)
        assert isinstance(await target.deliver(message), Delivered)
    assert len(server.contents) == 1
    assert saved == [b'["a@acme.example"]']


def secured(port, **more):
    return options(port, tls="required", user=USER, password=SecretText(PASSWORD), **more)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({}, "offers no STARTTLS"),
        ({"EHLO": b"250-told\r\n250 STARTTLSX"}, "offers no STARTTLS"),
        ({"EHLO": b"250-told\r\n250 STARTTLS", "STARTTLS": b"454 not now"}, "refuses STARTTLS: 454"),
        ({"EHLO": b"250-told\r\n250 STARTTLS", "STARTTLS": CLOSE}, "closed the connection"),
        ({"EHLO": b"250-told\r\n250 STARTTLS", "STARTTLS": b"220 go\r\n250 injected"}, "said more before TLS began"),
        ({"EHLO": b"250-told\r\n250 STARTTLS", "STARTTLS": b"220 go\r\n250-AUTH"}, "said more before TLS began"),
    ],
)
async def test_M5_without_tls_nothing_is_sent(answers, words):
    outcome, server = await outcome_of(secured, **answers)
    assert isinstance(outcome, TargetDown), outcome
    assert outcome.reason.startswith("tls: ")
    assert words in outcome.reason
    assert not {b"AUTH", b"MAIL"} & set(server.verbs)
    assert PASSWORD.encode() not in b"".join(server.lines)


async def test_M5_what_is_said_in_the_clear_after_starttls_is_no_tls():
    async def play(stream):
        await stream.send_all(b"220 hi\r\n")
        await stream.receive_some()
        await stream.send_all(b"250-hi\r\n250 STARTTLS\r\n")
        await stream.receive_some()
        await stream.send_all(b"220 go\r\n")
        await stream.receive_some()  # the TLS hello
        await stream.send_all(b"250-hi\r\n250 AUTH PLAIN\r\n")
        heard.append(await stream.receive_some())

    heard = []
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, play, 0, host="127.0.0.1"))
        target = await opened(secured(listeners[0].socket.getsockname()[1]))
        outcome = await target.deliver(sample_message())
        nursery.cancel_scope.cancel()
    assert isinstance(outcome, TargetDown)
    assert outcome.reason.startswith("tls: ")
    assert all(PASSWORD.encode() not in each and b"MAIL" not in each for each in heard)


async def test_M5_extensions_that_were_offered_before_tls_are_forgotten(authority):
    """The login offered in the clear by somebody in between is not used after TLS."""

    async def play(raw):
        await raw.send_all(b"220 hi\r\n")
        await raw.receive_some()
        await raw.send_all(b"250-hi\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
        await raw.receive_some()
        await raw.send_all(b"220 go\r\n")
        stream = trio.SSLStream(raw, authority.context, server_side=True, https_compatible=True)
        await stream.receive_some()
        await stream.send_all(b"250 hi\r\n")
        with suppress(trio.BrokenResourceError):
            heard.append(await stream.receive_some())

    heard = []
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, play, 0, host="127.0.0.1"))
        target = await opened(secured(listeners[0].socket.getsockname()[1], ca=str(authority.file)))
        outcome = await target.deliver(sample_message())
        nursery.cancel_scope.cancel()
    assert outcome == TargetDown("login: the server offers no way to log in that we know")
    assert b"AUTH" not in b"".join(heard)


@pytest.mark.parametrize(
    "answer",
    [b"535 wrong: " + PASSWORD.encode(), b"334 !not-base64", b"334 " + b"QQ==" * 3, b"454 " + PASSWORD.encode(), CLOSE],
)
async def test_a_login_that_fails_takes_the_target_down_and_shows_no_password(answer):
    def with_login(port):
        return options(port, user=USER, password=SecretText(PASSWORD))

    outcome, server = await outcome_of(with_login, EHLO=b"250-told\r\n250 AUTH PLAIN LOGIN", AUTH=answer)
    assert isinstance(outcome, TargetDown)
    assert outcome.reason.startswith("login: ")
    assert PASSWORD not in outcome.reason
    assert b"MAIL" not in server.verbs


@pytest.mark.parametrize(
    "flood",
    [b"250-" + b"x" * 70_000, b"250-more\r\n" * 8000, b"250 \x1b[31m\xff" + b"y" * 1000],
    ids=["one long line", "endless lines", "an odd line"],
)
async def test_an_answer_is_bounded_and_told_in_plain_letters(flood):
    outcome, _ = await outcome_of(RCPT=flood.replace(b"250", b"450"))
    assert isinstance(outcome, Retry)
    assert len(outcome.reason) <= 500
    assert outcome.reason.isascii()
    assert outcome.reason.isprintable()


async def test_an_answer_without_an_end_is_not_read_for_ever():
    async def play(stream):
        await stream.send_all(b"220 " + b"x" * 70_000)
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, play, 0, host="127.0.0.1"))
        target = await opened(options(listeners[0].socket.getsockname()[1]))
        outcome = await target.deliver(sample_message())
        nursery.cancel_scope.cancel()
    assert outcome == TargetDown("greeting: the server's answer has no end")


async def test_a_silent_server_costs_its_timeout_only():
    outcome, _ = await outcome_of(partial(options, seconds=0.05), greeting=HANG)
    assert outcome == TargetDown("greeting: the server took too long to answer")
    outcome, _ = await outcome_of(partial(options, seconds=3.0), **{".": HANG})  # so long for each step before, too
    assert isinstance(outcome, Retry)


@pytest.mark.parametrize("step", [step for step in FINE if step != "QUIT"])
async def test_a_cancelled_delivery_frees_its_thread_at_once_wherever_it_was(step):
    async with told_server(**{step: HANG}) as black, told_server() as fine:
        target = await opened(options(black.port, seconds=300.0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(target.deliver, sample_message())
            await black.hung.wait()
            nursery.cancel_scope.cancel()
        with trio.fail_after(30):
            while target._limiter.borrowed_tokens:
                await trio.sleep(0.001)
            target._smtp = target._smtp.model_copy(update={"port": fine.port})
            assert isinstance(await target.deliver(sample_message()), Delivered)


async def test_a_delivery_that_is_cancelled_in_the_tls_handshake_frees_its_thread_at_once():
    async with told_server(EHLO=b"250-told\r\n250 STARTTLS", STARTTLS=b"220 go") as server:
        target = await opened(secured(server.port, seconds=300.0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(target.deliver, sample_message())
            with trio.fail_after(30):
                while b"STARTTLS" not in server.verbs:
                    await trio.sleep(0.001)
            await trio.sleep(0.02)
            nursery.cancel_scope.cancel()
        with trio.fail_after(30):
            while target._limiter.borrowed_tokens:
                await trio.sleep(0.001)


async def test_a_delivery_that_is_cancelled_before_its_thread_leaves_no_connection(authority):
    async with told_server(greeting=HANG) as server:
        target = await opened(options(server.port, seconds=300.0))
        async with trio.open_nursery() as nursery:
            for _ in range(3):  # one slot: the others wait for it, connected
                nursery.start_soon(target.deliver, sample_message())
            while server.connections < 3:
                await trio.sleep(0.001)
            nursery.cancel_scope.cancel()
        with trio.fail_after(30):
            while target._limiter.borrowed_tokens:
                await trio.sleep(0.001)
