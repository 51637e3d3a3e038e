"""A running daemon asks senders for certificates: who shows a good one is believed, all others are refused alike."""

import ssl

import pytest
import trio
import trustme

from harness.certificates import DAY, issue
from harness.daemon import running
from harness.senders import truework
from harness.settings import ORDERS_TOKEN, Settings

NAME = "client.acme.example"
BODY = b'{"type": "paid", "id": "%s"}'
SOURCE = f"""
[sources.bank]
provider = "generic"
identify = {{ type = "body.type", id = "body.id" }}
verify = {{ scheme = "mtls", names = ["{NAME}"] }}
credentials.main = {{ secret = {{ file = "bank-ca" }} }}
[sources.both]
provider = "generic"
identify = {{ type = "body.type", id = "body.id" }}
[sources.both.credentials.main]
secret = {{ file = "bank-token" }}
verify = {{ all_of = [
  {{ scheme = "mtls", names = ["{NAME}"], secret = {{ file = "bank-ca" }} }},
  {{ scheme = "token", header = "X-Token" }},
] }}
[routes.bank]
source = "bank"
targets = ["audit"]
"""
TOKEN = "bank-token-of-some-length-0123456789"
ROOT, OTHER = issue("Bank Root", ca=True), issue("Other Root", ca=True)
GOOD = issue("bank", ROOT, dns=(NAME,))
SHOWN = {
    "none": None,
    "wrong name": issue("bank", ROOT, dns=("other.acme.example",)),
    "another authority's": issue("bank", OTHER, dns=(NAME,)),
    "self-signed": issue("bank", dns=(NAME,)),
    "over": issue("bank", ROOT, dns=(NAME,), at=GOOD.certificate.not_valid_before_utc - 2 * DAY),
}


class Sender:
    """Posts over TLS, with a certificate or without."""

    def __init__(self, home, authority):
        self.home, self.authority = home, authority

    def context(self, issued):
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if issued is not None:
            cert, key = self.home.folder / "sender.pem", self.home.folder / "sender.key"
            cert.write_bytes(issued.pem)
            key.write_bytes(issued.key_pem)
            context.load_cert_chain(cert, key)
        return context

    async def post(self, port, path, body, issued=None, headers=()):
        """Give the whole answer but for its date."""
        raw = await trio.open_tcp_stream("127.0.0.1", port)
        stream = trio.SSLStream(raw, self.context(issued), server_hostname="127.0.0.1", https_compatible=True)
        async with stream:
            fields = (("Host", "x"), ("Content-Length", str(len(body))), ("Connection", "close"), *headers)
            head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields)
            await stream.send_all(head.encode() + b"\r\n" + body)
            answer = b"".join([piece async for piece in stream])
        return [line for line in answer.split(b"\r\n") if not line.lower().startswith(b"date:")]


@pytest.fixture
def sender(home):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(home.folder / "server.pem")
    issued.private_key_pem.write_to_path(home.folder / "server.key")
    home.write_secret("bank-ca", ROOT.pem.decode().rstrip())
    home.write_secret("bank-token", TOKEN)
    return Sender(home, authority)


def write(home, http):
    tls = f'tls = {{ cert = "{home.folder}/server.pem", key = "{home.folder}/server.key" }}'
    Settings(home, server=f'{tls}\nhttp = "{http}"', more=SOURCE).write()


@pytest.mark.parametrize("http", ["own", "hypercorn"])
async def test_V8_only_a_good_certificate_is_believed_and_every_other_sender_is_answered_as_one_without(
    home, sender, http
):
    write(home, http)
    async with running(home) as daemon:
        answer = await sender.post(daemon.port, "/hooks/bank", BODY % b"1", GOOD)
        assert answer[0].startswith(b"HTTP/1.1 200")
        answers = [await sender.post(daemon.port, "/hooks/bank", BODY % b"2", issued) for issued in SHOWN.values()]
        assert answers[0][0].startswith(b"HTTP/1.1 401")
        assert all(answer == answers[0] for answer in answers)
        headers = (("X-Client-Cert", GOOD.pem.decode().replace("\n", "")), ("X-SSL-Client-Verify", "SUCCESS"))
        assert await sender.post(daemon.port, "/hooks/bank", BODY % b"3", None, headers) == answers[0]
        other = truework("order-1", ORDERS_TOKEN)
        for issued in (None, SHOWN["self-signed"], SHOWN["over"]):
            answer = await sender.post(daemon.port, other.path, other.body, issued, other.headers)
            assert answer[0].startswith(b"HTTP/1.1 200"), "a source that asks for no certificate goes on"
        token = (("X-Token", TOKEN),)
        assert (await sender.post(daemon.port, "/hooks/both", BODY % b"4", GOOD, token))[0].startswith(b"HTTP/1.1 200")
        assert (await sender.post(daemon.port, "/hooks/both", BODY % b"5", GOOD))[0].startswith(b"HTTP/1.1 401")
        assert (await sender.post(daemon.port, "/hooks/both", BODY % b"5", None, token))[0].startswith(b"HTTP/1.1 401")
        reasons = {each["reason"] for each in (await daemon.ask("/status"))["refusals"]}
        assert reasons <= {"certificate", "token", "missing"}
        home.write_secret("bank-ca", OTHER.pem.decode().rstrip())
        await daemon.reload()
        taken = await sender.post(daemon.port, "/hooks/bank", BODY % b"6", SHOWN["another authority's"])
        assert taken[0].startswith(b"HTTP/1.1 200"), "a reload brings another authority"
        assert await sender.post(daemon.port, "/hooks/bank", BODY % b"7", GOOD) == answers[0]
        await daemon.wait_settled()
        assert await daemon.stop() == 0


async def test_a_source_that_begins_to_want_certificates_gets_them_by_a_reload(home, sender):
    tls = f'tls = {{ cert = "{home.folder}/server.pem", key = "{home.folder}/server.key" }}'
    Settings(home, server=tls).write()
    async with running(home) as daemon:
        write(home, "own")
        await daemon.reload()
        answer = await sender.post(daemon.port, "/hooks/bank", BODY % b"1", GOOD)
        assert answer[0].startswith(b"HTTP/1.1 200")
        assert await daemon.stop() == 0
