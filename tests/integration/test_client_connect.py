"""Where the client connects to: every answer vetted, the vetted address used, the name kept (rows R9, R14; P24)."""

import errno
import ipaddress
import socket

import pytest
import trio
from hostile_http import OK, hostile, replies

from gateway.runtime import DNS_THREADS, Runtime
from gateway.wire.addresses import literal
from gateway.wire.client import HttpClient, Url, WireError, parse_url
from gateway.wire.dial import DNS_SECONDS, dial_blocking
from gateway.wire.failures import ConnectTimeoutError, DeniedAddressError
from gateway.wire.guard import Guard, Own


class Net(Runtime):
    """A runtime whose resolver says what the test wants, and which notes every connection that is tried."""

    def __init__(self, *answers, to=None):
        super().__init__()
        self.answers = answers
        self.to = to
        self.looked_up = []
        self.tried = []

    async def resolve(self, host, port, seconds):
        self.looked_up.append((host, seconds))
        answer = self.answers[min(len(self.looked_up), len(self.answers)) - 1]
        if isinstance(answer, BaseException):
            raise answer
        return [literal(address, port) for address in answer]

    async def connect(self, address):
        self.tried.append(address[1])
        if isinstance(self.to, dict):
            fate = self.to[address[1]]
            if isinstance(fate, BaseException):
                raise fate
            if fate == "hang":
                await trio.sleep_forever()
            return await super().connect(fate)
        return await super().connect(self.to or address)


async def ask(runtime, url="http://api.example/hooks"):
    client = HttpClient(runtime, parse_url(url) if isinstance(url, str) else url, connections=1)
    try:
        return await client.request("POST", None, (), b"{}")
    finally:
        client.close()


async def reason_of(runtime, url="http://api.example/hooks"):
    with pytest.raises(WireError) as caught:
        await ask(runtime, url)
    return caught.value.reason


async def test_R9_the_vetted_address_is_connected_to_and_the_host_header_keeps_the_name():
    async with hostile(replies(OK)) as server:
        net = Net(["93.184.216.34"], to=literal("127.0.0.1", server.port))
        assert (await ask(net)).status == 200
        assert net.tried == ["93.184.216.34"]
        assert net.looked_up == [("api.example", 5.0)]
        assert server.requests[0].headers["host"] == "api.example"


async def test_R9_a_second_look_up_that_rebinds_the_name_is_never_asked_for_by_the_same_connection():
    async with hostile(replies(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")) as server:
        net = Net(["93.184.216.34"], ["127.0.0.1", "93.184.216.34"], to=literal("127.0.0.1", server.port))
        assert (await ask(net)).status == 200
        assert len(net.looked_up) == 1
        assert await reason_of(net) == "denied-address"
        assert net.tried == ["93.184.216.34"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "dns"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "dns"),
        (trio.TooSlowError(), "dns"),
        ([], "dns"),
        (BlockingIOError(errno.EAGAIN, "every DNS thread is held by another look-up"), "exhausted"),
        (["93.184.216.34", "10.0.0.1"], "denied-address"),
        (["10.0.0.1", "93.184.216.34"], "denied-address"),
        (["93.184.216.34"] + ["127.0.0.1"] * 10, "denied-address"),
        (["169.254.169.254"], "denied-address"),
        (["fe80::1%eth0"], "denied-address"),
    ],
)
async def test_R9_bad_answers_connect_nowhere(answer, reason):
    net = Net(answer)
    assert await reason_of(net) == reason
    assert net.tried == []


DENIED_V4 = [
    *("0.0.0.0", "169.254.169.254", "169.254.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("192.0.0.192", "168.63.129.16"),
]
INNER_V4 = [*DENIED_V4, "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1"]
DENIED_V6 = [
    "::",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "100::1",
    "fd00:ec2::254",
    "64:ff9b:1::1",
    "::7f00:1",
]


def vectors():
    yield from DENIED_V4
    yield from DENIED_V6
    for inner in INNER_V4:
        number = int(ipaddress.IPv4Address(inner))
        for prefix, shift in (("::ffff:0:0", 0), ("64:ff9b::", 0), ("2002::", 80), ("2a00:1450::5efe:0:0", 0)):
            yield str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | number << shift))
        yield str(ipaddress.IPv6Address(int(ipaddress.IPv6Address("2001::")) | number << 64 | 0xF7F7F7F7))
        yield str(ipaddress.IPv6Address(int(ipaddress.IPv6Address("2001:0:808:808::")) | number ^ 0xFFFFFFFF))


@pytest.mark.parametrize("way", ["literal", "only answer", "first answer", "last answer", "rebound"])
async def test_P24_no_denied_address_is_ever_connected_to(way):
    for denied in vectors():
        other = "93.184.216.34"
        answers = {
            "literal": [],
            "only answer": [denied],
            "first answer": [denied, other],
            "last answer": [other, denied],
            "rebound": [other],
        }[way]
        refused = OSError(errno.ECONNREFUSED, "refused")
        net = Net(answers, [denied], to={other: refused})
        host = denied if way == "literal" else "api.example"
        if way == "rebound":
            assert await reason_of(net) == "refused"
            net.tried.clear()
        reason = await reason_of(net, Url(tls=False, host=host, port=80, socket_path="", target="/"))
        assert (reason, net.tried) == ("denied-address", []), denied


async def test_the_addresses_are_tried_in_order_until_one_takes_the_connection():
    async with hostile(replies(OK)) as server:
        fates = {
            "10.0.0.1": OSError(errno.ECONNREFUSED, "refused"),
            "10.0.0.2": OSError(errno.EHOSTUNREACH, "no route"),
            "10.0.0.3": literal("127.0.0.1", server.port),
        }
        net = Net(list(fates), to=fates)
        assert (await ask(net)).status == 200
        assert net.tried == list(fates)


async def test_an_address_that_hangs_leaves_time_for_the_next(autojump_clock):
    refused = OSError(errno.ECONNREFUSED, "refused")
    await trio.sleep(100)
    started = trio.current_time()
    net = Net(["10.0.0.1", "10.0.0.2"], to={"10.0.0.1": "hang", "10.0.0.2": refused})
    assert await reason_of(net) == "refused"
    assert trio.current_time() - started == pytest.approx(5), "half of the time"


async def test_a_place_that_takes_no_connection_is_given_up_after_ten_seconds(autojump_clock):
    started = trio.current_time()
    assert await reason_of(Net(["10.0.0.1"], to={"10.0.0.1": "hang"})) == "timeout"
    assert trio.current_time() - started == pytest.approx(10)


async def test_without_descriptors_no_further_address_is_tried():
    net = Net(["10.0.0.1", "10.0.0.2"], to={"10.0.0.1": OSError(errno.EMFILE, "none left"), "10.0.0.2": "hang"})
    assert await reason_of(net) == "exhausted"
    assert net.tried == ["10.0.0.1"]


async def test_a_failure_tells_the_place_and_what_the_system_said():
    with pytest.raises(WireError, match=r"^api\.example at 10\.0\.0\.1: connection timed out$"):
        await ask(Net(["10.0.0.1"], to={"10.0.0.1": OSError(errno.ETIMEDOUT, "told by the kernel")}))
    with pytest.raises(WireError, match=r"^api\.example has no address: Name or service not known$"):
        await ask(Net(socket.gaierror(socket.EAI_NONAME, "Name or service not known")))


async def test_P24_a_unix_socket_is_vetted_where_its_links_lead(tmp_path):
    own, link, other = tmp_path / "admin.sock", tmp_path / "link.sock", tmp_path / "crm.sock"
    link.symlink_to(own)
    guard = Guard(own=(Own("", 0, str(own)),))

    async def reason(path):
        client = HttpClient(Runtime(), parse_url(f"unix:{path}:/hooks"), connections=1, guard=guard)
        with pytest.raises(WireError) as caught:
            await client.request("POST", None, (), b"{}")
        return caught.value.reason

    async with hostile(replies(OK), unix=str(own)) as server:
        assert [await reason(own), await reason(link)] == ["denied-address"] * 2
        assert server.connections == 0
    assert await reason(other) == "unreachable"


async def test_a_connection_for_a_thread_is_looked_up_and_vetted_like_any_other(autojump_clock):
    with socket.create_server(("127.0.0.1", 0)) as keeper:
        port = keeper.getsockname()[1]
        net = Net(["10.0.0.1"], to=literal("127.0.0.1", port))
        with await dial_blocking(net, "mail.example", 25, 3.0, Guard()) as connection:
            assert connection.getpeername() == ("127.0.0.1", port)
            assert connection.gettimeout() == 3.0
        assert (net.looked_up, net.tried) == ([("mail.example", 5.0)], ["10.0.0.1"])
    for denied in (Guard().public_only(), Guard(own=(Own("10.0.0.1", 25),))):
        with pytest.raises(DeniedAddressError):
            await dial_blocking(net, "mail.example", 25, 3.0, denied)
    started = trio.current_time()
    with pytest.raises(ConnectTimeoutError, match=r"mail\.example:25 took no connection within 10 s"):
        await dial_blocking(Net(["10.0.0.1"], to={"10.0.0.1": "hang"}), "mail.example", 25, 3.0, Guard())
    assert trio.current_time() - started == pytest.approx(10)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ECONNREFUSED, "refused"),
        (errno.ENETUNREACH, "unreachable"),
        (errno.EHOSTUNREACH, "unreachable"),
        (errno.EACCES, "unreachable"),
        (errno.ETIMEDOUT, "timeout"),
        (errno.EMFILE, "exhausted"),
        (errno.ENFILE, "exhausted"),
        (errno.ENOBUFS, "exhausted"),
        (errno.EADDRNOTAVAIL, "exhausted"),
    ],
)
async def test_each_failure_to_connect_has_its_reason(code, reason):
    assert await reason_of(Net(["10.0.0.1"], to={"10.0.0.1": OSError(code, "told by the kernel")})) == reason


async def test_a_machine_without_ipv6_is_not_out_of_ports():
    failure = OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
    assert await reason_of(Net(["fd12::1"], to={"fd12::1": failure})) == "unreachable"


async def test_R9_a_look_up_that_never_began_because_others_hang_is_our_own_trouble(autojump_clock):
    runtime = Runtime()
    held = [object() for _ in range(DNS_THREADS)]
    for borrower in held:
        runtime.dns_limiter.acquire_on_behalf_of_nowait(borrower)
    with pytest.raises(BlockingIOError):
        await runtime.resolve("api.example", 80, DNS_SECONDS)


async def test_R14_proxy_variables_and_netrc_are_not_read(monkeypatch, tmp_path):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password secret\n")
    async with hostile(replies(OK)) as server:
        assert (await ask(Runtime(), server.url())).status == 200
        assert set(server.requests[0].headers) == {"host", "content-length"}


async def test_a_refused_connection_tells_its_address_once():
    with socket.socket() as keeper:
        keeper.bind(("127.0.0.1", 0))  # bound, and nobody listens
        port = keeper.getsockname()[1]
        with pytest.raises(WireError) as caught:
            await ask(Runtime(), f"http://127.0.0.1:{port}/")
        assert str(caught.value) == f"127.0.0.1:{port}: connection refused"
        with pytest.raises(WireError) as caught:
            await ask(Net(["127.0.0.1"]), f"http://api.example:{port}/")
        assert str(caught.value) == f"api.example:{port} at 127.0.0.1: connection refused"


@pytest.mark.parametrize(("address", "expected"), [("127.0.0.1", True), ("8.8.8.8", False), ("2606:4700::1111", False)])
def test_C6_the_kernel_says_which_addresses_are_this_machines(address, expected):
    assert Runtime.is_local(literal(address, 80)) is expected
