"""Why an outgoing request got no reply: one exception a cause, each with a reason code and a text for the operator.

A reply of any status is no failure here. Nothing in this module decides what a failure means for a delivery, and no
text holds a payload, a header's value or a secret.
"""

from typing import ClassVar

from gateway.errors import HookgateError


class WireError(HookgateError):
    """No reply came. `reason` is the code, the text says which host and what was found."""

    reason: ClassVar[str] = "wire"


class DnsError(WireError):
    """The name has no addresses, or the look-up took too long."""

    reason = "dns"


class DeniedAddressError(WireError):
    """The host is, or resolves to, an address that no request may go to (`gateway.wire.addresses`)."""

    reason = "denied-address"


class RefusedError(WireError):
    """Nobody listens there."""

    reason = "refused"


class UnreachableError(WireError):
    """There is no way to the address, or the unix socket does not exist."""

    reason = "unreachable"


class ConnectTimeoutError(WireError):
    """No address took the connection in time; nothing was sent."""

    reason = "timeout"


class TlsError(WireError):
    """The handshake failed; the text holds the certificate's verify message if that was why."""

    reason = "tls"


class ProxyError(WireError):
    """The proxy opened no way to the endpoint; nothing was sent there."""

    reason = "proxy"


class ReplyError(WireError):
    """What came back is no HTTP/1.1 reply, or exceeds the limits of its head."""

    reason = "protocol"


class ClosedError(WireError):
    """The connection ended before the reply's head was complete; the other side may have taken the request."""

    reason = "closed"


class ExhaustedError(WireError):
    """This machine is out of descriptors, ports, memory or DNS threads: our own trouble, nothing was sent."""

    reason = "exhausted"
