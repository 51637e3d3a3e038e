"""The tables `[server]`, `[admin]` and `[log]`."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from gateway.config.address import ListenAddress, Network
from gateway.config.secrets import SecretReference
from gateway.config.table import Table, written
from gateway.config.units import ByteCount, Duration, duration_between, size_between

HttpServer: TypeAlias = Literal["own", "hypercorn"]


class Tls(Table):
    """The listener's certificate; both files are read again by a reload."""

    cert: str = Field(examples=["/etc/hookgate/tls/cert.pem"])
    """PEM file with the certificate and its chain; relative to the configuration file."""
    key: str = Field(examples=["/etc/hookgate/tls/key.pem"])
    """PEM file with the key, without a passphrase; relative to the configuration file."""


class Limits(Table):
    """What one request, one connection, one peer and all of them together may cost."""

    header_bytes: Annotated[ByteCount, size_between("1KiB", "64KiB")] = written("16KiB")
    """Request line and headers together; more is answered 431."""
    header_count: Annotated[int, Field(ge=8, le=1000)] = 100
    """Number of headers; more is answered 431."""
    header_timeout: Annotated[Duration, duration_between("1s", "5m")] = written("10s")
    """From the first byte of a request to the end of its headers, in all."""
    body: Annotated[ByteCount, size_between("1KiB", "64MiB")] = written("1MiB")
    """Bytes of one body, unless the source says otherwise; more is answered 413."""
    body_timeout: Annotated[Duration, duration_between("1s", "10m")] = written("30s")
    """From the end of the headers to the end of the body, in all."""
    body_rate_min: Annotated[ByteCount, size_between("1B", "1MiB")] = written("100B")
    """Bytes a second that a body must arrive with on average, once five seconds have passed."""
    idle_timeout: Annotated[Duration, duration_between("1s", "1h")] = written("75s")
    """How long a connection may wait for its next request."""
    send_timeout: Annotated[Duration, duration_between("1s", "5m")] = written("10s")
    """How long a client may take to accept a reply; then the connection is reset."""
    connections: Annotated[int, Field(ge=1, le=1_000_000)] = 2048
    """Connections in all. Past it the longest idle one makes room, else one of the peer that keeps most handshakes and
    requests unfinished, unless the new peer keeps about as many, else one that has kept us waiting for over a second.
    """
    connections_per_peer: Annotated[int, Field(ge=1, le=1_000_000)] = 256
    """Of one IPv4 address or IPv6 /64; trusted proxies and unix sockets are exempt. Past it, as past the one above."""
    body_memory: Annotated[ByteCount, size_between("1MiB", "64GiB")] = written("64MiB")
    """Bytes of bodies held at once, over all connections. Bodies that have come for more than a second make room,
    longest first; what would exceed it all the same is answered 503.
    """


class Server(Table):
    """Where providers reach the gateway. A changed `bind` or `http`, and TLS where there was none, need a restart."""

    bind: Annotated[tuple[ListenAddress, ...], Field(min_length=1)] = written(
        ("127.0.0.1:8080",),
        examples=[["127.0.0.1:8080"], ["unix:/run/hookgate/http.sock"], ["fd:hookgate-http"]],
    )
    """Addresses to listen on: numeric host and port, unix sockets, or sockets that systemd hands over by name."""
    http: HttpServer = "own"
    """Who speaks HTTP: "own", HTTP/1.1 only and fast, or "hypercorn", which speaks HTTP/2 as well where there is `tls`,
    at less than half the speed. A change needs a restart."""
    tls: Tls | None = None
    """Certificate and key for the TCP addresses; without it they speak plain HTTP."""
    behind_proxy: bool = False
    """True says that a proxy in front speaks TLS: needed to listen without TLS on anything but loopback."""
    trusted_proxies: tuple[Network, ...] = Field(default=(), examples=[["10.0.0.0/8", "unix"]])
    """Networks whose X-Forwarded-For and Forwarded headers are believed; "unix" for peers on unix sockets."""
    limits: Limits = Limits()
    """What senders may cost."""


class Admin(Table):
    """The listener for `hookgate status` and its like, health, readiness and metrics."""

    bind: ListenAddress | None = Field(default=None, examples=["unix:/run/hookgate/admin.sock", "127.0.0.1:9090"])
    """One address: a unix socket (mode 0660), a loopback address, or a socket of systemd. Default: `admin.sock` in
    $RUNTIME_DIRECTORY, else in `./var/run`. A change needs a restart."""
    token: SecretReference | None = None
    """Secret that a request to a TCP address must carry; a unix socket needs none, its mode says who may."""


class Log(Table):
    """The log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important level that is written."""
    format: Literal["auto", "json", "console"] = "auto"
    """One JSON object a line, or text for people; auto: text on a terminal, else JSON."""
