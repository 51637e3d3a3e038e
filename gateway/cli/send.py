"""`send`: a sample event, signed as its provider would, posted to the running listener."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.failures import Failure
from gateway.cli.format import point, say, table, write_json
from gateway.cli.locate import require_config
from gateway.cli.options import examples, with_config, with_json

if TYPE_CHECKING:
    from gateway.blueprint.presets import Sample
    from gateway.blueprint.values import Blueprint
    from gateway.cli.expectation import Expectation
    from gateway.cli.sample import Plan
    from gateway.config.load import Loaded
    from gateway.core.model import Request


def _seconds(_context: click.Context, _option: click.Parameter, text: str | None) -> float:
    """Read a duration as the configuration writes it."""
    from gateway.config.units import parse_duration  # noqa: PLC0415 - pydantic, which --help can do without

    try:
        return parse_duration(text) if text else 0.0
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(
    epilog=examples(
        "hookgate send truework",
        "hookgate send truework order.completed",
        "hookgate send truework order.completed --field data.state=canceled --count 3",
        "hookgate send truora identity-succeeded --bad-signature",
        "hookgate send stripe --old 1h",
        "hookgate send truework order.completed --duplicate --burst 50",
        "hookgate send acme example --to http://127.0.0.1:8080 --json",
    )
)
@click.argument("provider")
@click.argument("event", required=False)
@click.option("--source", help="The source to speak as, if several are of this provider.")
@click.option("--credential", help="The credential to sign with. Default: the first that speaks for the event.")
@click.option("--to", metavar="URL", help="http://HOST:PORT or unix:PATH. Default: the first address of [server] bind.")
@click.option("--field", "fields", metavar="A.B=C", multiple=True, help="Change a place of the sample's body.")
@click.option("--count", type=click.IntRange(1, 10_000), default=1, show_default=True, help="How many, all distinct.")
@click.option("--bad-signature", is_flag=True, help="Spoil the signature: the answer must be a refusal.")
@click.option("--old", callback=_seconds, metavar="AGE", help='Sign as if "1h" ago: refused where the time is signed.')
@click.option("--duplicate", is_flag=True, help="Send each twice: both are answered alike, one event is made.")
@click.option("--burst", type=click.IntRange(1, 500), default=1, help="Send so many at once, each on its connection.")
@with_config
@with_json
def send(config: Path, as_json: bool, provider: str, event: str | None, to: str | None, **wanted: Any) -> None:  # noqa: ANN401 - click's values
    """Send a sample EVENT of PROVIDER to the running listener; without EVENT, list the samples there are.

    EVENT is a sample's name or the type that it makes.
    """
    from gateway.cli.expectation import in_words  # noqa: PLC0415 - pydantic
    from gateway.cli.sample import Plan, choose_credential, choose_sample, choose_source  # noqa: PLC0415
    from gateway.cli.sample_fields import places_read  # noqa: PLC0415 - pydantic

    loaded, blueprint = _load(config)
    source = choose_source(blueprint.sources.values(), provider, wanted["source"])
    samples = _samples(loaded, source.provider)
    if event is None:
        _list(samples, provider, as_json)
        return
    sample = choose_sample(samples, event, provider)
    credential = choose_credential(source, sample, wanted["credential"])
    plan = Plan(source, credential, sample, places_read(blueprint, source))
    answers, expected = _post(plan, _address(loaded, to), loaded, wanted)
    fits, meaning = in_words(expected, answers, wanted)
    remedy = f"hookgate events list --source {source.name} --limit {wanted['count']}"
    if 401 in answers:
        remedy = "hookgate status"  # its newest refusals say why
    _tell(plan, answers, as_json, remedy, meaning, as_expected=fits)
    if not fits:
        raise SystemExit(1)


def _load(config: Path) -> "tuple[Loaded, Blueprint]":
    from gateway.blueprint import build  # noqa: PLC0415 - the whole configuration
    from gateway.config.load import load  # noqa: PLC0415
    from gateway.errors import ConfigError  # noqa: PLC0415

    try:
        loaded = load(require_config(config), os.environ)
        return loaded, build(loaded)
    except ConfigError as error:
        raise Failure(str(error), f"hookgate check --config {config}") from None


def _samples(loaded: "Loaded", provider: str) -> "tuple[Sample, ...]":
    from gateway.blueprint.presets import Presets  # noqa: PLC0415 - see _load

    preset = Presets(loaded, loaded.report()).find(provider, ("sources",))
    return preset.samples if preset else ()


def _address(loaded: "Loaded", to: str | None) -> str:
    from gateway.cli.post import listener_address  # noqa: PLC0415 - see _load

    return to or listener_address(loaded.config.server.bind, loaded.config.server.tls is not None)


def _post(plan: "Plan", to: str, loaded: "Loaded", wanted: dict[str, Any]) -> "tuple[Counter[int], Expectation]":
    """Send what is wanted; give the answers, and what they should be."""
    from gateway.cli.expectation import expectation  # noqa: PLC0415 - see _load
    from gateway.cli.post import Postman  # noqa: PLC0415 - see _load
    from gateway.cli.sample import spoil  # noqa: PLC0415
    from gateway.runtime import Runtime  # noqa: PLC0415

    runtime = Runtime()
    tls = loaded.config.server.tls
    certificate = loaded.places.config / tls.cert if tls else None
    postmen = [Postman(to, certificate) for _ in range(wanted["burst"])]
    answers: Counter[int] = Counter()
    age_ms = int(wanted["old"] * 1000)

    def signed(n: int) -> "Request":
        unsigned = plan.request(n, runtime.now_ms() - age_ms, wanted["fields"])
        proven = plan.signed(unsigned)
        return spoil(unsigned, proven) if wanted["bad_signature"] else proven

    expected = expectation(plan.source, signed(1), runtime.now_ms(), wanted)
    numbers = range(1, max(wanted["count"], wanted["burst"]) + 1)
    try:
        for some in batched(numbers, len(postmen)):
            requests = [signed(n) for n in some]
            for _ in range(2 if wanted["duplicate"] else 1):
                for postman, request in zip(postmen, requests, strict=False):
                    postman.send(request)
                for postman, _request in zip(postmen, requests, strict=False):
                    answers[postman.answer()[0]] += 1
    finally:
        for postman in postmen:
            postman.close()
    return answers, expected


def batched(numbers: Iterable[int], size: int) -> Iterator[list[int]]:
    """Cut `numbers` into lists of `size`; the last may be shorter."""
    left = iter(numbers)
    while some := list(islice(left, size)):
        yield some


def _list(samples: "tuple[Sample, ...]", provider: str, as_json: bool) -> None:
    remedy = f"hookgate send {provider} {samples[0].name}" if samples else "hookgate check"
    if as_json:
        write_json({"samples": [{"name": s.name, "type": s.type, "version": s.version} for s in samples]}, remedy)
        return
    table(["sample", "type", "version"], [[each.name, each.type, each.version] for each in samples])
    point(remedy)


def _tell(plan: "Plan", answers: Counter[int], as_json: bool, remedy: str, meaning: str, *, as_expected: bool) -> None:
    found = {
        "source": plan.source.name,
        "credential": plan.credential.name,
        "type": plan.sample.type,
        "sent": answers.total(),
        "answers": {str(status): count for status, count in answers.items()},
        "as_expected": as_expected,
        "meaning": meaning,
    }
    if as_json:
        write_json(found, remedy)
        return
    counts = ", ".join(f"{count} × {status}" for status, count in answers.items())  # noqa: RUF001 - a multiplication
    say(f"{plan.sample.type} as {plan.source.name} with credential {plan.credential.name}: {counts}")
    say(meaning)
    point(remedy)
