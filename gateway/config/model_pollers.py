"""The tables `[pollers.*]`: lists of a provider's API that tell of events whose webhook never came."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from gateway.config.model_sources import Identify
from gateway.config.table import Name, Table, written
from gateway.config.units import Duration, duration_between


class Poller(Table):
    """A list that is asked for at intervals. Besides these keys it takes those of a provider's API."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"x-options": "pollers"})
    __pydantic_extra__: dict[str, JsonValue]

    source: Name
    """The source whose events the items are: its `identify` rule, which needs `occurrence`, reads them, its routes take
    them."""
    url: str = Field(min_length=1, examples=["https://api.acme.example/events?from={since}"])
    """The list. `{since}` stands for the time from which on events are wanted, `{page}` (from 1) and `{offset}` (from
    0) for the place in it."""
    items: str = Field(min_length=1, examples=["body.events[]"])
    """Selector of the items in an answer, ending in `[]`; in the rules below `body.*` means one item."""
    every: Annotated[Duration, duration_between("1s", "1d")] = written("5m")
    """How long after one poll the next begins; failures double it, up to an hour."""
    grace: Annotated[Duration, duration_between("0s", "1d")] = written("5m")
    """What happened less than this ago is left to a later poll: its webhook may still be on its way."""
    overlap: Annotated[Duration, duration_between("0s", "7d")] = written("10m")
    """How much of what was seen is asked for again, for what the provider lists late."""
    since: Literal["iso", "seconds", "milliseconds"] = "iso"
    """How `{since}` is written: "2026-11-21T22:14:05.123Z", or as a number since 1970."""
    newest_first: bool = True
    """How the list is ordered; false: the oldest come first."""
    next: str | None = Field(default=None, min_length=1, examples=["body.next"])
    """Selector of what leads to the next page: a URL or path of the same host, or, with `next_param`, a token."""
    next_param: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\[\]-]{1,64}$")] | None = None
    """Name of the query parameter that takes the token."""
    pages: Annotated[int, Field(ge=1, le=1000)] = 20
    """The most pages of one poll."""
    identify: Identify = Identify()
    """What is different from the source's rule in an item; `occurrence` most of all."""
    type: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(default=None, examples=["order.completed"])
    """The type of all items, where they do not hold it."""
    version: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(default=None, examples=["2023-10-30"])
    """The version of all items, where they do not hold it."""
    match: dict[str, JsonValue] | None = None
    """Which items are events, in the language of routes; all of them unless written."""
    formerly: Name | None = None
    """The poller's name before; it goes on where that one was."""
