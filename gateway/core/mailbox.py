"""Mail addresses, by a grammar narrower than the standard's: what cannot end a command or a header, and no old routing.

Pure. Quoted local parts, comments, source routes, `%` and `!` relaying, address literals, encoded words (`=?`) and
letters beyond ASCII are refused; a domain beyond ASCII is written in its `xn--` form.
"""

import re
from typing import Final, NamedTuple

ADDRESS_MAX: Final = 254
LOCAL_MAX: Final = 64

_LOCAL: Final = re.compile(r"[A-Za-z0-9#$&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9#$&'*+/=?^_`{|}~-]+)*", re.ASCII)
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_NAMED: Final = re.compile(r"([^<>\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,100}?) ?<([^<>]*)>")


class Mailbox(NamedTuple):
    """Who a mail comes from: an address, and a name for people."""

    name: str
    address: str


def check_address(text: str) -> str:
    """Give a plain address back. Raises ValueError that tells what an address is, without quoting this one."""
    local, _, domain = text.rpartition("@")
    if (
        len(text) > ADDRESS_MAX
        or len(local) > LOCAL_MAX
        or not _LOCAL.fullmatch(local)
        or "=?" in local
        or not _DOMAIN.fullmatch(domain)
    ):
        raise ValueError(
            "expected a plain mail address such as ops@acme.example: letters, digits and a few signs, one @, "
            f"at most {ADDRESS_MAX} characters"
        )
    return text


def parse_mailbox(text: str) -> Mailbox:
    """Read `ops@acme.example` or `Operations <ops@acme.example>`. Raises ValueError."""
    named = _NAMED.fullmatch(text)
    name, address = named.groups() if named else ("", text)
    return Mailbox(name.strip().strip('"'), check_address(address))
