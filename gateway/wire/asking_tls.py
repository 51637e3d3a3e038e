"""The listener's side of TLS that asks clients for a certificate and refuses nobody for it.

Whether a certificate is good is for a source to say (scheme `mtls`), after the handshake and by its own authorities:
other sources of the listener go on, whatever their senders show, and a stranger learns nothing by it. Python's `ssl`
can only refuse within the handshake, so this is pyOpenSSL behind the face of an `ssl.SSLContext` that `channel` and
`trio.SSLStream` need (`wrap_bio`). Sessions are not resumed: a ticket would not bring the chain back.
"""

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_ASN1, X509, dump_certificate

CHAIN_MAX: Final = 8
"""Certificates of one client that are looked at."""
_READ_BYTES: Final = 64 * 1024
_CIPHERS: Final = b"DEFAULT:!aNULL:!eNULL:!MD5:!3DES:!DES:!RC4:!IDEA:!SEED:!aDSS:!SRP:!PSK:@SECLEVEL=2"

ResultT = TypeVar("ResultT")


class AskingContext:
    """What makes the TLS of each connection."""

    def __init__(self, cert: str, key: str, protocols: Sequence[str]) -> None:
        """Load a certificate chain and key, PEM files that belong together; offer `protocols` by ALPN."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET)
        context.set_cipher_list(_CIPHERS)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        offered = [name.encode() for name in protocols]
        context.set_alpn_select_callback(lambda _, asked: _agree(offered, asked))
        context.use_certificate_chain_file(cert)
        context.use_privatekey(cast("Any", load_pem_private_key(Path(key).read_bytes(), None)))
        self._context = context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = True,
        server_hostname: str | None = None,
    ) -> "AskingTls":
        """Make the TLS of a connection whose bytes come and go by the two buffers."""
        del server_side, server_hostname
        return AskingTls(SSL.Connection(self._context, None), incoming, outgoing)


class AskingTls:
    """One connection's TLS; as `ssl.SSLObject`, whose errors it raises."""

    server_side = True
    """Asked by trio, as is `version`: what follows a handshake of TLS 1.3 is sent with the first data."""

    def __init__(self, connection: SSL.Connection, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._connection = connection
        self._incoming = incoming
        self._outgoing = outgoing
        connection.set_accept_state()

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The certificates (DER) that the client showed, its own first; nobody has judged them."""
        own = self._connection.get_peer_certificate()
        if own is None:
            return ()
        shown = dict.fromkeys(map(_der, (own, *(self._connection.get_peer_cert_chain() or ()))))
        return tuple(shown)[:CHAIN_MAX]

    def do_handshake(self) -> None:
        """See `ssl.SSLObject`."""
        self._run(self._connection.do_handshake)

    def read(self, size: int) -> bytes:
        """See `ssl.SSLObject`."""
        return self._run(lambda: self._connection.recv(size))

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        """See `ssl.SSLObject`; takes all of it."""
        self._run(lambda: self._connection.sendall(data))
        return len(data)

    def unwrap(self) -> None:
        """See `ssl.SSLObject`."""
        if not self._run(self._connection.shutdown):
            raise ssl.SSLWantReadError

    def version(self) -> str:
        """See `ssl.SSLObject`."""
        return self._connection.get_protocol_version_name()

    def selected_alpn_protocol(self) -> str | None:
        """See `ssl.SSLObject`."""
        return self._connection.get_alpn_proto_negotiated().decode() or None

    def _run(self, call: Callable[[], ResultT]) -> ResultT:
        if self._incoming.pending:
            self._connection.bio_write(self._incoming.read())
        try:
            return call()
        except SSL.WantReadError:
            raise (ssl.SSLEOFError() if self._incoming.eof else ssl.SSLWantReadError()) from None
        except SSL.ZeroReturnError:
            raise ssl.SSLZeroReturnError from None
        except SSL.SysCallError:
            raise ssl.SSLEOFError from None
        except SSL.Error as error:
            raise ssl.SSLError(str(error)) from None
        finally:
            self._drain()

    def _drain(self) -> None:
        try:
            while True:
                self._outgoing.write(self._connection.bio_read(_READ_BYTES))
        except SSL.WantReadError:
            return


def _der(certificate: X509) -> bytes:
    # As it came: to read it is for whoever judges it, for OpenSSL takes certificates that nobody else can read.
    return dump_certificate(FILETYPE_ASN1, certificate)


def _agree(offered: Sequence[bytes], asked: Sequence[bytes]) -> Any:  # noqa: ANN401 - bytes, or a mark of pyOpenSSL's
    return next((name for name in offered if name in asked), SSL.NO_OVERLAPPING_PROTOCOLS)
