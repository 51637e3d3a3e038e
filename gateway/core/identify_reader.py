"""The rules of *identify* as an operator or a preset writes them, compiled once.

| key | meaning |
|---|---|
| `type` | selector, template such as `{body.event_type}.{body.event_action}`, or a list: the first that finds one |
| `type_where` | table of selectors and types: where `type` finds none, the first that finds something gives the type |
| `format` | `json` (and forms), or `xml`: how the body is read |
| `lists` | names of elements of XML that are lists even where there is one |
| `json_texts` | names of fields of the body whose text is JSON: read as what it holds |
| `version` | selector; read before anything else |
| `id` or `key` | selector or list of selectors: what tells one event from another; without it there is no de-dup |
| `occurred_at` | selector, or a list: the first that finds something |
| `occurrence` | selector or list of selectors: what is the same in a webhook and in a poller's item for it |
| `repeats_differ_in` | list of selectors of the body: left out when a repeat is compared with its event |
| `split` | selector ending in `[]`: each item is an event of its own, and `body.*` then means the item |
| `split_content_type` | only bodies of this Content-Type are split |
| `unwrap` | selector of a text of the body that is the event's own payload; `body.*` of routes then means that |
| `unwrap_encoding` | `text` or `base64`: how it is written there |
| `fields` | table of names and selectors: what routes and messages call `event.NAME`; read of what they see |
| `type_aliases` | table of types as sent and as meant; one `*` on both sides stands for the same text |
| `aliases` | for a selector of body or claims, a table of values as sent and as meant |
| `versions` | table of version globs, each with a table of what is different there; the first that fits counts |

`core.identify_rule` holds what comes of it, `core.identify` applies it.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from gateway.core.aliases import TypeNames, ValueNames
from gateway.core.body_form import BodyForm, read_body_form
from gateway.core.fields import Fields
from gateway.core.identify_rule import IdentifyRule, Reading, Split, Unwrap
from gateway.core.model import Json
from gateway.core.omission import Omission
from gateway.core.pattern import Pattern
from gateway.core.problems import Findings, KeyPath, unknown
from gateway.core.selector import ABSENT, Path, Scope, Selector, TemplateError, parse_selector, parse_template

KEYS: Final = (
    "format",
    "lists",
    "json_texts",
    "type",
    "type_where",
    "version",
    "id",
    "key",
    "occurred_at",
    "occurrence",
    "repeats_differ_in",
    "split",
    "split_content_type",
    "fields",
    "type_aliases",
    "aliases",
    "versions",
    "unwrap",
    "unwrap_encoding",
)
WHOLE: Final = ("version", "versions", "format", "lists", "json_texts", "fields")
"""Keys that cannot differ by version."""
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
KEY_PARTS_MAX: Final = 32
NOTHING: Final = (ABSENT, None, "")

Written: TypeAlias = Any
"""Whatever the operator wrote."""


def compile_identify(spec: Mapping[str, Written], also_reads: Sequence[Selector] = ()) -> IdentifyRule:
    """Compile a rule; None and an empty table mean that a key is not written.

    `also_reads` are selectors that verification reads of the body.
    Raises ProblemsError with everything that is wrong, by key path.
    """
    spec = {key: value for key, value in spec.items() if value is not None and value != {}}
    findings = Findings()
    reader = _Reader(spec, (), set(spec), findings)
    base = reader.reading()
    version, form, fields = reader.selector("version"), reader.form(), reader.fields()
    variants = tuple(_variants(spec, base, version, reader))
    findings.check()
    paths = [*reader.body_paths, *(selector.path for selector in also_reads if selector.root == "body")]
    return IdentifyRule(version, base, variants, fields, form, tuple(dict.fromkeys(paths)))


def _variants(
    spec: Mapping[str, Written], base: Reading, version: Selector | None, reader: "_Reader"
) -> Iterator[tuple[Pattern, Reading]]:
    versions = spec.get("versions", {})
    if versions and version is None:
        reader.add("versions", "needs version: the selector of what the globs are compared with")
    for glob, changes in versions.items() if isinstance(versions, Mapping) else ():
        if not isinstance(changes, Mapping) or not changes:
            reader.add("versions", f"expected a table of what is different for {glob}")
            continue
        inherited = {key: value for key, value in spec.items() if key not in ("version", "versions")}
        if "id" in changes or "key" in changes:
            inherited = {key: value for key, value in inherited.items() if key not in ("id", "key")}
        below = _Reader({**inherited, **changes}, ("versions", glob), set(changes), reader.findings)
        for key in (*WHOLE, *(("split", "split_content_type") if base.split else ())):
            if key in changes:
                below.add(key, "cannot differ by version: it is read before the version is known")
        with reader.telling("versions", glob):
            yield Pattern([glob]), below.reading()
        reader.body_paths += below.body_paths


class _Reader:
    """Reads one table; what is wrong with the keys of `own` goes into `findings`, and reading goes on."""

    def __init__(self, spec: Mapping[str, Written], path: KeyPath, own: Collection[str], findings: Findings) -> None:
        self.findings = findings
        self.body_paths: list[Path] = []
        self._spec = spec
        self._path = path
        self._own = own
        self._split: Split | None = None

    def reading(self) -> Reading:
        """Compile the whole table but `version` and `versions`."""
        for name in sorted(set(self._own) - set(KEYS)):
            self.add(name, unknown(name, KEYS, "key"))
        self._split = self._read_split()
        key = self._read_key()
        return Reading(
            type=self._read_type(),
            type_names=self._read_type_names(),
            key=tuple(selector.value for selector in key),
            key_is_id=isinstance(self._spec.get("id"), str),
            key_reads_event=any(selector.root == "event" for selector in key),
            occurred_at=self._read_occurred_at(),
            value_names=self._read_value_names(),
            split=self._split,
            unwrap=self._read_unwrap(),
            occurrence=tuple(selector.value for selector in self._selectors("occurrence")),
            omission=self._read_omission(),
        )

    def add(self, key: str, text: str, *below: str | int) -> None:
        """Note a problem, unless the key is inherited: then its owner has noted it."""
        if key in self._own:
            self.findings.add((*self._path, key, *below), text)

    @contextmanager
    def telling(self, key: str, *below: str | int) -> Iterator[None]:
        """Note a ValueError as a problem of `key`."""
        try:
            yield
        except ValueError as error:
            self.add(key, str(error), *below)

    def selector(self, key: str) -> Selector | None:
        """Compile the selector under `key`, if there is one."""
        with self.telling(key):
            return self._noted(parse_selector(self._spec[key])) if key in self._spec else None
        return None

    def fields(self) -> Fields:
        """Compile the names that routes and messages use."""
        with self.telling("fields"):
            return Fields(self._spec.get("fields"))
        return Fields()

    def form(self) -> BodyForm:
        """Read how the body is parsed."""
        return read_body_form(self._spec, self.add)

    def _noted(self, selector: Selector) -> Selector:
        """Remember what is read of the body, as a path from the top of the body."""
        if selector.root == "body" and (self._split is None or self._split.media_type):
            self.body_paths.append(selector.path)
        if selector.root == "body" and self._split and self._split.each.root == "body":
            *above, last = self._split.each.path
            self.body_paths.append((*above, (*last, *selector.path[0]), *selector.path[1:]))
        return selector

    def _read_split(self) -> Split | None:
        each, kind = self.selector("split"), self._spec.get("split_content_type", "")
        if each is None:
            if kind:
                self.add("split_content_type", "needs split: what is split where the Content-Type is this one")
            return None
        if not isinstance(kind, str) or (kind and not _MEDIA_TYPE.fullmatch(kind)):
            self.add(
                "split_content_type", f'expected a type such as "application/cloudevents-batch+json", found {kind!r}'
            )
            kind = ""
        if not each.path or len(each.path) == 1 or each.path[-1]:
            self.add("split", f"expected a list of body or claims, such as body.events[]; found {each.text!r}")
            return None
        return Split(each, parse_selector(each.text.removesuffix("[]")), kind.lower().encode())

    def _read_unwrap(self) -> Unwrap | None:
        encoding = self._spec.get("unwrap_encoding", "text")
        if encoding not in ("text", "base64"):
            self.add("unwrap_encoding", f'expected "text" or "base64", found {encoding!r}')
        selector = self.selector("unwrap")
        if selector is None:
            return None
        if selector.root != "body" or len(selector.path) != 1 or not selector.path[0]:
            self.add("unwrap", f"expected one field of the body, such as body.message.data; found {selector.text!r}")
        if self._split is not None:
            self.add("unwrap", "cannot stand beside split: a part is already an event's own payload")
        return Unwrap(selector, encoding == "base64")

    def _read_type(self) -> Callable[[Scope], Json]:
        written = self._spec.get("type")
        readers = list(self._type_tests())
        if isinstance(written, (list, tuple)):
            readers.insert(0, self._first_of(written))
        elif written is not None:
            with self.telling("type"):
                readers.insert(0, self._type_reader(written))
        elif not readers and not self._path:
            self.findings.add(("type",), "expected a selector such as body.event, found nothing")
        return readers[0] if len(readers) == 1 else _first_found(readers)

    def _type_tests(self) -> Iterator[Callable[[Scope], Json]]:
        tests = self._spec.get("type_where", {})
        if not isinstance(tests, Mapping):
            self.add("type_where", f"expected a table of selectors and types, found {tests!r}")
            return
        for text, name in tests.items():
            with self.telling("type_where", text):
                yield _type_if_found(self._noted(parse_selector(text)), name)

    def _first_of(self, written: Sequence[Written]) -> Callable[[Scope], Json]:
        if not 0 < len(written) <= KEY_PARTS_MAX:
            self.add("type", f"expected 1 to {KEY_PARTS_MAX} selectors, found {len(written)}")
        readers: list[Callable[[Scope], Json]] = []
        for index, text in enumerate(written):
            with self.telling("type", index):
                readers.append(self._type_reader(text))
        return _first_found(readers)

    def _type_reader(self, text: Written) -> Callable[[Scope], Json]:
        if isinstance(text, str) and "{" in text:
            return self._template(text)
        return self._noted(parse_selector(text)).value

    def _template(self, text: str) -> Callable[[Scope], Json]:
        template = parse_template(text)
        for selector in template.selectors:
            self._noted(selector)

        def value(scope: Scope) -> Json:
            try:
                return template.render(scope)
            except TemplateError:
                return ABSENT

        return value

    def _read_occurred_at(self) -> Callable[[Scope], Json] | None:
        readers = [selector.value for selector in self._selectors("occurred_at")]
        return _first_found(readers) if len(readers) > 1 else next(iter(readers), None)

    def _read_key(self) -> tuple[Selector, ...]:
        if "id" in self._spec and "key" in self._spec:
            self.add("key", "cannot stand beside id: write one of them")
        return self._selectors("id" if "id" in self._spec else "key")

    def _selectors(self, name: str) -> tuple[Selector, ...]:
        written = self._spec.get(name)
        if not isinstance(written, (list, tuple)):
            found = self.selector(name)
            return (found,) if found else ()
        if not 0 < len(written) <= KEY_PARTS_MAX:
            self.add(name, f"expected 1 to {KEY_PARTS_MAX} selectors, found {len(written)}")
        parts: list[Selector] = []
        for index, text in enumerate(written):
            with self.telling(name, index):
                parts.append(self._noted(parse_selector(text)))
        return tuple(parts)

    def _read_omission(self) -> Omission | None:
        selectors = self._selectors("repeats_differ_in")
        if selectors and "unwrap" in self._spec:
            self.add("repeats_differ_in", "cannot stand beside unwrap: what it holds is compared whole")
        with self.telling("repeats_differ_in"):
            return Omission(selectors) if selectors else None
        return None

    def _read_type_names(self) -> TypeNames | None:
        with self.telling("type_aliases"):
            return TypeNames(self._spec["type_aliases"]) if "type_aliases" in self._spec else None
        return None

    def _read_value_names(self) -> tuple[ValueNames, ...]:
        tables = self._spec.get("aliases", {})
        names: list[ValueNames] = []
        if not isinstance(tables, Mapping):
            self.add("aliases", f"expected a table of selectors, found {tables!r}")
            return ()
        for text, table in tables.items():
            with self.telling("aliases", text):
                names.append(ValueNames(self._noted(parse_selector(text)), table))
        return tuple(names)


def _first_found(readers: Sequence[Callable[[Scope], Json]]) -> Callable[[Scope], Json]:
    return lambda scope: next((found for read in readers if (found := read(scope)) not in NOTHING), ABSENT)


def _type_if_found(selector: Selector, name: Written) -> Callable[[Scope], Json]:
    if not isinstance(name, str):
        raise ValueError(f"expected a type as text, found {name!r}")  # noqa: TRY004 - one kind of error for the operator
    return lambda scope: ABSENT if selector.value(scope) is ABSENT else name
