"""A mail as bytes for the wire: headers, text, HTML and attachment, the same bytes on every attempt.

Whatever a payload puts into a header is checked before the standard library sees it (rows M1, M2); bodies are encoded,
so that no line of theirs can be longer or end otherwise than SMTP has it. Pure.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from hashlib import blake2b
from typing import Final, NamedTuple

from gateway.plugin import Message, parse_mailbox

SUBJECT_MAX: Final = 200
"""Characters; a longer subject is cut."""

_UNFIT: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TYPE: Final = re.compile(r"([a-z]{1,20})/([a-z0-9][a-z0-9.+-]{0,60})(?:\s*;.*)?", re.ASCII | re.IGNORECASE)


class HeaderError(ValueError):
    """A value cannot stand in a header; the text names the header, never the value."""


class Parts(NamedTuple):
    """What a mail says."""

    subject: str
    text: str
    html: str | None
    attached: tuple[Message, ...] = ()
    """Whose content goes along, as a file named after the event."""


class Recipients(NamedTuple):
    """Whom a mail goes to, checked."""

    to: tuple[str, ...]
    cc: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(dict.fromkeys((*self.to, *self.cc)))


def check_subject(subject: str) -> str:
    """Give a subject as it goes out: tabs are spaces, at most 200 characters. Raises HeaderError (row M1).

    `=?` becomes `= ?`: it begins an encoded word (RFC 2047), which the library would decode, line ends and all.
    """
    if _UNFIT.search(subject):
        raise HeaderError("the subject holds a line end or another control character")
    subject = subject.replace("\t", " ").replace("=?", "= ?").strip()
    return subject if len(subject) <= SUBJECT_MAX else f"{subject[: SUBJECT_MAX - 3]}..."


def write_mail(messages: Sequence[Message], sender: str, recipients: Recipients, parts: Parts, hops: int) -> bytes:
    """Give the mail of an event, or of several to the same recipients.

    Nothing in it depends on the attempt or the time: Date is when the last of them was accepted.
    """
    name, address = parse_mailbox(sender)
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(name, addr_spec=address)
    mail["To"] = _addresses(recipients.to)
    if recipients.cc:
        mail["Cc"] = _addresses(recipients.cc)
    mail["Subject"] = parts.subject
    accepted_at = max(message.accepted_at for message in messages)
    mail["Date"] = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=accepted_at)
    mail["Message-ID"] = message_id(messages, address)
    mail["Auto-Submitted"] = "auto-generated"
    mail["Precedence"] = "bulk"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["Hookgate-Hops"] = str(hops)
    mail.set_content(_lines(parts.text), cte="quoted-printable")
    if parts.html is not None:
        mail.add_alternative(_lines(parts.html), subtype="html", cte="quoted-printable")
    for message in parts.attached:
        _attach(mail, message)
    for number, part in enumerate(each for each in mail.walk() if each.is_multipart()):
        part.set_boundary(f"=_{_token(messages)}_{number}")  # "=_" stands in no encoded body
    return mail.as_bytes()


def message_id(messages: Sequence[Message], sender: str) -> str:
    """Give the Message-ID: of events and target, so that a mail that comes twice can be told (row M3)."""
    return f"<{_token(messages)}.{messages[0].target}@{sender.rpartition('@')[2]}>"


def choose_attachments(messages: Sequence[Message], limit: int) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """Give the messages whose content is attached, up to `limit` bytes together, and those where it is left out."""
    room = limit
    attached: list[Message] = []
    left_out: list[Message] = []
    for message in messages:
        if message.content and len(message.content) <= room:
            room -= len(message.content)
            attached.append(message)
        elif message.content:
            left_out.append(message)
    return tuple(attached), tuple(left_out)


def _token(messages: Sequence[Message]) -> str:
    """Name a mail: by its event, or by a digest of the ids of several."""
    if len(messages) == 1:
        return messages[0].id
    return "digest-" + blake2b("\n".join(message.id for message in messages).encode(), digest_size=16).hexdigest()


def _addresses(addresses: Sequence[str]) -> tuple[Address, ...]:
    return tuple(Address(addr_spec=address) for address in addresses)


def _lines(text: str) -> str:
    """Let lines end as the library expects; it would take other line ends of Unicode for lines too."""
    return text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()


def _attach(mail: EmailMessage, message: Message) -> None:
    found = _TYPE.fullmatch(message.content_type)
    if not found or found[1].lower() in ("multipart", "message"):  # the library would look for parts in these
        kind, subtype = "application", "octet-stream"
    else:
        kind, subtype = found.groups()
    ending = {"json": "json", "xml": "xml", "plain": "txt"}.get(subtype.lower(), "bin")
    mail.add_attachment(
        message.content, maintype=kind.lower(), subtype=subtype.lower(), filename=f"{message.id}.{ending}", cte="base64"
    )
