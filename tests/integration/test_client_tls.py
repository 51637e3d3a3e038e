"""TLS of the client: always verified, never downgraded, told in the certificate's own words (row R11)."""

import datetime as dt
import errno
import re
import ssl
from pathlib import Path

import pytest
import trio
import trustme
from hostile_http import OK, hostile, replies

from gateway.runtime import Runtime
from gateway.wire.addresses import literal
from gateway.wire.client import HttpClient, TlsOptions, WireError, parse_url
from gateway.wire.dial import tls_cause


class Local(Runtime):
    """Every name is this machine."""

    async def resolve(self, host, port, seconds):
        return [literal("127.0.0.1", port)]


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def trusted(authority, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def served(certificate, **settings):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


async def ask(server, tls, host="api.example", times=1):
    client = HttpClient(Local(), parse_url(f"https://{host}:{server.port}/hooks"), connections=1, tls=tls)
    try:
        for _ in range(times):
            reply = await client.request("POST", None, (), b"x" * 100_000)
        return reply
    finally:
        client.close()


async def failure_of(server, tls, host="api.example"):
    with pytest.raises(WireError) as caught:
        await ask(server, tls, host)
    return caught.value


async def test_a_certificate_of_the_named_authority_is_taken_and_the_connection_kept(authority, trusted):
    async with hostile(replies(OK), served(authority.issue_cert("api.example"))) as server:
        reply = await ask(server, TlsOptions(ca=trusted), times=3)
        assert (reply.status, reply.body) == (200, b"ok")
        assert server.connections == 1
        assert server.requests[2].body == b"x" * 100_000


async def test_an_address_as_host_is_verified_as_an_address(authority, trusted):
    async with hostile(replies(OK), served(authority.issue_cert("127.0.0.1"))) as server:
        assert (await ask(server, TlsOptions(ca=trusted), "127.0.0.1")).status == 200


async def test_server_name_replaces_the_host_in_sni_and_certificate(authority, trusted):
    context = served(authority.issue_cert("inner.example"))
    asked = []
    context.sni_callback = lambda _, name, __: asked.append(name)
    async with hostile(replies(OK), context) as server:
        assert (await ask(server, TlsOptions(ca=trusted, server_name="inner.example"))).status == 200
        assert asked == ["inner.example"]
        assert server.requests[0].headers["host"] == f"api.example:{server.port}"


YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("unknown authority", "self-signed|unable to get"),
        ("expired", "expired"),
        ("wrong name", "mismatch|not valid for"),
    ],
)
async def test_R11_a_bad_certificate_is_a_failure_with_its_cause_and_nothing_is_sent(case, words, authority, trusted):
    certificate = {
        "unknown authority": lambda: trustme.CA().issue_cert("api.example"),
        "expired": lambda: authority.issue_cert("api.example", not_after=YESTERDAY),
        "wrong name": lambda: authority.issue_cert("evil.example"),
    }[case]()
    async with hostile(replies(OK), served(certificate)) as server:
        failure = await failure_of(server, TlsOptions(ca=trusted))
        assert failure.reason == "tls"
        assert re.search(words, str(failure)), str(failure)
        assert server.requests == []


async def test_R11_the_system_authorities_do_not_trust_a_private_one(authority):
    async with hostile(replies(OK), served(authority.issue_cert("api.example"))) as server:
        assert (await failure_of(server, None)).reason == "tls"


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""], ids=["speaks plain http", "hangs up"])
async def test_R11_a_server_without_tls_is_a_failure_and_no_downgrade(answer, trusted):
    async def play(peer):
        await peer.read()
        await peer.send(answer)

    async with hostile(play) as server:
        failure = await failure_of(server, TlsOptions(ca=trusted))
        assert failure.reason == "tls"
        assert server.requests == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")  # TLS 1.1 is what this test refuses
async def test_R11_tls_below_1_2_is_refused(authority, trusted):
    context = served(authority.issue_cert("api.example"), maximum_version=ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with hostile(replies(OK), context) as server:
        assert (await failure_of(server, TlsOptions(ca=trusted))).reason == "tls"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_is_shown_to_a_server_that_asks(version, authority, trusted, tmp_path):
    own = tmp_path / "own.pem"
    authority.issue_cert("gateway.example").private_key_and_cert_chain_pem.write_to_path(own)
    context = served(authority.issue_cert("api.example"), verify_mode=ssl.CERT_REQUIRED, maximum_version=version)
    authority.configure_trust(context)
    async with hostile(replies(OK), context) as server:
        assert (await ask(server, TlsOptions(ca=trusted, cert=str(own)))).status == 200
        server.requests.clear()
        refused = await failure_of(server, TlsOptions(ca=trusted))
        assert refused.reason in {"tls", "closed"}  # with TLS 1.3 the refusal may be a reset that overtakes its alert
        assert server.requests == []


async def test_R11_bytes_that_are_no_tls_after_the_handshake_are_a_failure(authority, trusted):
    async def play(peer):
        await peer.request()
        await peer.send_raw(OK)

    async with hostile(play, served(authority.issue_cert("api.example"))) as server:
        assert (await failure_of(server, TlsOptions(ca=trusted))).reason == "tls"


async def test_a_handshake_that_stalls_is_given_up(trusted, autojump_clock):
    async def play(peer):
        await peer.read()
        await trio.sleep_forever()

    async with hostile(play) as server:
        assert (await failure_of(server, TlsOptions(ca=trusted))).reason == "timeout"


@pytest.mark.parametrize("what", ["ca missing", "ca no pem", "key missing"])
def test_a_tls_file_that_cannot_be_used_is_named(what, tmp_path, trusted):
    broken = tmp_path / "broken.pem"
    if what == "ca no pem":
        broken.write_text("no certificate")
    options = (
        TlsOptions(ca=trusted, cert=trusted, key=str(broken)) if what == "key missing" else TlsOptions(ca=str(broken))
    )
    with pytest.raises(OSError, match=r"broken\.pem"):
        HttpClient(Runtime(), parse_url("https://api.example/"), connections=1, tls=options)


async def test_a_client_certificate_may_be_text_in_memory_that_leaves_no_file(
    authority, trusted, tmp_path, monkeypatch
):
    own = authority.issue_cert("gateway.example")
    chain = b"".join(blob.bytes() for blob in own.cert_chain_pems)
    context = served(authority.issue_cert("api.example"), verify_mode=ssl.CERT_REQUIRED)
    authority.configure_trust(context)
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    descriptors = set(Path("/proc/self/fd").iterdir())
    async with hostile(replies(OK), context) as server:
        options = TlsOptions(ca=trusted, cert=chain, key=own.private_key_pem.bytes())
        assert (await ask(server, options)).status == 200
        together = TlsOptions(ca=trusted, cert=own.private_key_and_cert_chain_pem.bytes())
        assert (await ask(server, together)).status == 200
    assert set(tmp_path.iterdir()) == before
    assert len(set(Path("/proc/self/fd").iterdir())) <= len(descriptors) + 1
    assert b"PRIVATE" not in repr(options).encode()


async def test_a_key_that_is_not_the_certificates_is_told_without_a_word_of_it(authority, trusted):
    one, other = authority.issue_cert("a.example"), authority.issue_cert("b.example")
    options = TlsOptions(ca=trusted, cert=one.cert_chain_pems[0].bytes(), key=other.private_key_pem.bytes())
    with pytest.raises(OSError, match=r"the secret with the secret cannot be used for TLS: .*mismatch"):
        HttpClient(Runtime(), parse_url("https://api.example/"), connections=1, tls=options)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "the other side closed the connection"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "TLS handshake failed: Connection reset"),
        (OSError("broken pipe"), "TLS handshake failed: broken pipe"),
    ],
)
def test_the_cause_of_a_failed_handshake_is_told(error, words):
    assert words in tls_cause(error)


@pytest.mark.parametrize(
    ("reason", "told"),
    [("NO_SHARED_CIPHER", "TLS failed: no shared cipher"), (None, "TLS failed: the library's words")],
)
def test_openssl_s_reason_is_told_or_else_its_words(reason, told):
    error = ssl.SSLError(1, "the library's words")
    error.reason = reason
    assert tls_cause(error) == told


async def test_a_bad_certificate_and_another_protocol_are_told_in_words(authority, trusted):
    async with hostile(replies(OK), served(authority.issue_cert("evil.example"))) as server:
        assert "certificate refused: Hostname mismatch" in str(await failure_of(server, TlsOptions(ca=trusted)))

    async def play(peer):
        await peer.read()
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with hostile(play) as server:
        assert "TLS failed: wrong version number" in str(await failure_of(server, TlsOptions(ca=trusted)))


async def test_a_handshake_that_is_given_up_leaves_no_connection_open(trusted, autojump_clock):
    ended = trio.Event()

    async def play(peer):
        while await peer.read():
            pass
        ended.set()

    async with hostile(play) as server:
        assert (await failure_of(server, TlsOptions(ca=trusted))).reason == "timeout"
        await ended.wait()
