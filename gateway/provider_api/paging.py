"""The pages of a list: what to ask for first and next. A reply says where to go on, never at which host."""

import re
from typing import Final, NamedTuple
from urllib.parse import quote

from gateway.core.model import Json
from gateway.core.selector import ABSENT, Scope, Selector
from gateway.plugin import Url, UrlTemplate, parse_url

PLACES: Final = ("since", "page", "offset")
TOKEN_CHARACTERS_MAX: Final = 2048
_PLACE: Final = re.compile(r"\{(" + "|".join(PLACES) + r")\}")


class Place(NamedTuple):
    """Where in a list a page begins."""

    number: int = 1
    offset: int = 0
    """How many items came before."""
    target: str | None = None
    """Path and query, where the page before said so."""


class PagingError(ValueError):
    """A reply says that there are more pages but not usably where; names no value of it."""


class Paging:
    """The pages of one list."""

    def __init__(self, url: str, following: Selector | None, parameter: str | None) -> None:
        """Compile; raises ValueError for a url that cannot be."""
        self._template = UrlTemplate(_PLACE.sub(r"{body.\1}", url))
        unfit = [each.text for each in self._template.selectors if each.text not in {f"body.{p}" for p in PLACES}]
        if unfit:
            raise ValueError(f"{{{unfit[0]}}} cannot stand in the url: expected {{since}}, {{page}} or {{offset}}")
        if parameter is not None and following is None:
            raise ValueError("next_param needs next: the selector of the token")
        self._numbered = any(text in url for text in ("{page}", "{offset}"))
        self._following = following
        self._parameter = parameter

    @property
    def url(self) -> Url:
        """Where the list is."""
        return self._template.url

    def target(self, since: str, place: Place) -> str:
        """Give path and query of a page."""
        if place.target is not None:
            return place.target
        if self._template.fixed:
            return self._template.url.target
        places = {"since": since, "page": place.number, "offset": place.offset}
        return self._template.target(Scope(None, places, None, None, ""))

    def after(self, place: Place, asked: str, count: int, document: Json) -> Place | None:
        """Give the page after the one at `place`, which held `count` items; None if it was the last.

        Raises PagingError.
        """
        offset = place.offset + count
        if self._following is None:
            return Place(place.number + 1, offset) if self._numbered and count else None
        found = self._following.value(Scope(None, document, None, None, ""))
        if found in (ABSENT, None, "", False):
            return None
        target = self._token(asked, found) if self._parameter else self._link(found)
        if target == asked:
            raise PagingError("the reply leads to the same page again")
        return Place(place.number + 1, offset, target)

    def _token(self, asked: str, token: Json) -> str:
        if not isinstance(token, str | int) or isinstance(token, bool) or len(str(token)) > TOKEN_CHARACTERS_MAX:
            raise PagingError("what stands at next is no token")
        path, _, query = asked.partition("?")
        name = f"{self._parameter}="
        kept = [piece for piece in query.split("&") if piece and not piece.startswith(name)]
        return f"{path}?{'&'.join([*kept, name + quote(str(token), safe='')])}"

    def _link(self, link: Json) -> str:
        if not isinstance(link, str):
            raise PagingError("what stands at next is no link")
        if link.startswith("/") and not link.startswith("//"):
            link = f"{'https' if self.url.tls else 'http'}://{self.url.authority}{link}"
        try:
            url = parse_url(link)
        except ValueError:
            raise PagingError("what stands at next is no link") from None
        if (url.tls, url.authority, url.socket_path) != (self.url.tls, self.url.authority, self.url.socket_path):
            raise PagingError("what stands at next leads to another host: it is not asked")
        return url.target
