"""An HTTP proxy in between: tunnels, absolute form, credentials, and a guard that it cannot be a way around."""

import base64
import re
import ssl

import pytest
import trustme
from hostile_http import OK, hostile, replies

from gateway.core.model import Delivered, TargetDown
from gateway.plugin import Context, SecretText
from gateway.runtime import Runtime
from gateway.targets.http import Http, HttpOptions
from gateway.testing.target import sample_message
from gateway.wire.addresses import literal
from gateway.wire.guard import Guard, Own
from harness.proxy import open_proxy
from harness.tokens import SECRET, open_token_endpoint

PUBLIC_ONLY = Guard().public_only()

PUBLIC = "93.184.216.34"


class Names(Runtime):
    """Looks names up as it is told; connections go to loopback as they are."""

    def __init__(self, **names):
        super().__init__()
        self.names = names
        self.asked = []

    async def resolve(self, host, port, seconds):
        self.asked.append(host)
        return [literal(address, port) for address in self.names[host.replace(".", "_")]]


async def deliver(options, runtime=None, guard=None, times=1):
    target = Http.build(HttpOptions(**options))
    await target.open(Context("crm", runtime or Names(), 1, guard=guard or Guard()))
    try:
        for _ in range(times):
            outcome = await target.deliver(sample_message())
        return outcome
    finally:
        await target.close()


@pytest.fixture
def tls(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.example").configure_cert(context)
    return context, {"ca": str(tmp_path / "ca.pem")}


async def test_https_goes_through_a_tunnel_that_the_proxy_looks_the_name_up_for_and_is_kept(tls):
    context, table = tls
    async with hostile(replies(OK), context) as server, open_proxy() as proxy:
        proxy.names["api.example:443"] = ("127.0.0.1", server.port)
        runtime = Names()
        options = {"url": "https://api.example/hooks", "tls": table, "proxy": proxy.url}
        assert isinstance(await deliver(options, runtime, times=3), Delivered)
        assert proxy.tunnels == ["api.example:443"]
        assert runtime.asked == []
        assert [request.line for request in server.requests] == [b"POST /hooks HTTP/1.1"] * 3
        assert "proxy-authorization" not in server.requests[0].headers


async def test_the_server_behind_a_tunnel_is_still_verified(tls):
    context, _ = tls
    async with hostile(replies(OK), context) as server, open_proxy() as proxy:
        proxy.names["api.example:443"] = ("127.0.0.1", server.port)
        outcome = await deliver({"url": "https://api.example/", "proxy": proxy.url})
        assert isinstance(outcome, TargetDown)
        assert outcome.reason.startswith("tls: ")
        assert server.requests == []


async def test_plain_http_goes_in_absolute_form_with_the_credentials_for_the_proxy_only():
    async with hostile(replies(OK)) as server, open_proxy() as proxy:
        proxy.names["api.example:80"] = ("127.0.0.1", server.port)
        proxy.credentials = "hookgate:s3cret"
        table = {"url": proxy.url, "user": "hookgate", "password": SecretText("s3cret")}
        assert isinstance(await deliver({"url": "http://api.example/hooks?x=1", "proxy": table}), Delivered)
        assert proxy.forwarded == ["http://api.example/hooks?x=1"]
        assert (server.requests[0].line, server.requests[0].headers["host"]) == (
            b"POST /hooks?x=1 HTTP/1.1",
            "api.example",
        )
        assert "proxy-authorization" not in server.requests[0].headers


@pytest.mark.parametrize("url", ["http://api.example/", "https://api.example/"])
async def test_wrong_credentials_for_the_proxy_take_the_target_down_and_tell_no_secret(url):
    async with open_proxy() as proxy:
        proxy.credentials = "hookgate:right"
        table = {"url": proxy.url, "user": "hookgate", "password": SecretText("wrong-one")}
        outcome = await deliver({"url": url, "proxy": table})
        assert isinstance(outcome, TargetDown)
        assert "check user and password of proxy" in outcome.reason
        assert "wrong-one" not in outcome.reason
        assert base64.b64encode(b"hookgate:wrong-one").decode() not in repr(outcome) + repr(
            HttpOptions(url=url, proxy=table)
        )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "opened no tunnel to api.example:443: HTTP 502"),
        (b"HTTP/1.1 200 OK\r\n\r\nsurprise", "sent something before anybody was asked"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "is no HTTP proxy"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000, "said too much"),
        (b"HTTP/1.1 200", "ended the connection"),
    ],
)
async def test_whatever_a_bad_proxy_says_takes_the_target_down_and_sends_nothing(answer, words):
    async with open_proxy() as proxy:
        proxy.answer = answer
        outcome = await deliver({"url": "https://api.example/", "proxy": proxy.url})
        assert isinstance(outcome, TargetDown)
        assert outcome.reason.startswith("proxy: ")
        assert words in outcome.reason


async def test_a_proxy_that_is_not_there_is_named_as_the_proxy():
    async with open_proxy() as proxy:
        port = proxy.port
    outcome = await deliver({"url": "https://api.example/", "proxy": f"http://127.0.0.1:{port}"})
    assert isinstance(outcome, TargetDown)
    assert re.match(r"refused: proxy 127\.0\.0\.1:\d+", outcome.reason)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_with_lists_the_name_is_looked_up_and_vetted_here_and_the_proxy_is_told_the_address(scheme):
    async with open_proxy() as proxy:
        proxy.answer = b"HTTP/1.1 503 Not Now\r\n\r\n"
        runtime = Names(api_example=[PUBLIC], inside_example=["10.0.0.5"])
        port = {"http": 80, "https": 443}[scheme]
        options = {"proxy": proxy.url, "allow": ["public"]}
        await deliver({"url": f"{scheme}://api.example/", **options}, runtime)
        assert proxy.tunnels == [f"{PUBLIC}:{port}"]
        outcome = await deliver({"url": f"{scheme}://inside.example/", **options}, runtime)
        assert outcome.reason.startswith("denied-address: inside.example at 10.0.0.5")
        assert len(proxy.tunnels) == 1
        assert proxy.forwarded == []


DENIED = ["127.0.0.1", "10.0.0.5", "169.254.169.254", "64:ff9b::7f00:1", "::1", "fd12::1"]


@pytest.mark.parametrize("address", DENIED)
async def test_P24_a_proxy_is_no_way_around_the_guard(address):
    host = f"[{address}]" if ":" in address else address
    async with open_proxy() as proxy:
        for url, guard in (
            (f"http://{host}/", PUBLIC_ONLY),
            ("http://api.example/", PUBLIC_ONLY),
            ("https://api.example/", PUBLIC_ONLY),
        ):
            try:
                outcome = await deliver({"url": url, "proxy": proxy.url}, Names(api_example=[address]), guard)
            except ValueError:
                continue  # refused when the configuration is read
            assert outcome.reason.startswith("denied-address"), outcome
        assert proxy.tunnels + proxy.forwarded == []


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_loopback_address_behind_a_proxy_would_be_the_proxys_and_is_denied_though_allow_has_it(scheme):
    async with open_proxy() as proxy:
        options = {"url": f"{scheme}://api.example/", "proxy": proxy.url, "allow": ["public", "127.0.0.0/8"]}
        outcome = await deliver(options, Names(api_example=["127.0.0.1"]))
        assert outcome.reason.startswith("denied-address: api.example at 127.0.0.1 is denied: loopback")
        assert proxy.tunnels + proxy.forwarded == []


async def test_a_proxy_is_not_asked_for_our_own_listener():
    async with open_proxy() as proxy:
        guard = Guard(own=(Own("10.0.0.7", 80),))
        outcome = await deliver({"url": "http://10.0.0.7/", "proxy": proxy.url}, guard=guard)
        assert "the gateway itself listens there" in outcome.reason
        assert proxy.forwarded == []


async def test_a_token_endpoint_on_this_machine_is_asked_without_the_proxy():
    async with hostile(replies(OK)) as server, open_proxy() as proxy, open_token_endpoint() as tokens:
        proxy.names["api.example:80"] = ("127.0.0.1", server.port)
        oauth2 = {"token_url": tokens.sink.url, "client_id": "hookgate", "client_secret": SecretText(SECRET)}
        options = {"url": "http://api.example/", "proxy": proxy.url, "auth": {"oauth2": oauth2}}
        assert isinstance(await deliver(options), Delivered)
        assert proxy.forwarded == ["http://api.example/"]
        assert server.requests[0].headers["authorization"] == "Bearer token-1"


async def test_the_gateway_itself_is_no_proxy():
    async with open_proxy() as proxy:
        guard = Guard(own=(Own("127.0.0.1", proxy.port),))
        outcome = await deliver({"url": "https://api.example/", "proxy": proxy.url}, guard=guard)
        assert "the gateway itself listens there" in outcome.reason
        assert proxy.tunnels == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "unix:/run/crm.sock:/", "proxy": "http://proxy:3128"}, "its own machine"),
        ({"url": "http://localhost:8000/", "proxy": "http://proxy:3128"}, "its own machine"),
        ({"url": "http://127.0.0.2:8000/", "proxy": "http://proxy:3128"}, "loopback"),
        ({"url": "http://a.example/", "proxy": "https://proxy:3128"}, "plain HTTP"),
        ({"url": "http://a.example/", "proxy": "unix:/run/proxy.sock"}, "plain HTTP"),
        ({"url": "http://a.example/", "proxy": "socks5://proxy:1080"}, "expected http"),
        (
            {"url": "http://a.example/", "proxy": {"url": "http://proxy", "user": "a:b", "password": SecretText("x")}},
            "colon",
        ),
        ({"url": "http://a.example/", "proxy": {"url": "http://proxy", "user": "a"}}, "password"),
    ],
)
def test_a_proxy_that_cannot_be_meant_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        HttpOptions(**options)


async def test_a_proxy_that_breaks_off_before_the_tunnel_takes_the_target_down():
    async def play(peer):
        await peer.read()
        peer.reset()

    async with hostile(play) as proxy:
        outcome = await deliver({"url": "https://api.example/", "proxy": f"http://127.0.0.1:{proxy.port}"})
        assert outcome.reason == f"proxy: 127.0.0.1:{proxy.port} ended the connection: Connection reset by peer"
