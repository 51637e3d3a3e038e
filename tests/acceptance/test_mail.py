"""Mail from the real process: an event over STARTTLS with a login, and the gateway's own warnings."""

import pytest
import trio

from harness.daemon import running
from harness.lives import reserved_port
from harness.mail import PASSWORD, USER, Authority, real_server
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")

MAIL = """
[smtp]
host = "127.0.0.1"
port = {port}
tls = "{tls}"
from = "Hookgate <hookgate@acme.example>"
{more}

[targets.mail]
type = "email"
to = ["ops@acme.example", "boss@acme.example"]
subject = "{{source}}: {{event.type}} {{body.data.state}}"
retry = {{ delays = ["1s"], then = "1s", give_up = "1h" }}
"""


async def wait_mails(mailbox, count):
    with trio.fail_after(30):
        while len(mailbox.mails) < count:
            await trio.sleep(0.02)


async def test_an_event_becomes_a_mail_over_starttls_with_a_login(home, tmp_path):
    authority = Authority(tmp_path)
    with real_server(tls_context=authority.context, require_starttls=True, auth_required=True) as (mailbox, port):
        login = f'user = "{USER}"\npassword = {{ file = "smtp" }}\nca = "{authority.file}"'
        settings = Settings(home, more=MAIL.format(port=port, tls="required", more=login))
        settings.orders_targets = ["mail"]
        home.write_secret("smtp", PASSWORD)
        settings.write()
        async with running(home) as daemon:
            assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
            await wait_mails(mailbox, 1)
            await daemon.wait_settled(target="mail")
            assert (await daemon.target("mail"))["pending"] == 0
            assert await daemon.stop() == 0
            assert PASSWORD not in daemon.home.stderr.read_text()
    (mail,) = mailbox.mails
    assert mail.rcpt_tos == ["ops@acme.example", "boss@acme.example"]
    assert b"order.completed" in mail.content
    assert b"order-1" not in mail.content, "no payload unless asked for"


async def test_M6_over_a_kill_only_who_lacks_the_mail_gets_it(home):
    with real_server() as (mailbox, port):
        mailbox.refuse = {"boss@acme.example": "450 4.2.1 try later"}
        settings = Settings(home, more=MAIL.format(port=port, tls="none", more=""))
        settings.orders_targets = ["mail"]
        settings.write()
        async with running(home) as daemon:
            await post(daemon.port, truework("order-1", ORDERS_TOKEN))
            await daemon.wait_logged("attempt.failed")
            await daemon.wait_pending("mail", 1)
            await daemon.kill()
        mailbox.refuse = {}
        async with running(home) as daemon:
            await wait_mails(mailbox, 2)
            await daemon.wait_settled(target="mail")
            assert await daemon.stop() == 0
    assert [mail.rcpt_tos for mail in mailbox.mails] == [["ops@acme.example"], ["boss@acme.example"]]
    assert len({line for mail in mailbox.mails for line in mail.content.split(b"\r\n") if b"Message-ID" in line}) == 1


async def test_a_target_that_is_down_is_told_by_mail_with_its_reason_and_what_to_do(home):
    with real_server() as (mailbox, port), reserved_port() as gone:
        settings = Settings(home, crm=f"http://127.0.0.1:{gone}/", more=MAIL.format(port=port, tls="none", more=""))
        settings.orders_targets = ["crm"]
        settings.more += '[alerts]\ntargets = ["mail"]\n'
        settings.write()
        async with running(home) as daemon:
            await post(daemon.port, truework("order-1", ORDERS_TOKEN))
            await wait_mails(mailbox, 1)
            assert await daemon.stop() == 0
    content = mailbox.mails[0].content.decode()
    assert "\r\nSubject: Hookgate: Target crm is down\r\n" in content
    assert "refused: 127.0.0.1:" in content
    assert "hookgate targets enable crm" in content
    assert "order-1" not in content


DIGEST = """
[targets.mail]
type = "email"
to = ["ops@acme.example"]
subject = "{{body.data.order_id}}"
digest = {{ every = "1h", count = 3 }}
smtp = {{ host = "127.0.0.1", port = {port}, tls = "none", from = "hookgate@acme.example" }}
"""


def digest_settings(home, port):
    settings = Settings(home, more=DIGEST.format(port=port))
    settings.orders_targets = ["mail"]
    settings.write()
    return settings


async def post_orders(daemon, *numbers):
    for number in numbers:
        assert (await post(daemon.port, truework(f"order-{number}", ORDERS_TOKEN))).status == 200


async def test_a_digest_goes_on_over_stop_reload_and_crash_with_all_that_came(home):
    with real_server() as (mailbox, port):
        text = digest_settings(home, port).text()
        async with running(home) as daemon:
            await post_orders(daemon, 1)
            await daemon.reload(text.replace("1h", "2h"))
            assert await daemon.stop() == 0
        async with running(home) as daemon:
            await post_orders(daemon, 2)
            await daemon.kill()
        async with running(home) as daemon:
            assert (await daemon.target("mail"))["pending"] == 2
            assert mailbox.mails == []
            await post_orders(daemon, 3)
            await wait_mails(mailbox, 1)
            await daemon.wait_settled(target="mail")
            assert await daemon.stop() == 0
    (mail,) = mailbox.mails
    assert b"Subject: order-1 (and 2 more)" in mail.content
    assert all(b"order-%d" % number in mail.content for number in (1, 2, 3))


async def test_a_kill_while_a_digest_is_sent_loses_none_of_its_events(home):
    with real_server() as (mailbox, port):
        digest_settings(home, port)
        mailbox.gate.clear()
        async with running(home) as daemon:
            await post_orders(daemon, 1, 2, 3)
            with trio.fail_after(30):
                while not mailbox.held:
                    await trio.sleep(0.02)
            await daemon.kill()
        mailbox.gate.set()
        mailbox.mails.clear()
        async with running(home) as daemon:
            await wait_mails(mailbox, 1)
            await daemon.wait_settled(target="mail")
            assert (await daemon.target("mail"))["dead"] == 0
            assert await daemon.stop() == 0
    content = b"".join(mail.content for mail in mailbox.mails)
    assert all(b"order-%d" % number in content for number in (1, 2, 3))


async def test_a_digest_that_is_taken_away_lets_go_what_waits(home):
    with real_server() as (mailbox, port):
        text = digest_settings(home, port).text()
        async with running(home) as daemon:
            await post_orders(daemon, 1, 2)
            await daemon.reload(text.replace('digest = { every = "1h", count = 3 }\n', ""))
            await wait_mails(mailbox, 2)
            assert await daemon.stop() == 0
