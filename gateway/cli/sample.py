"""Makes sample requests: a preset's message, filled in, changed as asked, and signed as the provider would sign it.

No input or output here but the configuration's files; `gateway.cli.send` sends what this makes.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

from gateway.blueprint.presets import Sample
from gateway.blueprint.values import Credential, Source
from gateway.cli.failures import Failure
from gateway.cli.sample_fields import Keys, change
from gateway.config.sentences import nearest
from gateway.core.document import is_form
from gateway.core.model import Headers, Request

STRANGER: Final = "192.0.2.1"
"""An address that nobody sends from (RFC 5737)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send: one message of one provider, by one credential."""

    source: Source
    credential: Credential
    sample: Sample
    read: frozenset[Keys] = frozenset()
    """Places of a body that may be set though the sample lacks them."""

    def request(self, n: int, at: int, fields: Iterable[str]) -> Request:
        """Make the `n`th request at `at` (milliseconds since 1970), not yet signed; `fields` are `a.b=c` changes."""
        body = _fill(self.sample.body, n, at)
        for field in fields:
            change(body, field, self.read, f"hookgate send {self.source.name} {self.sample.name}")
        headers = tuple(
            (name.lower().encode(), str(_fill(value, n, at)).encode()) for name, value in self.sample.headers.items()
        )
        return Request("POST", self.source.path, "", headers, _written(body, headers), "", at)

    def signed(self, request: Request) -> Request:
        """Sign `request` as the provider would."""
        try:
            return self.credential.verifier.sign(request)
        except ValueError as error:
            raise Failure(f"credential {self.credential.name!r} cannot sign: {error}", self._remedy()) from None

    def _remedy(self) -> str:
        """Give the command that helps where this credential cannot sign."""
        learned = self.credential.learned
        if learned is not None and not learned.known:
            return f"hookgate sources learn {self.source.name}"
        others = [each.name for each in self.source.credentials if each.name != self.credential.name]
        if others:
            return f"hookgate send {self.source.name} {self.sample.name} --credential {others[0]}"
        return f"hookgate providers show {self.source.provider}"


def choose_source(sources: Iterable[Source], provider: str, wanted: str | None) -> Source:
    """Give the source that `provider` (a provider's or a source's name) and `wanted` mean."""
    known = list(sources)
    fitting = [each for each in known if provider in {each.provider, each.name} and wanted in {None, each.name}]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        for each in known:
            if each.name == wanted:
                raise Failure(
                    f"source {each.name!r} is of provider {each.provider!r}, not {provider!r}",
                    f"hookgate send {each.provider} --source {each.name}",
                )
        names = ", ".join(f"{each.name} ({each.provider})" for each in known) or "none"
        meant = nearest(wanted or provider, [each.name for each in known] + [each.provider for each in known])
        raise Failure(
            f"no source {wanted or f'of provider {provider!r}'} is configured; there are: {names}",
            f"hookgate send {meant}" if meant else "hookgate check --expand",
        )
    names = ", ".join(each.name for each in fitting)
    raise Failure(
        f"several sources are of provider {provider!r}: {names}", f"hookgate send {provider} --source {fitting[0].name}"
    )


def choose_sample(samples: Iterable[Sample], wanted: str, provider: str) -> Sample:
    """Give the sample of `provider` that is called `wanted`, or makes an event of that type."""
    known = list(samples)
    for each in known:
        if wanted in {each.name, each.type}:
            return each
    names = ", ".join(f"{each.name} ({each.type})" for each in known) or "none"
    meant = nearest(wanted, [each.name for each in known] + [each.type for each in known])
    raise Failure(f"there is no sample {wanted!r}; there are: {names}", f"hookgate send {provider} {meant}".rstrip())


def choose_credential(source: Source, sample: Sample, wanted: str | None) -> Credential:
    """Give the named credential, else the first that speaks for the sample's type and version."""
    for each in source.credentials:
        covers = each.events.matches(sample.type) and each.versions.matches(sample.version)
        if each.name == wanted or (wanted is None and covers):
            return each
    names = ", ".join(each.name for each in source.credentials)
    reason = f"has no credential {wanted!r}" if wanted else f"has no credential that speaks for {sample.type}"
    fitting = [each.name for each in source.credentials if each.events.matches(sample.type)]
    first = next(iter(fitting), source.credentials[0].name if source.credentials else "")
    remedy = f"hookgate send {source.name} {sample.name} --credential {first}" if first else "hookgate check --expand"
    raise Failure(f"source {source.name!r} {reason}; there are: {names or 'none'}", remedy)


def spoil(unsigned: Request, signed: Request) -> Request:
    """Change one character of whatever signing added, or the sender's address; Failure if it added nothing."""
    before = set(unsigned.headers)
    headers = tuple((name, value if (name, value) in before else _flip(value)) for name, value in signed.headers)
    query = signed.query if signed.query == unsigned.query else _flip(signed.query.encode()).decode()
    body = signed.body if signed.body == unsigned.body else _flip(signed.body, from_end=8)
    client = signed.client if signed.client == unsigned.client else STRANGER
    spoilt = signed._replace(headers=headers, query=query, body=body, client=client)
    if spoilt == signed:
        raise Failure("this scheme adds no signature that could be spoilt", "hookgate check --expand")
    return spoilt


def _flip(value: bytes, from_end: int = 1) -> bytes:
    at = max(0, len(value) - from_end)
    return value[:at] + (b"A" if value[at : at + 1] != b"A" else b"B") + value[at + 1 :]


def _written(body: Any, headers: Headers) -> bytes:  # noqa: ANN401 - JSON
    """Write a text as it is, anything else as its Content-Type says: as a form, else as JSON."""
    if isinstance(body, str):
        return body.encode()
    kind = dict(headers).get(b"content-type")
    return urlencode(body, doseq=True).encode() if is_form(kind) else json.dumps(body).encode()


def _fill(value: Any, n: int, at: int) -> Any:  # noqa: ANN401 - JSON
    """Fill {uuid}, {n}, {now} and {now_iso} in; `{now}` alone becomes a number of seconds."""
    if isinstance(value, dict):
        return {key: _fill(each, n, at) for key, each in value.items()}
    if isinstance(value, list):
        return [_fill(each, n, at) for each in value]
    if not isinstance(value, str):
        return value
    if value == "{now}":
        return at // 1000
    moment = datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"
    filled = value.replace("{uuid}", str(uuid4())).replace("{n}", str(n))
    return filled.replace("{now}", str(at // 1000)).replace("{now_iso}", moment)
