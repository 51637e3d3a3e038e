"""Opening a connection for an outgoing request: look the host up, vet every answer, connect, prove who is there.

The name is looked up once for each new connection, so that what was vetted is what is connected to; Host, SNI and
certificate keep the name. Every failure leaves as a `WireError` that names the place. No proxy is ever
asked but one that the operator wrote for the target, whatever the environment says.
"""

import errno
import os
import ssl
from typing import Final, NamedTuple

import trio

from gateway.runtime import AddressInfo, Runtime, Socket
from gateway.wire.addresses import DeniedHostError
from gateway.wire.failures import (
    ConnectTimeoutError,
    DeniedAddressError,
    DnsError,
    ExhaustedError,
    ProxyError,
    RefusedError,
    TlsError,
    UnreachableError,
    WireError,
)
from gateway.wire.guard import Guard
from gateway.wire.proxy import Proxy, open_tunnel
from gateway.wire.streams import PlainStream, Stream, TlsStream
from gateway.wire.url import Url

DNS_SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 10.0
"""For the look-up, all addresses and the TLS handshake together."""

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Way(NamedTuple):
    """How one client gets to its place."""

    url: Url
    context: ssl.SSLContext | None
    """None: no TLS."""
    server_name: str
    guard: Guard
    proxy: Proxy | None = None

    @property
    def tunnels(self) -> bool:
        """True if the proxy is asked for a tunnel: for TLS, and where only a vetted address may be connected to."""
        return self.proxy is not None and (self.url.tls or self.guard.must_look_up)


async def dial(runtime: Runtime, way: Way) -> Stream:
    """Open a connection for requests, with a tunnel and TLS if they are needed, within `CONNECT_SECONDS`.

    Behind a proxy without a tunnel it ends at the proxy. Raises WireError.
    """
    url = way.url
    with trio.move_on_after(CONNECT_SECONDS):
        if way.proxy is None:
            plain = PlainStream(await _connect(runtime, url, way.guard))
        else:
            plain = await _pass_proxy(runtime, way, way.proxy)
        if way.context is None:
            return plain
        return await _secure(plain, way.context, way.server_name, url)
    raise ConnectTimeoutError(f"{url.place} took no connection within {CONNECT_SECONDS:g} s")


async def dial_blocking(runtime: Runtime, host: str, port: int, seconds: float, guard: Guard) -> Socket:
    """Open a connection for a thread, within `CONNECT_SECONDS`, to a host that is looked up and vetted like any other.

    Each of its operations takes at most `seconds`. Raises WireError.
    """
    url = Url(tls=False, host=host, port=port, socket_path="", target="/")
    with trio.move_on_after(CONNECT_SECONDS):
        return runtime.as_blocking(await _connect(runtime, url, guard), seconds)
    raise ConnectTimeoutError(f"{url.place} took no connection within {CONNECT_SECONDS:g} s")


async def _pass_proxy(runtime: Runtime, way: Way, proxy: Proxy) -> PlainStream:
    """Connect to the proxy, and through it if this way tunnels.

    A name is the proxy's to look up, unless the guard allows less than what an operator's URL may lead to: then it is
    looked up and vetted here, and the proxy is told the address.
    """
    guard = way.guard.behind_proxy()
    host = way.url.host
    if way.url.is_numeric or guard.must_look_up:
        host = (await vetted(runtime, way.url, guard))[0][1]
    try:
        plain = PlainStream(await _connect(runtime, proxy.url, Guard(own=way.guard.own)))
    except WireError as error:
        raise type(error)(f"proxy {error}") from error
    if way.tunnels:
        try:
            await open_tunnel(plain, proxy, host, way.url.port)
        except OSError as error:
            plain.close()
            raise ProxyError(f"{proxy.url.place} ended the connection: {error.strerror or error}") from error
        except BaseException:
            plain.close()
            raise
    return plain


async def _connect(runtime: Runtime, url: Url, guard: Guard) -> trio.socket.SocketType:
    if url.socket_path:
        try:
            guard.vet_socket(url.socket_path, _followed(url.socket_path))
            return await runtime.connect_unix(url.socket_path)
        except DeniedHostError as error:
            raise DeniedAddressError(str(error)) from error
        except OSError as error:
            raise _translate(error, url.place, ports=False) from error
    return await _connect_first(runtime, url, await vetted(runtime, url, guard))


def _followed(path: str) -> str:
    """Give a path with links followed; a socket's folder is no place that keeps one waiting."""
    return os.path.realpath(path)


async def vetted(runtime: Runtime, url: Url, guard: Guard) -> list[AddressInfo]:
    """Give the addresses of the host in `url` that `guard` lets pass, one at least. Raises WireError."""
    try:
        if url.is_numeric:
            addresses = guard.vet_literal(url.host, url.port)
        else:
            addresses = guard.vet(url.host, await runtime.resolve(url.host, url.port, DNS_SECONDS))
        guard.refuse_own(url.host, addresses, runtime.is_local)
    except DeniedHostError as error:
        raise DeniedAddressError(str(error)) from error
    except trio.TooSlowError as error:
        raise DnsError(f"{url.host} was not resolved within {DNS_SECONDS:g} s") from error
    except BlockingIOError as error:
        raise ExhaustedError(f"{url.host} was not looked up: {error.strerror}") from error
    except OSError as error:
        raise DnsError(f"{url.host} has no address: {error.strerror or error}") from error
    if not addresses:
        raise DnsError(f"{url.host} has no address")
    return addresses


async def _connect_first(runtime: Runtime, url: Url, addresses: list[AddressInfo]) -> trio.socket.SocketType:
    """Try the addresses in order; each but the last may use half of the time that is left."""
    failure: WireError | None = None
    for number, address in enumerate(addresses, 1):
        now = trio.current_time()
        left = trio.current_effective_deadline() - now
        with trio.move_on_at(now + (left if number == len(addresses) else left / 2)):
            try:
                return await runtime.connect(address)
            except OSError as error:
                where = url.place if url.is_numeric else f"{url.place} at {address[1]}"
                failure = _translate(error, where, ports=":" not in address[1])
                if isinstance(failure, ExhaustedError):
                    break
    raise failure or ConnectTimeoutError(f"{url.place} took no connection at {len(addresses)} addresses")


async def _secure(plain: PlainStream, context: ssl.SSLContext, server_name: str, url: Url) -> Stream:
    try:
        stream = TlsStream(plain, context, server_name)
        await stream.handshake()
    except OSError as error:
        plain.close()
        raise TlsError(f"{url.place}: {tls_cause(error)}") from error
    except BaseException:
        plain.close()
        raise
    return stream


def tls_cause(error: OSError) -> str:
    """Give the certificate's verify message, or OpenSSL's reason, as a text for the operator."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, ssl.SSLEOFError):
        return "TLS handshake failed: the other side closed the connection"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}"
    return f"TLS handshake failed: {error.strerror or error}"


def _translate(error: OSError, place: str, *, ports: bool) -> WireError:
    # trio's own text repeats the address.
    text = f"{place}: {os.strerror(error.errno).lower() if error.errno else error}"
    if isinstance(error, ConnectionRefusedError):
        return RefusedError(text)
    if isinstance(error, TimeoutError):
        return ConnectTimeoutError(text)
    # EADDRNOTAVAIL: every local port is taken on IPv4; on IPv6 mostly that this machine has no IPv6.
    exhausted = error.errno in _EXHAUSTED or (ports and error.errno == errno.EADDRNOTAVAIL)
    return ExhaustedError(text) if exhausted else UnreachableError(text)
