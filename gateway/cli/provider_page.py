"""A provider's page: what a preset knows, for people who set it up; `docs/providers/` holds one for each preset."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.blueprint.expand import write_toml
from gateway.blueprint.presets import Preset
from gateway.cli.trial import scheme_name, wants_secret

PROOFS: Final[Mapping[str, str]] = {
    "sdk": "the provider's own code, which signs or verifies in our tests",
    "docs": "the provider's documentation",
    "secondary": "others' code or pages about it",
    "unconfirmed": "nothing yet: try it with the provider's test button first",
}


def snippet(name: str, preset: Preset) -> str:
    """Give the TOML to paste: a source, and a route of all its events to a target `crm`."""
    source: dict[str, Any] = {"provider": name, **preset.source}
    if learns(preset):
        source["credentials"] = {"main": {"learned": True}}
    elif wants_secret(preset):
        source["credentials"] = {"main": {"secret": {"file": name}}}
    if any(each.token for each in preset.handshake):
        source["handshake"] = {"secret": {"file": f"{name}-handshake"}}
    table = {"sources": {name: source}, "routes": {name: {"source": name, "event": "*", "targets": ["crm"]}}}
    return write_toml(table)


def overview(presets: Mapping[str, Preset]) -> str:
    """Give the table of all presets as Markdown."""
    tested = sum(1 for each in presets.values() if each.proven_by)
    lines = [
        "# Providers\n",
        "Written by `hookgate providers pages` from the presets: change those, not these pages.\n",
        "How to write one of your own: [presets](../presets.md).\n",
        f"{len(presets)} presets; tests hold {tested} of them against packages or values that are not ours.\n",
        "| provider | name | scheme | proven against | by |",
        "|---|---|---|---|---|",
    ]
    for name, each in sorted(presets.items()):
        by = ", ".join(each.proven_by)
        start = f"| [{each.title}]({name}.md) | `{name}` | `{scheme_name(each)}`"
        lines.append(f"{start} | {PROOFS[each.verified]} | {by} |")
    return "\n".join(lines) + "\n"


def page(name: str, preset: Preset) -> str:
    """Give the page as Markdown."""
    return "\n".join(_lines(name, preset)) + "\n"


def _lines(name: str, preset: Preset) -> Iterator[str]:
    yield f"# {preset.title}"
    by = f" ({', '.join(preset.proven_by)})" if preset.proven_by else ""
    yield f"\nProvider `{name}`, proven against {PROOFS[preset.verified]}{by}.\n"
    yield "## Set it up\n"
    yield from _learning_steps(name, preset) if learns(preset) else _steps(name, preset)
    if preset.samples:
        yield f"4. Try it: `hookgate send {name} {preset.samples[0].name}`.\n"
    yield from _facts(preset)
    if preset.types:
        yield "## Types\n"
        yield ", ".join(f"`{each}`" for each in preset.types) + "\n"
    if preset.sources:
        yield "## Sources\n"
        yield from (f"- {each}" for each in preset.sources)


def _steps(name: str, preset: Preset) -> Iterator[str]:
    path = preset.source.get("path", f"/hooks/{name}")
    yield f"1. Give the provider the address `https://YOUR-HOST{path}`."
    if not wants_secret(preset):
        yield f"2. There is no secret. {preset.secret_help}"
    elif preset.secret_help:
        yield f"2. Its secret goes into the file `{name}` of the secrets folder, mode 0600. {preset.secret_help}"
        yield f"   One that you choose yourself: `(umask 077; openssl rand -hex 32 > SECRETS-FOLDER/{name})`."
    yield "3. Add this to the configuration, with a target of yours for `crm`, then say `hookgate reload`:\n"
    yield f"```toml\n{snippet(name, preset)}```\n"


def _learning_steps(name: str, preset: Preset) -> Iterator[str]:
    """Give the steps where the provider says its secret at set-up."""
    yield "1. Add this to the configuration, with a target of yours for `crm`, then say `hookgate reload`:\n"
    yield f"```toml\n{snippet(name, preset)}```\n"
    yield f"2. Say `hookgate sources learn {name}`: the next secret that is said within 15 minutes is believed."
    address = f"https://YOUR-HOST{preset.source.get('path', f'/hooks/{name}')}"
    yield f"3. Give the provider the address `{address}`. {preset.secret_help}"
    yield "   `hookgate sources list` then says that it is learned, the own event `secret.learned` from where.\n"


def learns(preset: Preset) -> bool:
    """Tell whether the provider says its secret at set-up."""
    return any(each.learn for each in preset.handshake)


def _facts(preset: Preset) -> Iterator[str]:
    yield "## What it does\n"
    yield "| | |\n|---|---|"
    yield f"| verification | scheme `{scheme_name(preset)}` |"
    key = preset.identify.get("id") or preset.identify.get("key")
    names = key if isinstance(key, list) else [key] if key else []
    told = ", ".join(f"`{each}`" for each in names) or "none: every request is an event of its own"
    yield f"| de-dup key | {told} |"
    for each in preset.handshake:
        signed = "signed" if each.verified else "not signed"
        yield f"| handshake | `{each.name}`: {', '.join(each.methods)}, {signed}, answered with {each.status} |"
    deadline = f", wanted within {preset.ack.deadline}" if preset.ack.deadline else ""
    yield f"| answer | {preset.ack.status}{deadline} |"
    if preset.retry:
        yield f"| its retries | {preset.retry.note} |"
    yield ""
