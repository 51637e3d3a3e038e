"""The check of an endpoint before it gets events: the handshake of CloudEvents' "HTTP 1.1 Web Hooks", section 4.

An address that somebody else took over since must not get events. So nobody but an endpoint that says that it wants
them from us gets one: before the target is first used, when its url has changed, and after it was disabled. Until then
the target cannot be opened, and its deliveries wait and cost no attempt. An answer is remembered over restarts.

The question carries no credential and nothing of an event.
"""

import re
from hashlib import blake2b
from typing import Annotated, Final, Literal

import trio
from pydantic import AfterValidator, Field

from gateway.plugin import HttpClient, HttpReply, Memory, Options, WireError

CHECK_SECONDS: Final = 10.0
CHECKED: Final = "checked"
"""What the endpoint's consent is remembered by."""

_ORIGIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_RATE: Final = re.compile(rb"[1-9][0-9]{0,8}")


class EndpointRefusedError(Exception):
    """The endpoint has not said that it wants events; the text tells what it said instead."""


def _check_origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError('expected the DNS name that stands for this sender, such as "hooks.acme.example"')
    return text


class CheckTable(Options):
    """Ask the endpoint whether it wants events of ours before it gets any."""

    type: Literal["cloudevents"] = "cloudevents"
    """How: an OPTIONS request as CloudEvents' "HTTP 1.1 Web Hooks" describes it."""
    origin: Annotated[str, AfterValidator(_check_origin)] = Field(examples=["hooks.acme.example"])
    """Who we are: the DNS name that stands for this sender, sent as `WebHook-Request-Origin`."""
    rate: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Requests a minute that the endpoint must allow, sent as `WebHook-Request-Rate`."""

    def digest(self, url: str) -> bytes:
        """Give what stands for a consent to this question at this url."""
        return blake2b(f"{url}\0{self.origin}\0{self.rate}".encode(), digest_size=16).digest()


async def ensure_wanted(table: CheckTable, url: str, client: HttpClient, memory: Memory | None) -> None:
    """Return if the endpoint wants our events, as it said now or before. Raises EndpointRefusedError."""
    consent = table.digest(url)
    if memory is not None and await memory.recall(CHECKED) == consent:
        return
    headers = [("WebHook-Request-Origin", table.origin)]
    if table.rate is not None:
        headers.append(("WebHook-Request-Rate", str(table.rate)))
    try:
        with trio.fail_after(CHECK_SECONDS):
            reply = await client.request("OPTIONS", None, headers)
    except WireError as error:
        raise EndpointRefusedError(f"endpoint check: {error.reason}: {error}") from None
    except trio.TooSlowError:
        raise EndpointRefusedError(f"endpoint check: no answer within {CHECK_SECONDS:g} s") from None
    if why := _refusal(table, reply):
        raise EndpointRefusedError(f"endpoint check: {why}")
    if memory is not None:
        await memory.keep(CHECKED, consent)


def _refusal(table: CheckTable, reply: HttpReply) -> str:
    """Give why a reply is no consent; empty if it is one."""
    if not 200 <= reply.status < 300:
        return f"HTTP {reply.status} to OPTIONS: the endpoint does not say that it wants events"
    allowed = (reply.header(b"webhook-allowed-origin") or b"").strip().lower()
    if allowed not in (b"*", table.origin.lower().encode()):
        found = "another name" if allowed else "none"
        return f"expected WebHook-Allowed-Origin: {table.origin} (or *) in its reply, found {found}"
    rate = (reply.header(b"webhook-allowed-rate") or b"*").strip()
    if table.rate is None or rate == b"*":
        return ""
    if not _RATE.fullmatch(rate):
        return "its WebHook-Allowed-Rate is no number"
    if int(rate) < table.rate:
        return f"it allows {int(rate)} requests a minute, {table.rate} are asked for: lower rate, and the target's own"
    return ""
