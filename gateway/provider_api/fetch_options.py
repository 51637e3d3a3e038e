"""The table `fetch` of a target: which resource of the provider to get before a delivery, and what if there is none."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from gateway.config.table import Globs
from gateway.config.units import duration_between
from gateway.plugin import Duration, Guard, UrlTemplate, parse_selector
from gateway.provider_api.options import ApiOptions
from gateway.targets.http_values import check_fields

_RECIPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.[A-Za-z0-9][A-Za-z0-9_-]*")
_BASE: Final = re.compile(r"https?://[^/?#{}@\s]+(/[^?#{}\s]*)?")
_HOST: Final = re.compile(r"(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[0-9]{1,5})?")


def check_resource_url(text: str) -> str:
    """Give the URL of a resource, with `{selectors}` in path and query. Raises ValueError."""
    template = UrlTemplate(text)
    check_fields(template.selectors, "a url")
    if named := next((each.text for each in template.selectors if each.root == "field"), ""):
        raise ValueError(f"{{{named}}} cannot stand here: write the selector that it stands for")
    if template.url.is_numeric:
        Guard().vet_literal(template.url.host, template.url.port)
    return text


def _check_recipe(text: str) -> str:
    if not _RECIPE.fullmatch(text):
        raise ValueError(f'expected provider and name of a recipe, such as "truework.order"; found "{text[:80]}"')
    return text


def _check_base(text: str) -> str:
    if not _BASE.fullmatch(text):
        raise ValueError('expected scheme and host, perhaps a path, such as "https://api.sandbox.example"')
    UrlTemplate(text)
    return text


def _check_host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError(f'expected a host such as "api.acme.example" or "*.acme.example"; found "{text[:80]}"')
    return text.lower()


def _check_place(text: str) -> str:
    check_fields([parse_selector(text)], "url_at")
    return text


class FetchOptions(ApiOptions):
    """A resource of the provider that is got before each delivery and goes beside the payload.

    Where it is says the `recipe` of a preset, a `url` of your own, or the payload (`url_at`).
    """

    recipe: Annotated[str, AfterValidator(_check_recipe)] | None = Field(default=None, examples=["truework.order"])
    """A recipe of a preset: the provider's name, a dot, and the recipe's. It holds url, events and headers."""
    url: Annotated[str, AfterValidator(check_resource_url)] | None = Field(
        default=None, examples=["https://api.acme.example/orders/{body.order_id}"]
    )
    """Where the resource is. In path and query `{body.id}` and its like stand for the value, as one encoded piece."""
    url_at: Annotated[str, AfterValidator(_check_place)] | None = Field(default=None, examples=["body.resource_url"])
    """Selector of the resource's whole URL in the payload; it must be https and lead to one of `hosts`, and only public
    addresses are connected to unless `allow` says otherwise."""
    hosts: tuple[Annotated[str, AfterValidator(_check_host)], ...] = Field(default=(), max_length=100)
    """With `url_at`: the only hosts that are asked and get the credentials; `*.` stands for any name below."""
    base_url: Annotated[str, AfterValidator(_check_base)] | None = Field(
        default=None, examples=["https://api.truework-sandbox.com"]
    )
    """With `recipe`: scheme and host in place of the recipe's, for a sandbox."""
    event: Globs | None = None
    """Types of events that need the resource; those of the recipe, else all of them."""
    source: Globs = ("*",)
    """Sources whose events need it; of a recipe, those of its provider only."""
    cache: Annotated[Duration, duration_between("0s", "1h")] = Field(default="1m", validate_default=True)
    """How long a resource is used again, for events that had come when it was fetched."""
    missing: Literal["retry", "deliver", "dead"] = "retry"
    """What a 404 (or 410) means: not there yet, so that the delivery is tried again by the target's policy; deliver
    without it (`null`); or the delivery is dead."""

    @model_validator(mode="after")
    def _one_place(self) -> "FetchOptions":
        ways = [way for way in (self.recipe, self.url, self.url_at) if way is not None]
        if len(ways) != 1:
            raise ValueError('expected one of recipe, url and url_at: write, for example, recipe = "truework.order"')
        if self.base_url is not None and self.recipe is None:
            raise ValueError("base_url stands in place of a recipe's: write it into url")
        if bool(self.hosts) != (self.url_at is not None):
            raise ValueError("url_at and hosts go together: hosts are the only ones that the payload may name")
        return self
