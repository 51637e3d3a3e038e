"""Writes mails and hands them to the mail server, one connection each: the base of single mails and digests.

The server is looked up, vetted and connected to like every other host; the conversation then runs in a thread of this
target's own pool (`gateway.targets.smtp`). A cancelled delivery shuts its connection, so that the thread ends at once.
The payload decides recipients and subject only where the operator wrote a selector, and never more than their values.
"""

import os
import re
import ssl
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

import trio

from gateway.plugin import (
    CompiledTemplate,
    Context,
    Delivered,
    Json,
    Message,
    Outcome,
    Rejected,
    RequestError,
    Scope,
    Smtp,
    Socket,
    Template,
    TemplateFile,
    TemplateSource,
    TemplateUnfitError,
    WireError,
    check_address,
    dial_blocking,
    message_field,
    message_values,
    parse_document,
    parse_mailbox,
    parse_template,
    parse_url,
)
from gateway.targets.email_options import EmailOptions
from gateway.targets.hops import hops_of, loop
from gateway.targets.mail import HeaderError, Parts, Recipients, check_subject, choose_attachments, write_mail
from gateway.targets.mail_digest import digest_subject, digest_text, left_out_text
from gateway.targets.mail_text import OWN_SOURCE, default_subject, default_text
from gateway.targets.mail_verdicts import judge_answers, judge_end, read_progress, write_progress
from gateway.targets.smtp import Answers, ConversationError, Server, converse
from gateway.targets.verdicts import judge_failure

_NAME: Final = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)


class Letter(NamedTuple):
    """One message as it would be told to its recipients."""

    message: Message
    recipients: Recipients
    have: tuple[str, ...]
    """Those who have it from an earlier try."""
    subject: str
    text: str
    html: str | None
    hops: int

    @property
    def lacking(self) -> tuple[str, ...]:
        """The recipients who have not got it."""
        return tuple(each for each in self.recipients.all if each not in self.have)


class Mailer:
    """Knows recipients, texts and server of one target."""

    def __init__(self, options: EmailOptions) -> None:
        smtp = options.smtp
        host = f"[{smtp.host}]" if ":" in smtp.host else smtp.host
        parse_url(f"http://{host}:{smtp.port_number}/")  # for its strictness with hosts
        self._smtp = smtp
        self._sender = options.sender or smtp.sender
        self._to = tuple(parse_template(each, message_field) for each in options.to)
        self._cc = tuple(parse_template(each, message_field) for each in options.cc)
        self._subject = parse_template(options.subject, message_field) if options.subject else None
        self._text = _compiled(options.text, "text/plain")
        self._html = _compiled(options.html, "text/html")
        self._attach_max = options.attach_max
        login = [smtp.user, smtp.password.reveal()] if smtp.user and smtp.password and smtp.password.is_read else []
        if not all(text.isascii() and text.isprintable() for text in login):
            raise ValueError("smtp: a user or password beyond printable ASCII cannot be sent: choose another")

    async def open(self, context: Context) -> None:
        """Read the TLS file; nothing is connected yet."""
        self._runtime = context.runtime
        self._guard = context.guard
        self._limiter = trio.CapacityLimiter(context.connections)
        tls = await self._runtime.in_file_thread(partial(_tls_context, self._smtp))
        login = (self._smtp.user, self._smtp.password.reveal()) if self._smtp.user and self._smtp.password else None
        self._server = Server(self._smtp.host, _own_name(), self._smtp.tls == "implicit", tls, login)

    async def close(self) -> None:
        """Nothing is kept between deliveries."""

    def letter(self, message: Message) -> Letter | Outcome:
        """Write a message for its recipients; the outcome if nobody is to be sent anything."""
        hops = hops_of(message)
        if rejected := loop(hops):
            return rejected
        try:
            letter = self._letter(message, hops + 1)
        except HeaderError as error:
            return Rejected(f"header: {error}")
        except TemplateUnfitError as error:
            return Rejected(f"template: {error}"[:500])
        return letter if letter.lacking else Delivered("every recipient has it from an earlier try")

    async def post(self, letters: Sequence[Letter]) -> Outcome:
        """Send letters to the same recipients as one mail to those who lack it; the outcome is that of each.

        Cancellation ends the conversation at once.
        """
        first, messages = letters[0], [letter.message for letter in letters]
        mail = write_mail(
            messages, self._sender, first.recipients, self._parts(letters), max(letter.hops for letter in letters)
        )
        try:
            answers = await self._send(first.lacking, mail)
        except WireError as error:
            return judge_failure(error)
        except ConversationError as error:
            return judge_end(error)
        have = first.have + answers.accepted
        if have:
            for message in messages:
                message.save_progress(write_progress(have))
        return judge_answers(answers, len(have))

    def _parts(self, letters: Sequence[Letter]) -> Parts:
        attached, left_out = choose_attachments([letter.message for letter in letters], self._attach_max)
        more = left_out_text(left_out, self._attach_max)
        first = letters[0]
        if len(letters) == 1:
            return Parts(first.subject, first.text + more, first.html, attached)
        text = digest_text([(letter.subject, letter.text) for letter in letters])
        return Parts(digest_subject(first.subject, len(letters)), text + more, None, attached)

    async def _send(self, recipients: tuple[str, ...], mail: bytes) -> Answers:
        smtp = self._smtp
        connection = await dial_blocking(self._runtime, smtp.host, smtp.port_number, smtp.timeout, self._guard)
        # A second descriptor: TLS takes the first one over, and closing it under a thread would be a race.
        handle = connection.dup()
        begun = False

        def run() -> Answers:
            nonlocal begun
            begun = True
            return converse(connection, self._server, parse_mailbox(self._sender).address, recipients, mail)

        try:
            return await self._runtime.in_thread(run, self._limiter)
        finally:
            _end(handle)
            if not begun:
                connection.close()

    def _letter(self, message: Message, hops: int) -> Letter:
        body = _body(message)
        scope = Scope(request=None, body=body, claims=None, event=message, source=message.source)
        recipients = Recipients(_recipients(self._to, scope), _recipients(self._cc, scope))
        have = read_progress(message.progress, recipients.all)
        return Letter(message, recipients, have, self._subject_of(message, scope), *self._texts(message, body), hops)

    def _subject_of(self, message: Message, scope: Scope) -> str:
        subject = ""
        if self._subject is not None:
            with suppress(ValueError):  # a value is missing
                subject = self._subject.render(scope)
        return check_subject(subject or default_subject(message, scope.body))

    def _texts(self, message: Message, body: Json) -> tuple[str, str | None]:
        """Give text and HTML; a warning of the gateway's own goes out whatever a template makes of it."""
        try:
            values = message_values(message) if self._text or self._html else {}
            html = self._html.fill(values).decode() if self._html else None
            return (self._text.fill(values).decode() if self._text else default_text(message, body)), html
        except TemplateUnfitError:
            if message.source != OWN_SOURCE:
                raise
            return default_text(message, body), None


def _compiled(file: TemplateFile | None, content_type: str) -> CompiledTemplate | None:
    return None if file is None else CompiledTemplate(TemplateSource(file.name, file.text, content_type))


def _body(message: Message) -> Json:
    try:
        return parse_document(message.payload)
    except RequestError:
        return None


def _recipients(templates: tuple[Template, ...], scope: Scope) -> tuple[str, ...]:
    """Fill the recipients in. Raises HeaderError for one that is no plain address (rows M1, M2)."""
    try:
        return tuple(check_address(template.render(scope)) for template in templates)
    except ValueError as error:
        raise HeaderError(f"a recipient: {error}") from None


def _tls_context(smtp: Smtp) -> ssl.SSLContext | None:
    if smtp.tls == "none":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and name by default
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if smtp.ca is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cafile=smtp.ca)
    except OSError as error:
        raise OSError(f"{smtp.ca} cannot be used for TLS: {error.strerror or error}") from error
    return context


def _own_name() -> str:
    """Give this machine's name for the greeting; a look-up of it could take seconds."""
    name = os.uname().nodename
    return name if _NAME.fullmatch(name) else "localhost"


def _end(handle: Socket) -> None:
    """Shut the connection for whichever thread still uses it."""
    with suppress(OSError):  # it is closed already
        handle.shutdown(trio.socket.SHUT_RDWR)
    handle.close()
