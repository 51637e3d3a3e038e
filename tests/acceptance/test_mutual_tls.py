"""A running daemon, an endpoint that wants our certificate, and a new certificate by reload."""

import ssl
from contextlib import asynccontextmanager

import trio
import trustme

from harness.daemon import running
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings

REPLY = b"HTTP/1.1 204 No Content\r\n\r\n"


@asynccontextmanager
async def picky_endpoint(authority):
    """Serve https to those who show a certificate; give its port and the names that were shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    shown = []

    async def one(stream):
        try:
            stream = trio.SSLStream(stream, context, server_side=True)
            while await stream.receive_some(65536):
                shown.append(dict(entry[0] for entry in stream.getpeercert()["subject"])["commonName"])
                await stream.send_all(REPLY)
        except (trio.BrokenResourceError, ssl.SSLError):
            pass

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, one, 0)
        yield listeners[0].socket.getsockname()[1], shown
        nursery.cancel_scope.cancel()


async def test_a_certificate_from_secrets_is_shown_and_a_new_one_after_a_reload(home):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(home.folder / "ca.pem")

    def write(name):
        own = authority.issue_cert(f"{name}.example", common_name=name)
        home.write_secret("crm-cert", b"".join(each.bytes() for each in own.cert_chain_pems).decode().rstrip())
        home.write_secret("crm-key", own.private_key_pem.bytes().decode().rstrip())

    async with picky_endpoint(authority) as (port, shown):
        tls = f'ca = "{home.folder}/ca.pem", cert = {{ file = "crm-cert" }}, key = {{ file = "crm-key" }}'
        settings = Settings(home, crm=f"https://127.0.0.1:{port}/", crm_options=f"tls = {{ {tls} }}", file=False)
        settings.write()
        write("first")
        async with running(home) as daemon:
            for order, name in (("order-1", "first"), ("order-2", "second")):
                write(name)
                await daemon.reload()
                assert (await post(daemon.port, truework(order, ORDERS_TOKEN))).status == 200
                await daemon.wait_settled()
                assert shown[-1] == name
            home.write_secret("crm-key", "no key at all")
            await daemon.reload()
            assert (await post(daemon.port, truework("order-3", ORDERS_TOKEN))).status == 200
            told = (await daemon.wait_logged("attempt.failed"))[0]
            assert "cannot be used for TLS" in told["reason"]
            assert "no key at all" not in daemon.tail()
