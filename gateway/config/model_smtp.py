"""The table `[smtp]`: the mail server, said once for all targets that send mail; a target may say some keys anew."""

import re
from ipaddress import ip_address
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from gateway.config.references import SecretText
from gateway.config.table import Table, written
from gateway.config.units import Duration, duration_between
from gateway.core.mailbox import parse_mailbox

PORTS: Final = {"required": 587, "implicit": 465, "none": 25}
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)


def _check_host(host: str) -> str:
    if not _HOST.fullmatch(host) and not _is_address(host):
        raise ValueError('expected the name or address of a mail server such as "smtp.acme.example", without a port')
    return host


def _check_sender(text: str) -> str:
    parse_mailbox(text)
    return text


def _check_ca(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError("expected an absolute path")
    return path


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


Sender = Annotated[str, AfterValidator(_check_sender)]
"""`ops@acme.example` or `Operations <ops@acme.example>`."""


class Smtp(Table):
    """The mail server of targets that send mail. A target's own `smtp` table says single keys anew."""

    host: Annotated[str, AfterValidator(_check_host)] = Field(examples=["smtp.acme.example"])
    """The mail server's name, which its certificate must show, or its address."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """587 unless written; 465 with tls = "implicit", 25 with tls = "none"."""
    tls: Literal["required", "implicit", "none"] = "required"
    """"required": STARTTLS, and nothing is sent without it; "implicit": TLS from the first byte; "none": no TLS, and a
    password only to a loopback address."""
    user: Annotated[str, Field(min_length=1)] | None = None
    """The user to log in as, with `password`; without it nobody logs in."""
    password: SecretText | None = None
    """Where the password is."""
    sender: Sender = Field(alias="from", examples=["Hookgate <hookgate@acme.example>"])
    """Who mails come from; a server that cannot deliver one later writes there."""
    timeout: Annotated[Duration, duration_between("1s", "5m")] = written("10s")
    """How long the server may take for one answer."""
    ca: Annotated[str, AfterValidator(_check_ca)] | None = None
    """PEM file with the authorities to trust instead of the system's; an absolute path."""

    @model_validator(mode="after")
    def _together(self) -> "Smtp":
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password belong together: write both, or none")
        if self.tls == "none":
            if self.ca is not None:
                raise ValueError('ca is for TLS: remove it, or tls = "none"')
            if self.user is not None and not self.is_local:
                raise ValueError('the password would cross the network in the clear: write tls = "required"')
        return self

    @property
    def is_local(self) -> bool:
        """True if the server is on this machine."""
        return self.host.lower() == "localhost" or (_is_address(self.host) and ip_address(self.host).is_loopback)

    @property
    def port_number(self) -> int:
        """The port, written or usual."""
        return self.port or PORTS[self.tls]
