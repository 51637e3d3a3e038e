"""How the bytes of a body are read before any rule looks at them: as JSON or a form, as XML, with JSON within texts."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from gateway.core.document import parse_document
from gateway.core.model import Json

TEXTS_MAX: Final = 8


class BodyForm(NamedTuple):
    """What a rule says about it."""

    xml_lists: tuple[str, ...] | None = None
    """Names of elements that are lists; None: the body is no XML."""
    json_texts: tuple[str, ...] = ()
    """Fields of the body whose text is JSON."""

    def opened(self, document: Json) -> Json:
        """Give `document` with what its texts hold in their place. Raises RequestError for a text that is no JSON."""
        if type(document) is not dict:
            return document
        held = {name: document[name] for name in self.json_texts if type(document.get(name)) is str}
        return document | {name: parse_document(text.encode("utf-8", "replace")) for name, text in held.items()}


def read_body_form(spec: Mapping[str, Any], add: Callable[[str, str], None]) -> BodyForm:
    """Read the keys `format`, `lists` and `json_texts`; `add` notes what is wrong with a key."""
    form = spec.get("format", "json")
    if form not in ("json", "xml"):
        add("format", f'expected "json" or "xml", found {form!r}')
    lists = _names(spec, "lists", add)
    if lists and form != "xml":
        add("lists", 'goes with format = "xml"')
    texts = _names(spec, "json_texts", add)
    if texts and form == "xml":
        add("json_texts", 'cannot stand beside format = "xml"')
    if len(texts) > TEXTS_MAX:
        add("json_texts", f"expected at most {TEXTS_MAX} names")
    return BodyForm(lists if form == "xml" else None, texts)


def _names(spec: Mapping[str, Any], key: str, add: Callable[[str, str], None]) -> tuple[str, ...]:
    names = spec.get(key, ())
    if isinstance(names, (list, tuple)) and all(isinstance(name, str) and name for name in names):
        return tuple(names)
    add(key, f"expected names of {'elements' if key == 'lists' else 'fields'}, found {names!r}")
    return ()
