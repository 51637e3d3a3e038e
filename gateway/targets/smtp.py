"""One conversation with a mail server, in a thread: greeting, TLS, login, and one mail to some recipients.

On `smtplib`, with what it lacks: replies are bounded, what the server says before TLS is never believed after it, and
each failure tells how far the conversation came. Whoever shuts the socket ends the conversation at once.
"""

import smtplib
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, NamedTuple, TypeAlias

from gateway.plugin import Socket, tls_cause

REPLY_BYTES_MAX: Final = 64 * 1024

Stage: TypeAlias = Literal["greeting", "tls", "login", "sender", "message", "sent"]
"""How far it came; "message": recipients or content under way; "sent": all of it, but its last answer."""


class Reply(NamedTuple):
    """What the server said."""

    code: int
    text: str
    """Printable ASCII, at most 120 characters."""

    def __str__(self) -> str:
        return f"{self.code} {self.text}".rstrip()


class Answers(NamedTuple):
    """How the server took one mail."""

    accepted: tuple[str, ...]
    refused: dict[str, Reply]
    """By recipient; where the content was refused, that answer for each."""
    last: Reply


class ConversationError(Exception):
    """The conversation ended before every recipient had an answer."""

    def __init__(self, stage: Stage, cause: str, reply: Reply | None = None) -> None:
        super().__init__(cause)
        self.stage = stage
        self.reply = reply
        """The refusal, if that was the cause; None: the connection, TLS, or nonsense."""


@dataclass(frozen=True, slots=True)
class Server:
    """How to talk to the server."""

    host: str
    own_name: str
    """How we greet."""
    implicit: bool
    context: ssl.SSLContext | None
    """None: no TLS."""
    login: tuple[str, str] | None = None
    """User and password."""


def converse(connection: Socket, server: Server, sender: str, recipients: Sequence[str], mail: bytes) -> Answers:
    """Send `mail` to the recipients; blocks. Closes the connection. Raises ConversationError."""
    session = _Session(connection, server)
    try:
        session.begin()
        return session.send_mail(sender, recipients, mail)
    except ssl.SSLError as error:
        raise ConversationError(session.stage, tls_cause(error)) from error
    except smtplib.SMTPServerDisconnected as error:
        cause = error.__context__
        told = isinstance(cause, OSError) and not isinstance(cause, ConnectionError)
        raise ConversationError(session.stage, _why(cause) if told else "the server closed the connection") from error
    except OSError as error:  # of smtplib's own errors too
        raise ConversationError(session.stage, _why(error)) from error
    finally:
        session.close()


def _why(error: BaseException | None) -> str:
    if isinstance(error, TimeoutError):
        return "the server took too long to answer"
    if isinstance(error, smtplib.SMTPException):
        return printable(str(error))
    return printable(getattr(error, "strerror", None) or str(error))


def printable(text: str | bytes) -> str:
    """Make what a server said one short line of ASCII."""
    words = text if isinstance(text, str) else text.decode("ascii", "replace")
    return " ".join("".join(each if "\x20" <= each <= "\x7e" else " " for each in words).split())[:120]


class _Session(smtplib.SMTP):
    """An `smtplib.SMTP` on a connection that is already open."""

    def __init__(self, connection: Socket, server: Server) -> None:
        super().__init__(local_hostname=server.own_name)
        self.sock = connection
        self.stage: Stage = "greeting"
        self._server = server
        self._received = b""

    def begin(self) -> None:
        """Come to the point where mail can be sent. Raises ConversationError, OSError."""
        if self._server.implicit:
            self._wrap()
        self._demand((220,), self.getreply, "the server greets with")
        self._hello()
        if self._server.context is not None and not self._server.implicit:
            self._start_tls()
            self._hello()
        if self._server.login is not None:
            self._log_in(*self._server.login)

    def send_mail(self, sender: str, recipients: Sequence[str], mail: bytes) -> Answers:
        """Send one mail. Raises ConversationError, OSError."""
        self.stage = "sender"
        self._demand((250,), partial(self.docmd, "MAIL", f"FROM:<{sender}>"), "the server refuses the sender:")
        self.stage = "message"
        replies = {recipient: self._ask(partial(self.docmd, "RCPT", f"TO:<{recipient}>")) for recipient in recipients}
        accepted = tuple(recipient for recipient, reply in replies.items() if reply.code in (250, 251, 252))
        refused = {recipient: reply for recipient, reply in replies.items() if recipient not in accepted}
        if not accepted:
            self._part()
            return Answers((), refused, next(iter(refused.values())))
        last = self._send_content(mail)
        self._part()
        if last.code // 100 != 2:  # nothing else says that it was taken (RFC 5321, 4.2.1)
            return Answers((), {each: refused.get(each, last) for each in recipients}, last)
        return Answers(accepted, refused, last)

    def _send_content(self, mail: bytes) -> Reply:
        ready = self._ask(lambda: self.docmd("DATA"))
        if ready.code != 354:
            if ready.code < 400:
                raise ConversationError(self.stage, f"the server answers DATA with {ready}")
            return ready
        content = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in mail.split(b"\r\n"))
        self.send(content.removesuffix(b"\r\n") + b"\r\n")
        self.stage = "sent"
        self.send(b".\r\n")
        return self._ask(self.getreply)

    def _hello(self) -> None:
        self._demand((250,), self.ehlo, "the server answers EHLO with")

    def _start_tls(self) -> None:
        self.stage = "tls"
        if not self.has_extn("starttls"):
            raise ConversationError(
                self.stage,
                "the server offers no STARTTLS, or somebody in between removed it; "
                'for a relay on this machine write tls = "none" in [smtp]',
            )
        self._demand((220,), lambda: self.docmd("STARTTLS"), "the server refuses STARTTLS:")
        if self._received:
            raise ConversationError(self.stage, "the server, or somebody in between, said more before TLS began")
        self._wrap()
        self.stage = "greeting"

    def _wrap(self) -> None:
        if self._server.context is not None and self.sock is not None:
            self.stage = "tls"
            self.sock = self._server.context.wrap_socket(self.sock, server_hostname=self._server.host)

    def _log_in(self, user: str, password: str) -> None:
        self.stage = "login"
        try:
            self.login(user, password, initial_response_ok=True)
        except smtplib.SMTPAuthenticationError as error:
            # Not the text: it may repeat what was sent.
            raise ConversationError(self.stage, f"the server refuses the login with {error.smtp_code}") from None
        except smtplib.SMTPServerDisconnected:
            raise
        except (smtplib.SMTPException, ValueError):  # ValueError: a challenge that is no base64
            raise ConversationError(self.stage, "the server offers no way to log in that we know") from None

    def _demand(self, codes: tuple[int, ...], call: Callable[[], tuple[int, bytes]], otherwise: str) -> None:
        reply = self._ask(call)
        if reply.code not in codes:
            raise ConversationError(self.stage, f"{otherwise} {reply}", reply)

    def _ask(self, call: Callable[[], tuple[int, bytes]]) -> Reply:
        code, text = call()
        reply = Reply(code, printable(text))
        if code == 421:
            raise ConversationError(self.stage, f"the server closes: {reply}", reply)
        return reply

    def _part(self) -> None:
        """Say goodbye, and wait for no answer: a cancellation now would lose what is known of the mail."""
        with suppress(OSError):
            self.putcmd("QUIT")

    def getreply(self) -> tuple[int, bytes]:
        """Read one reply; `smtplib` would read on for ever. Raises OSError at the end of the connection or nonsense."""
        lines: list[bytes] = []
        room = REPLY_BYTES_MAX
        while True:
            line = self._read_line(room)
            room -= len(line)
            code, separator = line[:3], line[3:4]
            if not (code.isdigit() and len(code) == 3 and separator in (b" ", b"-", b"\r", b"\n")):
                raise smtplib.SMTPException("the server answers with something that is no SMTP")
            lines.append(line[4:].strip())
            if separator != b"-":
                return int(code), b"\n".join(lines)

    def _read_line(self, room: int) -> bytes:
        while b"\n" not in self._received:
            if len(self._received) > room:
                raise smtplib.SMTPException("the server's answer has no end")
            received = self.sock.recv(4096) if self.sock is not None else b""
            if not received:
                raise smtplib.SMTPServerDisconnected("the server closed the connection")
            self._received += received
        line, end, self._received = self._received.partition(b"\n")
        if len(line) > room:
            raise smtplib.SMTPException("the server's answer has no end")
        return line + end
