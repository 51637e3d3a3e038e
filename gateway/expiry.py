"""What ends on a known day: certificates that the gateway shows, and secrets whose `expires` the operator wrote.

Reads the certificates' files, so call `find_ends` in a thread. Tells where something is, never what it holds.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.blueprint import Blueprint
from gateway.config.references import SecretText, read_small

_NESTED: Final = (dict, list)


class End(NamedTuple):
    """Something that ends."""

    kind: str
    """`certificate.expiring` or `secret.expiring`."""
    name: str
    """Where it is: a file, or "file truora"."""
    used_by: str
    """The path of the table that names it."""
    at: int
    """Milliseconds since 1970: after it nobody should rely on it."""


def find_ends(blueprint: Blueprint) -> list[End]:
    """Give all that ends, each once for each place that uses it; what cannot be read is not told here."""
    return [*_certificates(blueprint), *_secrets(blueprint.config.model_dump(mode="json"), "")]


def _certificates(blueprint: Blueprint) -> Iterator[End]:
    tls = blueprint.config.server.tls
    if tls is not None:
        yield from _certificate(str(blueprint.places.beside_config(tls.cert)), "server.tls")
    for name, plan in blueprint.targets.items():
        shown = getattr(getattr(plan.options, "tls", None), "cert", None)
        if isinstance(shown, str | SecretText):
            yield from _certificate(shown, f"targets.{name}.tls")


def _certificate(shown: str | SecretText, used_by: str) -> Iterator[End]:
    """Give the end of a chain's first certificate: the one that is ours."""
    from cryptography import x509  # noqa: PLC0415 - a daemon without TLS need not load it

    try:
        pem = shown.reveal().encode() if isinstance(shown, SecretText) else read_small(Path(shown))
        at = _milliseconds(x509.load_pem_x509_certificates(pem)[0].not_valid_after_utc)
    except (ValueError, x509.InvalidVersion):
        return
    name = shown.place if isinstance(shown, SecretText) else shown
    yield End("certificate.expiring", name, used_by, at)


def _secrets(value: Any, path: str) -> Iterator[End]:  # noqa: ANN401 - whatever a configuration holds
    """Find references to secrets with a day, wherever one may stand."""
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from _secrets(each, f"{path}[{number}]")
    if not isinstance(value, dict):
        return
    place = [f"{kind} {value[kind]}" for kind in ("file", "credential", "env") if isinstance(value.get(kind), str)]
    if len(place) == 1 and isinstance(value.get("expires"), str):
        # Only a reference's day was checked: a table of an operator's own words may look like one.
        with suppress(ValueError):
            last = date.fromisoformat(value["expires"])
            yield End("secret.expiring", place[0], path, _milliseconds(datetime.combine(last, time(), UTC)))
    for key, each in value.items():
        if isinstance(each, _NESTED):
            yield from _secrets(each, f"{path}.{key}" if path else key)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
