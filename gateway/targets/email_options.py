"""The options of the `email` target: who gets a mail, what it says, and over which server."""

import re
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from gateway.plugin import (
    ByteCount,
    Duration,
    Options,
    Sender,
    Smtp,
    Template,
    TemplateFile,
    check_address,
    duration_between,
    message_field,
    parse_template,
    size_between,
)
from gateway.targets.mail import check_subject

RECIPIENTS_MAX: Final = 50
DIGEST_MAX: Final = 250

_FIELDS: Final = re.compile(r"event\.(id|type|version|source)|source|body\..+")
_PLACEHOLDER: Final = re.compile(r"\{[^{}]*\}")


def _check_template(text: str) -> Template:
    template = parse_template(text, message_field)
    unfit = [each.text for each in template.selectors if each.root != "field" and not _FIELDS.fullmatch(each.text)]
    if unfit:
        raise ValueError(
            f"{{{unfit[0]}}} cannot stand here: expected event.id, event.type, event.version, body.… or source"
        )
    return template


def _check_subject(text: str) -> str:
    _check_template(text)
    check_subject(text)
    return text


def _check_recipient(text: str) -> str:
    if _check_template(text).selectors:
        text_without = _PLACEHOLDER.sub("x", text)
        if text_without != "x":
            check_address(text_without)
    else:
        check_address(text)
    return text


_Recipient = Annotated[str, AfterValidator(_check_recipient)]


class DigestTable(Options):
    """When a digest goes out: after `every`, or once there are `count` events, whichever is first."""

    every: Annotated[Duration, duration_between("1m", "7d")] = Field(default="15m", validate_default=True)
    """How long the first event waits for others."""
    count: Annotated[int, Field(ge=2, le=DIGEST_MAX)] = 50
    """So many events go out at once; no mail holds more."""


class EmailOptions(Options):
    """Who gets a mail, and what it says. The mail server stands in `[smtp]`."""

    to: Annotated[tuple[_Recipient, ...], Field(min_length=1, max_length=RECIPIENTS_MAX)]
    """Addresses; `{body.…}` in one stands for a value of the payload."""
    cc: Annotated[tuple[_Recipient, ...], Field(max_length=RECIPIENTS_MAX)] = ()
    """Addresses that get a copy."""
    sender: Sender | None = Field(default=None, alias="from")
    """Who mails come from, in place of `from` in `[smtp]`."""
    subject: Annotated[str, AfterValidator(_check_subject), Field(min_length=1)] | None = None
    """The subject, with selectors; unless written, or if a value is missing, source and type, or what a warning of the
    gateway's own says."""
    text: TemplateFile | None = None
    """A minijinja file for the text, relative to the configuration file; unless written, the text tells the event's
    facts and where to look, without the payload."""
    html: TemplateFile | None = None
    """A minijinja file for an HTML form beside the text; every value in it is escaped."""
    digest: DigestTable | None = None
    """One mail for several events."""
    attach_max: Annotated[ByteCount, size_between("1KiB", "64MiB")] = Field(default="10MiB", validate_default=True)
    """What `send` attaches to one mail, all together; what is bigger is left out, and the text says so."""
    smtp: Smtp
    """Keys of `[smtp]` that are different for this target."""

    @model_validator(mode="after")
    def _together(self) -> "EmailOptions":
        if self.digest is not None and self.html is not None:
            raise ValueError("a digest is plain text: remove html, or digest")
        return self

    def warnings(self) -> Sequence[tuple[str, str]]:
        """Tell of mail that goes where a sender says, or in the clear."""
        example = '"{body.user}@acme.example"'
        found = [
            (key, f'"{text}" lets the sender of an event choose the domain too: write it, as in {example}')
            for key, recipients in (("to", self.to), ("cc", self.cc))
            for text in recipients
            if "{" in text.rpartition("@")[2]
        ]
        if self.smtp.tls == "none" and not self.smtp.is_local:
            found.append(("smtp", f'mails cross the network to {self.smtp.host} in the clear: write tls = "required"'))
        return found
