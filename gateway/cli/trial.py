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
from gateway.blueprint.expand import write_toml
from gateway.blueprint.presets import COMBINED, Preset, Sample, merge_verify, read_preset
from gateway.cli.failures import Failure
from gateway.cli.made_up import made_up_secret
from gateway.cli.sample import Plan, spoil
from gateway.config.load import load
from gateway.config.problems import Report
from gateway.core.identify import identify
from gateway.core.model import Event, Request
from gateway.errors import RequestError, VerificationError
from gateway.ingress.verify import verify

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
        raise Failure(f"{file} holds no preset", "")
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


def try_sample(source: Source, sample: Sample, number: int = 1) -> Tried:
    """Sign one sample, see it taken as what it says it is, and refused in every way that the scheme can tell."""
    plan = Plan(source, source.credentials[0], sample)
    problems: list[str] = []
    unsigned = plan.request(number, NOW, ())
    try:
        signed = plan.signed(unsigned)
        events = _taken(source, signed)
    except (Failure, RequestError) as error:
        return Tried(sample.name, (), (f"is not taken: {error}",))
    types = {(event.type, event.version) for event in events}
    if (sample.type, sample.version) not in types:
        problems.append(f"is said to be {(sample.type, sample.version)}, found {sorted(types)}")
    problems += _wrongly_taken(source, plan, unsigned, signed)
    return Tried(sample.name, events, tuple(problems))


def _wrongly_taken(source: Source, plan: Plan, unsigned: Request, signed: Request) -> Iterator[str]:
    scheme = plan.credential.scheme
    if scheme == "none":
        return
    spoilt = {"without its signature": unsigned, "with a spoilt signature": spoil(unsigned, signed)}
    if scheme not in COVER_NO_BODY and signed.body == unsigned.body:
        spoilt["with another body"] = signed._replace(body=signed.body[:-1] + b" " + signed.body[-1:])
    for how, request in spoilt.items():
        if _passes(source, request):
            yield f"is taken {how}"


def is_fresh_only(source: Source, signed: Request) -> bool:
    """Tell whether the scheme refuses a request that is a day old."""
    return not _passes(source, signed._replace(received_at=signed.received_at + DAY_MS))


def _passes(source: Source, request: Request) -> bool:
    try:
        verify(source, request)
    except VerificationError:
        return False
    return True


def _taken(source: Source, request: Request) -> tuple[Event, ...]:
    first = verify(source, request)[0]
    return identify(source.identify, source.name, first.credential.name, request, first.proof)


def _config(name: str, preset: Preset) -> str:
    table: dict[str, Any] = {**preset.source, "provider": name}
    if scheme_name(preset) not in KEYLESS:
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
