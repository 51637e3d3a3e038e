"""Mail from the real process: an event over STARTTLS with a login, and the gateway's own warnings."""

import pytest
import trio

from harness.daemon import running
from harness.mail import PASSWORD, USER, Authority, real_server
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import open_sink

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
    with trio.fail_after(15):
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
            with trio.fail_after(10):
                while not (await daemon.target("mail"))["pending"]:
                    await trio.sleep(0.02)
            await daemon.kill()
        mailbox.refuse = {}
        async with running(home) as daemon:
            await wait_mails(mailbox, 2)
            await daemon.wait_settled(target="mail")
            assert await daemon.stop() == 0
    assert [mail.rcpt_tos for mail in mailbox.mails] == [["ops@acme.example"], ["boss@acme.example"]]
    assert len({line for mail in mailbox.mails for line in mail.content.split(b"\r\n") if b"Message-ID" in line}) == 1


async def test_a_target_that_is_down_is_told_by_mail_with_its_reason_and_what_to_do(home):
    with real_server() as (mailbox, port):
        async with open_sink() as sink:
            gone = sink.url
        settings = Settings(home, crm=gone, more=MAIL.format(port=port, tls="none", more=""))
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
