"""Truora's rule at a target of ours, by the real process and a real mail server: told once, nothing lost, resumed."""

from harness.daemon import running
from harness.five import until
from harness.mail import real_server
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import Fault, open_sink

MAIL = """
[smtp]
host = "127.0.0.1"
port = {port}
tls = "none"
from = "Hookgate <hookgate@acme.example>"

[targets.mail]
type = "email"
to = ["owner@acme.example"]

[alerts]
targets = ["mail"]
"""
RULE = 'disable = { failures = "80%", within = "60m", at_least = 20 }\nrate = "200/s"\nburst = 20\nwindow = "1MiB"'


async def test_a_target_that_fails_four_times_in_five_is_disabled_told_once_by_mail_and_resumes_without_a_loss(home):
    with real_server() as (mailbox, port):
        async with open_sink() as sink:
            settings = Settings(home, crm=sink.url, crm_options=RULE, more=MAIL.format(port=port))
            settings.orders_targets = ["crm"]
            settings.write()
            async with running(home) as daemon:
                for number in range(4):
                    assert (await post(daemon.port, truework(f"good-{number}", ORDERS_TOKEN))).status == 200
                await daemon.wait_settled(target="crm")
                sink.fault = Fault(status=500)
                for number in range(40):
                    assert (await post(daemon.port, truework(f"bad-{number}", ORDERS_TOKEN))).status == 200
                await daemon.wait_logged("target.disabled")
                await until(lambda: mailbox.mails, 30)
                await daemon.wait_settled(target="mail")
                found = await daemon.target("crm")
                assert [gate["kind"] for gate in found["gates"]] == ["disabled"]
                assert found["next_step"] == "hookgate targets enable crm"
                await daemon.kill()
            sink.fault, spent = Fault(), len(sink.arrivals)
            async with running(home) as daemon:
                assert (await post(daemon.port, truework("later", ORDERS_TOKEN))).status == 200
                found = await daemon.target("crm")
                assert [gate["kind"] for gate in found["gates"]] == ["disabled"], "also after a crash"
                assert found["dead"] == 0
                assert len(sink.arrivals) == spent, "nothing is tried"
                await daemon.cli("targets", "enable", "crm")
                assert (await daemon.target("crm"))["slow_start"]
                await daemon.wait_settled(target="crm", seconds=60)
                await until(lambda: len(mailbox.mails) == 2, 30)  # that it is back is told by an event of its own
                assert await daemon.stop() == 0
    taken = {arrival.webhook_id for arrival in sink.taken}
    assert len(taken) == 4 + 40 + 1
    assert len(sink.taken) == len(taken)
    mail, back = mailbox.mails
    assert "Subject: Hookgate: Target crm is back" in back.content.decode()
    told = mail.content.decode().replace("=\r\n", "")
    assert "Subject: Hookgate: Target crm is disabled" in told
    assert "16 of 20 deliveries within 1h failed, the last: HTTP 500" in told
    assert "hookgate targets enable crm" in told
