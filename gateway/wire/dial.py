"""Opening a connection for an outgoing request: look the host up, vet every answer, connect, prove who is there.

The name is looked up once for each new connection, so that what was vetted is what is connected to; Host, SNI and
certificate keep the name. Every failure leaves as a `WireError` that names the place. No proxy is ever
asked, whatever the environment says.
"""

import errno
import os
import ssl
from typing import Final

import trio

from gateway.runtime import AddressInfo, Runtime, Socket
from gateway.wire.addresses import DeniedHostError
from gateway.wire.failures import (
    ConnectTimeoutError,
    DeniedAddressError,
    DnsError,
    ExhaustedError,
    RefusedError,
    TlsError,
    UnreachableError,
    WireError,
)
from gateway.wire.guard import Guard
from gateway.wire.streams import PlainStream, Stream, TlsStream
from gateway.wire.url import Url

DNS_SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 10.0
"""For the look-up, all addresses and the TLS handshake together."""

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


async def dial(runtime: Runtime, url: Url, context: ssl.SSLContext | None, server_name: str, guard: Guard) -> Stream:
    """Open a connection to `url` within `CONNECT_SECONDS`; TLS with `context` unless that is None. Raises WireError."""
    with trio.move_on_after(CONNECT_SECONDS):
        connection = await _connect(runtime, url, guard)
        if context is None:
            return PlainStream(connection)
        return await _secure(PlainStream(connection), context, server_name, url)
    raise ConnectTimeoutError(f"{url.place} took no connection within {CONNECT_SECONDS:g} s")


async def dial_blocking(runtime: Runtime, host: str, port: int, seconds: float, guard: Guard) -> Socket:
    """Open a connection for a thread, within `CONNECT_SECONDS`, to a host that is looked up and vetted like any other.

    Each of its operations takes at most `seconds`. Raises WireError.
    """
    url = Url(tls=False, host=host, port=port, socket_path="", target="/")
    with trio.move_on_after(CONNECT_SECONDS):
        return runtime.as_blocking(await _connect(runtime, url, guard), seconds)
    raise ConnectTimeoutError(f"{url.place} took no connection within {CONNECT_SECONDS:g} s")


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
