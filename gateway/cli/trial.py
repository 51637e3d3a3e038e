"""Tries a preset: its samples, signed with a made-up secret, must be taken, and refused when they are spoilt.

What is tried is what a source of that provider would be: configuration, verification, identification. Nothing is
stored or sent.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.blueprint import Source, build
from gateway.blueprint.credentials import is_secretless
from gateway.blueprint.expand import write_toml
from gateway.blueprint.presets import COMBINED, Preset, Sample, merge_verify, read_preset
from gateway.cli.failures import Failure
from gateway.cli.made_up import made_up_secret, private_key
from gateway.cli.sample import Plan, spoil
from gateway.config.load import load
from gateway.config.problems import Report
from gateway.core.identify import identify
from gateway.core.model import Event, Request
from gateway.core.published import NO_KEYS, Keys, NeedsKey, Published
from gateway.core.selector import Scope
from gateway.errors import RequestError, VerificationError
from gateway.ingress.verify import verify_with

NOW: Final = 1_900_000_000_000
DAY_MS: Final = 86_400_000
COVER_NO_BODY: Final = ("token", "basic", "ip", "none")
"""Schemes that prove the sender and not the message."""
KEYLESS: Final = ("ip", "none")
"""Schemes without a secret."""


class Tried(NamedTuple):
    """One sample, and what was wrong with it."""

    sample: str
    events: tuple[Event, ...]
    problems: tuple[str, ...]
    refused: tuple[str, ...] = ()
    """Changed in which ways it was refused."""
    fields: frozenset[str] = frozenset()
    """The names of `[identify.fields]` that its events have."""


@contextmanager
def trial_source(name: str, file: Path, secret: bytes | None = None) -> Iterator[tuple[Source, Preset]]:
    """Build a source of the preset `file` with a made-up secret. Raises ConfigError with all that is wrong with it."""
    preset = read(file)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "presets").mkdir()
        (folder / "presets" / f"{name}.toml").write_bytes(file.read_bytes())
        _write_secret(folder / "secret", secret or made_up_secret(merged_verify(preset)))
        config = folder / "config.toml"
        config.write_text(_config(name, preset))
        yield build(load(config, {"STATE_DIRECTORY": place})).sources["trial"], preset


def read(file: Path) -> Preset:
    """Read one preset. Raises ConfigError with all that is wrong with it."""
    report = Report(str(file), {})
    preset = read_preset(file, report)
    report.check()
    if preset is None:
        raise Failure(f"{file} holds no preset", "hookgate providers list")
    return preset


def merged_verify(preset: Preset) -> dict[str, Any]:
    """Give scheme and options of a source of `preset`, with what its operator writes."""
    written = preset.source.get("verify", {})
    return merge_verify(dict(preset.verify), dict(written) if isinstance(written, dict) else {})


def scheme_name(preset: Preset) -> str:
    """Give the scheme of a source of `preset`, or those that it is put together of, as `any_of(hmac, token)`."""
    verify = merged_verify(preset)
    for word in COMBINED:
        if members := verify.get(word):
            return f"{word}({', '.join(each.get('scheme', '') for each in members)})"
    return str(verify.get("scheme", "none"))


def wants_secret(preset: Preset) -> bool:
    """Tell whether a source of `preset` has a secret."""
    return scheme_name(preset) != "none" and not is_secretless(merged_verify(preset))


def covers_body(preset: Preset) -> bool:
    """Tell whether a request of `preset` proves its body, and not only its sender."""
    return scheme_name(preset) not in COVER_NO_BODY and not merged_verify(preset).get("unsigned_body")


def try_sample(source: Source, preset: Preset, sample: Sample, number: int = 1) -> Tried:
    """Sign one sample, see it taken as what it says it is, and refused in every way that the scheme can tell."""
    plan = Plan(source, source.credentials[0], sample)
    problems: list[str] = []
    unsigned = plan.request(number, NOW, ())
    try:
        signed, keys = _signed(plan, unsigned)
        events = _taken(source, signed, keys)
    except (Failure, RequestError) as error:
        return Tried(sample.name, (), (f"it is not taken: {error}",))
    types = {(event.type, event.version) for event in events}
    if (sample.type, sample.version) not in types:
        found = " and ".join(sorted(kind_text(*each) for each in types)) or "none"
        problems.append(f"its type is {found}, expected {kind_text(sample.type, sample.version)}")
    spoilt = _spoilt(plan.credential.scheme, unsigned, signed, whole=covers_body(preset))
    taken = [how for how, request in spoilt.items() if _passes(source, request, keys)]
    problems += (f"it is taken {how}" for how in taken)
    refused = [how for how in spoilt if how not in taken]
    if not _passes(source, signed._replace(received_at=NOW + DAY_MS), keys):
        refused.append("a day later")  # no fault where it is taken: many providers sign no time
    return Tried(sample.name, events, tuple(problems), tuple(refused), _fields(source, signed, events))


def kind_text(event_type: str, version: str) -> str:
    """Write a type with its version, if it has one."""
    return f"{event_type or 'no type'} of version {version}" if version else event_type or "no type"


def _fields(source: Source, request: Request, events: tuple[Event, ...]) -> frozenset[str]:
    fields = source.identify.fields
    scopes = (Scope(request, event.body, event.claims, event, source.name) for event in events)
    return frozenset(name for scope in scopes for name in fields.read(scope))


def _signed(plan: Plan, request: Request) -> tuple[Request, Keys]:
    """Sign as the provider would; with a key made up and published, if it publishes its keys."""
    asking = plan.credential.keyed
    if asking is None:
        return plan.signed(request), NO_KEYS
    signed, published = asking.sign_with(request, private_key(asking.keyed))
    return signed, {ref: Published(document, fresh=True) for ref, document in published.items()}


def _spoilt(scheme: str, unsigned: Request, signed: Request, *, whole: bool) -> dict[str, Request]:
    """Give requests that must not be taken, by what is wrong with them; `whole`: the body is proven, too."""
    if scheme == "none":
        return {}
    spoilt = {"without its signature": unsigned, "with a spoilt signature": spoil(unsigned, signed)}
    if whole and signed.body == unsigned.body:
        spoilt["with another body"] = signed._replace(body=signed.body[:-1] + b" " + signed.body[-1:])
    return spoilt


def _passes(source: Source, request: Request, keys: Keys) -> bool:
    try:
        return not isinstance(verify_with(source, request, keys), NeedsKey)
    except VerificationError:
        return False


def _taken(source: Source, request: Request, keys: Keys) -> tuple[Event, ...]:
    found = verify_with(source, request, keys)
    if isinstance(found, NeedsKey):
        raise VerificationError("key_missing", f"asks for the key at {found.ref.url}, which its own sample has not")
    first = found[0]
    return identify(source.identify, source.name, first.credential.name, request, first.proof)


def _config(name: str, preset: Preset) -> str:
    table: dict[str, Any] = {**preset.source, "provider": name}
    if wants_secret(preset):
        table["credentials"] = {"main": {"secret": {"file": "secret"}}}
    return write_toml(
        {
            "secrets": {"folder": "."},
            "sources": {"trial": table},
            "routes": {"all": {"source": "trial", "targets": ["file"]}},
            "targets": {"file": {"type": "file", "path": "events.jsonl"}},
        }
    )


def _write_secret(file: Path, secret: bytes) -> None:
    file.write_bytes(secret)
    file.chmod(0o600)
