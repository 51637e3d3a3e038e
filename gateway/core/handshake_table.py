"""Reads a handshake as a preset gives it and compiles it, or tells everything that is wrong with it by key path."""

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha1
from typing import Any, Final

from gateway.core.handshake import DIGESTS, Computed, Handshake
from gateway.core.match import Match
from gateway.core.match_table import parse_match
from gateway.core.model import Json
from gateway.core.problems import Findings, ProblemsError
from gateway.core.selector import Selector, Template, parse_selector, parse_template

KEYS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "raw": bytes,
    "sha1": lambda secret: sha1(secret, usedforsecurity=False).digest(),
}
"""How a key is made of the secret."""
_COMPUTED_KEYS: Final = 5
_OPTION: Final = re.compile(r"\{verify\.([a-z_]+)\}")


def compile_handshake(
    spec: Mapping[str, Any], *, secret: bytes, key: bytes, options: Mapping[str, Json] | None = None
) -> Handshake:
    """Compile one handshake of a preset; `secret` is the source's for handshakes, `key` its first credential's.

    `options` are those of the source's verification, for `{verify.name}` in a prefix.

    Raises ProblemsError with everything that is wrong, by key path.
    """
    reader = _Reader(spec, options or {})
    json = reader.json(spec["json"], ("json",)) if spec.get("json") is not None else None
    visit, learn = reader.selector("visit"), reader.selector("learn")
    handshake = Handshake(
        name=spec["name"],
        methods=frozenset(spec["methods"]),
        match=reader.match(),
        verified=spec["verified"],
        token=reader.selector("token"),
        status=spec["status"],
        content_type=spec["content_type"]
        or ("text/plain" if json is None or isinstance(json, Computed) else "application/json"),
        headers=tuple((name.lower().encode(), reader.text(text, ("headers", name))) for name, text in reader.headers()),
        body=reader.text(spec["body"], ("body",)) if spec["body"] else None,
        json=json,
        reads_body=any(selector.root in ("body", "claims") for selector in reader.selectors),
        secret=secret,
        key=key,
        visit=visit,
        visit_hosts=_hosts(spec["visit_hosts"]) if visit else None,
        learn=learn,
    )
    reader.findings.check()
    return handshake


def _hosts(names: Sequence[str]) -> re.Pattern[str]:
    """Give what https addresses of the hosts in `names` fit, on their usual port; `*` stands for one label."""
    hosts = "|".join(re.escape(name).replace(r"\*", "[a-z0-9-]+") for name in names)
    return re.compile(rf"https://(?:{hosts})/[!-~]{{0,2000}}")


class _Reader:
    """Compiles the parts of one table; what is wrong goes into `findings`, and reading goes on."""

    def __init__(self, spec: Mapping[str, Any], options: Mapping[str, Json]) -> None:
        self.findings = Findings()
        self.selectors: list[Selector] = []
        self._spec = spec
        self._options = options

    def match(self) -> Match | None:
        written = self._spec.get("match")
        if not written:
            return None
        try:
            match = parse_match(written)
        except ProblemsError as error:
            for problem in error.problems:
                self.findings.add(("match", *problem.path), problem.text)
            return None
        self.selectors += match.selectors
        return match

    def selector(self, key: str) -> Selector | None:
        if not self._spec[key]:
            return None
        try:
            selector = parse_selector(self._spec[key])
        except ValueError as error:
            self.findings.add((key,), str(error))
            return None
        self.selectors.append(selector)
        return selector

    def headers(self) -> list[tuple[str, str]]:
        return list(self._spec["headers"].items())

    def text(self, written: str, path: tuple[str, ...]) -> Template:
        try:
            template = parse_template(written)
        except ValueError as error:
            self.findings.add(path, str(error))
            return parse_template("")
        self.selectors += template.selectors
        return template

    def json(self, written: Json, path: tuple[str, ...]) -> Json:
        if isinstance(written, str):
            return self.text(written, path)
        if isinstance(written, dict) and "hmac" in written:
            return self._computed(written, path)
        if isinstance(written, dict):
            return {key: self.json(each, (*path, key)) for key, each in written.items()}
        return written

    def _computed(self, written: dict[str, Json], path: tuple[str, ...]) -> Computed:
        values = {"algorithm": "sha256", "encoding": "hex", "prefix": "", "key": "raw", **written}
        kinds = (values["algorithm"] in DIGESTS, values["encoding"] in ("hex", "base64"), values["key"] in KEYS)
        if not all(kinds) or len(values) > _COMPUTED_KEYS:
            self.findings.add(
                path,
                "expected hmac, algorithm (sha256, sha1, sha512), encoding (hex, base64), prefix and key (raw, sha1)",
            )
        return Computed(
            self.text(str(values["hmac"]), (*path, "hmac")),
            str(values["algorithm"]),
            str(values["encoding"]),
            _OPTION.sub(lambda found: str(self._options.get(found[1], "")), str(values["prefix"])),
            KEYS.get(str(values["key"]), bytes),
        )
